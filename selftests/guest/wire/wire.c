// SPDX-License-Identifier: GPL-2.0-only
/*
 * wire - what its subcommands have in common, and the table of them.
 *
 * Each subcommand prints one line, `ok key=value...` or `failed: why`, and
 * exits 0 or 1 accordingly.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

unsigned char *pattern_make(uint64_t seed)
{
	unsigned char *p = malloc(PATTERN_LEN + PATTERN_WINDOW + 8);

	if (!p)
		die("memory for the pattern");
	for (size_t i = 0; i < PATTERN_LEN; i += 8) {
		uint64_t x = seed += 0x9e3779b97f4a7c15ull;

		/* mixing constants of the splitmix64 generator */
		x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
		x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
		x ^= x >> 31;
		memcpy(p + i, &x, 8);
	}
	memcpy(p + PATTERN_LEN, p, PATTERN_WINDOW);
	return p;
}

uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

void die(const char *what)
{
	if (errno)
		printf("failed: %s: %s\n", what, strerror(errno));
	else
		printf("failed: %s\n", what);
	exit(1);
}

int net_open(int type, const char *host, int port, int rcvbuf)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };
	uint64_t give_up = now_us() + 20000000;
	int one = 1;

	if (host && inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
		errno = 0;
		die("not an IPv4 address");
	}
	for (;;) {
		int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

		if (fd < 0)
			die("socket");
		if (rcvbuf && setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)))
			die("receive buffer");
		if (!host) {
			setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
			if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
				die("bind");
			if (type == SOCK_STREAM && listen(fd, 64))
				die("listen");
			return fd;
		}
		if (!connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
			return fd;
		close(fd);
		if (now_us() > give_up)
			die("connect");
		usleep(100000);
	}
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "serve", cmd_serve, "PORT: TCP peer and UDP echo, for ever" },
	{ "tcp", cmd_tcp, "HOST PORT up|down|both MIB SECONDS STREAMS: until a limit or SIGUSR1" },
	{ "hold", cmd_hold, "PORT: leave what arrives in the socket until SIGUSR1, then verify" },
	{ "udp", cmd_udp, "HOST PORT FIRST LAST STEP: echo of every size, content compared" },
	{ "rtt", cmd_rtt, "HOST PORT COUNT SIZE: median, percentiles and mean time of a UDP echo" },
	{ "ping", cmd_ping, "HOST SIZE COUNT: ICMP echoes, none of them lost, content compared" },
	{ "mem", cmd_mem, "MIB: rewrite memory until SIGUSR1, then verify all of it" },
	{ "queues", cmd_queues, "DEVICE N: use N queue pairs" },
	{ "stats", cmd_stats, "DEVICE: the driver's own counters" },
};

int main(int argc, char **argv)
{
	const size_t n = sizeof(commands) / sizeof(commands[0]);

	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; argc > 1 && i < n; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "wire %s %s\n", commands[i].name, commands[i].usage);
	return 2;
}
