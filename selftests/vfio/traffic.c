// SPDX-License-Identifier: GPL-2.0-only
/*
 * traffic.c - frames both ways and requests, byte for byte, done by the function itself in
 * memory that it was given: of all sizes, in chains of many kinds, on one queue or several
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "vdpa.h"

static const uint32_t small_pieces[] = { 12, 14, 100, 7, 1500 };
static const uint32_t disk_pieces[] = { 16, 512, 1024, 4096, 512 };

#define NO_EVENT (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC))

static void many(long queues)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .queues = queues, .depth = 64, .num = 256 });

	vf_run(u, kt_scale(3000, 300), NULL, NULL);
	vf_free(u);
}

static void without_events(long indirect)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){
		.features = NO_EVENT | (vf_is_net() ? BIT(VIRTIO_NET_F_MRG_RXBUF) : 0),
		.indirect = indirect,
	});

	vf_run(u, kt_scale(1000, 200), NULL, NULL);
	vf_free(u);
}

/* Each frame and request in several segments, over guest memory that is scattered here. */
static void pieces(long indirect)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){
		.cut = vf_is_net() ? small_pieces : disk_pieces,
		.ncut = ARRAY_SIZE(small_pieces),
		.num = 256,
		.depth = 16,
		.indirect = indirect,
		.layout = VG_ADJACENT,
		.regions = 40,
	});

	vf_run(u, kt_scale(1000, 200), NULL, NULL);
	vf_free(u);
}

/* Memory that is no file, mapped by message after message. */
static void private_memory(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .layout = VG_PRIVATE, .no_batch = true });

	(void)arg;
	vf_run(u, 200, NULL, NULL);
	vf_free(u);
}

/* An index wraps, and rings of each size do what they must. */
static void sizes(long arg)
{
	unsigned int num, max;
	int fd = vf_open();

	(void)arg;
	max = vf_max(fd);
	close(fd);
	for (num = 8; num <= max; num *= 4) {
		struct vf_unit *u = vf_new(&(struct vf_opts){
			.num = num,
			.depth = num / 4 < 64 ? num / 4 : 64,
		});

		vf_run(u, 150, NULL, NULL);
		vf_free(u);
	}
}

static void long_frames(long arg)
{
	struct virtio_net_config c;
	struct vf_unit *u;
	int fd;

	(void)arg;
	vf_need(VIRTIO_ID_NET);
	fd = vf_open();
	if (!(vg_features(fd) & BIT(VIRTIO_NET_F_MTU)))
		kt_skip("the wire has no MTU of its own");
	kt_sys(vf_get_config(fd, 0, &c, offsetof(struct virtio_net_config, mtu) + 2));
	u = vf_new_on(fd, &(struct vf_opts){ .frame = c.mtu + 14 });
	vf_run(u, kt_scale(600, 100), NULL, NULL);
	vf_free(u);
}

/* What was written is what the host reads from the same storage, and the other way round. */
static void seen_by_the_host(long arg)
{
	static const unsigned int bytes = 32768, places = 16;
	struct vf_unit *u;
	uint8_t *a, *b;
	unsigned int i;
	int host;

	(void)arg;
	vf_need(VIRTIO_ID_BLOCK);
	u = vf_new(&(struct vf_opts){});
	host = kt_sys(open(vf_peer(), O_RDWR | O_DIRECT | O_CLOEXEC));
	kt_check(!posix_memalign((void **)&a, 4096, bytes) &&
			 !posix_memalign((void **)&b, 4096, bytes),
		 "no memory");
	for (i = 0; i < places; i++) {
		uint64_t at = 4096 + (uint64_t)i * bytes / VD_SECTOR;

		vd_fill(a, bytes, i + 77);
		kt_check(vd_write(u->disk, 0, at, a, bytes) == VIRTIO_BLK_S_OK, "write");
		kt_check(pread(host, b, bytes, at * VD_SECTOR) == bytes, "the host's read: %m");
		kt_check(!memcmp(a, b, bytes), "the host reads something else at %llu",
			 (unsigned long long)at);
		vd_fill(a, bytes, i + 7777);
		kt_check(pwrite(host, a, bytes, at * VD_SECTOR) == bytes, "the host's write: %m");
		kt_check(vd_read(u->disk, 0, at, b, bytes) == VIRTIO_BLK_S_OK, "read");
		kt_check(!memcmp(a, b, bytes), "the guest reads something else at %llu",
			 (unsigned long long)at);
	}
	kt_check(vd_flush(u->disk, 0) == VIRTIO_BLK_S_OK, "flush");
	kt_check(vd_read(u->disk, 0, u->disk->sectors, b, VD_SECTOR) == VIRTIO_BLK_S_IOERR,
		 "a read behind the end is no error");
	vf_free(u);
}

static void disk_is_kept(long queues)
{
	struct vf_unit *u;

	vf_need(VIRTIO_ID_BLOCK);
	u = vf_new(&(struct vf_opts){ .queues = queues });
	vf_run(u, kt_scale(500, 100), NULL, NULL);
	vf_again(u);
	vd_load_check(&u->load);
	vf_free(u);
}

static const struct kt_case cases[] = {
	{ "much traffic on one queue or pair", many, 1 },
	{ "much traffic on two", many, 2 },
	{ "without EVENT_IDX", without_events, 0 },
	{ "without EVENT_IDX, all indirect", without_events, 1 },
	{ "in chains of several segments", pieces, 0 },
	{ "in indirect chains of several segments", pieces, 1 },
	{ "memory that is no file", private_memory, 0 },
	{ "rings of several sizes", sizes, 0 },
	{ "frames as long as the wire takes", long_frames, 0 },
	{ "the host sees what was written", seen_by_the_host, 0 },
	{ "a reset loses nothing of a disk", disk_is_kept, 2 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
