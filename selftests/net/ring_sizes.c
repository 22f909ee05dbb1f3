// SPDX-License-Identifier: GPL-2.0-only
/*
 * ring_sizes.c - rings of 2 to 32,768 entries, each filled and gone round; split
 * rings of powers of two alone, packed ones of any size
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "vguest.h"

static void size(long num)
{
	struct vg_opts o = { .num = num, .frame = 200, .depth = num > 1024 ? 1024 : num };
	unsigned int n_frames = num < 4096 ? 2 * num + 200 : num + 500;
	struct vg_traffic t = { .tx = n_frames, .rx = n_frames, .min = 60, .window = 200 };

	vg_run(vg_net_new(&o), &t);
}

/* All entries of a ring in flight at once. */
static void full(long num)
{
	struct vg_opts o = { .num = num, .frame = 64, .depth = num };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int i, queue;
	static uint8_t f[128];
	uint32_t seq, seen = 0;
	size_t len;

	if (num > 4096 && getenv("SHUNT_TEST_SLOW"))
		kt_skip("so many at once take minutes on this kernel");
	vg_queue_stop(q, VG_TX);
	for (i = 0; i < num; i++) {
		vg_frame(f, 64, i, 0);
		kt_check(vg_tx(q, f, 64, NULL), "no room for chain %u of %ld", i, num);
	}
	kt_check(!vg_tx(q, f, 64, NULL), "room for more chains than entries");
	vg_queue_start(q, VG_TX);
	vg_ring_kick(&q->ring[VG_TX]);
	while (seen < num) {
		const char *why;

		kt_check(vg_host_recv(n, f, sizeof(f), &len, NULL, VG_STALL_MS),
			 "frame %u did not arrive", seen);
		why = vg_frame_check(f, len, &seq, &queue);
		kt_check(!why && seq == seen, "frame %u: %s", seen, why ? why : "out of order");
		seen++;
	}
	for (i = 0; i < num; i += vg_tx_reap(q))
		kt_check(vg_ring_wait(&q->ring[VG_TX], VG_STALL_MS), "%u chains not used", i);
	kt_note("%ld chains by %llu used elements", num,
		(unsigned long long)q->ring[VG_TX].elements);
	/* So many at a time are returned together, in order by one element. */
	kt_check(!q->ring[VG_TX].in_order || num < 100 ||
			 q->ring[VG_TX].elements < (unsigned long)num / 2,
		 "each chain has its used element");
	vg_alive(n);
}

/* What is no size of any ring, and what is one only of packed rings. */
static void refused(long arg)
{
	static const unsigned int never[] = {
		0, 32769, 32770, 40000, 65535, 65536, 0x7fffffff, 0x80000000, 0x80000100, 0xffffffff
	};
	static const unsigned int odd[] = { 3, 5, 6, 7, 100, 255, 257, 1000, 32767 };
	struct vg_opts o = { .no_backend = true };
	struct vg_net *n = vg_net_new(&o);
	int fd = n->q[0].dev.fd;
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(never); i++)
		kt_errno(vg_vring_state(fd, VHOST_SET_VRING_NUM, VG_TX, never[i]), EINVAL);
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		if (vg_packed())
			kt_sys(vg_vring_state(fd, VHOST_SET_VRING_NUM, VG_TX, odd[i]));
		else
			kt_errno(vg_vring_state(fd, VHOST_SET_VRING_NUM, VG_TX, odd[i]), EINVAL);
	}
	vg_queue_setup(&n->q[0], VG_TX, vg_ring_first(&n->q[0].ring[VG_TX]));
	vg_queue_start(&n->q[0], VG_RX);
	vg_queue_start(&n->q[0], VG_TX);
	vg_alive(n);
}

/* Given before the features are, a size that only packed rings have does not make a split one. */
static void features_later(long num)
{
	struct vg_opts o = { .num = num, .no_backend = true };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];

	if (vg_set_features(q->dev.fd, VG_BASIC)) {
		kt_check(errno == EINVAL || errno == EBUSY, "errno %d", errno);
	} else {
		kt_check(vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, VG_TX, q->backend) &&
				 errno == EINVAL,
			 "a split ring of %ld was started", num);
		kt_sys(vg_set_features(q->dev.fd, q->dev.features));
	}
	vg_queue_setup(q, VG_RX, vg_ring_first(&q->ring[VG_RX]));
	vg_queue_setup(q, VG_TX, vg_ring_first(&q->ring[VG_TX]));
	vg_queue_start(q, VG_RX);
	vg_queue_start(q, VG_TX);
	vg_alive(n);
}

static const struct kt_case cases[] = {
	{ "sizes that are refused", refused, 0 },
	{ "the layout changed under a ring of 100", features_later, 100, .on = VG_ON_ANY_PACKED },
	{ "1 entry", size, 1, .on = VG_ON_ANY_PACKED },
	{ "3 entries", size, 3, .on = VG_ON_ANY_PACKED },
	{ "7 entries", size, 7, .on = VG_ON_ANY_PACKED },
	{ "100 entries", size, 100, .on = VG_ON_ANY_PACKED },
	{ "255 entries", size, 255, .on = VG_ON_ANY_PACKED },
	{ "1023 entries", size, 1023, .on = VG_ON_ANY_PACKED },
	{ "10000 entries", size, 10000, .on = VG_ON_ANY_PACKED },
	{ "32767 entries", size, 32767, .on = VG_ON_ANY_PACKED },
	{ "2 entries", size, 2 },
	{ "4 entries", size, 4 },
	{ "8 entries", size, 8 },
	{ "16 entries", size, 16 },
	{ "32 entries", size, 32 },
	{ "64 entries", size, 64 },
	{ "128 entries", size, 128 },
	{ "256 entries", size, 256 },
	{ "512 entries", size, 512 },
	{ "1024 entries", size, 1024 },
	{ "2048 entries", size, 2048 },
	{ "4096 entries", size, 4096 },
	{ "8192 entries", size, 8192 },
	{ "16384 entries", size, 16384 },
	{ "32768 entries", size, 32768 },
	{ "a ring of 2 full at once", full, 2 },
	{ "a ring of 257 full at once", full, 257, .on = VG_ON_ANY_PACKED },
	{ "a ring of 256 full at once", full, 256 },
	{ "a ring of 4096 full at once", full, 4096 },
	{ "a ring of 32768 full at once", full, 32768 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
