// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_req.c - requests of a disk: taken from the ring, served, returned
 *
 * DOC: Theory of Operation
 *
 * A pass takes requests off the ring, makes a struct shunt_blk_req of each, and has the
 * disk execute it (blk_bio.c, blk_file.c). It does not wait: whatever has served a
 * request, or a piece of it, says so by shunt_blk_end(), from any context, which
 * wakes the worker. The next pass then serves the next piece, or writes the status
 * and returns the request to the driver (VIRTIO 1.2, 5.2.6). What ends in the worker
 * itself, as with disks that are done when they were asked, needs no waking: the pass
 * looks at it before it ends. So guest memory is touched by the worker alone, but for
 * the data, which disks are given directly.
 *
 * Layout: the header is the first 16 readable bytes and the status the last writable
 * one, however the driver cut the request into descriptors. A request without room for
 * them breaks the queue; whatever else is wrong with one gets a status, and so does one
 * that there is no memory for.
 *
 * Bounds: a queue has BLK_DEPTH requests and BLK_BYTES bytes in flight at the most,
 * and fetches no more before one of them has ended, which wakes it.
 *
 * Lifetimes: a request is memory of its queue, used again when it has been returned.
 * shunt_blk_end() may still be waking the worker when that returns the last one; the
 * core waits for it (RCU) before the worker goes.
 */
#include <linux/blkdev.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "blk.h"

/**
 * shunt_blk_vq_alloc() - get the memory of a queue's requests
 * @bvq: the queue
 *
 * Charged to the caller's memory cgroup.
 *
 * Return: 0 or -ENOMEM.
 */
int shunt_blk_vq_alloc(struct shunt_blk_vq *bvq)
{
	u32 i;

	if (bvq->reqs)
		return 0;
	bvq->reqs = kvmalloc_array(BLK_DEPTH, sizeof(*bvq->reqs),
				   GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!bvq->reqs)
		return -ENOMEM;
	INIT_LIST_HEAD(&bvq->free);
	init_llist_head(&bvq->ended);
	for (i = 0; i < BLK_DEPTH; i++) {
		bvq->reqs[i].bvq = bvq;
		list_add_tail(&bvq->reqs[i].link, &bvq->free);
	}
	return 0;
}

/**
 * shunt_blk_vq_free() - undo shunt_blk_vq_alloc()
 * @bvq: the queue; nothing is in flight
 */
void shunt_blk_vq_free(struct shunt_blk_vq *bvq)
{
	kvfree(bvq->reqs);
	bvq->reqs = NULL;
}

/**
 * shunt_blk_end() - a request has been served, or its present piece
 * @req: the request, with @req->err
 *
 * Context: any.
 */
void shunt_blk_end(struct shunt_blk_req *req)
{
	struct shunt_blk_vq *bvq = req->bvq;

	/* Within a pass of the worker, who looks before it ends. */
	if (current == bvq->vq.task && in_task() && bvq->in_pass) {
		llist_add(&req->ended, &bvq->ended);
		return;
	}
	/* Behind the next line the request, and soon the worker, may be gone. */
	rcu_read_lock();
	llist_add(&req->ended, &bvq->ended);
	shunt_worker_wake(&bvq->vq);
	rcu_read_unlock();
}

/* The same by the worker itself, which looks soon. */
static void end_here(struct shunt_blk_req *req, int err)
{
	req->err = err;
	iov_iter_truncate(&req->iter, 0);
	llist_add(&req->ended, &req->bvq->ended);
}

static void put_req(struct shunt_blk_req *req)
{
	req->bvq->bytes -= req->charge;
	if (req->iov != req->few)
		kvfree(req->iov);
	req->iov = NULL;
	list_add(&req->link, &req->bvq->free);
}

/*
 * Fill in the request's scatter list. Return: 0; -EINVAL; or -ENOMEM: it is the status
 * alone then, which is all that there is to be done for this request.
 */
static int take_iov(struct shunt_blk_req *req, const struct shunt_req *from)
{
	const u32 nr = from->out + from->in;
	const struct iovec *last;

	if (from->out_len < sizeof(struct virtio_blk_outhdr) || !from->in_len ||
	    from->in_len > U32_MAX)
		return -EINVAL;
	last = &from->iov[nr - 1];
	req->status = last->iov_base + last->iov_len - 1;
	req->out = from->out;
	req->in = from->in;
	req->iov = req->few;
	if (nr > BLK_IOV)
		req->iov = kvmalloc_array(nr, sizeof(*req->iov),
					  GFP_KERNEL_ACCOUNT);
	if (req->iov) {
		memcpy(req->iov, from->iov, nr * sizeof(*req->iov));
		return 0;
	}
	req->few[0].iov_base = req->status;
	req->few[0].iov_len = 1;
	req->iov = req->few;
	req->out = 0;
	req->in = 1;
	return -ENOMEM;
}

/*
 * VIRTIO 1.2, 5.2.6.2: a write is complete when it is durable, unless there is a write
 * cache that the driver knows of.
 */
static bool write_back(const struct shunt_vq *vq)
{
	if (shunt_vq_has(vq, VIRTIO_BLK_F_CONFIG_WCE))
		return READ_ONCE(to_blk(vq->dev)->wce);
	return shunt_vq_has(vq, VIRTIO_BLK_F_FLUSH);
}

/* Whether a range is of whole sectors, and on the disk. */
static bool on_disk(const struct shunt_disk *disk, u64 sector, u64 len)
{
	const u64 size = shunt_disk_size(disk);

	return sector <= size >> SECTOR_SHIFT &&
	       len <= size - (sector << SECTOR_SHIFT) &&
	       IS_ALIGNED(len, SECTOR_SIZE);
}

/* A block device may be made read-only while it is in use. */
static bool writable(const struct shunt_disk *disk)
{
	return !disk->read_only && !(disk->bdev && bdev_read_only(disk->bdev));
}

static void start_rw(struct shunt_blk_req *req, u64 sector)
{
	const size_t len = iov_iter_count(&req->iter);

	if (req->write && !writable(req->disk))
		return end_here(req, -EROFS);
	if (!on_disk(req->disk, sector, len) || len > BLK_REQ_BYTES)
		return end_here(req, -EIO);
	if (!len)
		return end_here(req, 0);
	req->pos = (loff_t)sector << SECTOR_SHIFT;
	req->bvq->vq.stats.bytes += len;
	req->execute = req->disk->ops->rw;
	req->execute(req);
}

/*
 * In a helper: VIRTIO 1.2, 5.2.6: what is done to ranges. A helper is sent SIGKILL when
 * the request was given up (shunt_blk_interrupt()): what it has not begun with by then
 * it leaves.
 */
static void erase(struct shunt_blk_req *req)
{
	u32 i;

	for (i = 0; i < req->nr_range && !req->err; i++) {
		const struct virtio_blk_discard_write_zeroes *r =
			&req->range[i];
		const u64 sector = le64_to_cpu(r->sector);
		const u64 len = (u64)le32_to_cpu(r->num_sectors)
				<< SECTOR_SHIFT;

		/* It may have shrunk since it was checked. */
		if (fatal_signal_pending(current))
			req->err = -EINTR;
		else if (!on_disk(req->disk, sector, len))
			req->err = -EIO;
		else if (len)
			req->err = req->disk->ops->erase(
				req, sector << SECTOR_SHIFT, len,
				le32_to_cpu(r->flags) &
					VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	}
	shunt_blk_end(req);
}

/* Whether a range is one that this request may name. Return: 0 or the error. */
static int check_range(const struct shunt_blk_req *req,
		       const struct virtio_blk_discard_write_zeroes *r)
{
	const u32 known = req->type == VIRTIO_BLK_T_WRITE_ZEROES ?
				  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP :
				  0;
	const u32 most = req->type == VIRTIO_BLK_T_WRITE_ZEROES ?
				 BLK_ZEROES_SECTORS :
				 BLK_DISCARD_SECTORS;
	const u64 sectors = le32_to_cpu(r->num_sectors);

	if (le32_to_cpu(r->flags) & ~known)
		return -EOPNOTSUPP;
	if (sectors > most || !on_disk(req->disk, le64_to_cpu(r->sector),
				       sectors << SECTOR_SHIFT))
		return -EIO;
	return 0;
}

static void start_erase(struct shunt_blk_req *req, unsigned int feature)
{
	const size_t len = iov_iter_count(&req->iter);
	u32 i;

	if (!writable(req->disk))
		return end_here(req, -EROFS);
	if (!(req->disk->features & BIT_ULL(feature)))
		return end_here(req, -EOPNOTSUPP);
	if (!len || len > sizeof(req->range) || len % sizeof(req->range[0]))
		return end_here(req, -EIO);
	if (copy_from_iter(req->range, len, &req->iter) != len)
		return end_here(req, -EFAULT);
	req->nr_range = len / sizeof(req->range[0]);
	for (i = 0; i < req->nr_range; i++) {
		int err = check_range(req, &req->range[i]);

		if (err)
			return end_here(req, err);
	}
	shunt_blk_defer(req, erase);
}

static void start_get_id(struct shunt_blk_req *req)
{
	const u8 *serial = req->disk->serial;
	const size_t len =
		min_t(size_t, iov_iter_count(&req->iter), SHUNT_BLK_SERIAL);

	end_here(req,
		 copy_to_iter(serial, len, &req->iter) == len ? 0 : -EFAULT);
}

/* Two reads of single words: what a copy of 16 bytes checks costs more than the copy. */
static int read_header(const struct shunt_req *from,
		       struct virtio_blk_outhdr *hdr)
{
	const struct virtio_blk_outhdr __user *at;

	/* Without entries there is no first one to look at. */
	if (unlikely(!from->out || from->iov->iov_len < sizeof(*hdr)))
		return shunt_mem_read(from->iov, from->out, 0, hdr,
				      sizeof(*hdr));
	at = from->iov->iov_base;
	return get_user(hdr->type, &at->type) ||
			       get_user(hdr->sector, &at->sector) ?
		       -EFAULT :
		       0;
}

/* What a write finds behind the header; in nearly all requests it is one entry. */
static void take_out(struct shunt_blk_req *req, size_t len)
{
	const struct iovec *last = &req->iov[req->out - 1];
	const size_t data = len - sizeof(struct virtio_blk_outhdr);

	if (likely(last->iov_len >= data))
		return iov_iter_ubuf(&req->iter, WRITE,
				     last->iov_base + last->iov_len - data,
				     data);
	iov_iter_init(&req->iter, WRITE, req->iov, req->out, len);
	iov_iter_advance(&req->iter, sizeof(struct virtio_blk_outhdr));
}

/* Where a read goes, in front of the status; in nearly all requests it is one entry. */
static void take_in(struct shunt_blk_req *req, size_t len)
{
	const struct iovec *first = &req->iov[req->out];
	const size_t data = len - 1;

	if (likely(first->iov_len >= data))
		return iov_iter_ubuf(&req->iter, READ, first->iov_base, data);
	iov_iter_init(&req->iter, READ, first, req->in, data);
}

/*
 * Begin with request @i of the batch. Return: 0; or a negative error number, which breaks
 * the queue: nothing was begun.
 */
static int start(struct shunt_blk_vq *bvq, u32 i)
{
	const struct ring_req *raw = &bvq->vq.batch.req[i];
	const struct shunt_req *from = &bvq->vq.req[i];
	struct shunt_blk *blk = to_blk(bvq->vq.dev);
	struct virtio_blk_outhdr hdr;
	struct shunt_blk_req *req;
	u32 nr;
	int err;

	err = read_header(from, &hdr);
	if (err)
		return err;
	req = list_first_entry(&bvq->free, struct shunt_blk_req, link);
	err = take_iov(req, from);
	if (err && err != -ENOMEM)
		return err;
	list_del(&req->link);
	WRITE_ONCE(bvq->vq.in_flight, bvq->vq.in_flight + 1);

	req->disk = blk->disk;
	req->type = __virtio32_to_cpu(bvq->vq.ring.little_endian, hdr.type);
	req->err = 0;
	req->execute = NULL;
	req->finish = NULL;
	req->done.id = raw->id;
	req->done.slots = raw->slots;
	req->done.len = from->in_len;
	req->done.whole = true;
	/* A request has data one way: to the disk for all but a few. */
	req->write = req->type != VIRTIO_BLK_T_IN &&
		     req->type != VIRTIO_BLK_T_GET_ID;
	req->durable = req->write && !write_back(&bvq->vq);
	if (err)
		iov_iter_init(&req->iter, READ, req->iov, 0, 0);
	else if (req->write)
		take_out(req, from->out_len);
	else
		take_in(req, from->in_len);
	req->data = iov_iter_count(&req->iter);
	/* Each entry has a page held, however little of it is meant. */
	nr = req->write ? req->out : req->in;
	req->charge =
		min(max_t(size_t, req->data, nr << PAGE_SHIFT), BLK_PIECE);
	bvq->bytes += req->charge;
	bvq->vq.stats.packets++;
	if (err) {
		end_here(req, err);
		return 0;
	}

	switch (req->type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		start_rw(req, __virtio64_to_cpu(bvq->vq.ring.little_endian,
						hdr.sector));
		break;
	case VIRTIO_BLK_T_FLUSH:
		iov_iter_truncate(&req->iter, 0);
		req->disk->ops->flush(req);
		break;
	case VIRTIO_BLK_T_GET_ID:
		start_get_id(req);
		break;
	case VIRTIO_BLK_T_DISCARD:
		start_erase(req, VIRTIO_BLK_F_DISCARD);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		start_erase(req, VIRTIO_BLK_F_WRITE_ZEROES);
		break;
	case VIRTIO_BLK_T_SECURE_ERASE:
		start_erase(req, VIRTIO_BLK_F_SECURE_ERASE);
		break;
	default:
		end_here(req, -EOPNOTSUPP);
	}
	return 0;
}

/* Write the status and hand the request to be returned. */
static int give(struct shunt_blk_req *req)
{
	u8 status = VIRTIO_BLK_S_OK;

	if (req->err) {
		status = req->err == -EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP :
						   VIRTIO_BLK_S_IOERR;
		if (status == VIRTIO_BLK_S_IOERR)
			req->bvq->vq.stats.drops++;
	}
	if (put_user(status, req->status))
		return -EFAULT;
	return shunt_vq_return(&req->bvq->vq, &req->done, req->iov + req->out,
			       req->in);
}

/*
 * Look at what has ended: go on with it, or return it; or, with @drop, do neither.
 * Return: 0 or a negative error number for run() to return.
 */
static int look_at_ended(struct shunt_blk_vq *bvq, bool drop)
{
	struct llist_node *list =
		llist_reverse_order(llist_del_all(&bvq->ended));
	struct shunt_blk_req *req, *next;
	int err = 0, push = 0;
	u32 n = 0;

	if (!list)
		return 0;
	llist_for_each_entry_safe(req, next, list, ended) {
		if (req->finish)
			req->finish(req);
		if (!req->err && iov_iter_count(&req->iter) && !drop && !err) {
			req->execute(req);
			continue;
		}
		if (!drop && !err)
			err = give(req);
		put_req(req);
		n++;
	}
	if (!drop)
		push = shunt_vq_push(&bvq->vq);
	if (n)
		shunt_vq_ended(&bvq->vq, n);
	return err ? err : push;
}

/**
 * shunt_blk_drop() - shunt_ops.drop
 * @vq: the queue
 */
void shunt_blk_drop(struct shunt_vq *vq)
{
	look_at_ended(to_blk_vq(vq), true);
}

/* What a pass has come to. */
struct pass {
	u32 requests;
	bool over; /* it has taken enough */
};

/* Whether as much is in flight as may be. */
static bool full(const struct shunt_blk_vq *bvq)
{
	return bvq->vq.in_flight == BLK_DEPTH || bvq->bytes >= BLK_BYTES;
}

/* Begin with the requests of a batch; put back those for which there is no room. */
static int start_batch(struct shunt_blk_vq *bvq, struct pass *pass, u32 n)
{
	int err = 0;
	u32 i;

	for (i = 0; i < n && bvq->bytes < BLK_BYTES && !err; i++)
		err = start(bvq, i);
	shunt_vq_unfetch(&bvq->vq, err ? i - 1 : i);
	pass->requests += i;
	pass->over = pass->requests >= SHUNT_PASS_PACKETS;
	return err;
}

/*
 * Take requests until there are none or it is full. Return: 0 or an error for run() to
 * return. Whatever ended meanwhile is still to be looked at.
 */
static int take(struct shunt_blk_vq *bvq, struct pass *pass)
{
	struct blk_plug plug;
	int err = 0;

	blk_start_plug(&plug);
	/* A look costs less than a fetch that finds nothing. */
	while (!err && !pass->over && !full(bvq) &&
	       shunt_vq_pending(&bvq->vq)) {
		const u32 room = BLK_DEPTH - bvq->vq.in_flight;
		int n = shunt_vq_fetch(&bvq->vq, min_t(u32, room, SHUNT_BATCH));

		if (n <= 0) {
			err = n;
			break;
		}
		err = start_batch(bvq, pass, n);
		if (!err)
			err = look_at_ended(bvq, false);
	}
	blk_finish_plug(&plug);
	return err;
}

static bool has_more(void *arg)
{
	struct shunt_blk_vq *bvq = arg;

	return !llist_empty(&bvq->ended) || shunt_vq_pending(&bvq->vq);
}

/* The pass of shunt_blk_run(), but for what ended in it and was not looked at. */
static int run(struct shunt_blk_vq *bvq, struct pass *pass)
{
	struct shunt_vq *vq = &bvq->vq;
	int err = look_at_ended(bvq, false);

	if (err || READ_ONCE(vq->paused))
		return err;
	err = shunt_vq_suppress(vq);
	while (!err) {
		err = take(bvq, pass);
		/* Many devices have ended by now what they were just given. */
		if (!err)
			err = look_at_ended(bvq, false);
		/* What ends wakes us: that is when there is room again. */
		if (err || pass->over || full(bvq))
			return err;
		/* A guest may have us look in vain: that counts as well. */
		pass->over = ++pass->requests >= SHUNT_PASS_PACKETS;
		/* There may be room now. For what was seen already there is no kick. */
		if (shunt_vq_pending(vq) ||
		    shunt_worker_busy_poll(vq, has_more, bvq))
			continue;
		err = shunt_vq_arm(vq);
		if (err <= 0)
			return err;
		err = shunt_vq_suppress(vq);
	}
	return err;
}

/**
 * shunt_blk_run() - a pass over a queue
 * @vq: the queue
 *
 * Context and return: as shunt_ops.run.
 */
int shunt_blk_run(struct shunt_vq *vq)
{
	struct shunt_blk_vq *bvq = to_blk_vq(vq);
	struct pass pass = {};
	int err;

	bvq->in_pass = true;
	err = run(bvq, &pass);
	bvq->in_pass = false;
	/* Who ended something in this pass did not wake us (shunt_blk_end()). */
	if (pass.over || !llist_empty(&bvq->ended))
		shunt_worker_wake(vq);
	return err;
}
