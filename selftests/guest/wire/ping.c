// SPDX-License-Identifier: GPL-2.0-only
/*
 * ICMP echoes, none of which may get lost, however long they take.
 *
 * ping(8) gives a slow network a few seconds, or two round trips, and calls the
 * rest lost; but where the host is emulated, one of its processors may rest for
 * longer than that.  Here an echo is lost when it has not come after LOST_US.
 * Before they are counted one must have come: the first may be dropped while the
 * address of the other side is not known yet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

#define ECHO_MAX  60000	    /* bytes of content */
#define COUNT_MAX 1000	    /* echoes */
#define GAP_US	  50000	    /* from one request to the next */
#define FIRST_US  1000000   /* to the next try of the first one */
#define LOST_US	  120000000 /* without an answer for so long: lost */

struct ping {
	int fd;
	uint16_t id;
	size_t size;
	const unsigned char *pattern;
	unsigned int came;
	bool seen[COUNT_MAX + 1];
	uint64_t sent[COUNT_MAX + 1];
	uint64_t slowest;
};

static uint16_t checksum(const unsigned char *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

static void ask(struct ping *p, unsigned int seq)
{
	static unsigned char packet[sizeof(struct icmphdr) + ECHO_MAX];
	struct icmphdr head = {
		.type = ICMP_ECHO,
		.un.echo = { .id = p->id, .sequence = htons(seq) },
	};
	size_t len = sizeof(head) + p->size;

	memcpy(packet, &head, sizeof(head));
	memcpy(packet + sizeof(head), pattern_at(p->pattern, seq * 4099), p->size);
	head.checksum = checksum(packet, len);
	memcpy(packet, &head, sizeof(head));
	p->sent[seq] = now_us();
	/* No neighbour yet is no error: it may be there at the next try. */
	if (send(p->fd, packet, len, 0) != (ssize_t)len && errno != EHOSTUNREACH)
		die("send");
}

/* Take one packet if it comes until @end, an echo of ours or not. */
static void hear(struct ping *p, uint64_t end)
{
	static unsigned char packet[65536];
	struct pollfd pfd = { .fd = p->fd, .events = POLLIN };
	int64_t left = (int64_t)(end - now_us());
	struct icmphdr head;
	unsigned int seq;
	size_t skip;
	ssize_t n;

	if (left <= 0 || poll(&pfd, 1, left / 1000 + 1) <= 0)
		return;
	n = recv(p->fd, packet, sizeof(packet), 0);
	if (n < (ssize_t)sizeof(struct iphdr))
		return;
	skip = 4 * (packet[0] & 15);
	if ((size_t)n < skip + sizeof(head))
		return;
	memcpy(&head, packet + skip, sizeof(head));
	seq = ntohs(head.un.echo.sequence);
	if (head.type != ICMP_ECHOREPLY || head.un.echo.id != p->id || seq > COUNT_MAX)
		return;
	errno = 0;
	skip += sizeof(head);
	if (n - skip != p->size ||
	    memcmp(packet + skip, pattern_at(p->pattern, seq * 4099), p->size))
		die("wrong content");
	if (!seq) { /* of those that are not counted */
		p->seen[0] = true;
		return;
	}
	if (p->seen[seq])
		die("an echo came twice");
	p->seen[seq] = true;
	p->came++;
	if (now_us() - p->sent[seq] > p->slowest)
		p->slowest = now_us() - p->sent[seq];
}

int cmd_ping(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	static struct ping p;
	unsigned long count, tries = 0;
	int rcvbuf = 4 << 20;
	uint64_t end;

	errno = 0;
	if (argc != 4)
		die("ping: HOST SIZE COUNT wanted");
	p.size = strtoul(argv[2], NULL, 10);
	count = strtoul(argv[3], NULL, 10);
	if (inet_pton(AF_INET, argv[1], &to.sin_addr) != 1 || p.size > ECHO_MAX || !count ||
	    count > COUNT_MAX)
		die("ping: an IPv4 address, up to 60000 bytes, 1 to 1000 echoes wanted");
	p.pattern = pattern_make(now_us());
	p.id = getpid();
	p.fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
	if (p.fd < 0 || connect(p.fd, (struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(p.fd, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)))
		die("socket");

	for (end = now_us() + LOST_US; !p.seen[0] && now_us() < end; tries++) {
		uint64_t next = now_us() + FIRST_US;

		ask(&p, 0);
		while (!p.seen[0] && now_us() < next)
			hear(&p, next);
	}
	errno = 0;
	if (!p.seen[0])
		die("no answer");
	for (unsigned int seq = 1; seq <= count; seq++) {
		ask(&p, seq);
		while (now_us() < p.sent[seq] + GAP_US)
			hear(&p, p.sent[seq] + GAP_US);
	}
	while (p.came < count && now_us() < p.sent[count] + LOST_US)
		hear(&p, p.sent[count] + LOST_US);
	if (p.came < count) {
		printf("failed: %lu of %lu echoes lost\n", count - p.came, count);
		return 1;
	}
	printf("ok echoes=%lu first_tries=%lu slowest_us=%llu\n", count, tries,
	       (unsigned long long)p.slowest);
	return 0;
}
