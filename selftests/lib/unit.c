// SPDX-License-Identifier: GPL-2.0-only
/*
 * unit.c - a virtio function as a card or a disk: see struct vf_unit
 *
 * QEMU (10.0) writes what of a used element lies on a second page to another address, if its
 * device is behind an emulated IOMMU: somewhere in the VM's memory. The rings here have none.
 * In a packed ring it never sets WRITE in a used descriptor, where VIRTIO 1.2, 2.8.3, has a
 * device say by it that it wrote; the length, which without it means nothing, is right. Linux's
 * driver does not look at the flag, and here it need not be set.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define IOTLB_V2 2

const char *vf_peer(void)
{
	const char *p = getenv("SHUNT_TEST_PEER");

	kt_check(p && *p, "SHUNT_TEST_PEER names no interface and no disk");
	return p;
}

bool vf_is_net(void)
{
	/* By its name: the node has one owner at a time, which may be about to end. */
	return strncmp(vf_peer(), "/dev/", 5);
}

void vf_need(uint32_t id)
{
	if (vf_is_net() != (id == VIRTIO_ID_NET))
		kt_skip("a matter of the other kind of function");
}

static void net_new(struct vf_unit *u)
{
	const struct vf_opts *o = &u->o;
	struct vg_opts no = {
		.features = o->features,
		.pairs = o->queues,
		.num = o->num,
		.regions = o->regions,
		.layout = o->layout,
		.frame = o->frame,
		.depth = o->depth,
		.indirect = o->indirect,
		.cut = o->cut,
		.ncut = o->ncut,
		.iotlb = IOTLB_V2,
	};
	struct virtio_net_config c;
	unsigned int i;

	if (!no.features)
		no.features = VG_BASIC;
	if (o->queues > 1) {
		kt_sys(vf_get_config(u->fd, 0, &c, offsetof(struct virtio_net_config, mtu)));
		if (!(vg_features(u->fd) & BIT(VIRTIO_NET_F_MQ)) ||
		    c.max_virtqueue_pairs < o->queues)
			kt_skip("this function has no %u queue pairs", o->queues);
		no.features |= BIT(VIRTIO_NET_F_MQ) | BIT(VIRTIO_NET_F_CTRL_VQ);
		u->ctrl_index = o->no_ctrl ? 0 : 2 * c.max_virtqueue_pairs;
	}
	u->net = vg_net_alloc(&no);
	u->mem = u->net->mem;
	u->mem->whole_elements = true;
	u->net->packet = vg_packet(vf_peer());
	vg_frame_age_of_process();
	for (i = 0; i < o->queues; i++) {
		struct vg_queue *q = &u->net->q[i];

		vg_queue_new(u->net, i);
		q->dev.fd = i ? -1 : u->fd;
		q->dev.tlb.version = IOTLB_V2;
		u->ring[u->nring++] = &q->ring[VG_RX];
		u->ring[u->nring++] = &q->ring[VG_TX];
	}
	if (u->ctrl_index)
		vg_ring_init(&u->ctrl, u->mem, 16, no.features & BIT(VIRTIO_RING_F_EVENT_IDX));
	u->dev = &u->net->q[0].dev;
}

static void disk_new(struct vf_unit *u)
{
	const struct vf_opts *o = &u->o;
	struct vd_opts d = {
		.features = o->features ? o->features : VD_BASIC,
		.queues = o->queues,
		.num = o->num,
		.depth = o->depth,
		.regions = o->regions,
		.layout = o->layout,
		.indirect = o->indirect,
		.cut = o->cut,
		.ncut = o->ncut,
		.iotlb = IOTLB_V2,
		.whole_elements = true,
	};
	struct virtio_blk_config c = { 0 };
	unsigned int i;

	u->disk = calloc(1, sizeof(*u->disk));
	kt_check(u->disk, "no memory");
	kt_sys(vf_get_config(u->fd, 0, &c, offsetof(struct virtio_blk_config, num_queues) + 2));
	if (o->queues > 1) {
		if (!(vg_features(u->fd) & BIT(VIRTIO_BLK_F_MQ)) || c.num_queues < o->queues)
			kt_skip("this function has no %u queues", o->queues);
		d.features |= BIT(VIRTIO_BLK_F_MQ);
	}
	vd_defaults(u->disk, &d);
	u->disk->config = c;
	u->disk->sectors = c.capacity;
	vd_memory(u->disk);
	u->disk->dev.fd = u->fd;
	u->mem = u->disk->mem;
	for (i = 0; i < o->queues; i++)
		u->ring[u->nring++] = &u->disk->q[i].ring;
	u->dev = &u->disk->dev;
	vd_load_new(&u->load, u->disk);
}

void vf_setup(struct vf_unit *u)
{
	unsigned int i;

	if (vg_ring_features() & ~vg_features(u->fd))
		kt_skip("this function has no %s rings", getenv("SHUNT_TEST_RING"));
	vf_negotiate(u->fd, u->dev->features);
	for (i = 0; i < u->nring; i++) {
		vg_ring_reset(u->ring[i], vg_ring_first(u->ring[i]));
		vf_ring_setup(u->fd, i, u->ring[i]);
	}
	if (u->ctrl_index) {
		vg_ring_reset(&u->ctrl, vg_ring_first(&u->ctrl));
		vf_ring_setup(u->fd, u->ctrl_index, &u->ctrl);
	}
}

void vf_start(struct vf_unit *u)
{
	unsigned int i;

	for (i = 0; i < u->nring; i++)
		kt_sys(vf_enable(u->fd, i, 1));
	if (u->ctrl_index)
		kt_sys(vf_enable(u->fd, u->ctrl_index, 1));
	kt_sys(vf_set_status(u->fd, VF_RUNNING));
	kt_check(vf_status(u->fd) == VF_RUNNING, "status %#x after DRIVER_OK", vf_status(u->fd));
	if (u->ctrl_index) {
		uint16_t pairs = u->o.queues;

		kt_check(vf_ctrl(u, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs,
				 sizeof(pairs)) == VIRTIO_NET_OK,
			 "the function does not take %u queue pairs", pairs);
	}
	for (i = 0; u->net && i < u->o.queues; i++)
		if (vg_rx_fill(&u->net->q[i]))
			vg_ring_kick(&u->net->q[i].ring[VG_RX]);
}

struct vf_unit *vf_new_on(int fd, const struct vf_opts *o)
{
	struct vf_unit *u = calloc(1, sizeof(*u));
	unsigned int i;

	kt_check(u, "no memory");
	u->o = *o;
	u->o.queues = o->queues ? o->queues : 1;
	u->o.num = o->num ? o->num : 128;
	u->o.depth = o->depth ? o->depth : 32;
	u->fd = fd;
	u->id = vf_id(fd);
	u->nvqs = vf_nvqs(fd);
	if (u->id == VIRTIO_ID_NET)
		net_new(u);
	else
		disk_new(u);
	for (i = 0; i < u->nring; i++)
		u->ring[i]->write_unsaid = true;
	u->ctrl.write_unsaid = true;
	vf_map(fd, u->mem, !o->no_batch);
	vf_setup(u);
	if (!o->stopped)
		vf_start(u);
	return u;
}

struct vf_unit *vf_new(const struct vf_opts *o)
{
	return vf_new_on(vf_open(), o);
}

void vf_reset(struct vf_unit *u)
{
	unsigned int i;

	kt_sys(vf_set_status(u->fd, 0));
	for (i = 0; u->net && i < u->o.queues; i++) {
		vg_queue_forget(&u->net->q[i], VG_RX);
		vg_queue_forget(&u->net->q[i], VG_TX);
	}
	for (i = 0; u->disk && i < u->o.queues; i++)
		vd_queue_forget(u->disk, i);
	if (u->disk)
		vd_load_forget(&u->load);
}

void vf_again(struct vf_unit *u)
{
	vf_reset(u);
	vf_setup(u);
	vf_start(u);
	if (u->net)
		vg_host_drain(u->net);
}

void vf_free(struct vf_unit *u)
{
	if (u->ctrl_index)
		vg_ring_free(&u->ctrl);
	if (u->net)
		vg_net_free(u->net);
	if (u->disk)
		vd_free(u->disk);
	free(u->load.place);
	free(u);
}

struct net_hook {
	void (*hook)(void *arg);
	void *arg;
};

static void net_hook(struct vg_net *n, void *arg)
{
	const struct net_hook *h = arg;

	(void)n;
	h->hook(h->arg);
}

/*
 * Frames for a card that takes none wait in its wire, and while that is full, others get lost.
 * So one has to come through before any is missed; those that were before it are of no age then.
 */
static void wire_clear(struct vf_unit *u)
{
	static uint8_t f[VG_FRAME_MAX];
	uint64_t end = vg_ms() + VG_STALL_MS;
	bool through = false;
	unsigned int i;
	size_t len;

	vg_host_drain(u->net);
	while (!through) {
		kt_check(vg_ms() < end, "no frame comes through the wire");
		vg_frame(f, 60, 0, 0);
		vg_host_send(u->net, f, 60, NULL);
		vg_ring_wait(&u->net->q[0].ring[VG_RX], 100);
		for (i = 0; i < u->o.queues; i++) {
			struct vg_queue *q = &u->net->q[i];

			while (vg_rx(q, f, sizeof(f), &len, NULL))
				through |= vg_frame_of_age(f);
			if (vg_rx_fill(q))
				vg_ring_kick(&q->ring[VG_RX]);
		}
	}
	vg_ring_disarm(&u->net->q[0].ring[VG_RX]);
	vg_host_drain(u->net);
}

void vf_run(struct vf_unit *u, unsigned int n, void (*hook)(void *arg), void *arg)
{
	struct net_hook h = { hook, arg };

	if (u->net) {
		struct vg_traffic t = {
			.tx = n / u->o.queues,
			.rx = n,
			.spread = u->o.queues > 1,
			.window = u->o.depth < 32 ? u->o.depth : 32,
			.hook = hook ? net_hook : NULL,
			.arg = &h,
		};

		wire_clear(u);
		vg_run(u->net, &t);
	} else {
		unsigned int until = u->load.done + n;

		while (u->load.done < until) {
			if (hook)
				hook(arg);
			vd_load_turn(&u->load, true, true);
		}
		vd_load_run(&u->load, 0);
	}
}

void vf_alive(struct vf_unit *u)
{
	vf_run(u, 40, NULL, NULL);
}

/*
 * Frames and requests without a check: what a test does to the function meanwhile may lose
 * any of them. Everything that comes back is given to it again.
 */
static void busy_net(struct vf_unit *u)
{
	static uint8_t f[VG_FRAME_MAX];
	unsigned int i;
	size_t len;

	for (i = 0; i < u->o.queues; i++) {
		struct vg_queue *q = &u->net->q[i];

		vg_tx_reap(q);
		while (vg_rx(q, f, sizeof(f), &len, NULL))
			;
		vg_rx_fill(q);
		vg_frame(f, 600, 1, i);
		while (vg_tx(q, f, 600, NULL))
			;
		vg_ring_kick_always(&q->ring[VG_TX]);
		vg_ring_kick_always(&q->ring[VG_RX]);
	}
	vg_frame(f, 600, 1, 0);
	for (i = 0; i < 8; i++)
		vg_host_send(u->net, f, 600, NULL);
	while (vg_host_recv(u->net, f, sizeof(f), &len, NULL, 0))
		;
}

void vf_busy(struct vf_unit *u, unsigned int ms)
{
	uint64_t end = vg_ms() + ms;

	do {
		if (u->net)
			busy_net(u);
		else
			vd_load_turn(&u->load, true, false);
	} while (!ms || vg_ms() < end);
}

void vf_fresh(void)
{
	pid_t pid = kt_sys(fork());
	int status;

	if (!pid) {
		vf_alive(vf_new(&(struct vf_opts){}));
		_exit(0);
	}
	kt_sys(waitpid(pid, &status, 0));
	kt_check(WIFEXITED(status) && !WEXITSTATUS(status),
		 "a new owner finds no function that works");
}

uint8_t vf_ctrl(struct vf_unit *u, uint8_t class, uint8_t cmd, const void *data, uint32_t len)
{
	struct virtio_net_ctrl_hdr h = { .class = class, .cmd = cmd };
	uint64_t at = vg_alloc(u->mem, sizeof(h) + len + 1, 64);
	struct vg_seg seg[3] = {
		{ at, sizeof(h) },
		{ at + sizeof(h), len },
		{ at + sizeof(h) + len, 1 },
	};
	uint8_t ack = 0xee;
	uint32_t got;

	vg_put(u->mem, seg[0].gpa, &h, sizeof(h));
	vg_put(u->mem, seg[1].gpa, data, len);
	vg_put(u->mem, seg[2].gpa, &ack, 1);
	kt_check(vg_ring_add(&u->ctrl, seg, 2, 1, false, NULL), "no room in the control queue");
	vg_ring_kick(&u->ctrl);
	kt_check(vg_ring_pending(&u->ctrl) || vg_ring_wait(&u->ctrl, VG_STALL_MS),
		 "no answer to control command %u/%u", class, cmd);
	kt_check(vg_ring_get(&u->ctrl, NULL, &got) && got == 1, "the answer has %u bytes", got);
	vg_get(u->mem, seg[2].gpa, &ack, 1);
	return ack;
}

void vf_monitor(const char *fmt, ...)
{
	const char *port = getenv("SHUNT_TEST_MONITOR");
	va_list ap;
	int fd;

	if (!port || !*port)
		kt_skip("the monitor of this machine is not to be had");
	fd = kt_sys(open(port, O_RDWR | O_CLOEXEC));
	va_start(ap, fmt);
	kt_check(vdprintf(fd, fmt, ap) > 0 && write(fd, "\n", 1) == 1, "%s: %m", port);
	va_end(ap);
	close(fd);
}

int vf_put(const char *text, const char *fmt, ...)
{
	char path[256];
	va_list ap;
	int fd, e;
	ssize_t n;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	e = errno;
	close(fd);
	errno = e;
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

#define LOG_MARK "selftests: from here on"

void vf_log_begin(void)
{
	kt_sys(vf_put(LOG_MARK "\n", "/dev/kmsg"));
}

bool vf_in_log(const char *words)
{
	char line[512];
	bool found = false;
	FILE *f = popen("dmesg", "r");

	kt_check(f, "dmesg: %m");
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, LOG_MARK))
			found = false;
		found |= strstr(line, vf_bdf()) && strstr(line, words);
	}
	pclose(f);
	return found;
}

const char *vf_bdf(void)
{
	const char *p = strrchr(vg_path(), '/');

	return p ? p + 1 : vg_path();
}

void vf_bind(void)
{
	const char *program = getenv("SHUNT_TEST_BIND");
	char cmd[512];

	kt_check(program && *program, "SHUNT_TEST_BIND is not set");
	snprintf(cmd, sizeof(cmd), "%s %s", program, vf_bdf());
	kt_check(!system(cmd), "%s failed", cmd);
	kt_check(!access(vg_path(), F_OK), "%s is not there", vg_path());
}
