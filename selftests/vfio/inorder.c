// SPDX-License-Identifier: GPL-2.0-only
/*
 * inorder.c - a card that uses buffers in order (VIRTIO_F_IN_ORDER): the commands of the module,
 * which has its control queue, are as the ring has to be filled then
 *
 * The card is plugged in anew for it, and at the end as it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vdpa.h"

static void commands(long arg)
{
	uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, got[6];
	struct vf_unit *u;
	unsigned int i;

	(void)arg;
	vf_need(VIRTIO_ID_NET);
	vf_bind();
	vf_unplug();
	vf_plug(",in_order=on");
	vf_bind();
	u = vf_new(&(struct vf_opts){
		.queues = 2,
		.features = VG_BASIC | BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
			    BIT(VIRTIO_F_IN_ORDER),
		.no_ctrl = true,
		.stopped = true,
	});
	for (i = 0; i < u->nring; i++)
		kt_sys(vf_enable(u->fd, i, 1));
	kt_sys(vf_set_status(u->fd, VF_RUNNING));
	kt_check(vg_fdinfo_u64(u->fd, "shunt-pairs") == 2, "the function was told of %llu pairs",
		 (unsigned long long)vg_fdinfo_u64(u->fd, "shunt-pairs"));
	/* Several times around the ring. */
	for (i = 0; i < 60; i++) {
		mac[5] = i;
		kt_sys(vf_set_config(u->fd, 0, mac, 6));
		kt_sys(vf_get_config(u->fd, 0, got, 6));
		kt_check(!memcmp(got, mac, 6), "command %u: the address ends in %#x", i, got[5]);
	}
	vf_free(u);
	vf_unplug();
	vf_plug("");
	vf_bind();
	vf_fresh();
}

static const struct kt_case cases[] = {
	{ "commands are used in order", commands },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
