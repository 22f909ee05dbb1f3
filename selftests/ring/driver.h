/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * driver.h - a driver's side of a virtqueue, for the tests of the ring
 *
 * A model, written from VIRTIO 1.2, sections 2.7 (driver_split.c) and 2.8
 * (driver_packed.c); it shares no line with the ring code. Where the ring code
 * computes with indices that wrap around, the model counts from the beginning,
 * in 64 bits, and derives what is to be in memory from the count.
 *
 * The unit of a count is the layout's: requests of a split ring, descriptors of
 * a packed one.
 */
#ifndef RING_DRIVER_MODEL_H
#define RING_DRIVER_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define SEGS	    40	/* the longest request; above the chunks that tables are read in */
#define REQS	    256 /* the largest batch */
#define TABLE_BYTES (SEGS * 16)
#define TABLE_BASE  0x100000 /* the "guest" address of the first table */

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

/* What was negotiated, and how the device reaches the ring. */
struct setup {
	u32 num;
	bool packed, indirect, event_idx, in_order;
	bool mapped; /* plain memory, or ring_env_read() and ring_env_write() */
	bool big;    /* a big-endian legacy guest; split only */
};

/* How a request is described. */
enum shape {
	CHAIN, /* descriptors of the ring */
	TABLE, /* one that names a table */
	MIXED, /* some, then one that names a table; split only */
};

/* A request that was offered and not seen used. */
struct expect {
	u16 id;
	u32 out, in;
	u32 nr_desc; /* descriptors of the ring */
	struct ring_seg seg[SEGS];
};

/* A request that the driver has seen used. */
struct result {
	u16 id;
	u32 len;    /* when named */
	bool named; /* by a used entry; else it was skipped, in order */
};

/* When the driver wants to be signalled. */
enum wish {
	ALWAYS,
	NEVER,
	AT, /* when what is at a count is used; with EVENT_IDX */
};

struct driver {
	struct ring ring;
	struct setup s;
	u8 *part[RING_PARTS];
	u8 *tables; /* TABLE_BYTES for each descriptor */
	u64 head;   /* count of what was made available */
	u64 tail;   /* count of what was seen used */
	u64 told;   /* head when wants_kick() was asked last */
	enum wish wish;
	u64 wish_at;

	struct expect *expect; /* num of them */
	u32 *spare;	       /* the free ones among them */
	u32 nr_spare;
	u32 *by_id;		      /* which one has an id, or NO_REQUEST */
	u32 *order;		      /* which one was offered as the i-th, at i % num */
	u64 offered, fetched, oldest; /* counts of requests; oldest: in order only */
	u32 nr_desc;		      /* how many descriptors are taken */
	u16 *free;		      /* split: those that are not */
	u16 next_free;		      /* split, in order: where these begin */

	/* What the ring asked of its surroundings. */
	int fail_in;		  /* env calls until one fails; 0: never */
	u8 *unlogged[RING_PARTS]; /* bytes that were written and not logged */
	u32 nr_unlogged;
	u8 *logged[RING_PARTS]; /* bytes that were logged, of a ring in plain memory */
	u32 nr_reads;
	bool scramble; /* destroy what was read: nothing can be read again */
};

#define NO_REQUEST (~0u)

/* The batch that everything is fetched into. */
extern struct ring_batch batch;

/* An empty ring at a base, started. */
void driver_init(struct driver *d, const struct setup *s, u32 base);
/* The device side again, at the base where it is. */
int driver_restart(struct driver *d, u32 base);
void driver_free(struct driver *d);
const char *setup_name(const char *what, const struct setup *s);
/* A base from which all indices wrap around soon. */
u32 early_base(const struct setup *s);

/* Offer one request of @nr random segments; false: no room. */
bool offer(struct driver *d, u32 nr, enum shape shape);
/* A shape that the set-up allows. */
enum shape any_shape(const struct setup *s);
/* Compare the batch with what was offered; it counts as fetched then. */
void check_batch(struct driver *d, int n);
/* Look at what was used since the last time, as the specification says. */
u32 reap(struct driver *d, struct result *res, u32 max);
/* Whether the device asks for a kick for what was offered since the last time. */
bool wants_kick(struct driver *d);
/* Say when to be signalled. */
void set_wish(struct driver *d, enum wish wish, u64 at);
/* Whether a device that used what is from @from to @to has to signal. */
bool signal_due(struct driver *d, u64 from, u64 to);
/* Whether something that wraps around after @period is at @at in from…to. */
bool within(u64 at, u64 from, u64 to, u64 period);

/* Words of the ring in its byte order. */
u16 get16(struct driver *d, const u8 *from);
u32 get32(struct driver *d, const u8 *from);
void put16(struct driver *d, u8 *to, u16 v);
void put32(struct driver *d, u8 *to, u32 v);
void put64(struct driver *d, u8 *to, u64 v);
/* One descriptor; the last two words differ between layouts. */
void put_desc(struct driver *d, u8 *to, const struct ring_seg *seg, u16 word6, u16 word7);

/* What the layouts do differently. */
void split_driver_init(struct driver *d, u32 base);
bool split_offer(struct driver *d, struct expect *e, enum shape shape);
u32 split_reap(struct driver *d, struct result *res, u32 max);
bool split_wants_kick(struct driver *d);
void split_set_wish(struct driver *d);

void packed_driver_init(struct driver *d, u32 base);
bool packed_offer(struct driver *d, struct expect *e, enum shape shape);
u32 packed_reap(struct driver *d, struct result *res, u32 max);
bool packed_wants_kick(struct driver *d);
void packed_set_wish(struct driver *d);
/* Bit 15: the wrap counter, the rest: the descriptor. */
u16 packed_place(struct driver *d, u64 count);

/* Results of requests up to the one with this id; for both layouts. */
u32 take_used(struct driver *d, u32 id, u32 len, struct result *res, u32 max);

/* ---- the subjects: ring_test_*.c ---- */

void test_traffic(void);
void test_events(void);
void test_order(void);
void test_base(void);
void test_log(void);
void test_rules(void);
void test_faults(void);
void test_noise(void);

#endif
