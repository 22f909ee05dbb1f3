// SPDX-License-Identifier: GPL-2.0-only
/*
 * types.c - every type of request does to the disk what it says, however it is cut into
 * descriptors: checked against a model of the disk's first megabytes
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdisk.h"

#define AREA (4u << 20) /* of the disk, that the model covers */

static uint8_t model[AREA], buf[AREA];
static uint64_t state = 88172645463325252ull;

static unsigned int below(unsigned int n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

static unsigned int block_sectors(const struct vd_disk *d)
{
	return d->config.blk_size / VD_SECTOR;
}

/* Make disk and model the same. */
static void begin(struct vd_disk *d)
{
	const size_t step = d->o.room;
	size_t at;

	kt_check(d->sectors >= AREA / VD_SECTOR, "the disk is too small for the test");
	vd_fill(model, AREA, 1);
	for (at = 0; at < AREA; at += step) {
		size_t n = AREA - at < step ? AREA - at : step;

		kt_check(vd_write(d, 0, at / VD_SECTOR, model + at, n) == VIRTIO_BLK_S_OK,
			 "write of %zu at %zu", n, at);
	}
}

static void same(struct vd_disk *d)
{
	const size_t step = d->o.room;
	size_t at, i;

	for (at = 0; at < AREA; at += step) {
		size_t n = AREA - at < step ? AREA - at : step;

		kt_check(vd_read(d, 0, at / VD_SECTOR, buf, n) == VIRTIO_BLK_S_OK,
			 "read of %zu at %zu", n, at);
		for (i = 0; i < n; i++)
			kt_check(buf[i] == model[at + i], "byte %zu: %02x, wanted %02x", at + i,
				 buf[i], model[at + i]);
	}
}

/* A write and a read anywhere, in units of @unit sectors. */
static void one(struct vd_disk *d, unsigned int unit, size_t most)
{
	size_t units = most / VD_SECTOR / unit;
	size_t len = (1 + below(units)) * unit * VD_SECTOR;
	uint64_t sector = below((AREA - len) / VD_SECTOR / unit + 1) * unit;

	vd_fill(model + sector * VD_SECTOR, len, state);
	kt_check(vd_write(d, 0, sector, model + sector * VD_SECTOR, len) == VIRTIO_BLK_S_OK,
		 "write of %zu at sector %llu", len, (unsigned long long)sector);
	len = (1 + below(units)) * unit * VD_SECTOR;
	sector = below((AREA - len) / VD_SECTOR / unit + 1) * unit;
	memset(buf, 0, len);
	kt_check(vd_read(d, 0, sector, buf, len) == VIRTIO_BLK_S_OK, "read of %zu at sector %llu",
		 len, (unsigned long long)sector);
	kt_check(!memcmp(buf, model + sector * VD_SECTOR, len),
		 "read of %zu at sector %llu: other data", len, (unsigned long long)sector);
}

static const uint32_t bytes[] = { 1, 1, 1, 5, 8, 1, 300 };
static const uint32_t together[] = { 1u << 30 };
static const uint32_t halves[] = { 16 + 256, 512 };
static const uint32_t pages[] = { 16, 4096 };
static const uint32_t odd[] = { 7, 9, 511, 2, 1023, 4099, 60000 };

static const struct {
	const uint32_t *cut;
	unsigned int ncut;
} cuts[] = {
	{ NULL, 0 },
	{ together, 1 },
	{ bytes, ARRAY_SIZE(bytes) },
	{ halves, ARRAY_SIZE(halves) },
	{ pages, ARRAY_SIZE(pages) },
	{ odd, ARRAY_SIZE(odd) },
};

enum {
	PLAIN,
	TOGETHER,
	BYTES,
	HALVES,
	PAGES,
	ODD,
	CUTS = 15,
	UNALIGNED = 16,
	INDIRECT = 32,
	ADJACENT = 64,
	SMALL = 128,
	LARGE = 256
};

static void moves(long how)
{
	struct vd_opts o = {
		.cut = cuts[how & CUTS].cut,
		.ncut = cuts[how & CUTS].ncut,
		.align = how & UNALIGNED ? 1 : 0,
		.indirect = how & INDIRECT,
		.layout = how & ADJACENT ? VG_ADJACENT : VG_GAPS,
		.regions = how & ADJACENT ? 40 : 0,
		.room = how & LARGE ? 3u << 20 : 0,
		.depth = how & LARGE ? 2 : 0,
	};
	struct vd_disk *d = vd_new(&o);
	unsigned int i, n = kt_scale(how & LARGE ? 40 : 300, 20);

	begin(d);
	for (i = 0; i < n; i++)
		one(d, how & SMALL ? 1 : block_sectors(d), d->o.room);
	same(d);
	vd_free(d);
}

static void get_id(long len)
{
	struct vd_opts o = { 0 };
	struct vd_disk *d = vd_new(&o);
	char want[100] = "serial of the test", got[100];
	struct vd_io io = { .type = VIRTIO_BLK_T_GET_ID, .in = got, .in_len = len };

	memset(got, 0x5c, sizeof(got));
	kt_check(vd_do(d, 0, &io) == VIRTIO_BLK_S_OK, "status %u", io.status);
	kt_check(!memcmp(got, want, len < 20 ? len : 20), "the serial number is '%.20s'", got);
	vd_free(d);
}

static void unsupported(long arg)
{
	static const uint32_t types[] = { 2, 3, 5, 10, 12, 15, 0x80000000, 0xffffffff };
	struct vd_opts o = { 0 };
	struct vd_disk *d = vd_new(&o);
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct vd_io io = { .type = types[i], .out = buf, .out_len = i * 512 };

		kt_check(vd_do(d, 0, &io) == VIRTIO_BLK_S_UNSUPP, "type %#x: status %u", types[i],
			 io.status);
	}
	vd_alive(d);
	vd_free(d);
}

static void refused(struct vd_disk *d, uint32_t type, uint64_t sector, size_t len)
{
	struct vd_io io = { .type = type, .sector = sector };

	memset(buf, 0x11, len);
	if (type == VIRTIO_BLK_T_IN) {
		io.in = buf;
		io.in_len = len;
	} else {
		io.out = buf;
		io.out_len = len;
	}
	kt_check(vd_do(d, 0, &io) == VIRTIO_BLK_S_IOERR, "type %u of %zu at %#llx: status %u", type,
		 len, (unsigned long long)sector, io.status);
}

static void outside(long arg)
{
	struct vd_opts o = { 0 };
	struct vd_disk *d = vd_new(&o);
	const uint64_t end = d->sectors;
	const uint64_t bad[] = { end,	     end - 1,	 end + 1, 1ull << 54, (1ull << 55) - 1,
				 1ull << 55, 1ull << 63, ~0ull,	  ~0ull - 1 };
	unsigned int i;

	(void)arg;
	begin(d);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		refused(d, VIRTIO_BLK_T_IN, bad[i], 2 * VD_SECTOR);
		refused(d, VIRTIO_BLK_T_OUT, bad[i], 2 * VD_SECTOR);
	}
	refused(d, VIRTIO_BLK_T_IN, 0, 100);
	refused(d, VIRTIO_BLK_T_OUT, 0, 513);
	kt_check(vd_read(d, 0, end - block_sectors(d), buf, d->config.blk_size) == VIRTIO_BLK_S_OK,
		 "the last block cannot be read");
	kt_check(vd_read(d, 0, end, buf, 0) == VIRTIO_BLK_S_OK, "nothing at all cannot be read");
	same(d);
	vd_free(d);
}

static int erase(struct vd_disk *d, uint32_t type, const struct virtio_blk_discard_write_zeroes *r,
		 unsigned int n)
{
	struct vd_io io = { .type = type, .out = r, .out_len = n * sizeof(*r) };

	return vd_do(d, 0, &io);
}

static void zeroes(long how)
{
	struct vd_opts o = { 0 };
	struct vd_disk *d = vd_new(&o);
	const unsigned int unit = how & SMALL ? 1 : block_sectors(d);
	const uint32_t flags = how & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	struct virtio_blk_discard_write_zeroes r[16];
	unsigned int round, i, n;

	begin(d);
	for (round = 0; round < kt_scale(40, 8); round++) {
		n = 1 + below(ARRAY_SIZE(r));
		for (i = 0; i < n; i++) {
			uint32_t len = (1 + below(100)) * unit;
			uint64_t at = below((AREA / VD_SECTOR - len) / unit) * unit;

			r[i] = (struct virtio_blk_discard_write_zeroes){ at, len, flags };
			memset(model + at * VD_SECTOR, 0, (size_t)len * VD_SECTOR);
		}
		kt_check(erase(d, VIRTIO_BLK_T_WRITE_ZEROES, r, n) == VIRTIO_BLK_S_OK,
			 "write zeroes to %u ranges", n);
		one(d, unit, d->o.room);
	}
	same(d);
	vd_free(d);
}

/* What a discarded block holds is nobody's business, but its neighbours keep theirs. */
static void discard(long arg)
{
	struct vd_opts o = { .features = VD_BASIC | BIT(VIRTIO_BLK_F_DISCARD) };
	struct vd_disk d, *p;
	unsigned int unit, i;

	(void)arg;
	vd_open(&d, &o);
	if (!(vg_features(d.dev.fd) & BIT(VIRTIO_BLK_F_DISCARD)))
		kt_skip("this disk cannot discard");
	p = vd_new(&o);
	unit = p->config.discard_sector_alignment;
	begin(p);
	for (i = 0; i < 20; i++) {
		struct virtio_blk_discard_write_zeroes r = { i * 10 * unit, unit, 0 };

		kt_check(erase(p, VIRTIO_BLK_T_DISCARD, &r, 1) == VIRTIO_BLK_S_OK, "discard");
		kt_check(vd_read(p, 0, r.sector, model + r.sector * VD_SECTOR, unit * VD_SECTOR) ==
				 VIRTIO_BLK_S_OK,
			 "read");
	}
	/* One that is not of whole blocks: a sector more would be of its neighbour's. */
	for (i = 0; i < 20; i++) {
		const uint64_t sector = i * 10 * unit + 1 + below(2 * unit);
		const uint32_t count = 1 + below(4 * unit);
		struct virtio_blk_discard_write_zeroes r = { sector, count, 0 };

		kt_check(erase(p, VIRTIO_BLK_T_DISCARD, &r, 1) == VIRTIO_BLK_S_OK,
			 "discard of %u at %llu", count, (unsigned long long)sector);
		kt_check(vd_read(p, 0, sector, model + sector * VD_SECTOR, count * VD_SECTOR) ==
				 VIRTIO_BLK_S_OK,
			 "read");
	}
	same(p);
	vd_free(p);
}

static void bad_ranges(long arg)
{
	struct vd_opts o = { 0 };
	struct vd_disk *d = vd_new(&o);
	const uint64_t end = d->sectors;
	const struct {
		struct virtio_blk_discard_write_zeroes r;
		int zeroes, discard;
	} bad[] = {
		{ { 0, 8, 2 }, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP },
		{ { 0, 8, 0xffffffff }, VIRTIO_BLK_S_UNSUPP, VIRTIO_BLK_S_UNSUPP },
		{ { 0, 8, 1 }, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_UNSUPP },
		{ { end, 8, 0 }, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
		{ { end - 1, 8, 0 }, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
		{ { ~0ull, 1, 0 }, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
		{ { 1ull << 55, 8, 0 }, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
		{ { 0, 0xffffffff, 0 }, VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_IOERR },
		{ { 0, 0, 0 }, VIRTIO_BLK_S_OK, VIRTIO_BLK_S_OK },
	};
	const bool can_discard = vg_features(d->dev.fd) & BIT(VIRTIO_BLK_F_DISCARD);
	struct virtio_blk_discard_write_zeroes many[17] = { { 0, 0, 0 } };
	struct vd_io cut = { .type = VIRTIO_BLK_T_WRITE_ZEROES, .out = many, .out_len = 15 };
	unsigned int i;
	int status;

	(void)arg;
	begin(d);
	memset(model, 0, 8 * VD_SECTOR); /* the third of them does that */
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		status = erase(d, VIRTIO_BLK_T_WRITE_ZEROES, &bad[i].r, 1);
		kt_check(status == bad[i].zeroes, "write zeroes, range %u: status %d", i, status);
		status = erase(d, VIRTIO_BLK_T_DISCARD, &bad[i].r, 1);
		kt_check(status == (can_discard ? bad[i].discard : VIRTIO_BLK_S_UNSUPP),
			 "discard, range %u: status %d", i, status);
	}
	kt_check(erase(d, VIRTIO_BLK_T_WRITE_ZEROES, many, 16) == VIRTIO_BLK_S_OK, "16 ranges");
	kt_check(erase(d, VIRTIO_BLK_T_WRITE_ZEROES, many, 17) == VIRTIO_BLK_S_IOERR, "17 ranges");
	kt_check(erase(d, VIRTIO_BLK_T_WRITE_ZEROES, many, 0) == VIRTIO_BLK_S_IOERR, "no range");
	kt_check(vd_do(d, 0, &cut) == VIRTIO_BLK_S_IOERR, "a range that is cut short");
	/* One of several is bad: none is touched. */
	many[0] = (struct virtio_blk_discard_write_zeroes){ 64, 8, 0 };
	many[1] = (struct virtio_blk_discard_write_zeroes){ end, 8, 0 };
	kt_check(erase(d, VIRTIO_BLK_T_WRITE_ZEROES, many, 2) == VIRTIO_BLK_S_IOERR, "one is bad");
	same(d);
	vd_free(d);
}

/* Read-only by the flag, or because the disk was opened so. */
static void read_only(long flags)
{
	struct vd_opts o = {
		.flags = flags ? SHUNT_BLK_RDONLY : 0,
		.open_flags = flags ? O_RDWR : O_RDONLY,
	};
	struct vd_disk *d, *w;
	struct virtio_blk_discard_write_zeroes r = { 0, 8, 0 };

	if (o.open_flags == O_RDONLY)
		o.open_flags = O_NOCTTY; /* 0 stands for O_RDWR */
	w = vd_new(&(struct vd_opts){ 0 });
	begin(w);
	vd_free(w);
	d = vd_new(&o);
	kt_check(vg_features(d->dev.fd) & BIT(VIRTIO_BLK_F_RO), "RO is not offered");
	kt_check(!(vg_features(d->dev.fd) &
		   (BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES))),
		 "what would change the disk is offered");
	refused(d, VIRTIO_BLK_T_OUT, 0, 4096);
	kt_check(erase(d, VIRTIO_BLK_T_WRITE_ZEROES, &r, 1) == VIRTIO_BLK_S_IOERR, "write zeroes");
	kt_check(erase(d, VIRTIO_BLK_T_DISCARD, &r, 1) == VIRTIO_BLK_S_IOERR, "discard");
	kt_check(vd_flush(d, 0) == VIRTIO_BLK_S_OK, "flush");
	same(d);
	vd_free(d);
}

/* What was written is where others on the host look for it, and the reverse. */
static void host_sees(long arg)
{
	struct vd_opts o = { 0 };
	struct vd_disk *d = vd_new(&o);
	unsigned int i;
	int fd;

	(void)arg;
	begin(d);
	fd = kt_sys(open(vd_path(), O_RDWR | O_CLOEXEC));
	for (i = 0; i < 20; i++) {
		one(d, block_sectors(d), d->o.room);
		kt_check(pread(fd, buf, AREA, 0) == AREA, "pread: %m");
		kt_check(!memcmp(buf, model, AREA), "round %u: the host reads something else", i);
	}
	vd_fill(model, AREA, 77);
	kt_check(pwrite(fd, model, AREA, 0) == AREA, "pwrite: %m");
	kt_sys(fsync(fd));
	same(d);
	close(fd);
	vd_free(d);
}

static const struct kt_case cases[] = {
	{ "data in one piece, header and status apart", moves, PLAIN },
	{ "header with data and data with status in one segment", moves, TOGETHER },
	{ "header, data and status cut byte by byte", moves, BYTES | INDIRECT },
	{ "the cut is within the header's segment", moves, HALVES },
	{ "a page a segment", moves, PAGES },
	{ "a page a segment, in indirect tables", moves, PAGES | INDIRECT },
	{ "odd lengths at odd addresses", moves, ODD | UNALIGNED | INDIRECT },
	{ "one segment at an odd address", moves, PLAIN | UNALIGNED },
	{ "segments across memory regions", moves, ODD | ADJACENT },
	{ "single sectors, also of larger blocks", moves, PLAIN | SMALL },
	{ "single sectors at odd addresses", moves, ODD | UNALIGNED | SMALL },
	{ "requests of megabytes", moves, PLAIN | LARGE },
	{ "requests of megabytes at odd addresses", moves, PLAIN | LARGE | UNALIGNED },
	{ "the serial number", get_id, 20 },
	{ "the serial number, cut short", get_id, 5 },
	{ "the serial number into more than it needs", get_id, 64 },
	{ "unknown types are not supported", unsupported, 0 },
	{ "what is not on the disk is refused", outside, 0 },
	{ "zeroes are written", zeroes, 0 },
	{ "zeroes are written where blocks may be unmapped", zeroes,
	  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP },
	{ "zeroes are written to single sectors, also of larger blocks", zeroes, SMALL },
	{ "discarding leaves the neighbours alone", discard, 0 },
	{ "bad ranges are refused, whole", bad_ranges, 0 },
	{ "read-only as asked for", read_only, 1 },
	{ "read-only as the disk was opened", read_only, 0 },
	{ "the host sees what the guest wrote, and the reverse", host_sees, 0 },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
