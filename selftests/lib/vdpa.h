/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vdpa.h - the VMM's side of the vhost-vdpa ABI, on vguest.h and vdisk.h
 *
 * Theory of operation. A function of a PCI device is behind a node that speaks the
 * vhost-vdpa ABI of <linux/vhost.h>: the VMM maps guest memory by IOTLB messages, says
 * where the rings are, and walks the function's status up to DRIVER_OK (VIRTIO 1.2, 3.1).
 * From then on the function itself reads and writes rings and buffers. The rings, frames
 * and disk requests are those of the other devices; a struct vf_unit is a card or a
 * disk, whichever the function is, so that a test of what they have in common is one.
 *
 * The node is named by SHUNT_DEV. SHUNT_TEST_PEER names what the host sees of the same
 * thing: for a card the interface at the other end of its wire, for a disk a block
 * device with the same storage behind it. selftests/run-vfio sets both.
 */
#ifndef VDPA_H
#define VDPA_H

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "vdisk.h"

#define VF_QUEUES  (2 * VG_PAIRS)
#define VF_STATUS1 (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER)
#define VF_STATUS2 (VF_STATUS1 | VIRTIO_CONFIG_S_FEATURES_OK)
#define VF_RUNNING (VF_STATUS2 | VIRTIO_CONFIG_S_DRIVER_OK)

struct vf_opts {
	unsigned int queues; /* of a disk, or pairs of a card; 1 when 0 */
	unsigned int num;    /* ring size, 128 when 0 */
	unsigned int depth;  /* buffers or requests of each queue, 32 when 0 */
	unsigned int frame;  /* largest frame, 1514 when 0 */
	uint64_t features;   /* beside those of the rings and ACCESS_PLATFORM; basic ones when 0 */
	bool indirect;
	const uint32_t *cut; /* as in struct vg_opts and struct vd_opts */
	unsigned int ncut;
	enum vg_layout layout;
	unsigned int regions; /* memory regions, 4 when 0 */
	bool no_batch;	      /* map by messages without a batch */
	bool no_ctrl;	      /* several pairs of a card, without its control queue */
	bool stopped;	      /* memory is mapped and the rings set up, but not started */
};

/**
 * struct vf_unit - a function that is driven
 * @id: VIRTIO_ID_NET or VIRTIO_ID_BLOCK
 * @nvqs: rings that the function has
 * @fd: the node, owned
 * @dev: the same for the functions of iotlb.c, with the memory
 * @net, @disk: which of the two it is; the other is NULL
 * @ring: those that are used, @nring; their index is that of the function's queue
 * @ctrl: of a card with several pairs: its control queue, number @ctrl_index
 */
struct vf_unit {
	struct vf_opts o;
	uint32_t id, nvqs;
	int fd;
	struct vg_dev *dev;
	struct vg_mem *mem;
	struct vg_net *net;
	struct vd_disk *disk;
	struct vd_load load;
	struct vg_ring *ring[VF_QUEUES];
	unsigned int nring;
	struct vg_ring ctrl;
	unsigned int ctrl_index; /* 0: none */
};

/* ---- vdpa.c: the ABI ---- */

/* Open the node and become its owner, with messages of version 2; fails the case. */
int vf_open(void);
/* The second half of it, for a node that vg_open() opened. */
void vf_own(int fd);
uint32_t vf_id(int fd);
uint32_t vf_nvqs(int fd);
unsigned int vf_max(int fd);
uint8_t vf_status(int fd);
/* ioctl and write wrappers: 0, or -1 with errno */
int vf_set_status(int fd, uint8_t status);
int vf_get_config(int fd, uint32_t off, void *buf, uint32_t len);
int vf_set_config(int fd, uint32_t off, const void *buf, uint32_t len);
int vf_msg(int fd, uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr, uint8_t perm);
int vf_enable(int fd, unsigned int index, unsigned int on);
struct vhost_vdpa_iova_range vf_range(int fd);
/* Map all of @m, region by region, in one batch or without; and take it back. */
void vf_map(int fd, const struct vg_mem *m, bool batch);
void vf_unmap(int fd, const struct vg_mem *m);
/* Reset, and go on until FEATURES_OK with these features. */
void vf_negotiate(int fd, uint64_t features);
/* Tell the function of a ring, which is new; does not enable it. */
void vf_ring_setup(int fd, unsigned int index, const struct vg_ring *r);

/* ---- unit.c: a card or a disk ---- */

/* Interface or block device on the host's side: SHUNT_TEST_PEER. */
const char *vf_peer(void);
bool vf_is_net(void);
/* Skip the case where the function is of the other kind. */
void vf_need(uint32_t id);
/* Bring one up, running. */
struct vf_unit *vf_new(const struct vf_opts *o);
/* The same on a node that is open. */
struct vf_unit *vf_new_on(int fd, const struct vf_opts *o);
/* Features, rings; all but memory, which stays mapped. Rings are new then. */
void vf_setup(struct vf_unit *u);
/* Enable the rings and set DRIVER_OK; a card is told of its pairs. */
void vf_start(struct vf_unit *u);
/* Reset, and nothing more. What was in flight is forgotten. */
void vf_reset(struct vf_unit *u);
/* Reset, set up and start: a driver that begins anew. */
void vf_again(struct vf_unit *u);
/* Closes the node, too. */
void vf_free(struct vf_unit *u);
/* Checked traffic both ways, or requests; it works. */
void vf_alive(struct vf_unit *u);
/* The same, of about @n frames each way or requests, @hook called again and again meanwhile. */
void vf_run(struct vf_unit *u, unsigned int n, void (*hook)(void *arg), void *arg);
/* Keep it busy without a look at what comes back, until @stop or for ever. */
void vf_busy(struct vf_unit *u, unsigned int ms);
/* A new unit in a process of its own is alive: nothing before has harmed the function. */
void vf_fresh(void);
/* Send a command to the card's control queue. Returns its ack. */
uint8_t vf_ctrl(struct vf_unit *u, uint8_t class, uint8_t cmd, const void *data, uint32_t len);

/*
 * Have the VM's own monitor run a command (SHUNT_TEST_MONITOR is a port to it); skips the case
 * where there is none. Whether it did is for the caller to see.
 */
void vf_monitor(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Write to a file of the host, such as a PCI device's in sysfs: 0, or -1 with errno. */
int vf_put(const char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* From now on look for lines of the kernel's log; whether one names the function and has @words. */
void vf_log_begin(void);
bool vf_in_log(const char *words);
/* The PCI address of the function. */
const char *vf_bdf(void);
/* Have the function's driver be this one's again (SHUNT_TEST_BIND does it), and the node there. */
void vf_bind(void);

/* ---- cover.c: registers that are out of reach ---- */

/* All reads give that byte in every place, and writes are lost. */
enum vf_cover { VF_ONES, VF_STUCK };

/*
 * Cover the page at @off of the structure of virtio's of that type, VIRTIO_PCI_CAP_*, for the
 * processor, by another device's. Skips the case where there is none.
 */
void vf_cover(enum vf_cover which, uint8_t type, uint64_t off);
void vf_uncover(void);
/* Open the configuration space of a PCI device. */
int vf_config_space(const char *bdf, int flags);

/* ---- plug.c: the function comes and goes ---- */

/* Unplug it, and wait until it is gone. */
void vf_unplug(void);
/* Plug it in, with further properties (",vectors=2") or "", and wait until it is there. */
void vf_plug(const char *more);

/* ---- pins.c: what the kernel has pinned and mapped ---- */

/* Pages that are pinned on this machine. */
int64_t vf_pinned(void);
/* Wait until no more are pinned than @before; fails the case. */
void vf_pinned_is(int64_t before);
/* From now on note what is mapped in any IOMMU, and unmapped. Skips where it cannot be had. */
void vf_trace_begin(void);
/* Bytes of either since then. */
void vf_trace_end(uint64_t *mapped, uint64_t *unmapped);

#endif
