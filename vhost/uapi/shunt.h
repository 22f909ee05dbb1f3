/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shunt.h - ioctls of Shunt's devices beside those of <linux/vhost.h>
 *
 * /dev/shunt-blk: one open file is one virtio-blk device (VIRTIO 1.2, 5.2) with up to
 * SHUNT_BLK_QUEUES_MAX queues. In order: SHUNT_BLK_SET_DISK, VHOST_SET_OWNER, features,
 * memory and rings as with any vhost device, VHOST_BLK_SET_BACKEND for each queue.
 * Documentation/abi.rst has it all together.
 */
#ifndef UAPI_SHUNT_H
#define UAPI_SHUNT_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

/** The most queues that a disk may have. */
#define SHUNT_BLK_QUEUES_MAX 64

/** The length of a serial number in bytes; shorter ones end with 0 (VIRTIO 1.2, 5.2.6). */
#define SHUNT_BLK_SERIAL 20

/** For struct shunt_blk_disk.flags: refuse what would change the disk. */
#define SHUNT_BLK_RDONLY (1u << 0)

/**
 * struct shunt_blk_disk - argument of SHUNT_BLK_SET_DISK
 * @fd: a block device or a regular file, open for reading, and for writing as well
 *	unless the disk is to be read-only, which it is when not; a reference is kept
 *	until the device is closed or gets another disk
 * @flags: SHUNT_BLK_*; others are refused
 * @queues: number of virtqueues, 1 to SHUNT_BLK_QUEUES_MAX
 * @serial: what a guest reads by VIRTIO_BLK_T_GET_ID
 */
struct shunt_blk_disk {
	__s32 fd;
	__u32 flags;
	__u32 queues;
	__u8 serial[SHUNT_BLK_SERIAL];
};

/**
 * struct shunt_blk_config - argument of SHUNT_BLK_GET_CONFIG
 * @len: bytes of @config that mean something
 * @reserved: 0
 * @config: struct virtio_blk_config, little-endian (VIRTIO 1.2, 5.2.4), then zeroes
 */
struct shunt_blk_config {
	__u32 len;
	__u32 reserved;
	__u8 config[120];
};

/**
 * enum shunt_place_state - what is known of where a ring was left
 * @SHUNT_PLACE_NONE: nothing: as memory is that nobody wrote to
 * @SHUNT_PLACE_RUNNING: the queue runs, from the place on
 * @SHUNT_PLACE_STOPPED: it was stopped at the place; what it took has been returned
 * @SHUNT_PLACE_BROKEN: it was broken when it was stopped: the driver broke a rule, or what
 *	was taken was not returned
 */
enum shunt_place_state {
	SHUNT_PLACE_NONE = 0,
	SHUNT_PLACE_RUNNING = 1,
	SHUNT_PLACE_STOPPED = 2,
	SHUNT_PLACE_BROKEN = 3,
};

/**
 * struct shunt_place - where a ring was left
 * @base: as VHOST_GET_VRING_BASE has it
 * @state: enum shunt_place_state
 *
 * Both are written at once. Aligned to its size.
 */
struct shunt_place {
	__u32 base;
	__u32 state;
};

/**
 * VHOST_BLK_SET_BACKEND - start a queue, or stop it (fd -1), as Virtuozzo's vhost-blk
 *
 * By the owner. The file is the disk's; where SHUNT_BLK_SET_DISK was not used it becomes
 * the disk, with one queue and no serial number. Stopping waits until each request
 * that was taken has been returned.
 *
 * -ENOBUFS: no such queue; -EBADF; -EBUSY: the disk is another file; what
 * SHUNT_BLK_SET_DISK returns; -EFAULT, -EINVAL: the ring is not set up, or not rightly;
 * -EINTR.
 */
#define VHOST_BLK_SET_BACKEND _IOW(VHOST_VIRTIO, 0x90, struct vhost_vring_file)

/**
 * SHUNT_BLK_SET_DISK - what the device is to serve, before it has an owner
 *
 * By whoever has the file. VHOST_GET_FEATURES then offers what this disk can do.
 *
 * -EBUSY: the device has an owner, or features were acknowledged; -EBADF; -EINVAL: @flags, or
 * @queues; -ENOTBLK: neither a block device nor a regular file; -EACCES: not open for reading;
 * -ETXTBSY: in use as swap; -EOPNOTSUPP: a zoned block device; -ENOMEM; or the error with which
 * the disk could not be written out.
 */
#define SHUNT_BLK_SET_DISK _IOW(VHOST_VIRTIO, 0xc0, struct shunt_blk_disk)

/**
 * SHUNT_BLK_GET_CONFIG - the configuration space, as of now
 *
 * By whoever has the file. -ENODEV: there is no disk.
 */
#define SHUNT_BLK_GET_CONFIG _IOR(VHOST_VIRTIO, 0xc1, struct shunt_blk_config)

/**
 * SHUNT_BLK_SET_WCE - the driver wrote the field writeback of the configuration: 0 or 1
 *
 * By the owner. Counts when VIRTIO_BLK_F_CONFIG_WCE was negotiated, from the next request
 * that is taken; 1 at first. -EINVAL: another value; -ENODEV: there is no disk.
 */
#define SHUNT_BLK_SET_WCE _IOW(VHOST_VIRTIO, 0xc2, __u32)

/**
 * SHUNT_BLK_SET_CONFIG_CALL - an eventfd to be written when the configuration changes
 *
 * By the owner; -1: none. The size of the disk is looked at once a second.
 * -EBADF; -EINVAL: no eventfd; -ENODEV: there is no disk.
 */
#define SHUNT_BLK_SET_CONFIG_CALL _IOW(VHOST_VIRTIO, 0xc3, __s32)

/**
 * SHUNT_BLK_SET_PLACES - have the kernel write down where rings are left
 *
 * By the owner. The argument is the address of a struct shunt_place for each queue, in one
 * page of memory that can be pinned and is no file but on tmpfs or hugetlbfs; 0: none. It is
 * written when a queue starts and when it stops, also because the device is closed or its owner
 * killed, and then before the disk is let go of; never read. The page stays pinned, and charged
 * to RLIMIT_MEMLOCK, until another one is given, or the owner gives up the device.
 *
 * -EBUSY: a queue runs; -EINVAL: not aligned, or not in one page; -EFAULT; -ENOMEM. Where it
 * fails, but for -EBUSY, there is none.
 */
#define SHUNT_BLK_SET_PLACES _IOW(VHOST_VIRTIO, 0xc4, __u64)

#endif
