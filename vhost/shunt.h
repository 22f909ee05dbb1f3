/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * shunt.h - what the files of the core share, and what a back end may call
 *
 * DOC: Theory of Operation
 *
 * Purpose: struct shunt_dev is one open file of a vhost device, struct shunt_vq
 * one of its virtqueues. A back end (net.c) embeds them, hands the core a
 * struct shunt_ops, and is called once for each pass over a queue.
 *
 * Lifetimes: a device lives from open() to release(). Its owner (the process
 * that called VHOST_SET_OWNER) lends it an address space, which is held from
 * then until VHOST_RESET_OWNER or release; workers exist just as long. A queue
 * runs from the moment the back end calls shunt_vq_start() to shunt_vq_stop();
 * the pages of its ring are pinned for no longer than that.
 *
 * Locks, outermost first:
 *   shunt_dev.mutex       ioctls one at a time: owner, tables, features
 *   shunt_vq.mutex        a queue's configuration and everything a pass uses.
 *                         Held for a whole pass. Two are never held at once.
 *   mmap_lock of the owner  through page faults and pinning
 *   shunt_dev.lock        spinlock: the device IOTLB and the misses; and that
 *                         owner and memory table stay while fdinfo looks
 * The wait queue heads of eventfds and sockets call poll_wake(), which takes
 * none of these.
 *
 * A control path takes shunt_vq.mutex by shunt_vq_lock(), so that a worker that
 * is busy polling lets go. A worker may wait in a page fault for the VMM itself
 * (userfaultfd, FUSE): so whoever waits for a worker can be killed, and takes
 * the worker out of its fault when that happens.
 *
 * Trust: the guest owns what is in the rings and in its memory; the VMM owns
 * the ioctls, the fds and all addresses. Neither is believed. A queue that its
 * driver or VMM broke stops, says so by its error eventfd and in fdinfo, and
 * stays stopped until it is started again.
 *
 * In flight: a back end may keep a request beyond the pass that fetched it, until
 * some device has served it, and returns it in a later pass in whatever order. It
 * counts them in shunt_vq.in_flight. What they refer to does not change under them:
 * whoever takes memory away, moves a ring or stops it pauses the queue before
 * (shunt_vq_pause()), which lets nothing new begin and waits for the rest. So the
 * ring of a queue with requests in flight is always mapped.
 */
#ifndef SHUNT_H
#define SHUNT_H

#include <linux/bvec.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vhost.h>
#include <linux/vhost_iotlb.h>
#include <linux/wait.h>

#include "ring.h"

/* What one pass over a queue may take before it lets others have a go. */
#define SHUNT_PASS_PACKETS 256
#define SHUNT_PASS_BYTES (512 * 1024)

/* The usual size of a batch, and the most that can be fetched at once. */
#define SHUNT_BATCH 64
#define SHUNT_REQ_MAX UIO_MAXIOV
#define SHUNT_SEG_MAX UIO_MAXIOV
/* A segment takes more than one iovec where it crosses regions. */
#define SHUNT_IOV_MAX (2 * UIO_MAXIOV)

/* Features that the core serves for every back end. */
#define SHUNT_FEATURES                                                         \
	(BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) |                                   \
	 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |                                \
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | BIT_ULL(VIRTIO_F_ANY_LAYOUT) |     \
	 BIT_ULL(VHOST_F_LOG_ALL) | BIT_ULL(VIRTIO_F_VERSION_1) |              \
	 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | BIT_ULL(VIRTIO_F_RING_PACKED) |   \
	 BIT_ULL(SHUNT_F_RING_RESET))
/* VIRTIO 1.2, 6: older kernel headers do not have it. */
#define SHUNT_F_RING_RESET 40

struct shunt_dev;
struct shunt_vq;

/**
 * struct shunt_poll - wakes a queue's worker when a file is ready
 * @wait: our entry in the file's wait queue
 * @table: what the file's poll method is given
 * @head: the wait queue that @wait is in, or NULL
 * @vq: whose worker to wake
 * @mask: the events of interest, EPOLL*
 * @kick: it is the kick eventfd: count and trace
 */
struct shunt_poll {
	wait_queue_entry_t wait;
	poll_table table;
	wait_queue_head_t *head;
	struct shunt_vq *vq;
	__poll_t mask;
	bool kick;
};

/**
 * struct shunt_area - memory made accessible: one part of a ring (memory.c)
 * @addr: where the VMM says it is: address of the owner, or an IOVA
 * @offset: of @addr in the first page
 * @nr: number of pages
 * @user: the owner's address of each page
 * @pages: the pinned pages, NULL when they are not pinned
 * @map: the pages as one range of kernel addresses, NULL when not mapped
 */
struct shunt_area {
	u64 addr;
	u32 offset;
	u32 nr;
	unsigned long *user;
	struct page **pages;
	void *map;
};

/**
 * struct shunt_req - one request, as a back end sees it
 * @iov: its scatter list, @out entries to read from, then @in to write to,
 *	addresses of the owner; valid until the end of the pass
 * @out: entries to read from
 * @in: entries to write to
 * @out_len: bytes to read
 * @in_len: bytes to write
 */
struct shunt_req {
	struct iovec *iov;
	u32 out;
	u32 in;
	size_t out_len;
	size_t in_len;
};

/**
 * struct shunt_range - a run of guest addresses and where the owner has it
 * @start: first address, guest-physical or IOVA
 * @last: last address, inclusive
 * @addr: the owner's address of @start
 * @perm: VHOST_ACCESS_*
 */
struct shunt_range {
	u64 start;
	u64 last;
	u64 addr;
	u32 perm;
};

/** struct shunt_stats - counters of a queue since it was opened (fdinfo) */
struct shunt_stats {
	u64 kicks;
	u64 passes;
	u64 batches;
	u64 packets;
	u64 bytes;
	u64 signals;
	u64 suppressed;
	u64 drops;
	u64 errors;
	u64 busypolls;
};

enum shunt_miss {
	SHUNT_MISS_NONE,
	SHUNT_MISS_QUEUED, /* to be read by the VMM */
	SHUNT_MISS_SENT, /* read; the queue waits for the update */
};

/**
 * struct shunt_vq - a virtqueue
 *
 * Under @mutex but for: @task and @dev, which do not change while a queue can
 * run; @pending and @waiters, which are atomic; @paused, which is set by whoever
 * waits on @idle; @miss*, under dev->lock; and @stats.kicks, which belongs to the
 * kick's wait queue. @in_flight is changed under @mutex and read without.
 */
struct shunt_vq {
	struct mutex mutex;
	struct shunt_dev *dev;
	u32 index;
	const char *role;

	struct task_struct *task;
	unsigned long pending;
	atomic_t waiters;

	/* The ring, its place and how it can be reached. */
	struct ring ring;
	u32 num;
	bool has_addr;
	bool running; /* between shunt_vq_start() and shunt_vq_stop() */
	bool broken; /* and not looked at until it is started again */
	bool mapped; /* area[] can be used */
	bool started; /* ring_start() was done */
	bool big_endian; /* asked for a legacy ring */
	u64 features;
	struct shunt_area area[RING_PARTS];

	/* Guest memory. */
	struct vhost_iotlb *umem;
	struct vhost_iotlb *iotlb;
	struct shunt_range hit; /* the last one found; perm 0: none */

	/* The dirty log. */
	bool log_ring;
	u64 log_addr;
	u64 log_base;
	struct eventfd_ctx *log_ctx; /* the device's */

	/* Eventfds. */
	struct file *kick;
	struct shunt_poll kick_poll;
	struct eventfd_ctx *call;
	struct eventfd_ctx *err;

	u32 busyloop; /* microseconds */

	/* The current batch; done[] are requests served, not yet pushed. */
	struct ring_batch batch;
	struct shunt_req *req;
	struct iovec *iov;
	int fetch_err; /* what is wrong with the request behind it, or 0 */
	struct ring_done *done;
	u32 nr_done;

	/* Requests that were fetched and are kept beyond their pass. */
	u32 in_flight;
	bool paused; /* none is to be added */
	wait_queue_head_t idle; /* there are none any more */

	enum shunt_miss miss;
	u64 miss_iova;
	u8 miss_access;

	struct shunt_stats stats;
};

/**
 * struct shunt_ops - what a back end is to the core
 * @name: names the device, its workers and its fdinfo
 * @unit: what is counted in its fdinfo: "packets", "requests"
 * @features: feature bits offered besides SHUNT_FEATURES
 * @run: one pass over @vq. Context: the queue's worker, in the owner's address
 *	space, @vq->mutex held, the queue running and its ring accessible.
 *	Return: 0; or a negative error number, which breaks the queue, but for
 *	-EAGAIN: to be run again when a missing translation arrives.
 * @drop: forget the requests in flight that have been served, of a queue that is
 *	broken or stopped; NULL, as @interrupt, for a back end that keeps none. Context: as @run,
 *	but that the ring may not be accessible.
 * @interrupt: take threads of the back end out of page faults, as
 *	shunt_worker_interrupt() does with workers
 * @stop: detach @vq from whatever it was started with, called with
 *	@vq->mutex held, for a queue that may or may not run; nothing is in flight
 * @release: the owner gives up the device, whose queues are stopped and have no
 *	workers any more; or NULL
 * @setup: ioctls that need no owner, of those that the core does not know; or
 *	NULL. Context: dev->mutex held. Return: as of an ioctl, -ENOIOCTLCMD for
 *	others.
 * @ioctl: ioctls that the core does not know. Context: dev->mutex held, the
 *	caller is the owner. Return: as of an ioctl.
 */
struct shunt_ops {
	const char *name;
	const char *unit;
	u64 features;
	int (*run)(struct shunt_vq *vq);
	void (*drop)(struct shunt_vq *vq);
	void (*interrupt)(struct shunt_dev *dev);
	void (*stop)(struct shunt_vq *vq);
	void (*release)(struct shunt_dev *dev);
	long (*setup)(struct shunt_dev *dev, unsigned int cmd,
		      void __user *arg);
	long (*ioctl)(struct shunt_dev *dev, unsigned int cmd,
		      void __user *arg);
};

/**
 * struct shunt_dev - one open file of a vhost device
 * @vqs: its queues; only ever added to
 * @nr_vqs: how many of them are in use; changes while there is no owner, and grows
 *	behind the back of fdinfo and of poll
 * @id: number of the device since the module was loaded
 * @mm: the owner's address space, NULL when there is no owner
 * @owner: the owner, for its resource limits
 * @owner_can_lock: the owner had CAP_IPC_LOCK
 * @offers: feature bits offered besides SHUNT_FEATURES: those of the back end, until it
 *	knows better
 * @places: struct shunt_place for each queue, pinned; or no pages. Changes while no queue
 *	runs
 * @places_user: the owner's address of its page
 */
struct shunt_dev {
	struct mutex mutex;
	const struct shunt_ops *ops;
	struct shunt_vq **vqs;
	u32 nr_vqs;
	u32 id;

	struct mm_struct *mm;
	struct task_struct *owner;
	bool owner_can_lock;

	u64 offers;
	u64 features;
	u64 backend_features;
	struct vhost_iotlb *umem;
	struct vhost_iotlb *iotlb;
	spinlock_t lock;
	wait_queue_head_t miss_wait;
	u64 log_base;
	struct eventfd_ctx *log_ctx;
	struct shunt_area places;
	unsigned long places_user;
};

/* device.c */
void shunt_dev_init(struct shunt_dev *dev, struct shunt_vq **vqs,
		    const struct shunt_ops *ops);
void shunt_dev_add_vq(struct shunt_dev *dev, struct shunt_vq *vq);
void shunt_dev_set_nr_vqs(struct shunt_dev *dev, u32 nr);
void shunt_dev_destroy(struct shunt_dev *dev);
int shunt_dev_set_owner(struct shunt_dev *dev);
int shunt_dev_check_owner(struct shunt_dev *dev);
int shunt_dev_reset_owner(struct shunt_dev *dev);
int shunt_dev_pause(struct shunt_dev *dev);
void shunt_dev_resume(struct shunt_dev *dev);
void shunt_dev_show_fdinfo(struct seq_file *m, struct shunt_dev *dev);

/* ioctl.c */
long shunt_dev_ioctl(struct shunt_dev *dev, unsigned int cmd,
		     unsigned long arg);

/* file.c */
long shunt_file_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
ssize_t shunt_file_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t shunt_file_write_iter(struct kiocb *iocb, struct iov_iter *from);
__poll_t shunt_file_poll(struct file *file, poll_table *wait);
void shunt_file_show_fdinfo(struct seq_file *m, struct file *file);

#define SHUNT_FILE_OPERATIONS                                                  \
	.unlocked_ioctl = shunt_file_ioctl, .compat_ioctl = compat_ptr_ioctl,  \
	.read_iter = shunt_file_read_iter,                                     \
	.write_iter = shunt_file_write_iter, .poll = shunt_file_poll,          \
	.show_fdinfo = shunt_file_show_fdinfo, .llseek = noop_llseek

/* worker.c */
struct task_struct *shunt_worker_thread(int (*run)(void *), void *arg,
					const char *device, const char *role,
					u32 index);
struct mem_cgroup *shunt_worker_begin(struct shunt_dev *dev);
void shunt_worker_end(struct shunt_dev *dev, struct mem_cgroup *memcg);
int shunt_worker_create(struct shunt_vq *vq);
void shunt_worker_destroy(struct shunt_vq *vq);
void shunt_worker_wake(struct shunt_vq *vq);
void shunt_worker_interrupt(struct shunt_vq *vq);
bool shunt_worker_busy_poll(struct shunt_vq *vq, bool (*more)(void *),
			    void *arg);

/* queue.c */
void shunt_vq_lock(struct shunt_vq *vq);
int shunt_vq_pause(struct shunt_vq *vq);
void shunt_vq_resume(struct shunt_vq *vq);
void shunt_vq_ended(struct shunt_vq *vq, u32 n);
int shunt_vq_alloc(struct shunt_vq *vq);
void shunt_vq_free(struct shunt_vq *vq);
int shunt_vq_start(struct shunt_vq *vq);
void shunt_vq_stop(struct shunt_vq *vq);
void shunt_vq_break(struct shunt_vq *vq, int err);
void shunt_vq_run(struct shunt_vq *vq);
int shunt_vq_fetch(struct shunt_vq *vq, u32 max);
void shunt_vq_unfetch(struct shunt_vq *vq, u32 first);
void shunt_vq_done_reading(struct shunt_vq *vq);
int shunt_vq_before_done(struct shunt_vq *vq, u32 req, u32 len);
int shunt_vq_return(struct shunt_vq *vq, const struct ring_done *done,
		    const struct iovec *iov, u32 nr);
int shunt_vq_push(struct shunt_vq *vq);
int shunt_vq_suppress(struct shunt_vq *vq);
int shunt_vq_arm(struct shunt_vq *vq);
bool shunt_vq_pending(struct shunt_vq *vq);

/* notify.c */
void shunt_poll_init(struct shunt_poll *poll, struct shunt_vq *vq,
		     __poll_t mask);
void shunt_poll_start(struct shunt_poll *poll, struct file *file);
void shunt_poll_stop(struct shunt_poll *poll);
int shunt_notify_set_kick(struct shunt_vq *vq, int fd);
int shunt_notify_set_ctx(struct shunt_vq *vq, struct eventfd_ctx **ctx, int fd);
struct eventfd_ctx *shunt_notify_get_ctx(int fd);
void shunt_notify_release(struct shunt_vq *vq);
void shunt_notify_signal(struct eventfd_ctx *ctx);

/* memory.c */
int shunt_mem_set_table(struct shunt_dev *dev, void __user *arg);
int shunt_mem_map_ring(struct shunt_vq *vq);
void shunt_mem_unmap_ring(struct shunt_vq *vq);
int shunt_mem_translate(struct shunt_vq *vq, u64 addr, u64 len, u32 access,
			struct iovec *iov, u32 max);
int shunt_mem_write(const struct iovec *iov, u32 nr, size_t off,
		    const void *from, size_t len);
int shunt_mem_read(const struct iovec *iov, u32 nr, size_t off, void *to,
		   size_t len);
int shunt_mem_read_page(const struct iovec *iov, u32 nr, size_t off, void *to,
			size_t len);

/* pin.c */
int shunt_pin_area(struct shunt_dev *dev, struct shunt_area *area);
void shunt_unpin_area(struct shunt_dev *dev, struct shunt_area *area);
int shunt_pin_iov(const struct iovec *iov, u32 nr, size_t off, size_t len,
		  bool write, struct bio_vec *bv, u32 room);
void shunt_unpin_iov(struct bio_vec *bv, u32 nr, bool dirty);

/* places.c */
int shunt_places_set(struct shunt_dev *dev, u64 addr);
void shunt_places_forget(struct shunt_dev *dev);
void shunt_place_put(struct shunt_vq *vq, u32 state);

/* iotlb.c */
int shunt_iotlb_enable(struct shunt_dev *dev);
int shunt_iotlb_find(struct shunt_vq *vq, u64 addr, u32 access);
void shunt_iotlb_forget(struct shunt_dev *dev);
ssize_t shunt_dev_read_iter(struct shunt_dev *dev, struct iov_iter *to,
			    bool nonblock);
ssize_t shunt_dev_write_iter(struct shunt_dev *dev, struct iov_iter *from);
__poll_t shunt_dev_poll(struct shunt_dev *dev, struct file *file,
			poll_table *wait);

/* dirty.c */
bool shunt_log_valid(struct vhost_iotlb *umem, u64 log_base);
bool shunt_log_ring_valid(struct shunt_vq *vq, u64 log_base, u64 log_addr);
int shunt_log_req(struct shunt_vq *vq, u32 req, u64 len);
int shunt_log_iov(struct shunt_vq *vq, const struct iovec *iov, u32 nr,
		  u64 len);

static inline bool shunt_vq_has(const struct shunt_vq *vq, unsigned int bit)
{
	return vq->features & BIT_ULL(bit);
}

/* Undo shunt_vq_lock(). */
static inline void shunt_vq_unlock(struct shunt_vq *vq)
{
	mutex_unlock(&vq->mutex);
}

/* Note what is to be returned: a request, and what was written to it. */
static inline void shunt_done_set(struct ring_done *done,
				  const struct ring_req *raw, u32 len,
				  bool whole)
{
	done->id = raw->id;
	done->slots = raw->slots;
	done->len = len;
	done->whole = whole;
}

/**
 * shunt_vq_done() - a request of the batch has been served
 * @vq: the queue
 * @req: its index in @vq->req[]
 * @len: bytes written to it, from the start of its writable part
 *
 * The driver sees it after the next shunt_vq_push().
 *
 * Context: a pass.
 * Return: 0 or a negative error number for run() to return.
 */
static inline int shunt_vq_done(struct shunt_vq *vq, u32 req, u32 len)
{
	if (unlikely(shunt_vq_has(vq, VHOST_F_LOG_ALL) ||
		     vq->nr_done == SHUNT_REQ_MAX)) {
		int err = shunt_vq_before_done(vq, req, len);

		if (err)
			return err;
	}
	shunt_done_set(&vq->done[vq->nr_done++], &vq->batch.req[req], len,
		       len == vq->req[req].in_len);
	return 0;
}

/**
 * shunt_mem_write16() - write two bytes to a scatter list
 * @iov: the list, addresses of the owner
 * @nr: number of its entries
 * @off: bytes to skip
 * @val: what to write, in the order of the driver
 *
 * Here and not with its like in memory.c, since a call costs as much as the write.
 *
 * Context and return: as shunt_mem_read().
 */
static inline int shunt_mem_write16(const struct iovec *iov, u32 nr, size_t off,
				    __virtio16 val)
{
	/* In nearly all lists they are in the first entry. */
	if (likely(iov->iov_len >= off + sizeof(val)))
		return put_user(val,
				(__virtio16 __user *)(iov->iov_base + off));
	return shunt_mem_write(iov, nr, off, &val, sizeof(val));
}

/**
 * shunt_mem_hit() - find guest memory in the range that was found last
 * @hit: that range, &shunt_vq.hit
 * @addr: first byte, guest-physical or IOVA, any value
 * @len: number of bytes, any value
 * @access: VHOST_ACCESS_RO to read from it or VHOST_ACCESS_WO to write to it
 * @iov: filled in
 *
 * Nearly all of a guest's memory is one range. Here, since a call of
 * shunt_mem_translate() costs more than the look.
 *
 * Context: as shunt_mem_translate().
 * Return: whether all of it is there; if not, and for no bytes at all,
 * shunt_mem_translate() knows more.
 */
static __always_inline bool shunt_mem_hit(const struct shunt_range *hit,
					  u64 addr, u32 len, u32 access,
					  struct iovec *iov)
{
	const u64 off = addr - hit->start;
	const u64 span = hit->last - hit->start;

	/* An address below the range is beyond it here, and so is an empty one's end. */
	if (unlikely(off > span || (u64)len - 1 > span - off ||
		     !(hit->perm & access)))
		return false;
	iov->iov_base = u64_to_user_ptr(hit->addr + off);
	iov->iov_len = len;
	return true;
}

/* Remember the range that was found last. Context: @vq->mutex held. */
static inline void shunt_vq_hit(struct shunt_vq *vq,
				const struct vhost_iotlb_map *map)
{
	vq->hit.start = map->start;
	vq->hit.last = map->last;
	vq->hit.addr = map->addr;
	vq->hit.perm = map->perm;
}

#endif
