/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * litmus.h - every way in which a driver and a device can get into each other's way
 *
 * The device is the ring code, and each of its accesses to the ring and each of its
 * barriers is a call: of ring_env_*() when the ring is not mapped, else of what the
 * shim makes of READ_ONCE() and WRITE_ONCE(); what plain stores have changed is
 * found at the next of these. The driver is a few steps, one after the other, each
 * of them at once. A case is run again and again, until every order
 * was had in which the driver's steps can come between the device's accesses, and
 * everything that the device's processor may do to them:
 *
 * - a store waits in a buffer, and gets into memory at any later moment, before or
 *   after later stores, but before those behind a smp_wmb(), and before a smp_mb()
 *   is over. The device itself sees what it stored at once.
 * - a load may have been made early: it finds what was in memory at any moment
 *   before, but not before those when loads ahead of the last smp_rmb() were made,
 *   nor before the last smp_mb().
 *
 * No processor that Linux runs on does more with these, but one thing: a load that
 * a later store of the same side overtakes is not tried here. The driver is as strong
 * as the barriers that VIRTIO demands of it make it. Data of 2, 4 and 8 bytes is
 * loaded and stored whole, 16 bytes in halves.
 *
 * Each kind of barrier can be left out, and then a case must find what it is for:
 * that is how we know that it looks.
 */
#ifndef RING_LITMUS_H
#define RING_LITMUS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define MEMORY 256 /* bytes of a part of the ring */

/* Kinds of barriers, to be left out. */
#define WITHOUT_MB   1u
#define WITHOUT_RMB  2u
#define WITHOUT_WMB  4u
#define ALL_BARRIERS 0u

struct layout {
	bool packed;
	bool event_idx;
	bool in_order;
	bool mapped;
};

struct litmus {
	const char *name;
	unsigned int barriers;		 /* leaving these out must show */
	void (*prepare)(struct ring *r); /* alone, before it begins */
	void (*device)(struct ring *r);
	bool (*driver)(u32 step); /* false: this was the last step */
	bool (*broken)(void);	  /* whether what must not be has come about */
	bool many;		  /* it is about a push of more than one request */
};

/* The device's accesses to memory that is not the ring's: what requests name. */
u64 device_reads(enum ring_part part, u32 off);
void device_writes(enum ring_part part, u32 off, u64 val);

extern const struct litmus litmuses[];
extern const u32 nr_litmuses;
extern struct layout layout;

/* The driver's accesses: to memory as it is now. */
u64 driver_load(enum ring_part part, u32 off, u32 len);
void driver_store(enum ring_part part, u32 off, u32 len, u64 val);

#endif
