// SPDX-License-Identifier: GPL-2.0-only
/*
 * worker.c - the kernel thread that serves a queue
 *
 * DOC: Theory of Operation
 *
 * One worker a queue, from VHOST_SET_OWNER until the owner is gone, named
 * shunt-<device>-<owner's pid>/<queue>. It is in the owner's cgroups, so that
 * what it takes counts against, and is limited by, the guest it works for; and
 * it runs in the owner's address space, so that guest memory is user memory.
 *
 * Waking: anybody sets bit 0 of shunt_vq.pending and wakes the thread; the
 * thread clears it before it looks at the queue. test_and_set_bit() and
 * test_and_clear_bit() are full barriers on both sides, so that work that was
 * there before a wake is seen by the pass after it.
 *
 * A worker takes no signals but SIGKILL, which we send it ourselves to end a page
 * fault that waits for an owner that is going away (shunt_worker_interrupt()).
 *
 * One pass is bounded by the back end (SHUNT_PASS_PACKETS, SHUNT_PASS_BYTES);
 * it is cut short by setting the bit again. Between two passes the queue's
 * mutex is free and the thread offers to be rescheduled.
 */
#include <linux/cgroup.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "shunt.h"

/**
 * shunt_worker_begin() - the calling thread works for a device's owner from now on
 * @dev: the device
 *
 * In the owner's address space, with what it allocates charged to the owner's memory
 * cgroup (where it asks for that: __GFP_ACCOUNT), and to be interrupted by SIGKILL.
 *
 * Return: for shunt_worker_end().
 */
struct mem_cgroup *shunt_worker_begin(struct shunt_dev *dev)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(dev->mm);

	allow_signal(SIGKILL);
	kthread_use_mm(dev->mm);
	set_active_memcg(memcg);
	return memcg;
}
EXPORT_SYMBOL_GPL(shunt_worker_begin);

/**
 * shunt_worker_end() - undo shunt_worker_begin()
 * @dev: the device
 * @memcg: what that returned
 */
void shunt_worker_end(struct shunt_dev *dev, struct mem_cgroup *memcg)
{
	set_active_memcg(NULL);
	kthread_unuse_mm(dev->mm);
	mem_cgroup_put(memcg);
}
EXPORT_SYMBOL_GPL(shunt_worker_end);

static int worker(void *data)
{
	struct shunt_vq *vq = data;
	struct mem_cgroup *memcg = shunt_worker_begin(vq->dev);

	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		if (!test_and_clear_bit(0, &vq->pending)) {
			schedule();
			continue;
		}
		__set_current_state(TASK_RUNNING);
		shunt_vq_run(vq);
		cond_resched();
	}
	__set_current_state(TASK_RUNNING);
	shunt_worker_end(vq->dev, memcg);
	return 0;
}

/**
 * shunt_worker_thread() - make a thread that works for the caller
 * @run: what it runs; ends when kthread_should_stop() says so
 * @arg: its argument
 * @device: names it, with @role and @index and the caller's pid
 * @role: "" for the worker of a queue
 * @index: number of the queue, or of the thread
 *
 * It is in the caller's cgroups. It does not run yet.
 *
 * Context: process context, of the owner.
 * Return: the thread, for wake_up_process(), or an ERR_PTR().
 */
struct task_struct *shunt_worker_thread(int (*run)(void *), void *arg,
					const char *device, const char *role,
					u32 index)
{
	struct task_struct *task;
	int err;

	task = kthread_create(run, arg, "shunt-%s-%d/%s%u", device,
			      task_tgid_nr(current), role, index);
	if (IS_ERR(task))
		return task;
	err = cgroup_attach_task_all(current, task);
	if (!err)
		return task;
	kthread_stop(task);
	return ERR_PTR(err);
}
EXPORT_SYMBOL_GPL(shunt_worker_thread);

/**
 * shunt_worker_create() - start a queue's worker
 * @vq: the queue, of a device with an owner, which is the caller
 *
 * Context: process context, dev->mutex held.
 * Return: 0 or a negative error number.
 */
int shunt_worker_create(struct shunt_vq *vq)
{
	struct task_struct *task;

	vq->pending = 0;
	task = shunt_worker_thread(worker, vq, vq->dev->ops->name, "",
				   vq->index);
	if (IS_ERR(task))
		return PTR_ERR(task);
	vq->task = task;
	wake_up_process(task);
	return 0;
}

/**
 * shunt_worker_destroy() - stop a queue's worker and wait for it
 * @vq: a queue that nothing wakes any more
 *
 * Context: process context, @vq->mutex not held.
 */
void shunt_worker_destroy(struct shunt_vq *vq)
{
	if (!vq->task)
		return;
	kthread_stop(vq->task);
	vq->task = NULL;
}

/**
 * shunt_worker_interrupt() - take a worker out of a page fault
 * @vq: the queue; if it has a worker, its pass ends early, and breaks the queue
 *
 * For an owner that is going away: what the fault waits for may never come.
 *
 * Context: process context, dev->mutex held or the last user of the device.
 */
void shunt_worker_interrupt(struct shunt_vq *vq)
{
	if (vq->task)
		send_sig(SIGKILL, vq->task, 1);
}

/**
 * shunt_worker_wake() - have a pass made over a queue
 * @vq: a queue whose worker exists
 *
 * Context: any.
 */
void shunt_worker_wake(struct shunt_vq *vq)
{
	if (!test_and_set_bit(0, &vq->pending))
		wake_up_process(vq->task);
}
EXPORT_SYMBOL_GPL(shunt_worker_wake);

/**
 * shunt_worker_busy_poll() - look for work for a while
 * @vq: the queue, VHOST_SET_VRING_BUSYLOOP_TIMEOUT applies
 * @more: says whether there is work; must not take locks that sleep
 * @arg: its argument
 *
 * Ends early when another task wants the processor or the queue, or when the
 * worker is to stop. Preemption stays enabled: @more may fault.
 *
 * Context: the queue's worker, @vq->mutex held.
 * Return: whether there is work.
 */
bool shunt_worker_busy_poll(struct shunt_vq *vq, bool (*more)(void *),
			    void *arg)
{
	u64 end;

	if (!vq->busyloop)
		return false;
	vq->stats.busypolls++;
	end = local_clock() + (u64)vq->busyloop * NSEC_PER_USEC;
	do {
		if (more(arg))
			return true;
		if (need_resched() || atomic_read(&vq->waiters) ||
		    kthread_should_stop())
			return false;
		cpu_relax();
	} while (local_clock() < end);
	return false;
}
EXPORT_SYMBOL_GPL(shunt_worker_busy_poll);
