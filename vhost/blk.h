/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blk.h - what the files of the module shunt_blk share
 */
#ifndef SHUNT_BLK_H
#define SHUNT_BLK_H

#include <linux/bio.h>
#include <linux/llist.h>
#include <linux/uio.h>
#include <linux/virtio_blk.h>
#include <linux/workqueue.h>

#include "shunt.h"
#include "uapi/shunt.h"

/* Requests of a queue that may be in flight. */
#define BLK_DEPTH 256
/* Bytes of them that may be in flight; one request is, however large. */
#define BLK_BYTES (64u << 20)
/*
 * A request is served in pieces of so many pages, one after the other: what bios and
 * bounce buffers are bounded by.
 */
#define BLK_PIECE_PAGES BIO_MAX_VECS
#define BLK_PIECE ((size_t)BLK_PIECE_PAGES << PAGE_SHIFT)
/* What the driver is told to keep to: segments of a request, and bytes of each. */
#define BLK_SEG_MAX 126
#define BLK_SIZE_MAX (256u << 10)
/* What is served all the same, in bytes. */
#define BLK_REQ_BYTES ((size_t)BLK_SEG_MAX * BLK_SIZE_MAX)
/* Ranges of a request to discard, write zeroes or erase, and sectors of each. */
#define BLK_RANGES 16
#define BLK_DISCARD_SECTORS (1u << 21)
#define BLK_ZEROES_SECTORS (1u << 17)
/* Scatter list entries that a request has room for by itself. */
#define BLK_IOV 8
/* Pages of a piece that it has room for by itself. */
#define BLK_BVEC 8
/* Threads for what blocks. */
#define BLK_HELPERS 4

struct shunt_disk;
struct shunt_blk_req;

/**
 * struct shunt_disk_ops - a kind of disk
 * @rw: serve the next piece of @req->iter at @req->pos, with @req->write. Context: the
 *	queue's worker, in the owner's address space. Ends in shunt_blk_end().
 * @flush: make all writes that were completed durable; as @rw
 * @erase: VIRTIO_BLK_T_DISCARD, _WRITE_ZEROES or _SECURE_ERASE of one range, in bytes.
 *	Context: a helper; may sleep. Return: 0 or a negative error number.
 */
struct shunt_disk_ops {
	void (*rw)(struct shunt_blk_req *req);
	void (*flush)(struct shunt_blk_req *req);
	int (*erase)(struct shunt_blk_req *req, loff_t pos, loff_t len,
		     bool unmap);
};

/**
 * struct shunt_disk - a block device or file, and what it can do
 * @file: the file; referenced
 * @bdev: the block device that it is, or NULL
 * @ops: its kind
 * @read_only: nothing may change it
 * @direct: the file takes input and output past the page cache
 * @no_zero_range: its FALLOC_FL_ZERO_RANGE is not to be relied on
 * @block: bytes that positions and lengths of direct input and output are multiples of
 * @dma: mask of address bits that are 0 where the memory of a file begins
 * @features: VIRTIO_BLK_F_*
 * @queues: number of virtqueues
 * @serial: see struct shunt_blk_disk
 *
 * Does not change once it is made.
 */
struct shunt_disk {
	struct file *file;
	struct block_device *bdev;
	const struct shunt_disk_ops *ops;
	bool read_only;
	bool direct;
	bool no_zero_range;
	u32 block;
	u32 dma;
	u64 features;
	u32 queues;
	u8 serial[SHUNT_BLK_SERIAL];
};

/**
 * struct shunt_blk_req - a request that is being served
 * @ended: in shunt_blk_vq.ended
 * @link: in shunt_blk_vq.free or shunt_blk.deferred
 * @bvq: its queue
 * @disk: what it is for
 * @type: VIRTIO_BLK_T_*
 * @write: data goes to the disk
 * @durable: it is completed when it is on stable storage
 * @done: what the driver is told in the end
 * @iov: its scatter list: @out entries, then @in entries
 * @status: where its status goes, an address of the owner
 * @charge: bytes that it counts for in shunt_blk_vq.bytes
 * @data: bytes of data in all
 * @iter: data that is still to be moved
 * @pos: where on the disk, in bytes
 * @err: 0, or what went wrong
 * @execute: serves the next piece; in the worker
 * @finish: cleans up behind a piece that ended; in the worker; or NULL
 * @deferred: what a helper is to do
 * @piece: bytes of the piece under way
 * @bounce: it is moved through pages of ours
 * @bio: of the piece, block devices: @own_bio, or one that was allocated
 * @own_bio: for a piece whose pages are few
 * @iocb: of the piece, files
 * @bvec: pages of the piece, files
 * @nr_bvec: how many
 * @range: what to erase
 * @nr_range: how many
 * @few_bvec: room for few pages
 */
struct shunt_blk_req {
	struct llist_node ended;
	struct list_head link;
	struct shunt_blk_vq *bvq;
	struct shunt_disk *disk;
	u32 type;
	bool write;
	bool durable;
	struct ring_done done;
	struct iovec *iov;
	u32 out;
	u32 in;
	u8 __user *status;
	u32 charge;
	size_t data;
	struct iov_iter iter;
	loff_t pos;
	int err;
	void (*execute)(struct shunt_blk_req *req);
	void (*finish)(struct shunt_blk_req *req);
	void (*deferred)(struct shunt_blk_req *req);
	size_t piece;
	bool bounce;
	union {
		struct {
			struct bio *bio;
			struct bio own_bio;
		};
		struct {
			struct kiocb iocb;
			struct bio_vec *bvec;
			u32 nr_bvec;
		};
		struct {
			struct virtio_blk_discard_write_zeroes
				range[BLK_RANGES];
			u32 nr_range;
		};
	};
	struct bio_vec few_bvec[BLK_BVEC];
	struct iovec few[BLK_IOV];
};

/**
 * struct shunt_blk_vq - a virtqueue
 * @vq: the queue; its mutex protects everything here but @ended
 * @reqs: memory of its requests, BLK_DEPTH of them, from its first start until the
 *	owner gives up the device
 * @free: those not in flight
 * @ended: requests, or pieces of them, that have been served and that the worker is to
 *	look at; anybody adds
 * @bytes: in flight
 * @in_pass: the worker is in shunt_blk_run(); for the worker alone, which may end requests
 *	elsewhere, too: whatever it waits for may have the block layer run a queue of the
 *	device's
 */
struct shunt_blk_vq {
	struct shunt_vq vq;
	struct shunt_blk_req *reqs;
	struct list_head free;
	struct llist_head ended;
	u32 bytes;
	bool in_pass;
};

/**
 * struct shunt_blk - one open file of /dev/shunt-blk
 * @dev: the vhost device; its mutex protects everything here but what follows @lock
 * @disk: what it serves, or NULL; does not change while there is an owner and a queue
 *	was started
 * @vqs: its queues
 * @made: how many there are, of which @dev.nr_vqs are in use
 * @wce: the driver wants a write cache
 * @watch: looks at the size of the disk
 * @config_call: to be told when it has changed
 * @size: as it was seen last
 * @helper: threads for what blocks, from the first start of a queue until the owner
 *	gives up the device
 * @nr_helpers: how many there are
 * @lock: protects @deferred
 * @deferred: requests for them
 * @wait: where they wait
 */
struct shunt_blk {
	struct shunt_dev dev;
	struct shunt_disk *disk;
	struct shunt_vq *vqs[SHUNT_BLK_QUEUES_MAX];
	u32 made;
	bool wce;
	struct delayed_work watch;
	struct eventfd_ctx *config_call;
	u64 size;
	struct task_struct *helper[BLK_HELPERS];
	u32 nr_helpers;
	spinlock_t lock;
	struct list_head deferred;
	wait_queue_head_t wait;
};

static inline struct shunt_blk_vq *to_blk_vq(struct shunt_vq *vq)
{
	return container_of(vq, struct shunt_blk_vq, vq);
}

static inline struct shunt_blk *to_blk(struct shunt_dev *dev)
{
	return container_of(dev, struct shunt_blk, dev);
}

/* blk_req.c */
int shunt_blk_run(struct shunt_vq *vq);
void shunt_blk_drop(struct shunt_vq *vq);
int shunt_blk_vq_alloc(struct shunt_blk_vq *bvq);
void shunt_blk_vq_free(struct shunt_blk_vq *bvq);
void shunt_blk_end(struct shunt_blk_req *req);

/* blk_helper.c */
int shunt_blk_helpers_start(struct shunt_blk *blk);
void shunt_blk_helpers_stop(struct shunt_blk *blk);
void shunt_blk_interrupt(struct shunt_dev *dev);
void shunt_blk_defer(struct shunt_blk_req *req,
		     void (*fn)(struct shunt_blk_req *req));

/* blk_disk.c */
struct shunt_disk *shunt_disk_new(const struct shunt_blk_disk *arg);
void shunt_disk_free(struct shunt_disk *disk);
u64 shunt_disk_size(const struct shunt_disk *disk);
u64 shunt_disk_size_now(const struct shunt_disk *disk);
void shunt_disk_config(const struct shunt_disk *disk, bool wce,
		       struct virtio_blk_config *config);
void shunt_disk_changed(const struct shunt_disk *disk, loff_t pos, loff_t len);

/* blk_bio.c, blk_file.c */
extern const struct shunt_disk_ops shunt_bio_ops;
extern const struct shunt_disk_ops shunt_file_ops;
void shunt_file_buffered(struct shunt_blk_req *req);
int shunt_file_zero(struct file *file, loff_t pos, loff_t len);

#endif
