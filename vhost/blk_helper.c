// SPDX-License-Identifier: GPL-2.0-only
/*
 * blk_helper.c - threads for what a queue's worker is not to wait for
 *
 * DOC: Theory of Operation
 *
 * Input and output through the page cache, fsync(), discards: these sleep until they
 * are done. A disk has BLK_HELPERS threads for them, which take requests in the order
 * in which the queues gave them. They are in the owner's cgroups and address space, as
 * the workers are, and have the rights of whoever opened the disk.
 *
 * They come with the first queue that is started and go when the owner gives up the
 * device; by then nothing is in flight, so there is nothing for them to do.
 */
#include <linux/cred.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>

#include "blk.h"

static struct shunt_blk_req *next_req(struct shunt_blk *blk)
{
	struct shunt_blk_req *req;

	spin_lock(&blk->lock);
	req = list_first_entry_or_null(&blk->deferred, struct shunt_blk_req,
				       link);
	if (req)
		list_del(&req->link);
	spin_unlock(&blk->lock);
	return req;
}

static int helper(void *arg)
{
	struct shunt_blk *blk = arg;
	struct mem_cgroup *memcg = shunt_worker_begin(&blk->dev);
	const struct cred *old = override_creds(blk->disk->file->f_cred);
	struct shunt_blk_req *req;

	while (!kthread_should_stop()) {
		wait_event_idle_exclusive(blk->wait,
					  !list_empty_careful(&blk->deferred) ||
						  kthread_should_stop());
		while ((req = next_req(blk))) {
			req->deferred(req);
			cond_resched();
		}
	}
	revert_creds(old);
	shunt_worker_end(&blk->dev, memcg);
	return 0;
}

/**
 * shunt_blk_helpers_start() - make the helpers, if they are not there
 * @blk: the device
 *
 * Context: process context, dev->mutex held, the caller is the owner.
 * Return: 0 or a negative error number.
 */
int shunt_blk_helpers_start(struct shunt_blk *blk)
{
	while (blk->nr_helpers < BLK_HELPERS) {
		struct task_struct *task = shunt_worker_thread(
			helper, blk, blk->dev.ops->name, "h", blk->nr_helpers);

		if (IS_ERR(task)) {
			shunt_blk_helpers_stop(blk);
			return PTR_ERR(task);
		}
		blk->helper[blk->nr_helpers++] = task;
		wake_up_process(task);
	}
	return 0;
}

/**
 * shunt_blk_helpers_stop() - undo shunt_blk_helpers_start()
 * @blk: the device; nothing is in flight
 *
 * Context: process context, dev->mutex held or the last user of the device.
 */
void shunt_blk_helpers_stop(struct shunt_blk *blk)
{
	while (blk->nr_helpers)
		kthread_stop(blk->helper[--blk->nr_helpers]);
}

/**
 * shunt_blk_interrupt() - shunt_ops.interrupt: take helpers out of page faults, and away
 *	from what they have not begun with
 * @dev: the device
 */
void shunt_blk_interrupt(struct shunt_dev *dev)
{
	struct shunt_blk *blk = to_blk(dev);
	u32 i;

	for (i = 0; i < blk->nr_helpers; i++)
		send_sig(SIGKILL, blk->helper[i], 1);
}

/**
 * shunt_blk_defer() - have a helper do something for a request
 * @req: the request
 * @fn: what; it ends in shunt_blk_end()
 *
 * Context: the queue's worker.
 */
void shunt_blk_defer(struct shunt_blk_req *req,
		     void (*fn)(struct shunt_blk_req *req))
{
	struct shunt_blk *blk = to_blk(req->bvq->vq.dev);

	req->finish = NULL;
	req->deferred = fn;
	spin_lock(&blk->lock);
	list_add_tail(&req->link, &blk->deferred);
	spin_unlock(&blk->lock);
	wake_up(&blk->wait);
}
