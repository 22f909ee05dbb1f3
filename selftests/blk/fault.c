// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault.c - a page fault that only the VMM can answer (userfaultfd) holds up the VMM's end
 * for no longer than a disk may take: whether a worker or a helper waits in it
 */
#include <unistd.h>

#include "vdisk.h"

enum { HEADER, DATA };

/* The VMM's life until the header, or the data, of a request is not there. Tells by @ready. */
static void get_stuck(int ready, long where)
{
	int uffd = vg_uffd();
	struct vd_opts o = { .num = 64 };
	struct vd_disk *d = vd_new(&o);
	struct vg_ring *r = &d->q[0].ring;
	const uint64_t gpa = vg_alloc(d->mem, 2 * VG_PAGE, VG_PAGE), page = gpa + VG_PAGE;
	struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_OUT };

	vg_put(d->mem, gpa, &hdr, sizeof(hdr));
	vg_desc(r, 0, where == HEADER ? page : gpa, 16, VRING_DESC_F_NEXT, 1);
	vg_desc(r, 1, where == DATA ? page : gpa, 512, VRING_DESC_F_NEXT, 2);
	vg_desc(r, 2, gpa + 1024, 1, VRING_DESC_F_WRITE, 0);
	vg_uffd_trap(uffd, vg_va(d->mem, page, VG_PAGE));
	vg_publish(r, 0);
	vg_ring_kick_always(r);
	vg_uffd_wait(uffd);
	kt_sys(write(ready, "x", 1));
	pause();
}

static void killed(long where)
{
	/* A helper's wait is no other than that for a disk, which has a minute. */
	vg_killable(get_stuck, where, (where == DATA ? 60000 : 0) + VG_STALL_MS);
}

static const struct kt_case cases[] = {
	{ "a VMM whose request's header does not come can be killed", killed, HEADER },
	{ "a VMM whose request's data do not come can be killed", killed, DATA, 120, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
