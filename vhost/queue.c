// SPDX-License-Identifier: GPL-2.0-only
/*
 * queue.c - a virtqueue as a back end sees it: requests in batches
 *
 * DOC: Theory of Operation
 *
 * Purpose: put the ring (ring.h), guest memory (memory.c), the dirty log
 * (dirty.c) and the call eventfd (notify.c) together, so that a back end deals
 * with scatter lists of the owner's addresses and nothing else.
 *
 * A pass: the worker calls shunt_vq_run(), which calls the back end's run().
 * That fetches a batch (shunt_vq_fetch()), serves it, marks each request done
 * (shunt_vq_done()) and returns them together (shunt_vq_push()). What it could
 * not serve it puts back (shunt_vq_unfetch()). Before it ends a pass because
 * there is nothing left it asks for a kick (shunt_vq_arm()).
 *
 * A queue is stopped, running, or broken: running, but its driver or VMM broke
 * it, and it is not looked at until it is started again.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "shunt.h"
#include "uapi/shunt.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/**
 * shunt_vq_lock() - take a queue's mutex to change it
 * @vq: the queue
 *
 * Context: process context; not for the queue's worker. A worker that is busy
 * polling lets go at once, one in a pass when that ends. If the caller is killed
 * meanwhile, the worker's pass is cut short: it may be waiting for the caller.
 */
void shunt_vq_lock(struct shunt_vq *vq)
{
	atomic_inc(&vq->waiters);
	if (mutex_lock_killable(&vq->mutex)) {
		shunt_worker_interrupt(vq);
		mutex_lock(&vq->mutex);
	}
	atomic_dec(&vq->waiters);
}
EXPORT_SYMBOL_GPL(shunt_vq_lock);

/**
 * shunt_vq_pause() - wait until none of a queue's requests is in flight
 * @vq: the queue
 *
 * Nothing is added until shunt_vq_resume(). Nothing happens where the back end keeps
 * no request beyond its pass: for it the mutex is enough.
 *
 * Context: process context, dev->mutex held, @vq->mutex not.
 * Return: 0; or -EINTR when the caller was killed meanwhile: it is not paused.
 */
int shunt_vq_pause(struct shunt_vq *vq)
{
	if (!vq->dev->ops->drop)
		return 0;
	shunt_vq_lock(vq);
	vq->paused = true;
	shunt_vq_unlock(vq);
	if (!wait_event_killable(vq->idle, !READ_ONCE(vq->in_flight)))
		return 0;
	shunt_vq_resume(vq);
	return -EINTR;
}
EXPORT_SYMBOL_GPL(shunt_vq_pause);

/**
 * shunt_vq_resume() - undo shunt_vq_pause()
 * @vq: the queue
 *
 * Context: as shunt_vq_pause().
 */
void shunt_vq_resume(struct shunt_vq *vq)
{
	if (!vq->dev->ops->drop)
		return;
	shunt_vq_lock(vq);
	vq->paused = false;
	shunt_vq_unlock(vq);
	/* It may have been woken for what it did not do. */
	if (vq->task)
		shunt_worker_wake(vq);
}
EXPORT_SYMBOL_GPL(shunt_vq_resume);

/**
 * shunt_vq_ended() - requests in flight have been returned or dropped
 * @vq: the queue
 * @n: how many
 *
 * Context: a pass, or shunt_ops.drop().
 */
void shunt_vq_ended(struct shunt_vq *vq, u32 n)
{
	WRITE_ONCE(vq->in_flight, vq->in_flight - n);
	if (!vq->in_flight && wq_has_sleeper(&vq->idle))
		wake_up_all(&vq->idle);
}
EXPORT_SYMBOL_GPL(shunt_vq_ended);

/**
 * shunt_vq_alloc() - get the memory that batches need
 * @vq: the queue, which belongs to nobody else yet
 *
 * Charged to the caller's memory cgroup.
 *
 * Return: 0 or -ENOMEM; shunt_vq_free() is due in both cases.
 */
int shunt_vq_alloc(struct shunt_vq *vq)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO;
	struct ring_batch *b = &vq->batch;

	b->max_req = SHUNT_REQ_MAX;
	b->max_seg = SHUNT_SEG_MAX;
	b->req = kvmalloc_array(b->max_req, sizeof(*b->req), gfp);
	b->seg = kvmalloc_array(b->max_seg, sizeof(*b->seg), gfp);
	vq->req = kvmalloc_array(b->max_req, sizeof(*vq->req), gfp);
	vq->done = kvmalloc_array(b->max_req, sizeof(*vq->done), gfp);
	vq->iov = kvmalloc_array(SHUNT_IOV_MAX, sizeof(*vq->iov), gfp);
	if (!b->req || !b->seg || !vq->req || !vq->done || !vq->iov)
		return -ENOMEM;
	return 0;
}

/**
 * shunt_vq_free() - undo shunt_vq_alloc()
 * @vq: the queue
 */
void shunt_vq_free(struct shunt_vq *vq)
{
	kvfree(vq->batch.req);
	kvfree(vq->batch.seg);
	kvfree(vq->req);
	kvfree(vq->done);
	kvfree(vq->iov);
	memset(&vq->batch, 0, sizeof(vq->batch));
	vq->req = NULL;
	vq->done = NULL;
	vq->iov = NULL;
}

/* See that the ring can be reached, and that it has been looked at once. */
static int ready_ring(struct shunt_vq *vq)
{
	int err = 0;

	if (unlikely(!vq->mapped))
		err = shunt_mem_map_ring(vq);
	if (unlikely(!vq->started) && !err) {
		err = ring_start(&vq->ring);
		vq->started = !err;
	}
	return err;
}

/**
 * shunt_vq_start() - begin to serve a queue
 * @vq: a queue that is not running
 *
 * With VIRTIO_F_ACCESS_PLATFORM the VMM may not have told where the ring is;
 * then the first pass asks.
 *
 * Context: @vq->mutex held, the caller is the owner.
 * Return: 0; -EFAULT when size or addresses were not set, or no ring is there,
 * or its log is not; -EINVAL when size, addresses or base are none of this layout;
 * -ENOMEM.
 */
int shunt_vq_start(struct shunt_vq *vq)
{
	u32 part;
	int err;

	if (!vq->num || !vq->has_addr)
		return -EFAULT;
	/* The layout may have been chosen after these were set. */
	if (!ring_num_valid(&vq->ring, vq->num))
		return -EINVAL;
	for (part = 0; part < RING_PARTS; part++)
		if (!IS_ALIGNED(vq->area[part].addr,
				ring_part_align(&vq->ring, part)))
			return -EINVAL;
	if (vq->log_ring &&
	    !shunt_log_ring_valid(vq, vq->log_base, vq->log_addr))
		return -EFAULT;
	vq->nr_done = 0;
	vq->broken = false;
	vq->ring.num = vq->num;
	vq->started = false;
	shunt_mem_unmap_ring(vq);
	if (!vq->iotlb) {
		err = ready_ring(vq);
		if (err) {
			shunt_mem_unmap_ring(vq);
			return err;
		}
	}
	vq->running = true;
	shunt_place_put(vq, SHUNT_PLACE_RUNNING);
	shunt_worker_wake(vq);
	return 0;
}
EXPORT_SYMBOL_GPL(shunt_vq_start);

/**
 * shunt_vq_stop() - stop to serve a queue
 * @vq: a queue, running or not
 *
 * All that was fetched has been returned or put back by then: passes end so.
 *
 * Context: @vq->mutex held.
 */
void shunt_vq_stop(struct shunt_vq *vq)
{
	if (vq->running)
		shunt_place_put(vq, vq->broken ? SHUNT_PLACE_BROKEN :
						 SHUNT_PLACE_STOPPED);
	vq->running = false;
	shunt_mem_unmap_ring(vq);
}
EXPORT_SYMBOL_GPL(shunt_vq_stop);

/**
 * shunt_vq_break() - a queue cannot go on
 * @vq: the queue
 * @err: why, a negative error number
 *
 * Context: @vq->mutex held.
 */
void shunt_vq_break(struct shunt_vq *vq, int err)
{
	if (vq->broken)
		return;
	vq->broken = true;
	vq->stats.errors++;
	pr_debug("%s %u queue %u: broken, error %d, base %#x\n",
		 vq->dev->ops->name, vq->dev->id, vq->index, err,
		 ring_base(&vq->ring));
	shunt_notify_signal(vq->err);
}
EXPORT_SYMBOL_GPL(shunt_vq_break);

/**
 * shunt_vq_run() - one pass
 * @vq: the queue
 *
 * Context: the queue's worker, in the owner's address space.
 */
void shunt_vq_run(struct shunt_vq *vq)
{
	int err;

	mutex_lock(&vq->mutex);
	if (vq->running && !vq->broken) {
		err = ready_ring(vq);
		if (!err) {
			vq->stats.passes++;
			err = vq->dev->ops->run(vq);
		}
		if (err && err != -EAGAIN)
			shunt_vq_break(vq, err);
	}
	if (vq->in_flight && (!vq->running || vq->broken))
		vq->dev->ops->drop(vq);
	mutex_unlock(&vq->mutex);
}

/* The scatter list of one request, at @iov with room for @room entries. */
static noinline int translate(struct shunt_vq *vq, u32 index, struct iovec *iov,
			      u32 room)
{
	const struct ring_req *raw = &vq->batch.req[index];
	const struct ring_seg *seg = &vq->batch.seg[raw->seg];
	struct shunt_req *req = &vq->req[index];
	size_t out_len = 0, in_len = 0;
	u32 i, used = 0;

	req->iov = iov;
	req->out = 0;
	for (i = 0; i < raw->out + raw->in; i++, seg++) {
		bool in = i >= raw->out;
		u32 access = in ? VHOST_ACCESS_WO : VHOST_ACCESS_RO;
		int nr = 1;

		if (unlikely(used == room ||
			     !shunt_mem_hit(&vq->hit, seg->addr, seg->len,
					    access, iov + used)))
			nr = shunt_mem_translate(vq, seg->addr, seg->len,
						 access, iov + used,
						 room - used);
		if (unlikely(nr < 0))
			return nr;
		used += nr;
		if (in) {
			in_len += seg->len;
		} else {
			out_len += seg->len;
			req->out = used;
		}
	}
	req->in = used - req->out;
	req->out_len = out_len;
	req->in_len = in_len;
	return used;
}

/*
 * The scatter list of the usual request, at @iov: one segment, found by shunt_mem_hit().
 * Return: whether it is that; if not, translate() is for it.
 */
static __always_inline bool translate_usual(const struct shunt_range *hit,
					    const struct ring_req *raw,
					    const struct ring_seg *seg,
					    struct shunt_req *req,
					    struct iovec *iov)
{
	const bool in = raw->in;

	if (unlikely(raw->out + raw->in != 1 ||
		     !shunt_mem_hit(hit, seg->addr, seg->len,
				    in ? VHOST_ACCESS_WO : VHOST_ACCESS_RO,
				    iov)))
		return false;
	req->iov = iov;
	req->out = !in;
	req->in = in;
	req->out_len = in ? 0 : seg->len;
	req->in_len = in ? seg->len : 0;
	return true;
}

/**
 * shunt_vq_fetch() - take a batch of requests
 * @vq: the queue
 * @max: how many at the most, up to SHUNT_REQ_MAX
 *
 * They are in @vq->req[] until the next call. The requests that were fetched
 * before have been served or put back.
 *
 * Context: a pass.
 * Return: how many, 0 when there are none; or a negative error number for
 * run() to return.
 */
int shunt_vq_fetch(struct shunt_vq *vq, u32 max)
{
	const int n = ring_fetch(&vq->ring, &vq->batch, max);
	const struct ring_req *raw = vq->batch.req;
	const struct ring_seg *seg = vq->batch.seg;
	struct iovec *iov = vq->iov, *const end = iov + SHUNT_IOV_MAX;
	struct shunt_req *req = vq->req;
	int i;

	vq->fetch_err = n < 0 ? n : vq->batch.err;
	for (i = 0; i < n; i++, raw++, req++) {
		int nr;

		if (likely(iov < end &&
			   translate_usual(&vq->hit, raw, &seg[raw->seg], req,
					   iov))) {
			iov++;
			continue;
		}
		nr = translate(vq, i, iov, end - iov);
		if (unlikely(nr < 0)) {
			/* Those before it are served first. */
			vq->batch.full = i && nr == -ENOBUFS;
			vq->fetch_err = vq->batch.full ? 0 : nr;
			shunt_vq_unfetch(vq, i);
			return i ? i : nr;
		}
		iov += nr;
	}
	return n;
}
EXPORT_SYMBOL_GPL(shunt_vq_fetch);

/**
 * shunt_vq_unfetch() - put requests of the batch back
 * @vq: the queue
 * @first: index of the first one; all after it are put back too
 *
 * Context: a pass.
 */
void shunt_vq_unfetch(struct shunt_vq *vq, u32 first)
{
	ring_unfetch(&vq->ring, &vq->batch, vq->batch.nr_req - first);
}
EXPORT_SYMBOL_GPL(shunt_vq_unfetch);

/**
 * shunt_vq_done_reading() - all of the batch has been served, by reading alone
 * @vq: the queue, with nothing done that was not pushed
 *
 * As shunt_vq_done() with no byte written, of each request in turn.
 *
 * Context: a pass.
 */
void shunt_vq_done_reading(struct shunt_vq *vq)
{
	const struct ring_req *raw = vq->batch.req;
	const struct ring_req *const end = raw + vq->batch.nr_req;
	struct ring_done *done = vq->done;

	for (; raw < end; raw++, done++)
		shunt_done_set(done, raw, 0, !raw->in);
	vq->nr_done = vq->batch.nr_req;
}
EXPORT_SYMBOL_GPL(shunt_vq_done_reading);

/**
 * shunt_vq_before_done() - what shunt_vq_done() has to do but seldom
 * @vq: the queue
 * @req: as shunt_vq_done()
 * @len: as shunt_vq_done()
 *
 * Logs what was written, and makes room in @vq->done[].
 *
 * Context and return: as shunt_vq_done().
 */
int shunt_vq_before_done(struct shunt_vq *vq, u32 req, u32 len)
{
	if (shunt_vq_has(vq, VHOST_F_LOG_ALL)) {
		int err = shunt_log_req(vq, req, len);

		if (err)
			return err;
	}
	return vq->nr_done == SHUNT_REQ_MAX ? shunt_vq_push(vq) : 0;
}
EXPORT_SYMBOL_GPL(shunt_vq_before_done);

/**
 * shunt_vq_return() - a request in flight has been served
 * @vq: the queue
 * @done: what to return to the driver
 * @iov: its writable part, addresses of the owner
 * @nr: number of entries of @iov
 *
 * The driver sees it after the next shunt_vq_push().
 *
 * Context and return: as shunt_vq_done().
 */
int shunt_vq_return(struct shunt_vq *vq, const struct ring_done *done,
		    const struct iovec *iov, u32 nr)
{
	int err = 0;

	if (shunt_vq_has(vq, VHOST_F_LOG_ALL))
		err = shunt_log_iov(vq, iov, nr, done->len);
	if (!err && vq->nr_done == SHUNT_REQ_MAX)
		err = shunt_vq_push(vq);
	if (!err)
		vq->done[vq->nr_done++] = *done;
	return err;
}
EXPORT_SYMBOL_GPL(shunt_vq_return);

/**
 * shunt_vq_push() - return what was served, and interrupt if wanted
 * @vq: the queue
 *
 * Context: a pass.
 * Return: 0 or a negative error number for run() to return.
 */
int shunt_vq_push(struct shunt_vq *vq)
{
	u32 n = vq->nr_done;
	int need;

	if (!n)
		return 0;
	vq->nr_done = 0;
	need = ring_push(&vq->ring, vq->done, n);
	if (need)
		return need;
	vq->stats.batches++;
	trace_shunt_batch(vq->dev->id, vq->index, n);

	if (unlikely(shunt_vq_has(vq, VHOST_F_LOG_ALL) || vq->log_ring))
		shunt_notify_signal(vq->log_ctx);

	need = ring_need_signal(&vq->ring);
	if (need < 0)
		return need;
	trace_shunt_signal(vq->dev->id, vq->index, need);
	if (need) {
		vq->stats.signals++;
		shunt_notify_signal(vq->call);
	} else {
		vq->stats.suppressed++;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(shunt_vq_push);

/**
 * shunt_vq_suppress() - ask the driver not to kick during a pass
 * @vq: the queue
 *
 * Context and return: as shunt_vq_push().
 */
int shunt_vq_suppress(struct shunt_vq *vq)
{
	return ring_suppress(&vq->ring);
}
EXPORT_SYMBOL_GPL(shunt_vq_suppress);

/**
 * shunt_vq_arm() - ask the driver to kick
 * @vq: the queue
 *
 * Context: a pass.
 * Return: 1 when requests came in the meantime, for which no kick will come;
 * 0; or a negative error number for run() to return.
 */
int shunt_vq_arm(struct shunt_vq *vq)
{
	return ring_unsuppress(&vq->ring);
}
EXPORT_SYMBOL_GPL(shunt_vq_arm);

/**
 * shunt_vq_pending() - whether there are requests, for busy polling
 * @vq: the queue
 *
 * Context: a pass.
 * Return: whether shunt_vq_fetch() would return something, an error included.
 */
bool shunt_vq_pending(struct shunt_vq *vq)
{
	return ring_pending(&vq->ring);
}
EXPORT_SYMBOL_GPL(shunt_vq_pending);
