/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vfio.h - what the files of shunt_vfio share
 *
 * DOC: Theory of Operation
 *
 * Purpose: a virtio PCI function (of a SmartNIC, a DPU, a host above) whose
 * virtqueues are the guest's. This module is its driver: it claims the function
 * and its IOMMU group (pci.c), makes a node of it (node.c) that speaks what
 * /dev/vhost-vdpa-N speaks, walks it through the states of a virtio device
 * (vdpa.c, queue.c), maps the owner's memory for it (dma.c, iotlb.c, tables.c),
 * and joins eventfds to its doorbells (notify.c, layout.c) and its interrupts
 * (irq.c). What is in the virtqueues is between guest and function: no descriptor
 * is ever looked at. Only the control queue of a network function is driven here
 * where its owner has none (ctrl.c, ctrl_ring.c).
 *
 * Non-goals: legacy functions, which cannot be behind an IOMMU; interrupts that
 * are not MSI-X; the position of a queue that has run (a virtio PCI function
 * does not tell it), and so suspend, resume and migration.
 *
 * Objects: struct svfio is one bound function, made by probe(). The binding has
 * a reference to it, each open file one by its cdev; whichever is last frees it.
 * At most one file is open. With open() come the IOMMU domain and bus mastering,
 * with VHOST_SET_OWNER the address space that memory is charged to, with
 * DRIVER_OK the interrupts and the waiting for kicks.
 *
 * Giving up (svfio_disown()), when the file is closed, the function is taken
 * away, or it is put into quarantine, in this order, each step making the next
 * one safe:
 *   1. silence: no kick reaches the function any more
 *   2. reset: the function forgets its queues, and has no DMA pending
 *   3. bus mastering off
 *   4. interrupts are freed, then the eventfds that they signalled
 *   5. the IOMMU maps nothing any more; then a page of ours that it had is freed
 *   6. the domain is detached: the group's blocking domain has the function
 * Step 5 does not depend on what the function answers to steps 2 and 3. Pages
 * are unpinned and uncharged last, without the lock (struct svfio_debt), since
 * that may wait for whoever serves the file that they are of: a function that is
 * closed is the next owner's meanwhile. The owner's mm_struct is held for that,
 * not its address space: a mapping of a doorbell in it refers to our file, which
 * would keep each other alive.
 *
 * State: SVFIO_BOUND, then SVFIO_QUARANTINED or SVFIO_REMOVED, never back. In
 * the latter two nothing is open, or what is open has been given up and answers
 * -ENODEV. A function in quarantine stays so until it is unbound; its registers
 * are mapped until remove(), but not read.
 *
 * Locks, outer to inner:
 *   mmap_lock of whoever maps a doorbell -> svfio.doorbell_lock
 *   svfio.lock -> mmap_lock: no; nothing that can fault is done under svfio.lock
 *   svfio.lock -> svfio.doorbell_lock -> nothing
 *   svfio.lock -> lock of a kick eventfd's wait queue -> nothing (kick_wake())
 *   svfio_call.lock (any interrupt) -> lock of a call eventfd's wait queue
 * Arguments of ioctls are copied, and pages pinned, before svfio.lock is taken,
 * and pages unpinned after it is dropped, because the owner decides how long that
 * takes (userfaultfd, FUSE), and remove() waits for svfio.lock. fdinfo takes no
 * lock.
 *
 * Trust: none in the owner (addresses, sizes, indices, order of ioctls), none in
 * the guest, little in the function: it may answer anything at any time, at most
 * its owner suffers. Register blocks are accessed within what its capabilities
 * and BARs have in common. Its DMA reaches what is mapped, by the IOMMU; its
 * interrupts reach its own vectors, by interrupt remapping.
 */
#ifndef SVFIO_VFIO_H
#define SVFIO_VFIO_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/irqbypass.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/poll.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci_modern.h>
#include <linux/xarray.h>

#include "ctrl_ring.h"

/* Queues that a function may have; QEMU has no more either. */
#define SVFIO_VQS_MAX 1024
/* Mappings that an owner may have, as VFIO's default. */
#define SVFIO_MAPS_MAX 65535

enum svfio_state { SVFIO_BOUND, SVFIO_QUARANTINED, SVFIO_REMOVED };

/**
 * struct svfio_call - an interrupt and the eventfd that it signals
 * @lock: of @ctx, against the interrupt
 * @ctx: the eventfd, or NULL
 * @interrupts: how many there were, whether there was an eventfd or not; those
 *	that the hardware posts to a guest are not seen here
 * @irq: the Linux interrupt that is for this alone, or 0
 * @offered: @producer is registered
 * @producer: what the IRQ bypass manager knows of it
 */
struct svfio_call {
	spinlock_t lock;
	struct eventfd_ctx *ctx;
	u64 interrupts;
	int irq;
	bool offered;
	struct irq_bypass_producer producer;
};

/**
 * struct svfio_vq - a virtqueue of the function
 * @dev: the function
 * @index: its number in it
 * @most: the most descriptors that it may have, whatever the features
 * @max: the same with the features that were negotiated, 0: there is no such queue
 *	with the features that it was last used with
 * @num: descriptors, as the owner wants it
 * @desc, @driver, @device: where its parts are, IOVAs
 * @has_addr: the three were given
 * @has_run: its position is unknown since; until the owner sets one
 * @ready: the owner wants it enabled
 * @enabled: it is, in the function
 * @notify: its doorbell
 * @notify_pa: the same, as a bus address
 * @own_page: the doorbell has a page of its own, which can be mapped
 * @kick: an eventfd, or NULL
 * @wait: our entry in the wait queue of @kick
 * @head: that wait queue, or NULL when @wait is in none
 * @table: what the poll method of @kick is given
 * @kicks: doorbells rung; those of whoever mapped it are not seen here; under the
 *	lock of the wait queue
 * @call: its interrupt
 * @err: signalled when the function is lost, or NULL
 */
struct svfio_vq {
	struct svfio *dev;
	u16 index;
	u16 most;
	u16 max;
	u16 num;
	u64 desc;
	u64 driver;
	u64 device;
	bool has_addr;
	bool has_run;
	bool ready;
	bool enabled;

	void __iomem *notify;
	resource_size_t notify_pa;
	bool own_page;
	struct file *kick;
	wait_queue_entry_t wait;
	wait_queue_head_t *head;
	poll_table table;
	u64 kicks;

	struct svfio_call call;
	char name[40]; /* of its interrupt, in /proc/interrupts */
	struct eventfd_ctx *err;
};

/**
 * struct svfio_dma - memory that the function can reach
 * @domain: while the file is open
 * @reserved: IOVAs that are not to be mapped, since probe
 * @first, @last: the range that can be mapped but for @reserved
 * @kept: a page outside of it, for ctrl.c; only where svfio_ctrl_possible()
 * @maps: of struct svfio_map, by IOVA
 * @nr_maps: how many
 * @mm: the owner, NULL when there is none
 * @task: its resource limits
 * @can_lock: it had CAP_IPC_LOCK
 * @mapped: pages in the IOMMU
 * @pinned: pages that are pinned for it
 * @unmapped: pages that are not in the IOMMU any more, and still pinned (iotlb.c)
 * @owed: pages that are charged for nothing but that
 * @most: the most that @pinned was since there is a domain
 * @tables: regions of IOVAs that were ever mapped in the domain (tables.c)
 * @nr_tables: how many
 */
struct svfio_dma {
	struct iommu_domain *domain;
	struct list_head reserved;
	u64 first;
	u64 last;
	u64 kept;
	struct rb_root maps;
	u32 nr_maps;
	struct mm_struct *mm;
	struct task_struct *task;
	bool can_lock;
	u64 mapped;
	u64 pinned;
	struct list_head unmapped;
	unsigned long owed;
	u64 most;
	struct xarray tables;
	unsigned long nr_tables;
};

/**
 * struct svfio_ctrl - the control queue, while it is ours (ctrl.c)
 * @vq: the queue, NULL: it is the owner's, or nobody's
 * @ring: its ring, whose page is mapped at svfio_dma.kept while there is @vq
 * @broken: the function did not answer, or nonsense: no command until a reset
 * @pairs: queue pairs that the function was told to use
 * @has_mac, @mac: a MAC address that the owner has set since the last reset
 */
struct svfio_ctrl {
	struct svfio_vq *vq;
	struct svfio_ctrl_ring ring;
	bool broken;
	u16 pairs;
	bool has_mac;
	u8 mac[6];
};

/**
 * struct svfio_debt - what an owner gets back without svfio.lock
 * @unmapped: as in struct svfio_dma
 * @charged: pages, 0: there is nothing
 * @mm, @task: where they are charged, with a reference each
 */
struct svfio_debt {
	struct list_head unmapped;
	unsigned long charged;
	struct mm_struct *mm;
	struct task_struct *task;
};

/**
 * struct svfio - a bound function
 *
 * All is under @lock, but for what does not change after probe, what the
 * interrupt and the kick own, and @revoked.
 *
 * @dev: its device in the class, which counts references
 * @cdev: its node
 * @opened: the node is open, also when the device has been given up meanwhile
 * @has_node: there is one
 * @pdev: the function, NULL when it was removed
 * @group: its IOMMU group, whose DMA we own
 * @mdev: what the library of modern functions knows of it
 * @status: the device status that the owner has set
 * @offered: features of the function that the owner may have
 * @features: features that the owner wants
 * @config_len: bytes of device configuration
 * @nr_vqs: virtqueues that the function has
 * @vqs: those
 * @config: the interrupt of the configuration
 * @dma: its memory
 * @ctrl: its control queue
 * @vectors: interrupt vectors that are in use, 0: none
 * @config_irq: the interrupt of the first vector, or 0
 * @queues_irq: the interrupt that all queues share, or 0
 * @mapping: of the open file, for taking doorbells away
 * @doorbell_lock: orders page faults on doorbells against @revoked
 * @revoked: doorbells cannot be mapped any more
 */
struct svfio {
	struct device dev;
	struct cdev cdev;
	struct mutex lock;
	enum svfio_state state;
	bool opened;
	bool has_node;

	struct pci_dev *pdev;
	struct iommu_group *group;
	struct virtio_pci_modern_device mdev;
	u64 offered;
	u32 config_len;
	u32 nr_vqs;
	struct svfio_vq *vqs;

	u8 status;
	u64 features;
	struct svfio_call config;
	int vectors;
	int config_irq;
	int queues_irq;
	struct svfio_dma dma;
	struct svfio_ctrl ctrl;

	struct address_space *mapping;
	struct mutex doorbell_lock;
	bool revoked;
};

/* pci.c */
int svfio_pci_init(void);
void svfio_pci_exit(void);
const char *svfio_reset(struct svfio *dev);
void svfio_disown(struct svfio *dev, bool lost);
int svfio_quarantine(struct svfio *dev, const char *why);

/* node.c */
int svfio_node_init(void);
void svfio_node_exit(void);
struct svfio *svfio_node_alloc(struct pci_dev *pdev);
int svfio_node_add(struct svfio *dev);
void svfio_node_del(struct svfio *dev);

/* vdpa.c */
union svfio_arg {
	u8 status;
	u16 num;
	int fd;
	u32 value;
	u64 features;
	struct vhost_vdpa_iova_range range;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct vhost_vring_file file;
};

typedef int (*svfio_handler)(struct svfio *dev, struct svfio_vq *vq,
			     union svfio_arg *arg);

svfio_handler svfio_vdpa_handler(unsigned int cmd, bool *of_queue);
int svfio_config_read(struct svfio *dev, u32 off, u8 *buf, u32 len);
int svfio_config_write(struct svfio *dev, u32 off, const u8 *buf, u32 len);
void svfio_vdpa_forget(struct svfio *dev);
void svfio_vdpa_show(struct seq_file *m, struct svfio *dev);

/* queue.c */
int svfio_queues_probe(struct svfio *dev);
void svfio_queues_negotiated(struct svfio *dev);
void svfio_queues_remove(struct svfio *dev);
int svfio_queues_check(struct svfio *dev);
void svfio_queues_start(struct svfio *dev);
void svfio_queues_listen(struct svfio *dev);
void svfio_queues_silence(struct svfio *dev);
void svfio_queues_release(struct svfio *dev, bool lost);
void svfio_queue_forget(struct svfio_vq *vq);
int svfio_vq_set_num(struct svfio *dev, struct svfio_vq *vq,
		     union svfio_arg *arg);
int svfio_vq_set_addr(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg);
int svfio_vq_set_base(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg);
int svfio_vq_get_base(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg);
int svfio_vq_set_enable(struct svfio *dev, struct svfio_vq *vq,
			union svfio_arg *arg);
int svfio_vq_get_size(struct svfio *dev, struct svfio_vq *vq,
		      union svfio_arg *arg);
u16 svfio_queues_num(const struct svfio *dev);

/* ctrl.c */
bool svfio_ctrl_possible(const struct svfio *dev);
int svfio_ctrl_take(struct svfio *dev);
void svfio_ctrl_release(struct svfio *dev);
int svfio_ctrl_begin(struct svfio *dev);
int svfio_ctrl_pairs(struct svfio *dev);
int svfio_ctrl_mac(struct svfio *dev, u32 off, const u8 *buf, u32 len);
void svfio_ctrl_show(struct seq_file *m, const struct svfio *dev);

/* notify.c */
void svfio_kick_init(struct svfio_vq *vq);
int svfio_kick_set(struct svfio_vq *vq, int fd);
void svfio_kick_start(struct svfio_vq *vq);
void svfio_kick_stop(struct svfio_vq *vq);
struct eventfd_ctx *svfio_ctx_get(int fd);
int svfio_ctx_set(struct eventfd_ctx **ctx, int fd);
int svfio_doorbell_mmap(struct file *file, struct vm_area_struct *vma);
void svfio_doorbell_revoke(struct svfio *dev);

/* irq.c */
void svfio_call_init(struct svfio_call *call);
int svfio_call_set(struct svfio_call *call, int fd);
int svfio_irqs_alloc(struct svfio *dev);
void svfio_irqs_free(struct svfio *dev);

/* dma.c */
int svfio_dma_probe(struct svfio *dev);
void svfio_dma_remove(struct svfio *dev);
int svfio_dma_open(struct svfio *dev);
void svfio_dma_close(struct svfio *dev);
void svfio_dma_owed(struct svfio_dma *dma, struct svfio_debt *debt);
void svfio_debt_settle(struct svfio_debt *debt);
void svfio_dma_settle(struct svfio *dev);
void svfio_dma_put_owner(struct svfio *dev);
int svfio_dma_set_owner(struct svfio *dev);
int svfio_dma_charge(const struct svfio_dma *dma, unsigned long nr);
bool svfio_dma_range_valid(const struct svfio_dma *dma, u64 first, u64 last);

/* iotlb.c */
ssize_t svfio_iotlb_message(struct svfio *dev, struct iov_iter *from);
void svfio_iotlb_clear(struct svfio *dev);
void svfio_iotlb_unpin(struct list_head *blocks);

/* tables.c */
int svfio_tables_use(struct svfio_dma *dma, u64 iova, u64 size);
void svfio_tables_forget(struct svfio_dma *dma);

static inline bool svfio_has(const struct svfio *dev, unsigned int bit)
{
	return dev->features & BIT_ULL(bit);
}

/* Whether a queue is driven by us. */
static inline bool svfio_ctrl_has(const struct svfio_vq *vq)
{
	return vq->dev->ctrl.vq == vq;
}

static inline bool svfio_running(const struct svfio *dev)
{
	return dev->status & VIRTIO_CONFIG_S_DRIVER_OK;
}

#endif
