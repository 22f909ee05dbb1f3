// SPDX-License-Identifier: GPL-2.0-only
/*
 * owner.c - who owns a device, and what may be asked of it when: owner, reset,
 * feature words, numbers of queues
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vguest.h"

static void twice(long arg)
{
	int fd = vg_open();

	(void)arg;
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	kt_errno(ioctl(fd, VHOST_SET_OWNER), EBUSY);
	kt_sys(ioctl(fd, VHOST_RESET_OWNER));
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
}

static void without(long arg)
{
	struct vg_mem *m = vg_mem_new(2, 1 << 20, VG_GAPS);
	uint64_t base = 0;
	int fd = vg_open(), none = -1;

	(void)arg;
	kt_errno(vg_set_mem(fd, m), EPERM);
	kt_errno(ioctl(fd, VHOST_SET_LOG_BASE, &base), EPERM);
	kt_errno(ioctl(fd, VHOST_SET_LOG_FD, &none), EPERM);
	kt_errno(ioctl(fd, VHOST_RESET_OWNER), EPERM);
	kt_errno(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, 256), EPERM);
	kt_errno(vg_vring_state(fd, VHOST_SET_VRING_BASE, 0, 0), EPERM);
	kt_errno(vg_vring_file(fd, VHOST_SET_VRING_KICK, 0, -1), EPERM);
	kt_errno(vg_vring_file(fd, VHOST_NET_SET_BACKEND, 0, -1), EPERM);
	/* Feature words may be read and set before. */
	vg_features(fd);
	kt_sys(vg_set_features(fd, 0));
}

/* The owner's memory is the owner's: another process can neither take nor give it. */
static void other_process(long arg)
{
	struct vg_mem *m = vg_mem_new(2, 1 << 20, VG_GAPS);
	int fd = vg_open(), status;
	pid_t pid;

	(void)arg;
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	pid = kt_sys(fork());
	if (!pid) {
		kt_errno(ioctl(fd, VHOST_SET_OWNER), EBUSY);
		kt_errno(vg_set_mem(fd, m), EPERM);
		kt_errno(vg_vring_state(fd, VHOST_SET_VRING_NUM, 0, 256), EPERM);
		kt_errno(vg_vring_file(fd, VHOST_NET_SET_BACKEND, 0, -1), EPERM);
		kt_errno(ioctl(fd, VHOST_RESET_OWNER), EPERM);
		_exit(0);
	}
	kt_sys(waitpid(pid, &status, 0));
	kt_check(WIFEXITED(status) && !WEXITSTATUS(status), "the other process failed");
	kt_sys(vg_set_mem(fd, m));
}

/* After a reset the device takes a new life, in the same process. */
static void reset(long arg)
{
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	struct vg_queue *q = &n->q[0];
	unsigned int round, i, base[2];

	(void)arg;
	for (round = 0; round < 10; round++) {
		vg_alive(n);
		for (i = 0; i < 2; i++)
			base[i] = round % 2 ? vg_queue_stop(q, i) : 0;
		/* On even rounds with the rings running: reset stops them. */
		kt_sys(ioctl(q->dev.fd, VHOST_RESET_OWNER));
		kt_errno(vg_vring_state(q->dev.fd, VHOST_SET_VRING_NUM, 0, 256), EPERM);
		kt_sys(ioctl(q->dev.fd, VHOST_SET_OWNER));
		kt_sys(vg_set_features(q->dev.fd, q->dev.features));
		kt_sys(vg_set_mem(q->dev.fd, n->mem));
		for (i = 0; i < 2; i++) {
			if (!(round % 2))
				base[i] = vg_ring_at(&q->ring[i]);
			vg_queue_setup(q, i, base[i]);
			vg_queue_start(q, i);
		}
	}
	vg_alive(n);
}

#define STOCK_FEATURES                                                                    \
	(BIT(VIRTIO_F_NOTIFY_ON_EMPTY) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |               \
	 BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VHOST_F_LOG_ALL) | BIT(VIRTIO_F_ANY_LAYOUT) | \
	 BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VIRTIO_F_ACCESS_PLATFORM))

static void features(long arg)
{
	int fd = vg_open();
	uint64_t f = vg_features(fd), be = 0;
	unsigned int bit;

	(void)arg;
	kt_check((f & STOCK_FEATURES) == STOCK_FEATURES, "features %#llx lack %#llx",
		 (unsigned long long)f, (unsigned long long)(STOCK_FEATURES & ~f));
	if (vg_is_shunt()) {
		kt_check(f & BIT(VIRTIO_F_RING_RESET), "RING_RESET is not offered");
		kt_check(f & BIT(VIRTIO_F_RING_PACKED), "RING_PACKED is not offered");
		kt_check(f & BIT(VIRTIO_F_IN_ORDER), "IN_ORDER is not offered");
		if (!access("/dev/vhost-net", R_OK)) {
			int stock = open("/dev/vhost-net", O_RDWR);
			uint64_t sf = stock < 0 ? 0 : vg_features(stock);

			kt_check(!(sf & ~f), "stock offers %#llx besides",
				 (unsigned long long)(sf & ~f));
		}
	}
	for (bit = 0; bit < 64; bit++) {
		if (f & BIT(bit))
			continue;
		kt_errno(vg_set_features(fd, BIT(bit)), EOPNOTSUPP);
	}
	kt_sys(ioctl(fd, VHOST_GET_BACKEND_FEATURES, &be));
	kt_check(be & BIT(VHOST_BACKEND_F_IOTLB_MSG_V2), "back-end features %#llx",
		 (unsigned long long)be);
	for (bit = 0; bit < 64; bit++) {
		uint64_t one = BIT(bit);

		if (!(be & one))
			kt_errno(ioctl(fd, VHOST_SET_BACKEND_FEATURES, &one), EOPNOTSUPP);
	}
	kt_sys(vg_set_features(fd, f & ~(BIT(VHOST_F_LOG_ALL) | BIT(VIRTIO_F_ACCESS_PLATFORM))));
	kt_errno(ioctl(fd, VHOST_GET_FEATURES, (void *)8), EFAULT);
	kt_errno(ioctl(fd, VHOST_SET_FEATURES, (void *)8), EFAULT);
}

/* There are two rings; no number beyond them reaches anything. */
static void queue_numbers(long arg)
{
	static const unsigned int bad[] = { 2, 3, 64, 65535, 0x7fffffff, 0x80000000, 0xffffffff };
	static const unsigned long states[] = {
		VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_BASE,
		VHOST_GET_VRING_BASE,
		VHOST_SET_VRING_BUSYLOOP_TIMEOUT,
		VHOST_GET_VRING_BUSYLOOP_TIMEOUT,
	};
	static const unsigned long files[] = {
		VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL,
		VHOST_SET_VRING_ERR,
		VHOST_NET_SET_BACKEND,
	};
	struct vg_opts o = { .frame = 1514 };
	struct vg_net *n = vg_net_new(&o);
	int fd = n->q[0].dev.fd, e = kt_sys(eventfd(0, 0));
	unsigned int i, k;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		for (k = 0; k < ARRAY_SIZE(states); k++)
			kt_errno(vg_vring_state(fd, states[k], bad[i], 8), ENOBUFS);
		for (k = 0; k < ARRAY_SIZE(files); k++)
			kt_errno(vg_vring_file(fd, files[k], bad[i], e), ENOBUFS);
		kt_errno(vg_vring_addr(fd, bad[i], 0, 4096, 4096, 4096, 0), ENOBUFS);
	}
	vg_alive(n);
}

/* Not a request of a vhost-net device. */
static void unknown(long arg)
{
	int fd = vg_open();
	unsigned int nr;

	(void)arg;
	kt_sys(ioctl(fd, VHOST_SET_OWNER));
	for (nr = 0x31; nr < 0x60; nr++) {
		char buf[64] = { 0 };

		kt_errno(ioctl(fd, _IOW(VHOST_VIRTIO, nr, __u64), buf), ENOTTY);
	}
	kt_errno(ioctl(fd, _IOW('T', 0x10, __u64), (uint64_t[8]){ 0 }), ENOTTY);
}

static const struct kt_case cases[] = {
	{ "a device has one owner at a time", twice, .on = VG_ON_ONCE },
	{ "without an owner nothing can be set", without, .on = VG_ON_ONCE },
	{ "another process is not the owner", other_process, .on = VG_ON_ONCE },
	{ "a device is reset and used again", reset, 0 },
	{ "feature words", features, .on = VG_ON_ONCE },
	{ "numbers of queues", queue_numbers, 0 },
	{ "requests that do not exist", unknown, .on = VG_ON_ONCE },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
