/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wire - traffic with known content.  The same static program runs in the
 * nested guest and in its host; every byte that arrives is compared with what
 * the other side must have sent.
 *
 * This header is what the parts of the program share.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stddef.h>
#include <stdint.h>

/*
 * A stream's content: a block of pseudo-random bytes, repeated.  The length of
 * the block is a prime, so that data which arrives shifted by a page, a packet
 * or a buffer does not match.
 */
#define PATTERN_LEN    1048573u
#define PATTERN_WINDOW 262144u /* bytes readable from any offset */

/**
 * pattern_make - the content that belongs to a seed
 * @seed: any number; the same seed gives the same content
 *
 * Return: PATTERN_LEN + PATTERN_WINDOW bytes, owned by the caller (free()).
 * Exits the program when memory is short.
 */
unsigned char *pattern_make(uint64_t seed);

/**
 * pattern_at - where in a pattern the byte at a stream offset is
 * @pattern: from pattern_make()
 * @offset: bytes from the start of the stream
 *
 * Return: pointer to at least PATTERN_WINDOW bytes of the stream.
 */
static inline const unsigned char *pattern_at(const unsigned char *pattern, uint64_t offset)
{
	return pattern + offset % PATTERN_LEN;
}

/**
 * now_us - the monotonic clock
 *
 * Return: microseconds.
 */
uint64_t now_us(void);

/**
 * die - print one line about what failed, with errno if set, and exit(1)
 * @what: what was being done
 */
void die(const char *what) __attribute__((noreturn));

/**
 * net_open - a socket with an IPv4 address
 * @type: SOCK_STREAM or SOCK_DGRAM
 * @host: dotted address to connect to, or NULL to bind to every address
 * @port: port number
 * @rcvbuf: receive buffer in bytes to force, or 0 for the system's own
 *
 * Return: a connected, or bound and (for streams) listening, socket.  A
 * refused or lost connection attempt is repeated for 20 s.  Exits on errors.
 */
int net_open(int type, const char *host, int port, int rcvbuf);

/* The subcommands.  Each takes its own arguments and returns the exit status. */
int cmd_serve(int argc, char **argv);
int cmd_tcp(int argc, char **argv);
int cmd_hold(int argc, char **argv);
int cmd_udp(int argc, char **argv);
int cmd_rtt(int argc, char **argv);
int cmd_ping(int argc, char **argv);
int cmd_mem(int argc, char **argv);
int cmd_queues(int argc, char **argv);
int cmd_stats(int argc, char **argv);

/**
 * udp_echo - answer every datagram with its own content, for ever
 * @port: port to bind to
 */
void udp_echo(int port) __attribute__((noreturn));

#endif
