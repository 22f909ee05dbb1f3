/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * bench.h - what the parts of ringbench know of each other
 *
 * The two device sides live in worlds of headers that must not meet: ours in the
 * shims of selftests/ring, the kernel's vringh in those of its own tools/virtio.
 * So nothing but plain C types is in here.
 */
#ifndef RINGBENCH_H
#define RINGBENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_NUM	1024 /* descriptors of a ring */
#define BENCH_BATCH_MAX 256
#define BENCH_CHAIN_MAX 8
#define BENCH_LEN	64 /* bytes of each piece of a request */

/**
 * struct area - a virtqueue's memory and what was negotiated for it
 * @desc: descriptor area
 * @driver: driver area
 * @device: device area
 * @chain: pieces of a request: one that the device writes, or, of more than one,
 *	the first that it reads and the rest that it writes
 * @packed: the layout
 * @indirect: requests are tables
 * @in_order: VIRTIO_F_IN_ORDER
 */
struct area {
	void *desc, *driver, *device;
	unsigned int chain;
	bool packed, indirect, in_order;
};

/**
 * struct device_side - one implementation of it
 * @start: begin to serve a ring
 * @step: take up to so many requests, give all of them back, ask whether the
 *	driver is to be signalled; returns how many there were, or a negative number
 */
struct device_side {
	void (*start)(const struct area *a);
	int (*step)(unsigned int max);
};

extern const struct device_side shunt_side, vringh_side;

/* The driver's side, driver.c: the same one for both, and not what is measured. */
void driver_start(struct area *a);
/* Offer @n requests; the driver sees to it that there is room. */
void driver_offer(unsigned int n);
/* Take back what the device returned; returns how many. */
unsigned int driver_reap(void);

#endif
