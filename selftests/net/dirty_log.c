// SPDX-License-Identifier: GPL-2.0-only
/*
 * dirty_log.c - the log of live migration: every page that the device writes is
 * marked, rings included where asked for (used rings; of packed rings the
 * descriptors, too), and no page that it cannot have written
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vguest.h"

static void log_base(int fd, struct vg_pages *p)
{
	uint64_t base = (uintptr_t)p->bits;

	kt_sys(ioctl(fd, VHOST_SET_LOG_BASE, &base));
}

/* Switch logging on in a running device, in the order in which QEMU does. */
static void log_on(struct vg_net *n, struct vg_pages *log, bool used)
{
	struct vg_queue *q = &n->q[0];
	uint64_t off = n->o.iotlb ? n->mem->iova_off : 0;
	unsigned int i;

	log_base(q->dev.fd, log);
	kt_sys(vg_set_features(q->dev.fd, q->dev.features | BIT(VHOST_F_LOG_ALL)));
	for (i = 0; i < 2; i++) {
		struct vg_ring *r = &q->ring[i];
		uint64_t base = off ? off : 0;

		kt_sys(vg_vring_addr(q->dev.fd, i, used ? 1u << VHOST_VRING_F_LOG : 0,
				     off ? r->desc_gpa + base : (uintptr_t)r->desc,
				     off ? r->avail_gpa + base : (uintptr_t)r->avail,
				     off ? r->used_gpa + base : (uintptr_t)r->used,
				     r->used_gpa + off));
	}
}

static void log_off(struct vg_net *n)
{
	struct vg_queue *q = &n->q[0];

	kt_sys(vg_set_features(q->dev.fd, q->dev.features));
}

/* The pages of a ring that the device writes at all. */
static void parts_of(struct vg_pages *p, const struct vg_ring *r)
{
	vg_pages_add(p, r->used_gpa, vg_ring_used_bytes(r));
	if (vg_packed())
		vg_pages_add(p, r->desc_gpa, 16ull * r->num);
}

/* The traffic @t, with the pages noted that the device is seen to write. */
static void watched(struct vg_net *n, struct vg_traffic *t, struct vg_pages *wrote, bool rings)
{
	struct vg_ring *r = n->q[0].ring;
	uint32_t event[2] = { *(uint32_t *)r[0].used, *(uint32_t *)r[1].used };
	unsigned int i;

	for (i = 0; i < 2; i++)
		r[i].wrote = rings ? wrote : NULL;
	n->wrote = wrote;
	vg_run(n, t);
	n->wrote = NULL;
	for (i = 0; i < 2; i++) {
		r[i].wrote = NULL;
		/* The event structure: seen only where it is another one now. */
		if (rings && event[i] != *(uint32_t *)r[i].used)
			vg_pages_add(wrote, r[i].used_gpa, 4);
	}
}

static void buffers_of(struct vg_pages *p, struct vg_queue *q)
{
	unsigned int i, s;

	for (i = 0; i < q->nbuf; i++)
		for (s = 0; s < q->buf[VG_RX][i].nseg; s++)
			vg_pages_add(p, q->buf[VG_RX][i].seg[s].gpa, q->buf[VG_RX][i].seg[s].len);
}

enum { USED = 1, IOTLB = 2, MERGED = 4, SMALL = 8 };

static void marked(long flags)
{
	struct vg_opts o = {
		.frame = 9014,
		.num = 4096,
		.depth = 200,
		.iotlb = flags & IOTLB ? 2 : 0,
		.rx_buf = flags & MERGED ? 700 : 0,
		.features = flags & MERGED ? VG_BASIC : VG_BASIC & ~BIT(VIRTIO_NET_F_MRG_RXBUF),
	};
	static const uint32_t cut[] = { 12, 100, 1, 4000 };
	struct vg_pages *log, *wrote, *may;
	struct vg_net *n;
	struct vg_queue *q;
	unsigned int round, i;
	int64_t bad;

	if (flags & SMALL) {
		o.cut = cut;
		o.ncut = ARRAY_SIZE(cut);
	}
	n = vg_net_new(&o);
	q = &n->q[0];
	log = vg_pages_new(n->mem);
	wrote = vg_pages_new(n->mem);
	may = vg_pages_new(n->mem);
	buffers_of(may, q);
	if (flags & USED)
		for (i = 0; i < 2; i++)
			parts_of(may, &q->ring[i]);
	vg_alive(n);
	log_on(n, log, flags & USED);
	for (round = 0; round < kt_scale(12, 4); round++) {
		struct vg_traffic t = { .rx = 40, .tx = 40, .min = 14, .window = 10 };

		vg_pages_clear(log);
		vg_pages_clear(wrote);
		watched(n, &t, wrote, flags & USED);
		/* The log of the last chains may come just after their call. */
		if (vg_pages_extra(wrote, log) >= 0)
			usleep(200000);
		bad = vg_pages_extra(wrote, log);
		kt_check(bad < 0, "page %#llx was written and not marked, round %u",
			 (unsigned long long)bad, round);
		bad = vg_pages_extra(log, may);
		kt_check(bad < 0, "page %#llx was marked, nothing writes there",
			 (unsigned long long)bad);
	}
	log_off(n);
	vg_alive(n);
	vg_pages_clear(log);
	vg_alive(n);
	vg_pages_clear(wrote);
	bad = (flags & USED) ? -1 : vg_pages_extra(log, wrote);
	kt_check(bad < 0, "page %#llx was marked with logging off", (unsigned long long)bad);
}

/* Transmission alone writes nothing but its ring. */
static void tx_only(long flags)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_pages *log = vg_pages_new(n->mem), *may = vg_pages_new(n->mem);
	struct vg_pages *wrote = vg_pages_new(n->mem), *none = vg_pages_new(n->mem);
	struct vg_traffic t = { .tx = 300 };
	int64_t bad;

	vg_alive(n);
	log_on(n, log, flags & USED);
	watched(n, &t, wrote, flags & USED);
	if (flags & USED) {
		parts_of(may, &n->q[0].ring[VG_TX]);
		parts_of(may, &n->q[0].ring[VG_RX]);
		kt_check(vg_pages_extra(wrote, none) >= 0, "the device was not seen to write");
		bad = vg_pages_extra(wrote, log);
		kt_check(bad < 0, "page %#llx of the ring was not marked", (unsigned long long)bad);
	}
	bad = vg_pages_extra(log, may);
	kt_check(bad < 0, "page %#llx was marked by transmission", (unsigned long long)bad);
}

/* The log's eventfd is signalled when something was marked. */
static void event(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_pages *log = vg_pages_new(n->mem);
	struct vg_traffic t = { .rx = 20 };
	int e = kt_sys(eventfd(0, EFD_NONBLOCK)), none = -1;
	uint64_t v;

	(void)arg;
	kt_sys(ioctl(n->q[0].dev.fd, VHOST_SET_LOG_FD, &e));
	vg_alive(n);
	kt_check(read(e, &v, sizeof(v)) < 0, "signalled with logging off");
	log_on(n, log, false);
	vg_run(n, &t);
	usleep(100000);
	kt_check(read(e, &v, sizeof(v)) == sizeof(v), "not signalled");
	kt_sys(ioctl(n->q[0].dev.fd, VHOST_SET_LOG_FD, &none));
	t = (struct vg_traffic){ .rx = 20 };
	vg_run(n, &t);
	usleep(100000);
	kt_check(read(e, &v, sizeof(v)) < 0, "signalled after it was taken away");
}

/* Logging switched on and off, and the log replaced, under traffic. */
struct toggle {
	unsigned int round;
	struct vg_pages *log[2];
};

static void toggle(struct vg_net *n, void *arg)
{
	struct toggle *s = arg;

	if (++s->round % 3)
		return;
	if (s->round % 9)
		log_on(n, s->log[s->round % 2], s->round % 4);
	else
		log_off(n);
}

static void toggled(long arg)
{
	struct vg_opts o = { .frame = 1514, .iotlb = arg };
	struct vg_net *n = vg_net_new(&o);
	struct toggle s = { .log = { vg_pages_new(n->mem), vg_pages_new(n->mem) } };
	struct vg_traffic t = {
		.tx = kt_scale(3000, 500), .rx = kt_scale(3000, 500), .hook = toggle, .arg = &s
	};

	vg_run(n, &t);
}

static const struct kt_case cases[] = {
	{ "buffers are marked", marked, 0 },
	{ "buffers and used rings are marked", marked, USED },
	{ "merged buffers and used rings are marked", marked, USED | MERGED },
	{ "cut buffers and used rings are marked", marked, USED | SMALL },
	{ "through an IOTLB", marked, IOTLB },
	{ "used rings through an IOTLB", marked, USED | IOTLB },
	{ "merged and cut through an IOTLB", marked, USED | IOTLB | MERGED | SMALL },
	{ "transmission marks nothing", tx_only, 0 },
	{ "transmission marks its used ring", tx_only, USED },
	{ "the log's eventfd", event, 0 },
	{ "logging switched under traffic", toggled, 0 },
	{ "logging switched under traffic through an IOTLB", toggled, 2 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
