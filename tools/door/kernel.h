/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel as the door sees it, so that tests can put another one there. */
#ifndef SHUNT_DOOR_KERNEL_H
#define SHUNT_DOOR_KERNEL_H

#include <stddef.h>

/**
 * struct kernel - the system calls that reach a device
 * @control: ioctl(2): 0 or -1 with errno; @self goes first
 * @peek: copy from this process's own memory, where a fault is -1 with EFAULT instead of a signal
 * @inject: write(2) of one frame to a TAP, or of a message to a function: bytes or -1 with errno
 * @lock: flock(2), which does not wait: 0 or -1 with errno
 * @self: for whoever made it
 */
struct kernel {
	int (*control)(void *self, int fd, unsigned long request, void *argument);
	long (*peek)(void *self, const void *at, void *to, size_t size);
	long (*inject)(void *self, int fd, const void *frame, size_t size);
	int (*lock)(void *self, int fd, int operation);
	void *self;
};

/**
 * kernel_real - the kernel that this process runs on
 */
extern const struct kernel kernel_real;

#endif
