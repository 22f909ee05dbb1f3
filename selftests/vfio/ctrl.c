// SPDX-License-Identifier: GPL-2.0-only
/*
 * ctrl.c - the control queue of a card whose owner has none: the module drives it, and tells
 * the function by it how many pairs are enabled, and the MAC address. What of it is the
 * owner's; a function that does not answer, or writes over what it should not; and that
 * nothing is left of it, however it ends
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_pci.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vdpa.h"

#define FLOWS  64
#define ROUNDS 6
/* Queues of the second pair. */
#define RX2	 2
#define TX2	 3
#define PAIRS_AT offsetof(struct virtio_net_config, max_virtqueue_pairs)

static void fdinfo_is(int fd, const char *key, const char *want)
{
	char val[32];

	kt_check(vg_fdinfo(fd, key, val, sizeof(val)), "fdinfo has no %s", key);
	kt_check(!strcmp(val, want), "fdinfo: %s is '%s', wanted '%s'", key, val, want);
}

static void pairs_are(const struct vf_unit *u, unsigned int n)
{
	kt_check(vg_fdinfo_u64(u->fd, "shunt-pairs") == n, "the function was told of %llu pairs",
		 (unsigned long long)vg_fdinfo_u64(u->fd, "shunt-pairs"));
}

/* A card with two pairs, none of which is enabled. */
static struct vf_unit *card(uint64_t more)
{
	vf_need(VIRTIO_ID_NET);
	/* A case that failed may have left a register covered. */
	if (getenv("SHUNT_VFIO_COVERS"))
		vf_uncover();
	return vf_new(&(struct vf_opts){
		.queues = 2,
		.features = VG_BASIC | more,
		.no_ctrl = true,
		.stopped = true,
	});
}

static void enable_pair(const struct vf_unit *u, unsigned int pair, unsigned int on)
{
	kt_sys(vf_enable(u->fd, 2 * pair, on));
	kt_sys(vf_enable(u->fd, 2 * pair + 1, on));
}

static void run(struct vf_unit *u)
{
	unsigned int i;

	kt_sys(vf_set_status(u->fd, VF_RUNNING));
	fdinfo_is(u->fd, "shunt-control", "module");
	for (i = 0; i < u->o.queues; i++)
		if (vg_rx_fill(&u->net->q[i]))
			vg_ring_kick(&u->net->q[i].ring[VG_RX]);
}

static void receive(struct vf_unit *u, unsigned int got[2])
{
	static uint8_t f[VG_FRAME_MAX];
	unsigned int i;
	size_t len;

	for (i = 0; i < 2; i++) {
		struct vg_queue *q = &u->net->q[i];

		while (vg_rx(q, f, sizeof(f), &len, NULL))
			got[i] += vg_frame_of_age(f);
		if (vg_rx_fill(q))
			vg_ring_kick(&q->ring[VG_RX]);
	}
}

/*
 * The host sends flows, no more of them before those that were sent have come, or are lost: how
 * many frames arrive by which pair. What a pair has from before in its wire comes first, and does
 * not count: so where it is to be by @both, until there are some of each.
 */
static void flows(struct vf_unit *u, bool both, unsigned int got[2])
{
	static uint8_t f[VG_FRAME_MAX];
	uint64_t end = vg_ms() + VG_STALL_MS, late;
	unsigned int i, sent = 0;
	size_t len;

	got[0] = got[1] = 0;
	vg_host_drain(u->net);
	while (got[0] + got[1] < FLOWS * ROUNDS || (both && !(got[0] && got[1]))) {
		kt_check(vg_ms() < end, "%u frames arrive by the first pair, %u by the second",
			 got[0], got[1]);
		for (i = 0; i < FLOWS; i++) {
			len = vg_frame_ip(f, IPPROTO_UDP, 2000 + 7 * i, 3000 + 13 * i, 18, i,
					  false);
			vg_host_send(u->net, f, len, NULL);
			if (i % 8 == 7)
				receive(u, got);
		}
		sent += FLOWS;
		late = vg_ms() + 100;
		do {
			usleep(1000);
			receive(u, got);
		} while (got[0] + got[1] < sent && vg_ms() < late);
	}
}

static void by_both(struct vf_unit *u)
{
	unsigned int got[2];

	pairs_are(u, 2);
	flows(u, true, got);
	kt_note("of %u flows %u frames by the first pair, %u by the second", FLOWS, got[0], got[1]);
}

static void by_the_first(struct vf_unit *u)
{
	unsigned int got[2];

	pairs_are(u, 1);
	flows(u, false, got);
	kt_check(!got[1], "%u frames arrive by a pair that is not enabled", got[1]);
}

static void enabled_later(long arg)
{
	struct vf_unit *u = card(0);
	unsigned int round;

	(void)arg;
	enable_pair(u, 0, 1);
	run(u);
	by_the_first(u);
	for (round = 0; round < 4; round++) {
		/* Half a pair is none. */
		kt_sys(vf_enable(u->fd, round % 2 ? RX2 : TX2, 1));
		pairs_are(u, 1);
		kt_sys(vf_enable(u->fd, round % 2 ? TX2 : RX2, 1));
		by_both(u);
		kt_sys(vf_enable(u->fd, round % 2 ? RX2 : TX2, 0));
		by_the_first(u);
		kt_sys(vf_enable(u->fd, round % 2 ? TX2 : RX2, 0));
		pairs_are(u, 1);
	}
	/* A VMM that is about to stop it: nothing has to be said any more. */
	enable_pair(u, 1, 1);
	enable_pair(u, 0, 0);
	enable_pair(u, 1, 0);
	pairs_are(u, 2);
	vf_reset(u);
	fdinfo_is(u->fd, "shunt-control", "none");
}

static void enabled_before(long arg)
{
	struct vf_unit *u = card(0);

	(void)arg;
	enable_pair(u, 1, 1);
	enable_pair(u, 0, 1);
	run(u);
	by_both(u);
	enable_pair(u, 1, 0);
	by_the_first(u);
}

/* Whatever the rings are like, every frame comes by one pair or the other; and after a reset. */
static void traffic(long arg)
{
	struct vf_unit *u = card(0);
	unsigned int round;

	(void)arg;
	vf_start(u);
	for (round = 0; round < kt_scale(8, 4); round++) {
		vf_run(u, kt_scale(400, 100), NULL, NULL);
		pairs_are(u, 2);
		vf_again(u);
		fdinfo_is(u->fd, "shunt-control", "module");
	}
	vf_alive(u);
	vf_free(u);
}

/* With no pairs to be told of, the queue is elsewhere. */
static struct vf_unit *single(uint64_t more)
{
	vf_need(VIRTIO_ID_NET);
	return vf_new(&(struct vf_opts){
		.features = VG_BASIC | BIT(VIRTIO_NET_F_CTRL_VQ) | more,
		.stopped = true,
	});
}

static void mac_is(const struct vf_unit *u, const uint8_t want[6])
{
	uint8_t got[6];

	kt_sys(vf_get_config(u->fd, 0, got, 6));
	kt_check(!memcmp(got, want, 6), "MAC address %02x:…:%02x, wanted %02x:…:%02x", got[0],
		 got[5], want[0], want[5]);
}

static void mac_address(long multiqueue)
{
	const uint64_t f = BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_MAC);
	uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 }, first[6];
	struct vf_unit *u = multiqueue ? card(f) : single(f);
	unsigned int i;

	kt_sys(vf_get_config(u->fd, 0, first, 6));
	kt_check(memcmp(first, mac, 6), "it has that MAC address already");
	kt_sys(vf_set_config(u->fd, 0, mac, 6));
	enable_pair(u, 0, 1);
	run(u);
	mac_is(u, mac);
	/* More commands than the ring has room for at once. */
	for (i = 0; i < 100; i++) {
		mac[5] = i;
		kt_sys(vf_set_config(u->fd, 0, mac, 6));
		mac_is(u, mac);
	}
	/* One byte of it, and one that is not of it. */
	mac[3] = 0x77;
	kt_sys(vf_set_config(u->fd, 3, mac + 3, 1));
	mac_is(u, mac);
	kt_sys(vf_set_config(u->fd, 5, (uint8_t[]){ mac[5], 0 }, 2));
	mac_is(u, mac);
	vf_reset(u);
	mac_is(u, first);
	/* It is forgotten by that. */
	vf_setup(u);
	enable_pair(u, 0, 1);
	run(u);
	mac_is(u, first);
	vf_reset(u);
	vf_unmap(u->fd, u->mem);
	vf_alive(vf_new_on(u->fd, &(struct vf_opts){}));
}

/* Who does not want to set it does not: a modern function's configuration is read-only there. */
static void mac_is_not_to_be_set(long arg)
{
	const uint8_t mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x57 };
	uint8_t first[6];
	struct vf_unit *u = single(0);

	(void)arg;
	kt_sys(vf_get_config(u->fd, 0, first, 6));
	kt_sys(vf_set_config(u->fd, 0, mac, 6));
	enable_pair(u, 0, 1);
	run(u);
	mac_is(u, first);
	kt_sys(vf_set_config(u->fd, 0, mac, 6));
	mac_is(u, first);
}

/* Described is the owner's, also where it is enabled last, as QEMU from 8.2 on does. */
static void the_owners(long arg)
{
	uint16_t pairs = 2;
	struct vf_unit *u;

	(void)arg;
	vf_need(VIRTIO_ID_NET);
	u = vf_new(&(struct vf_opts){ .queues = 2, .stopped = true });
	fdinfo_is(u->fd, "shunt-control", "none");
	kt_sys(vf_set_status(u->fd, VF_RUNNING));
	fdinfo_is(u->fd, "shunt-control", "owner");
	kt_sys(vf_enable(u->fd, u->ctrl_index, 1));
	enable_pair(u, 0, 1);
	enable_pair(u, 1, 1);
	kt_check(vf_ctrl(u, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &pairs,
			 sizeof(pairs)) == VIRTIO_NET_OK,
		 "the owner's command is refused");
	vf_again(u);
	fdinfo_is(u->fd, "shunt-control", "owner");
	vf_alive(u);
}

/* Without it, as any guest may do, there is nothing to drive. */
static void nobodys(long arg)
{
	struct vf_unit *u;

	(void)arg;
	vf_need(VIRTIO_ID_NET);
	u = vf_new(&(struct vf_opts){});
	fdinfo_is(u->fd, "shunt-control", "none");
	vf_alive(u);
}

static void not_the_owners(long arg)
{
	struct vf_unit *u = card(0);
	const struct vg_ring *r = u->ring[0];
	uint64_t off = u->mem->iova_off;
	struct virtio_net_config c;
	unsigned int index;

	(void)arg;
	kt_sys(vf_get_config(u->fd, 0, &c, PAIRS_AT + 2));
	index = 2 * c.max_virtqueue_pairs;
	vf_start(u);
	pairs_are(u, 2);
	kt_errno(vg_vring_state(u->fd, VHOST_SET_VRING_NUM, index, 8), EBUSY);
	kt_errno(vg_vring_addr(u->fd, index, 0, r->desc_gpa + off, r->avail_gpa + off,
			       r->used_gpa + off, 0),
		 EBUSY);
	kt_errno(vg_vring_state(u->fd, VHOST_SET_VRING_BASE, index, vg_ring_first(r)), EBUSY);
	kt_errno(vf_enable(u->fd, index, 1), EBUSY);
	kt_sys(vf_enable(u->fd, index, 0));
	/* Its events may be given and written, and do nothing. */
	kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_KICK, index, r->kick));
	kt_sys(vg_vring_file(u->fd, VHOST_SET_VRING_CALL, index, r->call));
	vg_ring_kick_always(u->ring[0]);
	vf_alive(u);
	/* The next driver may have it. */
	vf_reset(u);
	vf_unmap(u->fd, u->mem);
	u = vf_new_on(u->fd, &(struct vf_opts){ .queues = 2 });
	fdinfo_is(u->fd, "shunt-control", "owner");
	vf_alive(u);
}

/* The last page that the IOMMU has, or that 48 bits have, is kept, whoever drives the queue. */
static void kept_page(long arg)
{
	static uint8_t pages[3 * VG_PAGE];
	uintptr_t va = ((uintptr_t)pages + VG_PAGE - 1) & -(uintptr_t)VG_PAGE;
	struct vf_unit *u = card(0);
	struct vhost_vdpa_iova_range r = vf_range(u->fd);
	unsigned int i;

	(void)arg;
	kt_note("to %#llx", (unsigned long long)r.last);
	kt_check(!((r.last + 1 + VG_PAGE) & (r.last + VG_PAGE)) && !(r.last >> 48),
		 "the range ends at %#llx", (unsigned long long)r.last);
	for (i = 0; i < 2; i++) {
		kt_errno(
			vf_msg(u->fd, VHOST_IOTLB_UPDATE, r.last + 1, VG_PAGE, va, VHOST_ACCESS_RW),
			EINVAL);
		kt_errno(vf_msg(u->fd, VHOST_IOTLB_UPDATE, r.last + 1 - VG_PAGE, 2 * VG_PAGE, va,
				VHOST_ACCESS_RW),
			 EINVAL);
		/* Nor taken away. */
		kt_sys(vf_msg(u->fd, VHOST_IOTLB_INVALIDATE, r.last + 1, VG_PAGE, 0, 0));
		kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, r.last + 1 - VG_PAGE, VG_PAGE, va,
			      VHOST_ACCESS_RW));
		kt_sys(vf_msg(u->fd, VHOST_IOTLB_INVALIDATE, r.last + 1 - VG_PAGE, 2 * VG_PAGE, 0,
			      0));
		if (!i)
			vf_start(u);
	}
	vf_alive(u);
}

/* ---- functions that do not do what they should */

static void cover_doorbell(const struct vf_unit *u)
{
	struct virtio_net_config c;

	kt_sys(vf_get_config(u->fd, 0, &c, PAIRS_AT + 2));
	vf_cover(VF_ONES, VIRTIO_PCI_CAP_NOTIFY_CFG, 2 * c.max_virtqueue_pairs * VG_PAGE);
}

/* The function never hears of a command; its other registers, and all other queues, work. */
static void no_answer_later(long arg)
{
	struct vf_unit *u = card(0);

	(void)arg;
	vf_uncover();
	vf_log_begin();
	enable_pair(u, 0, 1);
	run(u);
	kt_sys(vf_enable(u->fd, RX2, 1));
	cover_doorbell(u);
	kt_errno(vf_enable(u->fd, TX2, 1), ETIMEDOUT);
	kt_check(vf_in_log("its control queue does not answer"), "the log does not say why");
	/* It is not tried again; and a VMM that gives up its queues is not told of errors. */
	vf_uncover();
	kt_sys(vf_enable(u->fd, TX2, 0));
	kt_errno(vf_enable(u->fd, TX2, 1), EIO);
	kt_sys(vf_enable(u->fd, TX2, 0));
	kt_sys(vf_enable(u->fd, RX2, 0));
	by_the_first(u);
	vf_again(u);
	by_both(u);
	vf_alive(u);
}

/*
 * The emulator looks at all queues once it has DRIVER_OK, and so finds the first command if that is
 * in the ring by then; not the one after its answer.
 */
static void no_answer_at_first(long arg)
{
	struct vf_unit *u = card(BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) | BIT(VIRTIO_NET_F_MAC));
	unsigned int tries = 0;
	uint8_t mac[6];

	(void)arg;
	vf_uncover();
	vf_log_begin();
	kt_sys(vf_get_config(u->fd, 0, mac, 6));
	cover_doorbell(u);
	do {
		vf_reset(u);
		vf_setup(u);
		kt_sys(vf_set_config(u->fd, 0, mac, 6));
		enable_pair(u, 0, 1);
		enable_pair(u, 1, 1);
		kt_check(tries++ < 50, "it always answers");
	} while (!vf_set_status(u->fd, VF_RUNNING));
	kt_check(errno == ETIMEDOUT, "DRIVER_OK: %m");
	kt_check(vf_in_log("its control queue does not answer"), "the log does not say why");
	/* It was reset. */
	kt_check(!vf_status(u->fd), "status %#x", vf_status(u->fd));
	fdinfo_is(u->fd, "shunt-control", "none");
	vf_uncover();
	vf_again(u);
	by_both(u);
	vf_alive(u);
}

/* Frames come while the module waits for an answer. */
static void frames_later(struct vf_unit *u)
{
	static uint8_t f[1514];
	unsigned int i;

	usleep(300000);
	vg_frame(f, sizeof(f), 1, 0);
	/* All but the addresses: indices, lengths and flags that make no sense. */
	memset(f + VG_FRAME_MIN, 0xff, sizeof(f) - VG_FRAME_MIN);
	for (i = 0; i < 8; i++) {
		vg_host_send(u->net, f, sizeof(f), NULL);
		usleep(20000);
	}
}

/* The guest names the kept page as a buffer, and frames are written over ring and command. */
static void written_over(long arg)
{
	struct vf_unit *u = card(0);
	uint64_t kept = vf_range(u->fd).last + 1;
	struct vg_ring *r = u->ring[0];
	unsigned int i;
	void *page;
	pid_t pid;

	(void)arg;
	vf_uncover();
	vf_log_begin();
	/* What comes before the bytes that are to hit it goes to a page of the guest's. */
	kt_check(!posix_memalign(&page, VG_PAGE, VG_PAGE), "no memory");
	kt_sys(vf_msg(u->fd, VHOST_IOTLB_UPDATE, kept - VG_PAGE, VG_PAGE, (uintptr_t)page,
		      VHOST_ACCESS_RW));
	enable_pair(u, 0, 1);
	kt_sys(vf_enable(u->fd, RX2, 1));
	kt_sys(vf_set_status(u->fd, VF_RUNNING));
	vg_ring_reset(r, vg_ring_first(r));
	for (i = 0; i < 8; i++) {
		vg_desc(r, i, kept - 64, 64 + 1514, VRING_DESC_F_WRITE, 0);
		vg_publish(r, i);
	}
	vg_ring_kick_always(r);
	cover_doorbell(u);
	pid = kt_sys(fork());
	if (!pid) {
		frames_later(u);
		_exit(0);
	}
	kt_errno(vf_enable(u->fd, TX2, 1), EIO);
	kt_sys(waitpid(pid, NULL, 0));
	kt_check(vf_in_log("its control queue answers nonsense"), "the log does not say why");
	kt_errno(vf_enable(u->fd, TX2, 1), EIO);
	vf_uncover();
	vf_again(u);
	pairs_are(u, 2);
	vf_alive(u);
	vf_free(u);
	vf_fresh();
}

/* ---- its end */

enum { KILLED, CLOSED, UNBOUND };

static uint64_t mapped_by(const struct vf_unit *u)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < u->mem->n; i++)
		bytes += u->mem->r[i].size;
	return bytes;
}

/* An owner that ends while the module has the queue; all that was mapped is unmapped. */
static void ends(long how)
{
	uint64_t mapped, gone, bytes;
	int fds[2], status;
	unsigned int round;
	pid_t pid;

	vf_need(VIRTIO_ID_NET);
	for (round = 0; round < 4; round++) {
		vf_bind();
		vf_trace_begin();
		kt_sys(pipe(fds));
		pid = kt_sys(fork());
		if (!pid) {
			struct vf_unit *u = card(0);

			vf_start(u);
			pairs_are(u, 2);
			bytes = mapped_by(u);
			kt_sys(write(fds[1], &bytes, sizeof(bytes)));
			if (how == UNBOUND) {
				kt_sys(vf_put(vf_bdf(), "/sys/bus/pci/devices/%s/driver/unbind",
					      vf_bdf()));
				kt_errno(vf_enable(u->fd, TX2, 0), ENODEV);
				kt_errno(vf_set_status(u->fd, 0), ENODEV);
				_exit(0);
			}
			/* Without traffic, for which other drivers may map something, too. */
			if (how == KILLED)
				pause();
			close(u->fd);
			_exit(0);
		}
		close(fds[1]);
		kt_check(read(fds[0], &bytes, sizeof(bytes)) == sizeof(bytes),
			 "the owner did not get so far");
		if (how == KILLED) {
			usleep(10000 + 20000 * round);
			kill(pid, SIGKILL);
		}
		kt_sys(waitpid(pid, &status, 0));
		kt_check(how == KILLED || (WIFEXITED(status) && !WEXITSTATUS(status)),
			 "the owner ended with %#x", status);
		vf_trace_end(&mapped, &gone);
		close(fds[0]);
		kt_check(mapped && mapped == gone, "%llu bytes were mapped, %llu unmapped",
			 (unsigned long long)mapped, (unsigned long long)gone);
		/* The page of the module's as well. */
		kt_check(mapped == bytes + VG_PAGE, "%llu bytes were mapped, of which %llu for us",
			 (unsigned long long)mapped, (unsigned long long)bytes);
	}
	vf_bind();
	vf_fresh();
}

static const struct kt_case cases[] = {
	{ "a second pair is enabled, and disabled, while it runs", enabled_later },
	{ "two pairs are enabled before it runs", enabled_before },
	{ "checked traffic on two pairs, and after resets", traffic },
	{ "its MAC address is set", mac_address, 0 },
	{ "its MAC address is set, beside pairs", mac_address, 1 },
	{ "its MAC address is not to be set", mac_is_not_to_be_set },
	{ "a queue that the owner described is his", the_owners },
	{ "who negotiates none has none", nobodys, 0, 0, VG_ON_ONCE },
	{ "what the module has the owner does not get", not_the_owners },
	{ "a page of addresses is kept", kept_page, 0, 0, VG_ON_ONCE },
	{ "it does not answer when it begins", no_answer_at_first, 0, 300 },
	{ "it does not answer when a pair is enabled", no_answer_later },
	{ "ring and command are written over", written_over },
	{ "its owner is killed", ends, KILLED },
	{ "its owner closes it", ends, CLOSED },
	{ "it is taken away", ends, UNBOUND },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
