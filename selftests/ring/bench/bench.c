// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench.c - the work that is measured
 *
 *   bench [-c PIECES] [-i] [-b BATCH] count vringh|split|packed|…
 *   bench [-c PIECES] [-i] [-b BATCH] time [ROUNDS]
 *
 * count: offers, serves and takes back REQUESTS requests of PIECES pieces in
 * batches of BATCH, a power of two, in one thread, for callgrind to count what is
 * within the verbs of the device side. Prints how many pieces there were.
 *
 * time: a driver in one thread, a device in another, each on a processor of its
 * own; the contenders take turns, ROUNDS times. Prints the nanoseconds a piece of
 * the fastest run of each of them: what else the machine does only adds to it.
 *
 * -i: the pieces are in an indirect table.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define REQUESTS      8192u
#define TIME_REQUESTS 16384u /* short: most runs end before another task comes */

static const struct contender {
	const char *name;
	const struct device_side *side;
	bool packed, in_order;
} contenders[] = {
	{ "vringh", &vringh_side, false, false },
	{ "split", &shunt_side, false, false },
	{ "packed", &shunt_side, true, false },
	{ "split-in-order", &shunt_side, false, true },
	{ "packed-in-order", &shunt_side, true, true },
};

#define CONTENDERS (sizeof(contenders) / sizeof(*contenders))

static struct area area = { .chain = 1 };
static unsigned int batch = 32;

static void begin(const struct contender *c)
{
	area.packed = c->packed;
	area.in_order = c->in_order;
	driver_start(&area);
	c->side->start(&area);
}

static int count(const char *name)
{
	const struct contender *c = contenders;
	unsigned int n;

	while (strcmp(c->name, name))
		if (++c == contenders + CONTENDERS)
			return 2;
	begin(c);
	for (n = 0; n < REQUESTS; n += batch) {
		driver_offer(batch);
		if (c->side->step(batch) != (int)batch || driver_reap() != batch)
			abort();
	}
	printf("%u\n", n * area.chain);
	return 0;
}

/* ---- two threads ---- */

static const struct contender *running;
static pthread_barrier_t both;
static cpu_set_t cpus[2];

static void *serve(void *unused)
{
	unsigned int n = 0;

	(void)unused;
	pthread_setaffinity_np(pthread_self(), sizeof(*cpus), &cpus[1]);
	pthread_barrier_wait(&both);
	while (n < TIME_REQUESTS) {
		int got = running->side->step(batch);

		if (got < 0)
			abort();
		n += got;
		if (!got)
			__builtin_ia32_pause();
	}
	if (n != TIME_REQUESTS)
		abort();
	return NULL;
}

static double run(const struct contender *c)
{
	const unsigned int room = BENCH_NUM / (area.indirect ? 1 : area.chain);
	unsigned int offered = 0, back = 0;
	struct timespec from, to;
	pthread_t device;

	begin(c);
	running = c;
	if (pthread_create(&device, NULL, serve, NULL))
		abort();
	pthread_barrier_wait(&both);
	clock_gettime(CLOCK_MONOTONIC, &from);
	while (back < TIME_REQUESTS) {
		unsigned int got = driver_reap();

		back += got;
		if (offered < TIME_REQUESTS && offered - back + batch <= room) {
			driver_offer(batch);
			offered += batch;
		} else if (!got) {
			__builtin_ia32_pause();
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	pthread_join(device, NULL);
	return ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / back / area.chain;
}

static int timed(unsigned int rounds)
{
	double least[CONTENDERS];
	unsigned int i, found = 0;
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all))
		abort();
	for (i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &cpus[found++]);
	if (found < 2) {
		fprintf(stderr, "bench: two threads need two processors\n");
		return 3;
	}
	pthread_setaffinity_np(pthread_self(), sizeof(*cpus), &cpus[0]);
	pthread_barrier_init(&both, NULL, 2);
	for (i = 0; i < CONTENDERS; i++)
		least[i] = run(&contenders[i]);
	while (--rounds > 0) {
		for (i = 0; i < CONTENDERS; i++) {
			double took = run(&contenders[i]);

			if (took < least[i])
				least[i] = took;
		}
	}
	for (i = 0; i < CONTENDERS; i++)
		printf("%s %.2f\n", contenders[i].name, least[i]);
	return 0;
}

int main(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "c:ib:")) != -1) {
		if (opt == 'c')
			area.chain = atoi(optarg);
		else if (opt == 'i')
			area.indirect = true;
		else if (opt == 'b')
			batch = atoi(optarg);
		else
			return 2;
	}
	if (!area.chain || area.chain > BENCH_CHAIN_MAX || !batch || batch > BENCH_BATCH_MAX ||
	    optind == argc)
		return 2;
	if (!strcmp(argv[optind], "count") && optind + 1 < argc)
		return count(argv[optind + 1]);
	if (!strcmp(argv[optind], "time")) {
		int rounds = optind + 1 < argc ? atoi(argv[optind + 1]) : 100;

		return rounds > 0 ? timed(rounds) : 2;
	}
	return 2;
}
