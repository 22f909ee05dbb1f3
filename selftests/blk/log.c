// SPDX-License-Identifier: GPL-2.0-only
/*
 * log.c - the log of live migration: every page that the device writes for a request is
 * marked, its status as well, and none that it did not write; with and without an IOMMU.
 * And requests in flight when a translation is taken away.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdisk.h"

static void log_on(struct vd_disk *d, struct vg_pages *log, bool ring)
{
	uint64_t base = (uintptr_t)log->bits, off = d->o.iotlb ? d->mem->iova_off : 0;
	struct vg_ring *r = &d->q[0].ring;

	kt_sys(ioctl(d->dev.fd, VHOST_SET_LOG_BASE, &base));
	kt_sys(vg_set_features(d->dev.fd, d->dev.features | BIT(VHOST_F_LOG_ALL)));
	kt_sys(vg_vring_addr(d->dev.fd, 0, ring ? 1u << VHOST_VRING_F_LOG : 0,
			     off ? r->desc_gpa + off : (uintptr_t)r->desc,
			     off ? r->avail_gpa + off : (uintptr_t)r->avail,
			     off ? r->used_gpa + off : (uintptr_t)r->used, r->used_gpa + off));
}

/* The pages that a request may be written to: it is over when it is logged. */
static void add(struct vg_pages *p, const struct vd_io *io)
{
	unsigned int i;

	for (i = io->nout; i < io->nout + io->nin; i++)
		vg_pages_add(p, io->seg[i].gpa, io->seg[i].len);
}

enum { RING = 1, IOTLB = 2, CUT = 4 };

static void marked(long how)
{
	static const uint32_t cut[] = { 16, 1000, 3, 4096, 7000 };
	struct vd_opts o = {
		.iotlb = how & IOTLB ? 2 : 0,
		.room = 40960,
		.cut = how & CUT ? cut : NULL,
		.ncut = how & CUT ? ARRAY_SIZE(cut) : 0,
	};
	struct vd_disk *d = vd_new(&o);
	struct vg_pages *log = vg_pages_new(d->mem), *wrote = vg_pages_new(d->mem);
	struct vg_pages *may = vg_pages_new(d->mem);
	static uint8_t buf[40960];
	unsigned int i;
	int64_t bad;

	vd_alive(d);
	log_on(d, log, how & RING);
	for (i = 0; i < kt_scale(60, 12); i++) {
		struct vd_io io = { .sector = 8 * i };

		if (i % 3 == 0) {
			io.type = VIRTIO_BLK_T_OUT;
			io.out = buf;
			io.out_len = 4096 * (1 + i % 10);
		} else if (i % 3 == 1) {
			io.type = VIRTIO_BLK_T_IN;
			io.in = buf;
			io.in_len = 4096 * (1 + i % 10);
		} else {
			io.type = VIRTIO_BLK_T_GET_ID;
			io.in = buf;
			io.in_len = 20;
		}
		vg_pages_clear(wrote);
		kt_check(vd_do(d, 0, &io) == VIRTIO_BLK_S_OK, "request %u", i);
		add(wrote, &io);
		add(may, &io);
		if (how & RING) {
			vg_pages_add(may, d->q[0].ring.used_gpa, vg_ring_used_bytes(&d->q[0].ring));
			if (vg_packed())
				vg_pages_add(may, d->q[0].ring.desc_gpa, 16ull * d->q[0].ring.num);
		}
		bad = vg_pages_extra(wrote, log);
		kt_check(bad < 0, "request %u: page %lld was written and not marked", i,
			 (long long)bad);
	}
	bad = vg_pages_extra(log, may);
	kt_check(bad < 0, "page %lld is marked, which nobody wrote", (long long)bad);
	kt_sys(vg_set_features(d->dev.fd, d->dev.features));
	vg_pages_clear(log);
	vd_alive(d);
	kt_check(vg_pages_extra(log, wrote) < 0 || how & RING, "logged when that was off");
	vd_free(d);
}

/* A translation is gone: when the message has been taken nothing of it is used any more. */
static void invalidated(long arg)
{
	struct vd_opts o = { .iotlb = 2, .num = 256, .depth = 64, .room = 16384 };
	struct vd_disk *d = vd_new(&o);
	static struct vd_io io[64];
	static uint8_t buf[64][16384];
	unsigned int round, i;

	(void)arg;
	vd_alive(d);
	for (round = 0; round < kt_scale(30, 6); round++) {
		for (i = 0; i < 60; i++) {
			io[i] = (struct vd_io){ .type = VIRTIO_BLK_T_IN,
						.sector = i,
						.in = buf[i],
						.in_len = sizeof(buf[i]) };
			kt_check(vd_start(d, 0, &io[i]), "no room");
		}
		vg_ring_kick(&d->q[0].ring);
		kt_sys(vg_iotlb_unmap(&d->dev, d->mem->r[1 + round % 3].gpa,
				      d->mem->r[1 + round % 3].size));
		for (i = 0; i < 60; i++)
			kt_check(vd_wait(d, 0)->status == VIRTIO_BLK_S_OK, "request %u", i);
	}
	vd_alive(d);
	vd_free(d);
}

static const struct kt_case cases[] = {
	{ "what is written is marked", marked, 0 },
	{ "what is written is marked, the ring as well", marked, RING },
	{ "what is written is marked, in pieces of any length", marked, CUT | RING },
	{ "what is written is marked, behind an IOMMU", marked, IOTLB },
	{ "what is written is marked, behind an IOMMU, the ring as well", marked, IOTLB | RING },
	{ "translations are taken away under load", invalidated, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
