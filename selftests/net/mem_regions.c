// SPDX-License-Identifier: GPL-2.0-only
/*
 * mem_regions.c - guest memory in 1, 64 and 500 regions, with buffers in all
 * of them, and buffers that lie across adjacent regions
 */
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vguest.h"

static void regions(long n_regions)
{
	struct vg_opts o = { .regions = n_regions, .layout = VG_GAPS, .depth = 250 };
	struct vg_traffic t = { .tx = kt_scale(2000, 600), .rx = kt_scale(2000, 600), .min = 14 };

	vg_run(vg_net_new(&o), &t);
}

static void across(long n_regions)
{
	struct vg_opts o = {
		.regions = n_regions, .layout = VG_ADJACENT, .depth = 64, .frame = 9014
	};
	struct vg_traffic t = { .tx = kt_scale(600, 300), .rx = kt_scale(600, 300), .min = 14 };
	struct vg_net *n = vg_net_new(&o);

	vg_run(n, &t);
	/* The tables of indirect chains lie across regions too. */
	n->o.indirect = true;
	vg_alive(n);
}

/* The pages of a private mapping are copied for whoever writes first after a fork. */
static void fork_now_and_then(struct vg_net *n, void *arg)
{
	unsigned int *round = arg;
	pid_t pid;

	(void)n;
	if (++*round % 5)
		return;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	pid = kt_sys(fork());
	if (!pid) {
		/* Hold the copies for a while, and write to one's own. */
		usleep(50000);
		vg_fill(n->mem, n->mem->r[0].gpa, 0xff, n->mem->r[0].size);
		_exit(0);
	}
}

static void forked(long iotlb)
{
	struct vg_opts o = { .layout = VG_PRIVATE, .depth = 64, .iotlb = iotlb };
	unsigned int round = 0;
	struct vg_traffic t = {
		.tx = kt_scale(2000, 600),
		.rx = kt_scale(2000, 600),
		.hook = fork_now_and_then,
		.arg = &round,
	};

	vg_run(vg_net_new(&o), &t);
	kt_check(round >= 5, "no fork in %u rounds", round);
}

/* The table may be set again while the rings run, with more regions and the old. */
static void replaced(long arg)
{
	struct vg_opts o = { .regions = 40 };
	struct vg_net *n = vg_net_new(&o);
	unsigned int i;

	(void)arg;
	for (i = 0; i < 10; i++) {
		kt_sys(vg_set_mem(n->q[0].dev.fd, n->mem));
		vg_alive(n);
	}
}

static const struct kt_case cases[] = {
	{ "1 region", regions, 1 },
	{ "2 regions", regions, 2 },
	{ "64 regions", regions, 64 },
	{ "500 regions", regions, 500 },
	{ "buffers across 60 adjacent regions", across, 60 },
	{ "buffers across 500 adjacent regions", across, 500 },
	{ "private memory, and the owner forks", forked, 0 },
	{ "private memory behind an IOTLB, and the owner forks", forked, 2 },
	{ "the same table set again and again", replaced, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
