// SPDX-License-Identifier: GPL-2.0-only
/*
 * vfio_cost.c - what a packet costs the host that a virtio function carries, or a vhost device
 *
 * Run where virtual time counts instructions, with one processor (scripts/lab run --icount): the
 * processor's time stamp counts them, too. The program is guest and VMM, and never waits but in a
 * loop of which it is known what a turn takes. What passes beyond that is of others, be it a task,
 * an interrupt or a softirq. So what is counted is the same for whoever does the work:
 *
 *   + the kick, from the write to the eventfd (or the doorbell) to its end
 *   + all that runs from then on until the last packet is used and its interrupt has come as far
 *     as the call eventfd: of each batch one is asked for
 *   - what the system does when there is nothing to do, as it is measured before
 *
 * and not the guest's own work on its ring, nor what sends the frames that are received: a packet
 * socket on the TAP, for a function another one.
 *
 *   vfio_cost rx|tx BYTES BATCH ROUNDS device              the vhost device SHUNT_DEV, over a TAP
 *   vfio_cost rx|tx BYTES BATCH ROUNDS eventfd|mapped NODE the function SHUNT_DEV, whose wire leads
 *                                                          to that of NODE; by which doorbell
 *
 * rx is from host to guest. BYTES: of the frame, 14 to 1514. BATCH: frames of a round, 1 to 64.
 * Prints instructions a packet. Rings are SHUNT_TEST_RING.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <x86intrin.h>

#include "vdpa.h"

#define WARM_UP	   4	     /* rounds that are not counted */
#define LOOPS	   500	     /* between two looks at the call eventfd */
#define STALL	   500000000 /* instructions without an end of a round */
#define CALM	   400000000 /* instructions in which the system is seen doing nothing */
#define MOST_BATCH 64

static char *const *args;

/* Who carries the frames, and of a function the other end of its wire. */
static struct vg_net *card;
static struct vf_unit *other;
static volatile uint16_t *bell[2], *others_bell;

/*
 * Instructions of our own: to read the time; of a turn of wait_for(), and of all that it has beside
 * them, for a call that is there at last; and of giving the processor away when nobody wants it.
 */
static uint64_t stamp, turn, beside, drop;
/* Of an instruction that passes with nothing to do: what the system takes. */
static double idle_rate;

static uint64_t kicks, rest, passed;

static void policy(int which, int priority)
{
	const struct sched_param p = { .sched_priority = priority };

	kt_sys(sched_setscheduler(0, which, &p));
}

/* Nobody else runs until yield(). */
static void alone(void)
{
	policy(SCHED_FIFO, 1);
}

/* Whoever has something to do does it now. */
static void yield(void)
{
	policy(SCHED_IDLE, 0);
}

static uint64_t over(uint64_t value, uint64_t usual)
{
	return value > usual ? value - usual : 0;
}

/* Turn until the call of @r is there, but @most times; how often that was in vain. */
static __attribute__((noinline)) uint64_t wait_for(const struct vg_ring *r, uint64_t most)
{
	uint64_t n, v;
	unsigned int i;

	for (n = 0; n < most; n++) {
		for (i = 0; i < LOOPS; i++)
			__asm__ volatile("");
		if (read(r->call, &v, sizeof(v)) == sizeof(v))
			break;
	}
	return n;
}

static uint64_t time_of(const struct vg_ring *r, uint64_t most)
{
	uint64_t begin = __rdtsc();

	wait_for(r, most);
	return __rdtsc() - begin;
}

static void least(uint64_t *value, uint64_t seen)
{
	if (seen < *value)
		*value = seen;
}

/* Where nothing happens, the least of many tries has no interrupt in it. */
static void calibrate(const struct vg_ring *r)
{
	uint64_t begin, one = 1, ten = UINT64_MAX, twenty = UINT64_MAX;
	unsigned int i;

	stamp = drop = beside = UINT64_MAX;
	for (i = 0; i < 200; i++) {
		alone();
		begin = __rdtsc();
		yield();
		least(&drop, __rdtsc() - begin);
		begin = __rdtsc();
		least(&stamp, __rdtsc() - begin);
		least(&ten, time_of(r, 10));
		least(&twenty, time_of(r, 20));
		kt_sys(write(r->call, &one, sizeof(one)));
		least(&beside, time_of(r, 1));
	}
	turn = (twenty - ten) / 10;
	begin = time_of(r, CALM / turn);
	idle_rate = (double)over(begin, CALM / turn * turn) / begin;
}

static void kick(struct vg_ring *r, unsigned int dir)
{
	uint64_t begin, one = 1;

	if (!vg_ring_wants_kick(r))
		return;
	begin = __rdtsc();
	if (bell[dir])
		*bell[dir] = dir;
	else
		kt_sys(write(r->kick, &one, sizeof(one)));
	kicks += over(__rdtsc() - begin, stamp);
}

/*
 * Have others run until the interrupt for @r is there, and count what they do; after @store, which
 * makes another function begin, where that is needed.
 */
static void let_run(struct vg_ring *r, volatile uint16_t *store)
{
	uint64_t begin = __rdtsc(), all, n;

	if (store)
		*store = VG_TX;
	yield();
	n = wait_for(r, STALL / LOOPS);
	all = __rdtsc() - begin;
	kt_check(n < STALL / LOOPS, "the interrupt of a batch does not come");
	rest += over(all, drop + n * turn + beside - stamp);
	passed += all;
}

/* What arrives at a card, each byte for byte. */
static void arrived(struct vg_net *n, const uint8_t *frame, size_t len, unsigned int batch)
{
	static uint8_t got[2048];
	unsigned int i;
	size_t size;

	for (i = 0; i < batch; i++) {
		kt_check(vg_rx(&n->q[0], got, sizeof(got), &size, NULL), "%u of %u frames arrive",
			 i, batch);
		kt_check(size == len && !memcmp(got, frame, len), "another frame arrives");
	}
	vg_rx_fill(&n->q[0]);
}

static void transmit(const uint8_t *frame, size_t len, unsigned int batch)
{
	struct vg_ring *r = &card->q[0].ring[VG_TX];
	unsigned int i;

	for (i = 0; i < batch; i++)
		kt_check(vg_tx(&card->q[0], frame, len, NULL), "no room for frame %u", i);
	vg_ring_arm_at(r, batch - 1);
	kick(r, VG_TX);
	let_run(r, NULL);
	alone();
	kt_check(vg_tx_reap(&card->q[0]) == batch, "an interrupt before all frames were taken");
	if (other)
		arrived(other->net, frame, len, batch);
}

static void receive(const uint8_t *frame, size_t len, unsigned int batch)
{
	struct vg_ring *r = &card->q[0].ring[VG_RX];
	struct virtio_net_hdr none = {};
	unsigned int i;

	vg_ring_arm_at(r, batch - 1);
	for (i = 0; i < batch; i++) {
		if (other)
			kt_check(vg_tx(&other->net->q[0], frame, len, NULL), "no room");
		else
			vg_host_send(card, frame, len, &none);
	}
	let_run(r, others_bell);
	alone();
	arrived(card, frame, len, batch);
	kick(r, VG_RX);
	if (other)
		vg_tx_reap(&other->net->q[0]);
}

static volatile uint16_t *doorbell(const struct vf_unit *u, unsigned int queue)
{
	void *p = mmap(NULL, VG_PAGE, PROT_WRITE, MAP_SHARED, u->fd, (off_t)queue * VG_PAGE);

	kt_check(p != MAP_FAILED, "the doorbell of queue %u cannot be mapped: %m", queue);
	return p;
}

static void run(long arg)
{
	const bool rx = !strcmp(args[1], "rx"), function = strcmp(args[5], "device");
	const size_t len = atoi(args[2]);
	const unsigned int batch = atoi(args[3]), rounds = atoi(args[4]);
	static uint8_t frame[2048];
	struct vg_ring *quiet;
	unsigned int i;
	double cost;

	(void)arg;
	if (function) {
		struct vf_opts o = { .num = 256, .depth = 128, .regions = 1 };
		struct vf_unit *u = vf_new(&o);

		card = u->net;
		if (!strcmp(args[5], "mapped"))
			for (i = 0; i < 2; i++)
				bell[i] = doorbell(u, i);
		/* Without interrupts, and kicked by a store, it takes the host nothing. */
		kt_sys(setenv("SHUNT_DEV", args[6], 1));
		o.features = VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX);
		other = vf_new(&o);
		others_bell = doorbell(other, VG_TX);
		for (i = 0; i < 2; i++)
			vg_ring_disarm(&other->net->q[0].ring[i]);
	} else {
		card = vg_net_new(&(struct vg_opts){ .num = 256, .depth = 128, .regions = 1 });
		vg_host_deaf(card, true);
		vg_rx_fill(&card->q[0]);
		vg_ring_kick(&card->q[0].ring[VG_RX]);
	}
	quiet = &card->q[0].ring[rx ? VG_TX : VG_RX];
	vg_ring_disarm(quiet);
	vg_frame(frame, len, 1, 0);
	usleep(20000);
	calibrate(&card->q[0].ring[rx ? VG_RX : VG_TX]);
	alone();
	for (i = 0; i < WARM_UP + rounds; i++) {
		if (i == WARM_UP)
			kicks = rest = passed = 0;
		(rx ? receive : transmit)(frame, len, batch);
	}
	cost = kicks + rest - idle_rate * passed;
	printf("# own: turn %llu, beside %llu, drop %llu; idle %.5f of %.0f that passed\n",
	       (unsigned long long)turn, (unsigned long long)beside, (unsigned long long)drop,
	       idle_rate, (double)passed / rounds);
	printf("# task %.0f kick\n", (double)kicks / rounds / batch);
	printf("# task %.0f rest\n", (cost - kicks) / rounds / batch);
	printf("# cost %.0f\n", cost / rounds / batch);
}

static bool understood(int argc)
{
	if (argc < 6 || (strcmp(args[1], "rx") && strcmp(args[1], "tx")))
		return false;
	if (strcmp(args[5], "device") &&
	    (argc < 7 || (strcmp(args[5], "eventfd") && strcmp(args[5], "mapped"))))
		return false;
	return atoi(args[2]) >= VG_FRAME_MIN && atoi(args[2]) <= 1514 && atoi(args[3]) >= 1 &&
	       atoi(args[3]) <= MOST_BATCH && atoi(args[4]) >= 1;
}

int main(int argc, char **argv)
{
	static const struct kt_case cases[] = { { .name = "cost", .run = run, .seconds = 600 } };

	args = argv;
	if (!understood(argc)) {
		fprintf(stderr, "usage: vfio_cost rx|tx BYTES BATCH ROUNDS "
				"device|eventfd NODE|mapped NODE\n");
		return 2;
	}
	return kt_main(1, argv, cases, ARRAY_SIZE(cases));
}
