/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * backend.h - back ends other than a vhost device, for the same rings
 *
 * user.c speaks vhost-user to whoever serves a device at a socket. qemu.c starts a QEMU and
 * is its guest: of the machine there is only the memory, which this process maps, and the
 * registers of the virtio device, which are written through QEMU's test protocol; its processor
 * halts for good with the first instruction. Once set up, either is reached by the rings and
 * by the eventfds of the kicks alone, as by a guest under KVM.
 */
#ifndef BACKEND_H
#define BACKEND_H

#include "vguest.h"

/* ---- user.c ---- */

/* Connect to a back end's socket, which may take a while to be there. */
int vg_user_connect(const char *path);
/*
 * Tell the back end of memory and rings and start it; fails the case when it does not have
 * @features, all of them. Returns when the back end has taken it all.
 */
void vg_user_start(int sock, const struct vg_mem *m, uint64_t features, struct vg_ring *const *ring,
		   unsigned int n);

/* ---- qemu.c ---- */

#define VG_QEMU_SLOT 4 /* where the device has to be: addr=4 */
#define VG_QEMU_FDS  256

struct vg_qemu {
	int pid;
	int control; /* the test protocol */
	int pidfd;
	uint64_t common, notify; /* physical addresses of the device's registers */
	uint32_t notify_multiplier;
	int kick[VG_QEMU_FDS]; /* eventfds that came with the device's start, */
	unsigned int nkick;    /* until each has been found to be a ring's */
};

/*
 * Start QEMU by the words of @command, which name its disk or network and a virtio device
 * at addr=4, and whatever else but the machine and its memory.
 */
void vg_qemu_start(struct vg_qemu *q, char *const *command, const struct vg_mem *m);
/* Drive the device: features and rings, until it runs. Fails when it lacks any of @features. */
void vg_qemu_device(struct vg_qemu *q, uint64_t features, struct vg_ring *const *ring,
		    unsigned int n);
/*
 * @r has something that the device will use once it is kicked: find out by which eventfd, and
 * have the ring kick by that. QEMU does not tell, so that each is tried.
 */
void vg_qemu_find_kick(struct vg_qemu *q, struct vg_ring *r);
/* @r, which is the first of the device, kicks by the first one that was made. */
void vg_qemu_first_kick(struct vg_qemu *q, struct vg_ring *r);
void vg_qemu_end(struct vg_qemu *q);

#endif
