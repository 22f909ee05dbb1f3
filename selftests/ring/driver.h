/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * driver.h - a driver's side of a split virtqueue, for the tests of the ring
 *
 * Written from VIRTIO 1.2, section 2.7; it shares no line with the ring code.
 */
#ifndef RING_DRIVER_MODEL_H
#define RING_DRIVER_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define TABLES 4096 /* bytes of indirect tables a slot */
#define SEGS   64
#define REQS   256

/* ---- KTAP: the case that is running, and the sum ---- */

extern int cases, failures;
extern const char *current;
extern bool failed_now;

#define CHECK(cond)                                                                      \
	do {                                                                             \
		if (!(cond) && !failed_now) {                                            \
			printf("# %s: %s:%d: %s\n", current, __FILE__, __LINE__, #cond); \
			failed_now = true;                                               \
		}                                                                        \
	} while (0)

void begin(const char *name);
void end(void);

/* A number below @below; the same sequence in each run. */
u32 rnd(u32 below);

/* ---- the driver ---- */

struct expect {
	u32 out, in;
	struct ring_seg seg[SEGS];
	u32 nr_desc;
	bool live;
};

struct driver {
	struct ring ring;
	u32 num;
	bool indirect, event_idx, mapped;
	struct vring_desc *desc;
	u16 *avail; /* flags, idx, ring[num], used_event */
	u16 *used;  /* flags, idx, 4 each[num], avail_event */
	u8 *tables; /* TABLES bytes for each descriptor */
	u16 avail_idx, used_idx;
	u16 *free;
	u32 nr_free;
	struct expect *expect; /* by head */
	u16 *order;	       /* heads in the order they were offered */
	u32 offered, fetched;
	u32 wrote;   /* calls of ring_env_wrote() */
	int fail_in; /* env calls until one fails; 0: never */
};

/* The batch that everything is fetched into. */
extern struct ring_batch batch;

/* An empty ring, started at index @base. */
void driver_init(struct driver *d, u32 num, bool indirect, bool event_idx, bool mapped, u16 base);
void driver_free(struct driver *d);
/* Offer one request of @nr random segments; false: no room. */
bool offer(struct driver *d, u32 nr, bool table);
/* Compare the batch with what was offered from index @from on. */
void check_batch(struct driver *d, u16 from, int n);
/* Look at the used ring: it must hold these, and no more. */
void reap(struct driver *d, const struct ring_done *done, u32 n);

#endif
