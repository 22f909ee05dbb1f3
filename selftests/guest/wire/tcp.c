// SPDX-License-Identifier: GPL-2.0-only
/*
 * TCP transfers whose receiver compares every byte.
 *
 * A connection opens with a struct order from the client: which way the data
 * goes, and the seed of its content.  Then the sending side sends, and shuts
 * its half down; the receiving side compares until the end of the stream and
 * answers with a struct verdict: what it counted, and where the first wrong
 * byte was.  A transfer is good when the sender's count and the receiver's are
 * the same and nothing was wrong, so a stream that is cut short fails too.
 *
 * An order without a limit goes on until the client gets SIGUSR1; where the
 * server is the sender, the client then sends it one byte.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

#define ORDER_MAGIC 0x31657269772d6e73ull /* "sn-wire1" */
#define STREAMS_MAX 32
#define STALL_S	    600 /* seconds without progress that end a transfer */

enum way { WAY_UP, WAY_DOWN }; /* up: client to server */

struct order {
	uint64_t magic;
	uint64_t way;
	uint64_t seed;
	uint64_t bytes; /* 0: no limit */
	uint64_t usec;	/* 0: no limit */
};

struct verdict {
	uint64_t bytes;	   /* received */
	uint64_t wrong_at; /* offset of the first wrong byte + 1, 0: none */
};

static volatile sig_atomic_t stop;

static void on_usr1(int sig)
{
	(void)sig;
	stop = 1;
}

static int read_all(int fd, void *data, size_t len)
{
	char *p = data;

	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		p += n;
		len -= n;
	}
	return 0;
}

static void stall_limit(int fd)
{
	struct timeval tv = { .tv_sec = STALL_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

/* Has the other side asked for the end of a stream without a limit? */
static int asked_to_stop(int fd, const struct order *order)
{
	char byte;

	if (order->bytes || order->usec)
		return 0;
	return stop || recv(fd, &byte, 1, MSG_DONTWAIT) > 0;
}

/* Send a stream, shut the half down and take the verdict.  0 when all is well. */
static int stream_send(int fd, const struct order *order, uint64_t *sent)
{
	unsigned char *pattern = pattern_make(order->seed);
	uint64_t end = order->usec ? now_us() + order->usec : 0, at = 0;
	struct verdict verdict;
	int ret = -1;

	while ((!order->bytes || at < order->bytes) && (!end || now_us() < end) &&
	       !asked_to_stop(fd, order)) {
		size_t len = PATTERN_WINDOW;

		if (order->bytes && order->bytes - at < len)
			len = order->bytes - at;
		if (write_all(fd, pattern_at(pattern, at), len)) {
			printf("failed: send after %llu bytes: %s\n", (unsigned long long)at,
			       strerror(errno));
			goto out;
		}
		at += len;
	}
	shutdown(fd, SHUT_WR);
	if (read_all(fd, &verdict, sizeof(verdict)))
		printf("failed: no verdict from the receiver after %llu bytes\n",
		       (unsigned long long)at);
	else if (verdict.wrong_at)
		printf("failed: wrong byte at %llu\n", (unsigned long long)verdict.wrong_at - 1);
	else if (verdict.bytes != at)
		printf("failed: %llu bytes sent, %llu received\n", (unsigned long long)at,
		       (unsigned long long)verdict.bytes);
	else
		ret = 0;
	*sent = at;
out:
	free(pattern);
	return ret;
}

/* Receive a stream to its end and give the verdict.  0 when all is well. */
static int stream_receive(int fd, const struct order *order, uint64_t *received)
{
	unsigned char *pattern = pattern_make(order->seed), *buf = malloc(PATTERN_WINDOW);
	int endless = !order->bytes && !order->usec;
	struct verdict verdict = { 0 };
	ssize_t n;

	if (!buf)
		die("memory");
	while ((n = recv(fd, buf, PATTERN_WINDOW, 0)) > 0 || (n < 0 && errno == EINTR)) {
		const unsigned char *want = pattern_at(pattern, verdict.bytes);

		if (stop && endless) {
			if (write_all(fd, "s", 1))
				break;
			endless = 0;
		}
		if (n < 0)
			continue;
		if (!verdict.wrong_at && memcmp(buf, want, n)) {
			size_t i = 0;

			while (buf[i] == want[i])
				i++;
			verdict.wrong_at = verdict.bytes + i + 1;
			printf("failed: wrong byte at %llu: %02x instead of %02x\n",
			       (unsigned long long)verdict.bytes + i, buf[i], want[i]);
		}
		verdict.bytes += n;
	}
	if (n < 0)
		printf("failed: receive after %llu bytes: %s\n", (unsigned long long)verdict.bytes,
		       strerror(errno));
	*received = verdict.bytes;
	free(pattern);
	free(buf);
	if (n < 0 || write_all(fd, &verdict, sizeof(verdict)))
		return -1;
	return verdict.wrong_at ? -1 : 0;
}

/* The server's side of one connection. */
static int serve_one(int fd)
{
	struct order order;
	uint64_t bytes;

	stall_limit(fd);
	if (read_all(fd, &order, sizeof(order)) || order.magic != ORDER_MAGIC)
		return 1;
	if (order.way == WAY_UP)
		return stream_receive(fd, &order, &bytes) ? 1 : 0;
	return stream_send(fd, &order, &bytes) ? 1 : 0;
}

int cmd_serve(int argc, char **argv)
{
	int port, listener;

	if (argc != 2)
		die("serve: PORT wanted");
	port = atoi(argv[1]);
	listener = net_open(SOCK_STREAM, NULL, port, 0);
	signal(SIGCHLD, SIG_IGN);
	if (!fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		udp_echo(port);
	}
	printf("ready port=%d\n", port);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0)
			continue;
		if (!fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(listener);
			_exit(serve_one(fd));
		}
		close(fd);
	}
}

static int client_one(const char *host, int port, const struct order *order)
{
	int fd = net_open(SOCK_STREAM, host, port, 0), ret;
	uint64_t bytes = 0, start = now_us();

	stall_limit(fd);
	if (write_all(fd, order, sizeof(*order)))
		die("send the order");
	if (order->way == WAY_UP)
		ret = stream_send(fd, order, &bytes);
	else
		ret = stream_receive(fd, order, &bytes);
	if (!ret && order->way == WAY_DOWN && order->bytes && bytes != order->bytes) {
		printf("failed: %llu bytes ordered, %llu came\n", (unsigned long long)order->bytes,
		       (unsigned long long)bytes);
		ret = -1;
	}
	if (!ret && !bytes) {
		printf("failed: nothing was transferred\n");
		ret = -1;
	}
	if (!ret)
		printf("ok way=%s bytes=%llu usec=%llu\n", order->way == WAY_UP ? "up" : "down",
		       (unsigned long long)bytes, (unsigned long long)(now_us() - start));
	close(fd);
	return ret ? 1 : 0;
}

int cmd_tcp(int argc, char **argv)
{
	int port, streams, status, failed = 0, n = 0;
	struct order order = { .magic = ORDER_MAGIC };
	struct sigaction sa = { .sa_handler = on_usr1 };
	uint64_t start = now_us();

	errno = 0;
	if (argc != 7)
		die("tcp: HOST PORT up|down|both MIB SECONDS STREAMS wanted");
	port = atoi(argv[2]);
	order.bytes = strtoull(argv[4], NULL, 10) << 20;
	order.usec = strtoull(argv[5], NULL, 10) * 1000000;
	streams = atoi(argv[6]);
	if (streams < 1 || streams > STREAMS_MAX)
		die("tcp: 1 to 32 streams");
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < streams; i++) {
		for (enum way way = WAY_UP; way <= WAY_DOWN; way++) {
			if ((way == WAY_UP && !strcmp(argv[3], "down")) ||
			    (way == WAY_DOWN && !strcmp(argv[3], "up")))
				continue;
			order.way = way;
			order.seed = start * 64 + n++;
			if (!fork())
				exit(client_one(argv[1], port, &order));
		}
	}
	for (pid_t pid; (pid = wait(&status)) > 0 || errno == EINTR;)
		failed += pid > 0 && status;
	if (failed)
		return 1;
	printf("ok transfers=%d usec=%llu\n", n, (unsigned long long)(now_us() - start));
	return 0;
}

/*
 * Data that the network device wrote, and nobody has read: it lies in pages
 * of the guest that only the device has touched.  After a migration these
 * pages are right only if the device logged what it wrote.
 */
int cmd_hold(int argc, char **argv)
{
	struct order order;
	uint64_t bytes;
	sigset_t usr1;
	int fd, sig, ret;

	if (argc != 2)
		die("hold: PORT wanted");
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	fd = net_open(SOCK_STREAM, NULL, atoi(argv[1]), 96 << 20);
	printf("ready\n");
	fd = accept(fd, NULL, NULL);
	if (fd < 0 || read_all(fd, &order, sizeof(order)) || order.magic != ORDER_MAGIC)
		die("hold: no order came");
	sigwait(&usr1, &sig);
	stall_limit(fd);
	ret = stream_receive(fd, &order, &bytes);
	if (!ret)
		printf("ok bytes=%llu\n", (unsigned long long)bytes);
	return ret ? 1 : 0;
}
