/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fuzz.h - what the parts of the ring's fuzzer share
 *
 * fuzz.c      the input as a program: a ring, then verbs and what the driver does
 * memory.c    the driver's memory, and what a ring asks of its surroundings
 * driver.c    what a driver writes, right or wrong
 * reference.c what a fetch has to yield, worked out a second time
 */
#ifndef RING_FUZZ_H
#define RING_FUZZ_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

/* Indirect tables: bytes that are the driver's, and a place without end. */
#define TABLES_AT   0x10000ull
#define TABLES_SIZE 4096u
#define ENDLESS_AT  0x100000000ull
#define MAX_REQ	    32u
#define MAX_SEG	    1024u

#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

/**
 * struct world - a ring, the driver's memory, and what happens to it
 * @ring: the ring under test
 * @batch: what it is fetched into; its arrays are exactly as large as it says
 * @part: the three parts, exactly as large as they are
 * @size: how large that is
 * @tables: indirect tables, at TABLES_AT of the driver's addresses
 * @hostile: memory changes, and cannot be accessed, while a verb runs
 * @accesses: how often the verb that runs asked its surroundings for something
 * @faults: how often it was refused
 * @writes: writes that the ring has not told ring_env_wrote() of yet
 * @place: packed: the next descriptor that the driver offers,
 * @wrap: and the driver's wrap counter there
 */
struct world {
	struct ring ring;
	struct ring_batch batch;
	u8 *part[RING_PARTS];
	u32 size[RING_PARTS];
	u8 *tables;
	bool hostile;
	u32 accesses;
	u32 faults;
	u32 writes;
	u32 place;
	bool wrap;
};

extern struct world world;

/* The input; behind its end there are zeroes. */
u8 take8(void);
u16 take16(void);
u32 take32(void);
bool input_left(void);

/* memory.c */
void memory_make(void);
void memory_free(void);
/* To be called before and after each verb; @most: how often it may have asked. */
void verb_begin(void);
void verb_end(u32 most);
/* Every segment of the batch is a descriptor that was read. */
void check_provenance(void);
/* Reads a table entry as the ring would; false: there is none. */
bool table_entry(u64 addr, struct vring_desc *to);
u32 get(const void *at, u32 size);
void put(void *at, u32 size, u32 val);

/* driver.c */
void driver_follow(void);
void driver_offer(void);
void driver_event(void);
void driver_scribble(void);
void driver_fill(void);

/* reference.c */
void reference_fetch(u32 max);
void reference_compare(int got);

#endif
