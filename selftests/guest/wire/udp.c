// SPDX-License-Identifier: GPL-2.0-only
/*
 * UDP: an echo server, datagrams of every size, and the time of an echo.
 *
 * UDP may lose a datagram, so a lost one is sent again, five times at most.
 * A wrong one is an error at once: a reply with the number of the question
 * must have its size and content.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define UDP_MAX	 65507 /* largest UDP payload over IPv4, bytes */
#define TRIES	 5
#define REPLY_MS 4000 /* wait for one reply */

void udp_echo(int port)
{
	static unsigned char buf[65536];
	int fd = net_open(SOCK_DGRAM, NULL, port, 4 << 20);

	for (;;) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);

		if (n >= 0)
			sendto(fd, buf, n, 0, (struct sockaddr *)&from, len);
	}
}

/*
 * Send one datagram and wait for its echo.  The content starts at an offset of
 * the pattern that is different for each size, so that the late reply to an
 * earlier question is told apart (and skipped) by its size or content.
 *
 * Return: 0 right, 1 lost, -1 wrong content.
 */
static int echo_once(int fd, const unsigned char *want, size_t size)
{
	static unsigned char buf[65536];
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t end = now_us() + REPLY_MS * 1000;

	if (send(fd, want, size, 0) != (ssize_t)size)
		return 1;
	for (;;) {
		int64_t left = (int64_t)(end - now_us()) / 1000;
		ssize_t n;

		if (left <= 0 || poll(&pfd, 1, left) <= 0)
			return 1;
		n = recv(fd, buf, sizeof(buf), 0);
		if (n < 0 || (size_t)n != size)
			continue; /* an earlier question's reply, or an ICMP error */
		return memcmp(buf, want, size) ? -1 : 0;
	}
}

int cmd_udp(int argc, char **argv)
{
	unsigned long first, last, step, count = 0, resent = 0;
	unsigned char *pattern = pattern_make(now_us());
	int fd;

	errno = 0;
	if (argc != 6)
		die("udp: HOST PORT FIRST LAST STEP wanted");
	first = strtoul(argv[3], NULL, 10);
	last = strtoul(argv[4], NULL, 10);
	step = strtoul(argv[5], NULL, 10);
	if (!first || first > last || last > UDP_MAX || !step)
		die("udp: sizes are 1 to 65507");
	fd = net_open(SOCK_DGRAM, argv[1], atoi(argv[2]), 4 << 20);
	for (unsigned long size = first; size <= last; size += step) {
		int ret = 1;

		for (int i = 0; i < TRIES && ret > 0; i++) {
			ret = echo_once(fd, pattern_at(pattern, size * 4099), size);
			resent += ret > 0;
		}
		if (ret) {
			printf("failed: %lu bytes: %s\n", size,
			       ret < 0 ? "wrong content" : "no echo");
			return 1;
		}
		count++;
		if (size < last && size + step > last)
			size = last - step; /* the largest size is always tried */
	}
	printf("ok sizes=%lu resent=%lu\n", count, resent);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int cmd_rtt(int argc, char **argv)
{
	unsigned char *pattern = pattern_make(now_us());
	unsigned long count, size, lost = 0;
	uint64_t sum = 0;
	uint32_t *usec;
	int fd;

	errno = 0;
	if (argc != 5)
		die("rtt: HOST PORT COUNT SIZE wanted");
	count = strtoul(argv[3], NULL, 10);
	size = strtoul(argv[4], NULL, 10);
	if (!count || count > 1000000 || !size || size > UDP_MAX)
		die("rtt: wrong number");
	usec = calloc(count, sizeof(*usec));
	if (!usec)
		die("memory");
	fd = net_open(SOCK_DGRAM, argv[1], atoi(argv[2]), 0);
	for (unsigned long i = 0; i < count;) {
		uint64_t start = now_us();
		int ret = echo_once(fd, pattern_at(pattern, i * 4099), size);

		if (ret < 0)
			die("wrong content");
		if (ret) {
			if (++lost > TRIES)
				die("too many echoes are lost");
			continue;
		}
		usec[i] = now_us() - start;
		sum += usec[i++];
	}
	qsort(usec, count, sizeof(*usec), by_value);
	printf("ok count=%lu lost=%lu median_us=%u p90_us=%u p99_us=%u mean_us=%llu\n", count, lost,
	       usec[count / 2], usec[count * 9 / 10], usec[count * 99 / 100],
	       (unsigned long long)(sum / count));
	return 0;
}
