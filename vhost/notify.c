// SPDX-License-Identifier: GPL-2.0-only
/*
 * notify.c - kicks in, calls and errors out
 *
 * DOC: Theory of Operation
 *
 * A kick is an eventfd that KVM writes when the guest touches the doorbell
 * (ioeventfd). We hang in its wait queue; its counter is never read. A call is
 * an eventfd that KVM turns into an interrupt (irqfd); an error is an eventfd
 * that the VMM reads. The same poll serves the back end's socket.
 *
 * Lifetimes: the queue holds a reference to each file or context from the
 * ioctl that set it until it is replaced or the device is torn down; a
 * replaced one is let go at once. shunt_poll_stop() returns when poll_wake()
 * is not running and will not run again.
 */
#include <linux/eventfd.h>
#include <linux/file.h>

#include "compat.h"
#include "shunt.h"
#include "trace.h"

/* Context: any, with the lock of the wait queue held. */
static int poll_wake(wait_queue_entry_t *wait, unsigned int mode, int sync,
		     void *key)
{
	struct shunt_poll *poll = container_of(wait, struct shunt_poll, wait);

	if (!(key_to_poll(key) & poll->mask))
		return 0;
	if (poll->kick) {
		poll->vq->stats.kicks++;
		trace_shunt_kick(poll->vq->dev->id, poll->vq->index);
	}
	shunt_worker_wake(poll->vq);
	return 0;
}

static void poll_queue(struct file *file, wait_queue_head_t *head,
		       poll_table *table)
{
	struct shunt_poll *poll = container_of(table, struct shunt_poll, table);

	/* All that we are given have one wait queue; a second is ignored. */
	if (poll->head)
		return;
	poll->head = head;
	add_wait_queue(head, &poll->wait);
}

/**
 * shunt_poll_init() - prepare a poll
 * @poll: the poll, not started
 * @vq: whose worker it wakes
 * @mask: on which EPOLL* events
 */
void shunt_poll_init(struct shunt_poll *poll, struct shunt_vq *vq,
		     __poll_t mask)
{
	init_waitqueue_func_entry(&poll->wait, poll_wake);
	init_poll_funcptr(&poll->table, poll_queue);
	poll->head = NULL;
	poll->vq = vq;
	poll->mask = mask;
	poll->kick = false;
}
EXPORT_SYMBOL_GPL(shunt_poll_init);

/**
 * shunt_poll_start() - wake the worker when a file is ready
 * @poll: a poll; nothing happens if it is started already
 * @file: the file; the caller keeps it until shunt_poll_stop()
 *
 * Wakes the worker at once when the file is ready already.
 *
 * Context: process context, the queue's mutex held.
 */
void shunt_poll_start(struct shunt_poll *poll, struct file *file)
{
	if (poll->head)
		return;
	if (vfs_poll(file, &poll->table) & poll->mask)
		shunt_worker_wake(poll->vq);
}
EXPORT_SYMBOL_GPL(shunt_poll_start);

/**
 * shunt_poll_stop() - undo shunt_poll_start()
 * @poll: a poll, started or not
 *
 * Context: process context, the queue's mutex held.
 */
void shunt_poll_stop(struct shunt_poll *poll)
{
	if (!poll->head)
		return;
	remove_wait_queue(poll->head, &poll->wait);
	poll->head = NULL;
}
EXPORT_SYMBOL_GPL(shunt_poll_stop);

/**
 * shunt_notify_set_kick() - VHOST_SET_VRING_KICK
 * @vq: the queue
 * @fd: an eventfd of the caller, or VHOST_FILE_UNBIND
 *
 * Context: @vq->mutex held.
 * Return: 0, -EBADF, or -EINVAL when it is not an eventfd.
 */
int shunt_notify_set_kick(struct shunt_vq *vq, int fd)
{
	struct file *file = NULL;

	if (fd != VHOST_FILE_UNBIND) {
		file = eventfd_fget(fd);
		if (IS_ERR(file))
			return PTR_ERR(file);
	}
	shunt_poll_stop(&vq->kick_poll);
	if (vq->kick)
		fput(vq->kick);
	vq->kick = file;
	if (file)
		shunt_poll_start(&vq->kick_poll, file);
	return 0;
}

/**
 * shunt_notify_get_ctx() - an eventfd to be written to
 * @fd: an eventfd of the caller, or VHOST_FILE_UNBIND
 *
 * Return: a reference for the caller to put, NULL for VHOST_FILE_UNBIND, or
 * ERR_PTR(-EBADF), or ERR_PTR(-EINVAL) when it is not an eventfd.
 */
struct eventfd_ctx *shunt_notify_get_ctx(int fd)
{
	return fd == VHOST_FILE_UNBIND ? NULL : eventfd_ctx_fdget(fd);
}

/**
 * shunt_notify_set_ctx() - VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR
 * @vq: the queue
 * @ctx: &vq->call or &vq->err
 * @fd: an eventfd of the caller, or VHOST_FILE_UNBIND
 *
 * Context: @vq->mutex held.
 * Return: as shunt_notify_set_kick().
 */
int shunt_notify_set_ctx(struct shunt_vq *vq, struct eventfd_ctx **ctx, int fd)
{
	struct eventfd_ctx *new = shunt_notify_get_ctx(fd);

	if (IS_ERR(new))
		return PTR_ERR(new);
	swap(*ctx, new);
	if (new)
		eventfd_ctx_put(new);
	return 0;
}

/**
 * shunt_notify_release() - let go of a queue's eventfds
 * @vq: the queue
 *
 * Context: @vq->mutex held.
 */
void shunt_notify_release(struct shunt_vq *vq)
{
	shunt_notify_set_kick(vq, VHOST_FILE_UNBIND);
	shunt_notify_set_ctx(vq, &vq->call, VHOST_FILE_UNBIND);
	shunt_notify_set_ctx(vq, &vq->err, VHOST_FILE_UNBIND);
}

/**
 * shunt_notify_signal() - write an eventfd: a call, an error, or the dirty log
 * @ctx: the eventfd, or NULL: nothing happens
 *
 * Context: any, with whatever keeps @ctx alive.
 */
void shunt_notify_signal(struct eventfd_ctx *ctx)
{
	if (ctx)
		compat_eventfd_signal(ctx);
}
