// SPDX-License-Identifier: GPL-2.0-only
/*
 * device.c - one open file of a vhost device: its owner and its life
 *
 * DOC: Theory of Operation
 *
 * A device is opened by anybody, and owned by the process that calls
 * VHOST_SET_OWNER on it. With the owner come an address space, a worker and
 * the memory for batches for each queue, and the limits that these are charged
 * to; they go when the owner gives the device up or the file is closed,
 * whichever is first.
 *
 * Teardown, in this order, each phase making the next one safe:
 *   1. settle: requests in flight are served and returned, none is added
 *   2. detach: each queue lets go of its back end and stops; no pass does
 *      anything any more
 *   3. silence: no eventfd and no socket wakes a worker any more
 *   4. join: the workers end
 *   5. forget: what the back end keeps for all queues, translations, tables, the log
 *      and the batches are freed
 *   6. return the owner's address space
 * The address space comes last: phase 2 unpins its pages, and until phase 5 threads
 * run in it.
 */
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/virtio_byteorder.h>

#include "shunt.h"

/*
 * For how long a device that is closed waits for its requests to be returned. After it
 * the disk is still waited for, but the driver waits for ever.
 */
#define SETTLE_SECONDS 60

static atomic_t next_id;

static void vq_reset(struct shunt_vq *vq)
{
	vq->num = 0;
	vq->has_addr = false;
	vq->big_endian = !virtio_legacy_is_little_endian();
	vq->features = 0;
	vq->umem = NULL;
	vq->iotlb = NULL;
	vq->hit.perm = 0;
	vq->log_ring = false;
	vq->log_addr = 0;
	vq->log_base = 0;
	vq->log_ctx = NULL;
	vq->busyloop = 0;
	vq->miss = SHUNT_MISS_NONE;
	vq->paused = false;
	memset(&vq->ring, 0, sizeof(vq->ring));
	vq->ring.little_endian = !vq->big_endian;
}

/**
 * shunt_dev_init() - prepare a device that was just opened
 * @dev: the device; zeroed memory
 * @vqs: room for its queues, which shunt_dev_add_vq() adds
 * @ops: the back end
 *
 * shunt_dev_destroy() undoes it.
 */
void shunt_dev_init(struct shunt_dev *dev, struct shunt_vq **vqs,
		    const struct shunt_ops *ops)
{
	mutex_init(&dev->mutex);
	spin_lock_init(&dev->lock);
	init_waitqueue_head(&dev->miss_wait);
	dev->ops = ops;
	dev->offers = ops->features;
	dev->vqs = vqs;
	dev->id = (u32)atomic_inc_return(&next_id);
}
EXPORT_SYMBOL_GPL(shunt_dev_init);

/**
 * shunt_dev_add_vq() - give a device another queue
 * @dev: the device, without an owner; all that it was given are in use
 * @vq: zeroed memory but for its role; the caller's, until the device is destroyed
 *
 * Context: @dev->mutex held, or the device is nobody else's.
 */
void shunt_dev_add_vq(struct shunt_dev *dev, struct shunt_vq *vq)
{
	mutex_init(&vq->mutex);
	init_waitqueue_head(&vq->idle);
	vq->dev = dev;
	vq->index = dev->nr_vqs;
	shunt_poll_init(&vq->kick_poll, vq, EPOLLIN);
	vq->kick_poll.kick = true;
	vq_reset(vq);
	dev->vqs[vq->index] = vq;
	shunt_dev_set_nr_vqs(dev, vq->index + 1);
}
EXPORT_SYMBOL_GPL(shunt_dev_add_vq);

/**
 * shunt_dev_set_nr_vqs() - use just the first queues of a device
 * @dev: the device, without an owner
 * @nr: how many, of those that were added
 *
 * Context: as shunt_dev_add_vq().
 */
void shunt_dev_set_nr_vqs(struct shunt_dev *dev, u32 nr)
{
	/* Pairs with the acquire of those who do not hold the mutex. */
	smp_store_release(&dev->nr_vqs, nr);
}
EXPORT_SYMBOL_GPL(shunt_dev_set_nr_vqs);

/**
 * shunt_dev_pause() - shunt_vq_pause() for all queues of a device
 * @dev: the device
 *
 * Context: @dev->mutex held.
 * Return: 0; or -EINTR when the caller was killed meanwhile: none is paused.
 */
int shunt_dev_pause(struct shunt_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++) {
		int err = shunt_vq_pause(dev->vqs[i]);

		if (err) {
			while (i--)
				shunt_vq_resume(dev->vqs[i]);
			return err;
		}
	}
	return 0;
}

/**
 * shunt_dev_resume() - undo shunt_dev_pause()
 * @dev: the device
 *
 * Context: @dev->mutex held.
 */
void shunt_dev_resume(struct shunt_dev *dev)
{
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		shunt_vq_resume(dev->vqs[i]);
}

/* What is left of the time that ends at @end, in jiffies; at least 1. */
static unsigned long time_left(unsigned long end)
{
	const unsigned long now = jiffies;

	return time_before(now, end) ? end - now : 1;
}

/*
 * Let what is in flight be served and returned to the driver, and add nothing; of a
 * back end that keeps requests.
 */
static void drain(struct shunt_dev *dev)
{
	const unsigned long end = jiffies + SETTLE_SECONDS * HZ;
	/* A pass that waits for memory of an owner that is exiting waits in vain. */
	const unsigned long stuck =
		current->flags & PF_EXITING ? jiffies + HZ : end;
	u32 i;

	for (i = 0; i < dev->nr_vqs; i++)
		WRITE_ONCE(dev->vqs[i]->paused, true);
	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];
		bool locked;

		/* A pass that began before that may still add; the next one does not. */
		while (!(locked = mutex_trylock(&vq->mutex)) &&
		       time_before(jiffies, end)) {
			if (time_after(jiffies, stuck))
				shunt_worker_interrupt(vq);
			schedule_timeout_idle(1);
		}
		if (locked)
			mutex_unlock(&vq->mutex);
		wait_event_idle_timeout(vq->idle, !READ_ONCE(vq->in_flight),
					time_left(end));
	}
}

/*
 * Bring all queues to rest, for good. Requests that are not returned in SETTLE_SECONDS,
 * or cannot be because the owner's memory does not come, are dropped. Does not end
 * before the disk has: as with any process that exits with input and output under way.
 */
static void settle(struct shunt_dev *dev)
{
	u32 i;

	if (dev->ops->drop)
		drain(dev);
	for (i = 0; i < dev->nr_vqs; i++)
		shunt_worker_interrupt(dev->vqs[i]);
	if (!dev->ops->drop)
		return;
	dev->ops->interrupt(dev);
	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		shunt_vq_lock(vq);
		if (vq->in_flight) {
			shunt_vq_break(vq, -ETIMEDOUT);
			shunt_worker_wake(vq);
		}
		shunt_vq_unlock(vq);
		wait_event_idle(vq->idle, !READ_ONCE(vq->in_flight));
	}
	/* Whoever served the last ones may not yet have done with waking the workers. */
	synchronize_rcu();
}

/* All six phases; does nothing to a device without an owner. */
static void teardown(struct shunt_dev *dev)
{
	struct task_struct *owner;
	struct vhost_iotlb *umem;
	u32 i;

	settle(dev);
	/* Detach and silence. */
	for (i = 0; i < dev->nr_vqs; i++) {
		struct shunt_vq *vq = dev->vqs[i];

		shunt_vq_lock(vq);
		dev->ops->stop(vq);
		shunt_vq_stop(vq);
		shunt_notify_release(vq);
		shunt_vq_unlock(vq);
	}
	/* Join. */
	for (i = 0; i < dev->nr_vqs; i++)
		shunt_worker_destroy(dev->vqs[i]);
	/* Forget. */
	if (dev->ops->release)
		dev->ops->release(dev);
	for (i = 0; i < dev->nr_vqs; i++) {
		vq_reset(dev->vqs[i]);
		shunt_vq_free(dev->vqs[i]);
	}
	shunt_places_forget(dev);
	umem = dev->umem;
	owner = dev->owner;
	spin_lock(&dev->lock);
	dev->umem = NULL;
	dev->owner = NULL;
	spin_unlock(&dev->lock);
	vhost_iotlb_free(umem);
	vhost_iotlb_free(dev->iotlb);
	dev->iotlb = NULL;
	if (dev->log_ctx)
		eventfd_ctx_put(dev->log_ctx);
	dev->log_ctx = NULL;
	dev->log_base = 0;
	dev->features = 0;
	dev->backend_features = 0;
	/* Return. */
	if (!dev->mm)
		return;
	put_task_struct(owner);
	mmput(dev->mm);
	dev->mm = NULL;
}

/**
 * shunt_dev_destroy() - the file is closed
 * @dev: the device; its memory is the caller's
 *
 * Context: process context; waits for the workers.
 */
void shunt_dev_destroy(struct shunt_dev *dev)
{
	teardown(dev);
	mutex_destroy(&dev->mutex);
}
EXPORT_SYMBOL_GPL(shunt_dev_destroy);

/**
 * shunt_dev_check_owner() - whether the caller owns the device
 * @dev: the device
 *
 * Context: @dev->mutex held.
 * Return: 0 or -EPERM.
 */
int shunt_dev_check_owner(struct shunt_dev *dev)
{
	return dev->mm && dev->mm == current->mm ? 0 : -EPERM;
}

/**
 * shunt_dev_set_owner() - VHOST_SET_OWNER
 * @dev: the device
 *
 * Context: @dev->mutex held.
 * Return: 0; -EBUSY when it has an owner; -ENOMEM and what making a worker
 * returns.
 */
int shunt_dev_set_owner(struct shunt_dev *dev)
{
	u32 i;
	int err = 0;

	if (dev->mm)
		return -EBUSY;
	dev->mm = get_task_mm(current);
	if (!dev->mm)
		return -EPERM;
	spin_lock(&dev->lock);
	dev->owner = get_task_struct(current->group_leader);
	spin_unlock(&dev->lock);
	dev->owner_can_lock = capable(CAP_IPC_LOCK);

	for (i = 0; i < dev->nr_vqs && !err; i++) {
		err = shunt_vq_alloc(dev->vqs[i]);
		if (!err)
			err = shunt_worker_create(dev->vqs[i]);
	}
	if (err)
		teardown(dev);
	return err;
}

/**
 * shunt_dev_reset_owner() - VHOST_RESET_OWNER: as if just opened
 * @dev: the device
 *
 * Context: @dev->mutex held; waits for the workers.
 * Return: 0 or -EPERM.
 */
int shunt_dev_reset_owner(struct shunt_dev *dev)
{
	int err = shunt_dev_check_owner(dev);

	if (!err)
		teardown(dev);
	return err;
}

static const char *vq_state(const struct shunt_vq *vq)
{
	if (!vq->running)
		return "stopped";
	return vq->broken ? "broken" : "running";
}

static const char *vq_map(const struct shunt_vq *vq)
{
	if (!vq->mapped)
		return "none";
	return vq->ring.map[RING_DESC] ? "pinned" : "user";
}

static void show_vq(struct seq_file *m, struct shunt_vq *vq)
{
	const struct shunt_stats *s = &vq->stats;
	const struct {
		const char *name;
		u64 value;
	} counter[] = {
		{ "kicks", s->kicks },
		{ "passes", s->passes },
		{ "batches", s->batches },
		{ vq->dev->ops->unit, s->packets },
		{ "bytes", s->bytes },
		{ "signals", s->signals },
		{ "suppressed", s->suppressed },
		{ "drops", s->drops },
		{ "errors", s->errors },
		{ "busypolls", s->busypolls },
	};
	u32 i;

	seq_printf(m, "vq%u-role:\t%s\n", vq->index, vq->role);
	seq_printf(m, "vq%u-state:\t%s\n", vq->index, vq_state(vq));
	seq_printf(m, "vq%u-num:\t%u\n", vq->index, vq->num);
	seq_printf(m, "vq%u-layout:\t%s\n", vq->index,
		   vq->ring.packed ? "packed" : "split");
	seq_printf(m, "vq%u-map:\t%s\n", vq->index, vq_map(vq));
	for (i = 0; i < ARRAY_SIZE(counter); i++)
		seq_printf(m, "vq%u-%s:\t%llu\n", vq->index, counter[i].name,
			   counter[i].value);
}

/**
 * shunt_dev_show_fdinfo() - /proc/PID/fdinfo/FD
 * @m: where to
 * @dev: the device
 *
 * Lines of "key:<tab>value"; keys are only ever added. Counters are as of some
 * moment during the call, and count from the opening of the file.
 */
void shunt_dev_show_fdinfo(struct seq_file *m, struct shunt_dev *dev)
{
	const u32 nr_vqs = smp_load_acquire(&dev->nr_vqs);
	u32 i, regions = 0;
	int owner = 0;

	/* Not the mutex: a VMM may keep an ioctl waiting for as long as it likes. */
	spin_lock(&dev->lock);
	if (dev->owner)
		owner = task_pid_vnr(dev->owner);
	if (dev->umem)
		regions = dev->umem->nmaps;
	spin_unlock(&dev->lock);

	seq_printf(m, "shunt-device:\t%s\n", dev->ops->name);
	seq_printf(m, "shunt-id:\t%u\n", dev->id);
	seq_printf(m, "shunt-owner:\t%d\n", owner);
	seq_printf(m, "shunt-features:\t0x%016llx\n", dev->features);
	seq_printf(m, "shunt-regions:\t%u\n", regions);
	for (i = 0; i < nr_vqs; i++)
		show_vq(m, dev->vqs[i]);
}
