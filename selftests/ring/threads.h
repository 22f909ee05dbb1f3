/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * threads.h - a driver and a device in two threads, on the same memory
 *
 * threads.c is the device's side and what both stand on, threads_driver.c the
 * driver's. A number is in each request, in the memory that it names, and in the
 * answer; so each side sees whether it got what the other one wrote.
 */
#ifndef RING_THREADS_H
#define RING_THREADS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define NUM_MAX 64

struct mode {
	u32 num;
	bool packed, event_idx, in_order;
};

/*
 * One side waits, the other one rings: an eventfd without the file. Nothing of it
 * orders memory in the eyes of ThreadSanitizer, which is as it is with an interrupt.
 */
struct bell {
	u32 rung;  /* how often */
	u32 heard; /* how often it was waited for with success; the waiter's */
	bool asleep;
	u64 waits;
};

/* What a driver gives to a device, and gets back, plain memory. */
struct buffer {
	u64 question;
	u64 answer;
};

struct world {
	struct mode mode;
	double until;	  /* when the driver offers no more */
	u64 requests;	  /* how many there were */
	struct ring ring; /* the device's */
	void *part[RING_PARTS];
	struct buffer buffers[NUM_MAX];
	struct bell to_device, to_driver;
	bool over, failed; /* both end */
};

#define ANSWER(n) ((n)*0x9e3779b97f4a7c15ull)

/* Loads and stores of words that both sides touch, relaxed. */
#define LOAD(p)	    __atomic_load_n(p, __ATOMIC_RELAXED)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)

void ring_bell(struct bell *b);
/*
 * Wait for a bell; false: the run has failed. @missed says whether there is
 * something that it should have been rung for.
 */
bool wait_for(struct world *w, struct bell *b, bool (*missed)(struct world *w), const char *who);
void fail(struct world *w, const char *what);
double seconds_now(void);
/* A number below @below, and a pause of some length. */
u32 any(u64 *seed, u32 below);
void pause_a_bit(u64 *seed);
/* A processor of its own for each thread, so that they do run at the same time. */
void take_cpu(u32 nth);

/*
 * ThreadSanitizer orders by address, but a packed ring's flags are stored and loaded
 * as what they are, and as a part of the 8 bytes that they are in. So an acquire is
 * one of all that can have been stored there.
 */
void acquire_word(const volatile void *in);

/* The barriers between stores and loads that VIRTIO demands of a driver. */
void driver_mb(void);

void *run_driver(void *world);
void driver_reset(struct world *w);

#endif
