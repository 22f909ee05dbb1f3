// SPDX-License-Identifier: GPL-2.0-only
/*
 * layout.c - any cut of a chain into descriptors is legal: header apart,
 * header cut, bytes apart; direct and through indirect tables
 */
#include "vguest.h"

static const uint32_t cuts[][8] = {
	{ 12, 1u << 24 }, /* header, data */
	{ 1, 1u << 24 },  /* one byte, all the rest */
	{ 10, 2, 1u << 24 },
	{ 5, 7, 1, 13, 1u << 24 },
	{ 11, 1u << 24 }, /* the last byte of the header with the data */
	{ 13, 1u << 24 }, /* the first byte of the data with the header */
	{ 1, 1, 1, 1, 1, 1, 1, 100 },
	{ 26, 200 },
	{ 64 },
	{ 3, 500, 1, 500, 1, 500 },
};

/* arg: cut, and 100 more for indirect tables */
static void cut(long arg)
{
	const uint32_t *c = cuts[arg % 100];
	struct vg_opts o = { .indirect = arg >= 100, .cut = c, .depth = 64, .num = 512 };
	struct vg_traffic t = { .tx = kt_scale(600, 200), .rx = kt_scale(600, 200), .min = 14 };
	struct vg_net *n;

	while (o.ncut < 8 && c[o.ncut])
		o.ncut++;
	if (!o.indirect)
		o.num = 4096;
	n = vg_net_new(&o);
	vg_run(n, &t);
}

/* Direct and indirect chains in one ring. */
static void mixed(long arg)
{
	struct vg_opts o = { .cut = cuts[3], .ncut = 5, .depth = 64, .num = 512 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;

	(void)arg;
	for (i = 0; i < kt_scale(20, 6); i++) {
		n->o.indirect = !n->o.indirect;
		vg_alive(n);
	}
}

/* Without the feature, and with a legacy header. */
static void legacy(long arg)
{
	static const uint32_t c[] = { 10, 1u << 24 };
	struct vg_opts o = { .cut = c, .ncut = 2, .features = BIT(VIRTIO_RING_F_EVENT_IDX) };
	struct vg_net *n = vg_net_new(&o);

	(void)arg;
	vg_alive(n);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "header and data", cut, 0 },
	{ "one byte and the rest", cut, 1 },
	{ "the header cut at 10", cut, 2 },
	{ "cuts at 5, 12, 13 and 26", cut, 3 },
	{ "the header cut before its last byte", cut, 4 },
	{ "the header with the first byte of data", cut, 5 },
	{ "single bytes", cut, 6 },
	{ "pieces of 200", cut, 7 },
	{ "pieces of 64", cut, 8 },
	{ "single bytes between pieces of 500", cut, 9 },
	{ "indirect: header and data", cut, 100 },
	{ "indirect: one byte and the rest", cut, 101 },
	{ "indirect: cuts at 5, 12, 13 and 26", cut, 103 },
	{ "indirect: single bytes", cut, 106 },
	{ "indirect: pieces of 64", cut, 108 },
	{ "direct and indirect chains mixed", mixed, 0 },
	{ "a legacy header in a descriptor of its own", legacy, .on = VG_ON_SPLIT },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
