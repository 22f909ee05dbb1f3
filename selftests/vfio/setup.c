// SPDX-License-Identifier: GPL-2.0-only
/*
 * setup.c - what a function says of itself, and the way up to DRIVER_OK: device id, status,
 * features, queues, configuration, address range; and what of it is refused, and when
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vdpa.h"

#ifndef VHOST_VDPA_GET_VRING_SIZE
#define VHOST_VDPA_GET_VRING_SIZE _IOWR(VHOST_VIRTIO, 0x82, struct vhost_vring_state)
#endif

static void says_what_it_is(long arg)
{
	int fd = vf_open();
	uint32_t id = vf_id(fd), nvqs = vf_nvqs(fd);
	unsigned int max = vf_max(fd);

	(void)arg;
	kt_check(id == (vf_is_net() ? VIRTIO_ID_NET : VIRTIO_ID_BLOCK), "device id %u", id);
	kt_check(nvqs >= (vf_is_net() ? 2 : 1) && nvqs <= 65536, "%u queues", nvqs);
	kt_check(max >= 2 && max <= 32768 && !(max & (max - 1)), "rings of %u", max);
	kt_check(!vf_status(fd), "status %#x of a function that nobody has begun with",
		 vf_status(fd));
}

static void offers(long arg)
{
	const uint64_t must = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM);
	int fd = vf_open();
	uint64_t f = vg_features(fd);

	(void)arg;
	kt_note("features %#llx", (unsigned long long)f);
	kt_check((f & must) == must, "features %#llx", (unsigned long long)f);
	kt_check(!(f & (BIT(27) | BIT(30) | BIT(VHOST_F_LOG_ALL))),
		 "bits that are none of a function's: %#llx", (unsigned long long)f);
}

static void status_goes_up(long arg)
{
	int fd = vf_open();
	unsigned int round;

	(void)arg;
	for (round = 0; round < 3; round++) {
		kt_sys(vf_set_status(fd, VIRTIO_CONFIG_S_ACKNOWLEDGE));
		kt_check(vf_status(fd) == VIRTIO_CONFIG_S_ACKNOWLEDGE, "status %#x", vf_status(fd));
		kt_sys(vf_set_status(fd, VF_STATUS1));
		kt_check(vf_status(fd) == VF_STATUS1, "status %#x", vf_status(fd));
		/* A bit does not go away but by a reset. */
		kt_errno(vf_set_status(fd, VIRTIO_CONFIG_S_ACKNOWLEDGE), EINVAL);
		kt_errno(vf_set_status(fd, VIRTIO_CONFIG_S_DRIVER), EINVAL);
		kt_check(vf_status(fd) == VF_STATUS1, "status %#x", vf_status(fd));
		kt_sys(vg_set_features(fd, vg_features(fd) &
						   (VG_BASIC | BIT(VIRTIO_F_ACCESS_PLATFORM))));
		kt_sys(vf_set_status(fd, VF_STATUS2));
		kt_check(vf_status(fd) == VF_STATUS2, "status %#x", vf_status(fd));
		kt_errno(vf_set_status(fd, VF_STATUS1), EINVAL);
		/* Features are settled now. */
		kt_errno(vg_set_features(fd, 0), EBUSY);
		kt_sys(vf_set_status(fd, 0));
		kt_check(!vf_status(fd), "status %#x after a reset", vf_status(fd));
	}
}

/* Features that cannot be: refused at once, or FEATURES_OK does not come. */
static bool accepts(int fd, uint64_t features)
{
	bool ok;

	kt_sys(vf_set_status(fd, 0));
	kt_sys(vf_set_status(fd, VF_STATUS1));
	ok = !vg_set_features(fd, features) && !vf_set_status(fd, VF_STATUS2) &&
	     vf_status(fd) & VIRTIO_CONFIG_S_FEATURES_OK;
	kt_sys(vf_set_status(fd, 0));
	return ok;
}

static void refuses_features(long arg)
{
	int fd = vf_open();
	uint64_t f = vg_features(fd), basic = f & (VG_BASIC | BIT(VIRTIO_F_ACCESS_PLATFORM));
	unsigned int bit, refused = 0;

	(void)arg;
	kt_check(accepts(fd, basic), "basic features are refused");
	kt_check(!accepts(fd, basic & ~BIT(VIRTIO_F_ACCESS_PLATFORM)),
		 "a function behind an IOMMU is driven without ACCESS_PLATFORM");
	kt_check(!accepts(fd, basic & ~BIT(VIRTIO_F_VERSION_1)),
		 "a modern function without VERSION_1");
	kt_check(!accepts(fd, ~0ull), "all features at once");
	for (bit = 0; bit < 64; bit++) {
		if (f & BIT(bit))
			continue;
		kt_check(!accepts(fd, basic | BIT(bit)), "bit %u, which was not offered", bit);
		refused++;
	}
	kt_check(refused, "there is no bit that is not offered");
	close(fd);
	vf_fresh();
}

static void configuration(long arg)
{
	uint8_t all[4096], again[4096];
	uint32_t size = 0, i;
	int fd = vf_open();

	(void)arg;
	kt_sys(ioctl(fd, VHOST_VDPA_GET_CONFIG_SIZE, &size));
	kt_check(size >= 8 && size <= sizeof(all), "a configuration of %u bytes", size);
	kt_sys(vf_get_config(fd, 0, all, size));
	for (i = 0; i < size; i++) {
		kt_sys(vf_get_config(fd, i, &again[i], 1));
		kt_check(all[i] == again[i], "byte %u is %#x alone and %#x among all", i, again[i],
			 all[i]);
	}
	if (vf_is_net()) {
		struct virtio_net_config *c = (void *)all;

		kt_check(!(c->mac[0] & 1) && (c->mac[0] | c->mac[1] | c->mac[2]), "no MAC address");
		kt_check(c->max_virtqueue_pairs >= 1, "no queue pairs");
	} else {
		struct virtio_blk_config *c = (void *)all;
		int host = kt_sys(open(vf_peer(), O_RDONLY | O_CLOEXEC));
		uint64_t bytes = 0;

		kt_sys(ioctl(host, BLKGETSIZE64, &bytes));
		kt_check(c->capacity * VD_SECTOR == bytes, "capacity %llu, the disk has %llu bytes",
			 (unsigned long long)c->capacity, (unsigned long long)bytes);
	}
}

/* The two errors are those of vhost-vdpa. */
static void config_refused(int fd, uint32_t off, uint32_t len, int error)
{
	static const uint8_t none[4096];

	kt_errno(vf_get_config(fd, off, NULL, len), error);
	kt_errno(vf_set_config(fd, off, len > sizeof(none) ? NULL : none, len), error);
}

static void configuration_has_ends(long arg)
{
	static const uint32_t far[] = { 1u << 16, 0x7fffffff, 0x80000000, 0xfffffff0, ~0u };
	uint8_t buf[4096] = { 0 };
	uint32_t size = 0, i;
	int fd = vf_open();

	(void)arg;
	kt_sys(ioctl(fd, VHOST_VDPA_GET_CONFIG_SIZE, &size));
	kt_sys(vf_get_config(fd, 0, buf, size));
	config_refused(fd, 0, 0, EINVAL);
	config_refused(fd, size, 0, EINVAL);
	config_refused(fd, size + 1, 1, EINVAL);
	config_refused(fd, 0, size + 1, E2BIG);
	config_refused(fd, size, 1, E2BIG);
	config_refused(fd, size - 1, 2, E2BIG);
	for (i = 0; i < ARRAY_SIZE(far); i++) {
		config_refused(fd, far[i], 1, EINVAL);
		config_refused(fd, 1, far[i], E2BIG);
		/* Offset and length that add up to a small number. */
		config_refused(fd, far[i], -far[i] + 1, EINVAL);
	}
	kt_errno(ioctl(fd, VHOST_VDPA_GET_CONFIG, NULL), EFAULT);
	kt_errno(ioctl(fd, VHOST_VDPA_SET_CONFIG, NULL), EFAULT);
}

/* The driver may write these bytes: of a disk its write cache, if that was agreed on. */
static void configuration_is_written(long arg)
{
	const uint32_t at = offsetof(struct virtio_blk_config, wce);
	uint8_t wce;
	uint64_t f;
	int fd;

	(void)arg;
	vf_need(VIRTIO_ID_BLOCK);
	fd = vf_open();
	f = BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_BLK_F_CONFIG_WCE);
	if (f & ~vg_features(fd))
		kt_skip("the write cache of this function cannot be switched");
	vf_negotiate(fd, f);
	for (wce = 0; wce < 2; wce++) {
		uint8_t got = 0xee;

		kt_sys(vf_set_config(fd, at, &wce, 1));
		kt_sys(vf_get_config(fd, at, &got, 1));
		kt_check(got == wce, "the write cache is %u, wanted %u", got, wce);
	}
}

static void page_at(int fd, uint64_t iova, bool ok)
{
	static uint8_t page[2 * VG_PAGE];
	uintptr_t at = ((uintptr_t)page + VG_PAGE - 1) & -(uintptr_t)VG_PAGE;

	if (!ok) {
		kt_refused(vf_msg(fd, VHOST_IOTLB_UPDATE, iova, VG_PAGE, at, VHOST_ACCESS_RW));
		return;
	}
	if (vf_msg(fd, VHOST_IOTLB_UPDATE, iova, VG_PAGE, at, VHOST_ACCESS_RW))
		kt_fail("the page at %#llx is not mapped: %m", (unsigned long long)iova);
	kt_sys(vf_msg(fd, VHOST_IOTLB_INVALIDATE, iova, VG_PAGE, 0, 0));
}

static void address_range(long arg)
{
	int fd = vf_open();
	struct vhost_vdpa_iova_range r = vf_range(fd);

	(void)arg;
	kt_note("%#llx to %#llx", (unsigned long long)r.first, (unsigned long long)r.last);
	kt_check(r.first < r.last, "%#llx to %#llx", (unsigned long long)r.first,
		 (unsigned long long)r.last);
	kt_check(r.last >= 0xffffffff, "a guest does not fit into it");
	/* Its ends can be mapped, and what is behind them cannot. */
	page_at(fd, r.first, true);
	page_at(fd, r.last - VG_PAGE + 1, true);
	if (r.first)
		page_at(fd, r.first - VG_PAGE, false);
	if (r.last != ~0ull)
		page_at(fd, r.last + 1, false);
}

static void groups(long arg)
{
	int fd = vf_open();
	uint32_t nvqs = vf_nvqs(fd), ngroups = 0, i;
	unsigned int nas = 0;

	(void)arg;
	kt_sys(ioctl(fd, VHOST_VDPA_GET_GROUP_NUM, &ngroups));
	kt_sys(ioctl(fd, VHOST_VDPA_GET_AS_NUM, &nas));
	kt_check(ngroups >= 1 && nas >= 1, "%u groups, %u address spaces", ngroups, nas);
	for (i = 0; i < nvqs; i++) {
		struct vhost_vring_state s = { i, 0xffff };

		kt_sys(ioctl(fd, VHOST_VDPA_GET_VRING_GROUP, &s));
		kt_check(s.index == i && s.num < ngroups, "queue %u is in group %u of %u", i, s.num,
			 ngroups);
	}
	kt_refused(ioctl(fd, VHOST_VDPA_GET_VRING_GROUP, &(struct vhost_vring_state){ nvqs, 0 }));
	kt_refused(ioctl(fd, VHOST_VDPA_GET_VRING_GROUP, &(struct vhost_vring_state){ ~0u, 0 }));
	kt_refused(ioctl(fd, VHOST_VDPA_SET_GROUP_ASID, &(struct vhost_vring_state){ 0, nas }));
	kt_refused(ioctl(fd, VHOST_VDPA_SET_GROUP_ASID, &(struct vhost_vring_state){ ngroups, 0 }));
	kt_refused(ioctl(fd, VHOST_VDPA_SET_GROUP_ASID, &(struct vhost_vring_state){ 0, ~0u }));
}

/* Queue numbers that there are not, on every request that takes one. */
static void queues_end(long arg)
{
	int fd = vf_open();
	uint32_t bad[] = { vf_nvqs(fd), vf_nvqs(fd) + 1, 0x7fffffff, 0x80000000, 0xffff, ~0u };
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		uint32_t q = bad[i];
		struct vhost_vring_state s = { q, 0 };

		kt_refused(vg_vring_state(fd, VHOST_SET_VRING_NUM, q, 64));
		kt_refused(vg_vring_state(fd, VHOST_SET_VRING_BASE, q, 0));
		kt_refused(ioctl(fd, VHOST_GET_VRING_BASE, &s));
		kt_refused(vg_vring_addr(fd, q, 0, 0x1000, 0x2000, 0x3000, 0));
		kt_refused(vg_vring_file(fd, VHOST_SET_VRING_KICK, q, -1));
		kt_refused(vg_vring_file(fd, VHOST_SET_VRING_CALL, q, -1));
		kt_refused(vf_enable(fd, q, 1));
	}
}

static void ring_sizes(long arg)
{
	struct vhost_vring_state s = { 0, 0 };
	int fd = vf_open();
	unsigned int bad[] = { 0, 65535, 65536, 1u << 31, ~0u, 0 }, i;

	(void)arg;
	/* What every queue takes, and what this one does. */
	s.num = vf_max(fd);
	if (ioctl(fd, VHOST_VDPA_GET_VRING_SIZE, &s))
		kt_note("sizes of single queues: %m");
	kt_check(s.num >= vf_max(fd) && s.num <= 32768, "queue 0 takes %u, all take %u", s.num,
		 vf_max(fd));
	bad[5] = 2 * s.num;
	vf_negotiate(fd,
		     BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_ACCESS_PLATFORM) | vg_ring_features());
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, s.num));
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, 2));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		kt_refused(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, bad[i]));
	if (!vg_packed())
		kt_refused(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, 48));
}

/* A running ring keeps what it was told. */
static void running_rings(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){});
	const struct vg_ring *r = u->ring[0];
	uint64_t off = u->mem->iova_off;

	(void)arg;
	vf_alive(u);
	kt_refused(vg_vring_state(u->fd, VHOST_SET_VRING_NUM, 0, 64));
	kt_refused(vg_vring_addr(u->fd, 0, 0, r->desc_gpa + off, r->avail_gpa + off,
				 r->used_gpa + off, 0));
	kt_refused(vg_vring_state(u->fd, VHOST_SET_VRING_BASE, 0, vg_ring_first(r)));
	kt_refused(vg_set_features(u->fd, u->dev->features));
	/* To enable it once more changes nothing; DRIVER_OK neither. */
	if (vf_enable(u->fd, 0, 1))
		kt_note("a second enable: %m");
	kt_sys(vf_set_status(u->fd, VF_RUNNING));
	vf_alive(u);
}

static void nonsense_of_status(long arg)
{
	unsigned int s;
	int fd;

	(void)arg;
	for (s = 1; s < 256; s++) {
		fd = vf_open();
		/* Whatever it says: a driver that begins anew finds it as it should be. */
		if (vf_set_status(fd, s))
			kt_check(errno == EINVAL || errno == EIO || errno == EBUSY,
				 "status %#x: %m", s);
		kt_sys(vf_set_status(fd, 0));
		kt_check(!vf_status(fd), "status %#x after a reset", vf_status(fd));
		close(fd);
	}
	fd = vf_open();
	/* Running without features, without rings, without memory. */
	if (!vf_set_status(fd, VF_RUNNING))
		kt_note("DRIVER_OK without a ring is taken");
	for (s = 0; s < vf_nvqs(fd); s++)
		if (!vf_enable(fd, s, 1))
			break;
	kt_errno(ioctl(fd, VHOST_VDPA_SET_STATUS, NULL), EFAULT);
	kt_errno(ioctl(fd, VHOST_VDPA_GET_STATUS, NULL), EFAULT);
	close(fd);
	vf_fresh();
}

static void one_owner(long arg)
{
	int fd = vf_open();
	unsigned int i;

	(void)arg;
	for (i = 0; i < 10; i++) {
		kt_errno(open(vg_path(), O_RDWR | O_CLOEXEC), EBUSY);
		kt_errno(open(vg_path(), O_RDONLY | O_CLOEXEC), EBUSY);
	}
	kt_errno(ioctl(fd, VHOST_SET_OWNER), EBUSY);
	kt_check(!vf_status(fd), "status %#x", vf_status(fd));
	close(fd);
	vf_fresh();
}

static void unknown_requests(long arg)
{
	static const unsigned int known[] = { 0x00, 0x01, 0x02, 0x10, 0x11,
					      0x12, 0x20, 0x21, 0x25, 0x26 };
	int fd = vf_open();
	unsigned int nr, i;
	char room[256];

	(void)arg;
	for (nr = 0; nr < 256; nr++) {
		bool is = nr >= 0x70 && nr <= 0x81;

		for (i = 0; i < ARRAY_SIZE(known); i++)
			is |= nr == known[i];
		if (is)
			continue;
		memset(room, 0, sizeof(room));
		kt_refused(ioctl(fd, _IOW(VHOST_VIRTIO, nr, int), room));
	}
	/* Of the memory table and the dirty log there is nothing here: mapping is by messages. */
	kt_refused(ioctl(fd, VHOST_SET_MEM_TABLE, NULL));
	kt_refused(ioctl(fd, _IO('x', 0), 0));
	close(fd);
	vf_fresh();
}

static void fdinfo_is(int fd, const char *key, const char *want)
{
	char val[64];

	kt_check(vg_fdinfo(fd, key, val, sizeof(val)), "fdinfo has no %s", key);
	kt_check(!strcmp(val, want), "fdinfo: %s is '%s', wanted '%s'", key, val, want);
}

static void fdinfo(long arg)
{
	struct vf_unit *u = vf_new(&(struct vf_opts){ .stopped = true });
	uint64_t bytes = 0;
	unsigned int i;
	char want[32];

	(void)arg;
	for (i = 0; i < u->mem->n; i++)
		bytes += u->mem->r[i].size;
	snprintf(want, sizeof(want), "%llu kB", (unsigned long long)bytes >> 10);
	fdinfo_is(u->fd, "shunt-device", "vfio");
	fdinfo_is(u->fd, "shunt-function", vf_bdf());
	fdinfo_is(u->fd, "shunt-state", "bound");
	fdinfo_is(u->fd, "shunt-mapped", want);
	fdinfo_is(u->fd, "shunt-pinned", want);
	fdinfo_is(u->fd, "vq0-state", "stopped");
	vf_start(u);
	fdinfo_is(u->fd, "vq0-state", "running");
	vf_alive(u);
	vf_reset(u);
	fdinfo_is(u->fd, "vq0-state", "stopped");
	fdinfo_is(u->fd, "shunt-mapped", want);
	vf_unmap(u->fd, u->mem);
	fdinfo_is(u->fd, "shunt-mapped", "0 kB");
	fdinfo_is(u->fd, "shunt-pinned", "0 kB");
}

/*
 * DRIVER_OK is refused for what was said of another queue; what was said of the control queue,
 * which is only described after that, still holds.
 */
static void said_before_an_error(long arg)
{
	const uint64_t packed = BIT(VIRTIO_F_RING_PACKED);
	uint16_t pairs = 2;
	struct vf_unit *u;
	uint64_t off;
	unsigned int i;

	(void)arg;
	vf_need(VIRTIO_ID_NET);
	u = vf_new(&(struct vf_opts){ .queues = 2, .stopped = true });
	off = u->mem->iova_off;
	if (~vg_features(u->fd) & packed)
		kt_skip("this function has no packed rings, which may have any size");
	kt_sys(vf_set_status(u->fd, 0));
	kt_sys(vf_set_status(u->fd, VF_STATUS1));
	kt_sys(vg_set_features(u->fd, u->dev->features));
	for (i = 0; i < u->nring; i++) {
		vf_ring_setup(u->fd, i, u->ring[i]);
		kt_sys(vf_enable(u->fd, i, 1));
	}
	kt_sys(vg_vring_state(u->fd, VHOST_SET_VRING_NUM, u->ctrl_index, u->ctrl.num));
	kt_sys(vf_enable(u->fd, u->ctrl_index, 1));
	kt_sys(vg_set_features(u->fd, u->dev->features | packed));
	kt_sys(vg_vring_state(u->fd, VHOST_SET_VRING_NUM, 0, 6));
	kt_sys(vg_set_features(u->fd, u->dev->features));
	kt_sys(vf_set_status(u->fd, VF_STATUS2));
	kt_errno(vf_set_status(u->fd, VF_RUNNING), EINVAL);
	fdinfo_is(u->fd, "shunt-control", "none");
	fdinfo_is(u->fd, "shunt-vectors", "0");
	kt_sys(vg_vring_state(u->fd, VHOST_SET_VRING_NUM, 0, u->ring[0]->num));
	kt_sys(vg_vring_addr(u->fd, u->ctrl_index, 0, u->ctrl.desc_gpa + off,
			     u->ctrl.avail_gpa + off, u->ctrl.used_gpa + off, 0));
	kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, u->ctrl_index, u->ctrl.kick));
	kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_CALL, u->ctrl_index, u->ctrl.call));
	kt_sys(vf_set_status(u->fd, VF_RUNNING));
	fdinfo_is(u->fd, "shunt-control", "owner");
	kt_check(vf_ctrl(u, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs,
			 sizeof(pairs)) == VIRTIO_NET_OK,
		 "the owner's command is refused");
	vf_again(u);
	vf_alive(u);
}

static const struct kt_case cases[] = {
	{ "the function says what it is", says_what_it_is, 0, 0, VG_ON_ONCE },
	{ "it offers what a modern function behind an IOMMU has", offers, 0, 0, VG_ON_ONCE },
	{ "status goes up, and down by a reset only", status_goes_up, 0, 0, VG_ON_ONCE },
	{ "features that cannot be are refused", refuses_features, 0, 0, VG_ON_ONCE },
	{ "its configuration is read", configuration, 0, 0, VG_ON_ONCE },
	{ "its configuration ends", configuration_has_ends, 0, 0, VG_ON_ONCE },
	{ "its configuration is written", configuration_is_written, 0, 0, VG_ON_ONCE },
	{ "it has a range of addresses", address_range, 0, 0, VG_ON_ONCE },
	{ "queues are in groups", groups, 0, 0, VG_ON_ONCE },
	{ "queues that there are not", queues_end, 0, 0, VG_ON_ONCE },
	{ "sizes that rings cannot have", ring_sizes },
	{ "a running ring stays as it is", running_rings },
	{ "status bits in all combinations", nonsense_of_status, 0, 0, VG_ON_ONCE },
	{ "one owner at a time", one_owner, 0, 0, VG_ON_ONCE },
	{ "fdinfo tells", fdinfo },
	{ "what was said before an error holds", said_before_an_error, 0, 0, VG_ON_SPLIT },
	{ "requests that there are not", unknown_requests, 0, 0, VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
