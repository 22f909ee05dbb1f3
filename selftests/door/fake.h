/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * fake.h - vhost net devices and a TAP, or a vhost disk, that are not there
 *
 * They stand behind struct kernel, do what the kernel would with each ioctl, and see to it that
 * the door never asks what it must not, whatever its front end does: memory that the kernel was
 * given is mapped while it has it, rings lie in the memory table, the log is long enough, the disk
 * is locked while a ring runs, and no longer. When it is not so the program aborts.
 */
#ifndef FAKE_H
#define FAKE_H

#include <linux/vhost.h>
#include <stdbool.h>
#include <stdint.h>

#include "door/kernel.h"

#define FAKE_FILES   4
#define FAKE_REGIONS 16

/* More than that the door is not to give the kernel at once; of this size only of a function. */
#define FAKE_PIECE (1ull << 30)

#define FAKE_RINGS 4 /* of a disk; network devices have two */

/* Numbers of descriptors that no real one has. */
#define FAKE_VHOST 100000
#define FAKE_TAP   200000
#define FAKE_DISK  300000

struct fake_ring {
	unsigned int num;
	uint32_t base;
	struct vhost_vring_addr addr;
	bool addressed;
	int kick, call, err;
	int backend; /* the TAP's queue, or the disk; -1: stopped */
};

struct fake_file {
	bool owned;
	bool told; /* the features, since it has an owner */
	uint64_t features;
	unsigned int regions;
	struct vhost_memory_region region[FAKE_REGIONS];
	uint64_t log_base;
	int log_fd;
	struct fake_ring rings[FAKE_RINGS];
	int config_call;
	uint32_t wce;
	uint64_t places;
};

/**
 * struct fake - the kernel
 * @kernel: how the door reaches it
 * @disk: it is a disk, one file, instead of a network device
 * @offered: what VHOST_GET_FEATURES says
 * @files: vhost devices FAKE_VHOST and so on
 * @unused: queues of the TAP that were taken out of use
 * @offloads: of the TAP
 * @known_offloads: others are refused
 * @header: size of the TAP's virtio-net header
 * @fail: request that fails, once, and with which errno
 * @frame: what was sent from the TAP last
 * @calls: requests so far
 * @foreign: somebody else has the disk
 * @breaks: rings are broken when they stop
 * @no_locks: its file system knows no locks
 * @switches: the guest may switch its write cache, which is off where there is no guest
 * @locked: LOCK_SH or LOCK_EX, as the door has it; 0: not
 */
struct fake {
	struct kernel kernel;
	bool disk;
	uint64_t offered;
	struct fake_file files[FAKE_FILES];
	bool unused[FAKE_FILES];
	unsigned long offloads;
	unsigned long known_offloads;
	int header;
	struct {
		unsigned long request;
		int error;
	} fail;
	struct {
		unsigned char bytes[256];
		long size;
	} frame;
	unsigned int calls;
	bool foreign;
	bool breaks;
	bool no_locks;
	bool switches;
	int locked;
};

void fake_init(struct fake *fake);

/* A disk, whose configuration begins with FAKE_CAPACITY. */
#define FAKE_CAPACITY 0x123456u
void fake_init_disk(struct fake *fake);

/*
 * What both kernels have in common (fakevdpa.h).
 */

/* Abort unless the kernel was given what it may be given. */
#define MUST(it) fake_must(it, #it, __FILE__, __LINE__)
void fake_must(bool it, const char *what, const char *file, int line);

/* An ioctl that fails: -1, with errno. */
int fake_refuse(int error);

/* Have an eventfd in @place, or none (-1). */
int fake_set_eventfd(int *place, int fd);

/* The @peek of both: it is the real one. */
long fake_peek(void *self, const void *at, void *to, size_t size);

/* Whether all of this is mapped, of this process. */
bool fake_is_mapped(uint64_t address, uint64_t size);

/* Abort unless all that the kernel has been given is still there. */
void fake_check(const struct fake *fake);

/* Whether nothing of a connection is left. */
bool fake_is_new(const struct fake *fake);

#endif
