// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_packed.c - a guest that breaks the rules of a packed ring alone: chains
 * without end, flags of any lap at any time, event structures and bases that make
 * no sense; and what looks odd but is allowed
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vguest.h"

#define NEXT  VRING_DESC_F_NEXT
#define INDIR VRING_DESC_F_INDIRECT

/* Every descriptor of the ring says that there is one more. */
static void chain_no_end(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	unsigned int i;

	for (i = 0; i < r->num; i++)
		vg_desc(r, i, buf, 8, NEXT | w, 0);
	vg_publish(r, 0);
}

/* The same, of nothing. */
static void chain_no_end_empty(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	unsigned int i;

	for (i = 0; i < r->num; i++)
		vg_desc(r, i, buf, 0, NEXT | w, 0);
	vg_publish(r, 0);
}

/* A good request, and then a chain that does not end before it. */
static void chain_into_flight(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	unsigned int i;

	vg_desc(r, 0, buf, 0xffffffff, w, 0);
	for (i = 1; i < r->num; i++)
		vg_desc(r, i, buf, 8, NEXT | w, 0);
	vg_publish(r, 0);
}

/* One that names the next descriptor, which is not the device's. */
static void chain_cut(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 100, NEXT | w, 0);
	vg_publish(r, 0);
}

static void put_table(struct vg_ring *r, uint64_t at, uint64_t buf, uint16_t flags)
{
	struct vring_desc d[2] = { { buf, 100, flags, 0 }, { buf + 100, 1900, flags, 0 } };

	vg_put_table(r, at, d, 2);
}

static void table_and_next(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	put_table(r, buf, buf + 512, w);
	vg_desc(r, 0, buf, 32, INDIR | NEXT, 0);
	vg_desc(r, 1, buf + 4096, 100, w, 0);
	vg_publish(r, 0);
}

/* Each direct descriptor before it is good: the table is the end of the chain. */
static void table_behind(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	put_table(r, buf, buf + 512, w);
	vg_desc(r, 0, buf + 4096, 100, NEXT | w, 0);
	vg_desc(r, 1, buf, 32, INDIR, 0);
	vg_publish(r, 0);
}

static void table_in_table(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	put_table(r, buf, buf + 512, w | INDIR);
	vg_desc(r, 0, buf, 32, INDIR, 0);
	vg_publish(r, 0);
}

static void table_of_15(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	put_table(r, buf, buf + 512, w);
	vg_desc(r, 0, buf, 15, INDIR, 0);
	vg_publish(r, 0);
}

/* Both flags set in every descriptor that is behind a good head. */
static void reserved_flags(struct vg_ring *r, uint64_t buf, uint16_t w)
{
	vg_desc(r, 0, buf, 100, 0x7f78 | NEXT | w, 0);
	vg_desc(r, 1, ~0ull - 7, 100, 0x7f78 | w, 0);
	vg_publish(r, 0);
}

static const struct vg_spoil spoils[] = {
	{ "a chain of the whole ring and no end", chain_no_end, VG_STRICT, VG_STRICT },
	{ "an empty chain of the whole ring and no end", chain_no_end_empty, VG_STRICT, VG_STRICT },
	{ "a bad request before a chain without end", chain_into_flight, VG_STRICT, VG_STRICT },
	/* Who looks at its flags errs, who does not takes what stands there. */
	{ "a chain into what is not available", chain_cut, VG_EITHER, VG_EITHER },
	{ "a table with a next", table_and_next, VG_STRICT, VG_STRICT },
	{ "a table at the end of a chain", table_behind, VG_EITHER, VG_EITHER },
	{ "tables in a table", table_in_table, VG_STRICT, VG_STRICT },
	{ "a table of 15 bytes", table_of_15, VG_STRICT, VG_STRICT },
	{ "reserved flags, and a bad address behind", reserved_flags, VG_STRICT, VG_STRICT },
};

static void each(long i)
{
	vg_spoil_each(spoils, ARRAY_SIZE(spoils), i);
}

static void no_indirect(long arg)
{
	struct vg_opts o = { .features = VG_BASIC & ~BIT(VIRTIO_RING_F_INDIRECT_DESC) };
	struct vg_net *n = vg_net_new(&o);
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	uint64_t buf = n->q[0].buf[VG_TX][0].gpa;

	(void)arg;
	vg_alive(n);
	put_table(r, buf, buf + 512, 0);
	vg_desc(r, 0, buf, 32, INDIR, 0);
	vg_publish(r, 0);
	vg_ring_kick_always(r);
	kt_check(vg_ring_erred(r, VG_STALL_MS), "a table without the feature is no error");
	vg_queue_anew(&n->q[0], VG_TX);
	vg_alive(n);
}

/* Whatever IDs the guest gives, twice the same one at a time too, come back as they are. */
static void ids(long arg)
{
	static const uint16_t id[] = { 65535, 0, 65535, 65535, 256, 255, 0x8000, 7, 7, 7 };
	struct vg_net *n = vg_net_new(&(struct vg_opts){ .frame = 1514 });
	struct vg_ring *r = &n->q[0].ring[VG_TX];
	uint64_t buf = n->q[0].buf[VG_TX][0].gpa, end;
	unsigned int round, i, nr = ARRAY_SIZE(id);

	(void)arg;
	vg_fill(n->mem, buf, 0, 200);
	/* One at a time, as in order one used descriptor could stand for all. */
	for (round = 0; round < 100; round++) {
		uint64_t t = r->at_avail;

		i = round % nr;
		vg_packed_put(r, t, buf, 100, id[i], vg_packed_avail(r, t));
		vg_ring_kick_always(r);
		for (end = vg_ms() + VG_STALL_MS;
		     (__atomic_load_n(&r->pdesc[t % r->num].flags, __ATOMIC_ACQUIRE) & 0x8080) !=
		     vg_packed_spent(r, t);
		     usleep(500))
			kt_check(vg_ms() < end, "ID %#x is not used", id[i]);
		kt_check(r->pdesc[t % r->num].id == id[i], "ID %#x came back as %#x", id[i],
			 r->pdesc[t % r->num].id);
		r->at_avail++;
		r->at_used++;
	}
	kt_check(!vg_ring_erred(r, 0), "the ring erred");
	/* Out of order each has its own used descriptor. */
	for (i = 0; i < nr; i++, r->at_avail++)
		vg_packed_put(r, r->at_avail, buf, 100, id[i], vg_packed_avail(r, r->at_avail));
	vg_ring_kick_always(r);
	usleep(300000);
	for (i = r->in_order ? nr : 0; i < nr; i++)
		kt_check(r->pdesc[(r->at_used + i) % r->num].id == id[i], "ID %u is %#x", id[i],
			 r->pdesc[(r->at_used + i) % r->num].id);
	kt_check(!vg_ring_erred(r, 0), "the ring erred");
	vg_spoil_over(n, VG_TX);
	vg_alive(n);
}

/* Descriptors that carry the flags of another lap are not the device's. */
static void other_lap(long i)
{
	struct vg_net *n = vg_net_new(&(struct vg_opts){ .frame = 1514 });
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[i];
	uint64_t buf = q->buf[i][0].gpa, t;
	struct vring_packed_desc d;
	static uint8_t f[200];
	unsigned int k;

	for (k = 0; k < 4; k++) {
		/* Used in this lap, of the next, used in the next, and garbage beside them. */
		uint16_t flags = k == 0 ? vg_packed_spent(r, 0) :
				 k == 1 ? vg_packed_avail(r, r->num) :
				 k == 2 ? vg_packed_spent(r, r->num) :
					  vg_packed_avail(r, r->num) | 0x7f7f;

		vg_queue_anew(q, i);
		for (t = 0; t < r->num; t++)
			vg_packed_put(r, t, buf, 100, t,
				      flags | (i == VG_RX ? VRING_DESC_F_WRITE : 0));
		vg_frame(f, 60, 1, 0);
		if (i == VG_RX)
			vg_host_send(n, f, 60, NULL);
		vg_ring_kick_always(r);
		kt_check(!vg_ring_erred(r, 200), "flags %#x are an error", flags);
		for (t = 0; t < r->num; t++) {
			d = *(struct vring_packed_desc *)&r->pdesc[t];
			kt_check(d.id == t && d.len == 100 && !((d.flags ^ flags) & 0x8080),
				 "descriptor %llu with flags %#x was used", (unsigned long long)t,
				 flags);
		}
		kt_check(vg_queue_stop(q, i) == vg_ring_first(r), "the base moved");
		vg_queue_anew(q, i);
		if (i == VG_RX)
			vg_guest_drain(q);
		vg_alive(n);
	}
}

/* Makes every descriptor available, of this lap and of that, over and over. */
struct liar {
	struct vg_ring *r;
	uint64_t buf;
	uint16_t flags;
	volatile bool stop;
};

static void *lie(void *arg)
{
	struct liar *l = arg;
	unsigned int round = 0;
	uint64_t t;

	while (!l->stop) {
		uint16_t flags = l->flags | (round % 7 == 3 ? NEXT : 0);

		for (t = 0; t < l->r->num; t++)
			vg_packed_put(l->r, t, l->buf, 100, t,
				      flags | vg_packed_avail(l->r, round % 2 ? 0 : l->r->num));
		vg_ring_kick_always(l->r);
		round++;
	}
	return NULL;
}

/* The other ring goes on; the lying one can be stopped and started, and given up. */
static void liars(long i)
{
	struct vg_net *n = vg_net_new(&(struct vg_opts){ .frame = 1514 });
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[i];
	struct liar l = { r, q->buf[i][0].gpa, i == VG_RX ? VRING_DESC_F_WRITE : 0, false };
	unsigned int round;
	pthread_t t;

	if (i == VG_TX)
		vg_host_deaf(n, true);
	kt_check(!pthread_create(&t, NULL, lie, &l), "pthread_create");
	for (round = 0; round < kt_scale(60, 15); round++) {
		struct vg_traffic other = { .tx = i == VG_RX ? 20 : 0, .rx = i == VG_TX ? 20 : 0 };
		static uint8_t f[100];
		unsigned int base;

		if (i == VG_RX) {
			vg_frame(f, 100, 1, 0);
			vg_host_send(n, f, 100, NULL);
			usleep(5000);
		} else {
			vg_run(n, &other);
		}
		base = vg_queue_stop(q, i);
		kt_check((base & 0x7fff) < r->num && (base >> 16 & 0x7fff) < r->num,
			 "base %#x of a ring of %u", base, r->num);
		vg_queue_setup(q, i, vg_ring_base(r, round * 37));
		vg_queue_start(q, i);
	}
	l.stop = true;
	pthread_join(t, NULL);
	if (i == VG_TX)
		vg_host_deaf(n, false);
	vg_spoil_over(n, i);
	vg_alive(n);
}

/*
 * Buffers that were looked at and put back, because they are too few for a frame,
 * are taken back by the guest, all but what is behind them. The queue waits.
 */
static void taken_back(long arg)
{
	struct vg_net *n = vg_net_new(&(struct vg_opts){ .frame = 1514 });
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[VG_RX];
	uint64_t buf = q->buf[VG_RX][0].gpa, t, passes;
	static uint8_t f[1514];

	vg_queue_anew(q, VG_RX);
	for (t = 0; t < 4; t++)
		vg_packed_put(r, t, buf, 100, t, VRING_DESC_F_WRITE | vg_packed_avail(r, t));
	vg_frame(f, sizeof(f), 1, 0);
	vg_host_send(n, f, sizeof(f), NULL);
	usleep(200000);
	vg_packed_put(r, 4, buf, 100, 4, VRING_DESC_F_WRITE | vg_packed_avail(r, 4));
	vg_packed_put(r, arg, buf, 100, arg, VRING_DESC_F_WRITE | vg_packed_avail(r, r->num));
	vg_ring_kick_always(r);
	usleep(200000);
	passes = vg_fdinfo_u64(q->dev.fd, "vq0-passes");
	usleep(300000);
	passes = vg_fdinfo_u64(q->dev.fd, "vq0-passes") - passes;
	kt_check(passes < 10, "%llu passes over a ring in which nothing happens",
		 (unsigned long long)passes);
	kt_check((vg_queue_stop(q, VG_RX) & 0x7fff) == 0, "the base moved");
	vg_queue_anew(q, VG_RX);
	vg_guest_drain(q);
	vg_alive(n);
}

/* Its owner can be killed at any moment. */
static void killed(long i)
{
	unsigned int round;

	for (round = 0; round < kt_scale(8, 3); round++) {
		int status, fd[2];
		pid_t pid;
		char c;

		kt_sys(pipe(fd));
		pid = kt_sys(fork());
		if (!pid) {
			struct vg_net *n = vg_net_new(&(struct vg_opts){ .frame = 1514 });
			struct liar l = { &n->q[0].ring[i], n->q[0].buf[i][0].gpa,
					  i == VG_RX ? VRING_DESC_F_WRITE : 0, false };

			kt_sys(write(fd[1], "x", 1));
			lie(&l);
		}
		close(fd[1]);
		kt_check(read(fd[0], &c, 1) == 1, "the guest did not get so far");
		close(fd[0]);
		usleep(1000 * (17 * round % 100));
		kt_sys(kill(pid, SIGKILL));
		/* A time-out of the case is what a hang would be. */
		kt_sys(waitpid(pid, &status, 0));
		kt_check(WIFSIGNALED(status), "the guest ended by itself");
	}
	vg_alive(vg_net_new(&(struct vg_opts){ .frame = 1514 }));
}

/* Calls may be too many or too few, but frames go, and a sane structure is served again. */
static void events(long features)
{
	static const uint32_t words[] = { 0x00030000, 0xffff0000, 0xffffffff, 0x0002ffff,
					  0x00027fff, 0x00020100, 0x00028100, 0x00020080,
					  0x80020000, 0x12345678, 0x00018000, 0x0003ffff };
	struct vg_net *n = vg_net_new(&(struct vg_opts){ .features = features });
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[VG_TX];
	static uint8_t f[100];
	unsigned int i, k;
	uint64_t end;

	for (i = 0; i < ARRAY_SIZE(words); i++) {
		vg_host_deaf(n, true);
		__atomic_store_n((uint32_t *)r->driver, words[i], __ATOMIC_SEQ_CST);
		for (k = 0; k < 300; k++) {
			vg_frame(f, 100, k, 0);
			kt_check(vg_tx(q, f, 100, NULL), "no room");
			/* Its own structure is the device's to write, but the guest's to spoil. */
			if (k % 5 == 4)
				__atomic_store_n((uint32_t *)r->device, words[k % 12],
						 __ATOMIC_SEQ_CST);
			vg_ring_kick_always(r);
			for (end = vg_ms() + VG_STALL_MS; !vg_ring_pending(r); usleep(100)) {
				kt_check(vg_ms() < end, "event %#x: frame %u is not used", words[i],
					 k);
				vg_ring_kick_always(r);
			}
			vg_tx_reap(q);
		}
		kt_check(!vg_ring_erred(r, 0), "event %#x is an error", words[i]);
		vg_host_drain(n);
		vg_host_deaf(n, false);
		vg_queue_anew(q, VG_TX);
		vg_alive(n);
	}
}

/* A base that is no place in the ring does not start, and harms nothing. */
static void bases(long num)
{
#define BASE(avail, wrap, used, used_wrap) \
	((avail) | (wrap) << 15 | (uint32_t)(used) << 16 | (uint32_t)(used_wrap) << 31)
	const uint32_t bad[] = {
		BASE(num, 1, 0, 1),	BASE(num, 1, num, 1),	      BASE(0, 1, num, 1),
		BASE(0x7fff, 1, 0, 1),	BASE(0, 1, 0x7fff, 1),	      BASE(0x7fff, 0, 0x7fff, 0),
		BASE(0, 1, 1, 1),	BASE(num - 2, 1, num - 1, 1), BASE(1, 0, 0, 1),
		BASE(num - 1, 1, 0, 0), BASE(num, 0, num - 1, 1),     0xffffffff,
	};
	const uint32_t good[] = {
		BASE(0, 1, 0, 1),
		BASE(0, 0, 0, 0),
		BASE(num - 1, 1, num - 1, 1),
		/* with requests that a device before this one took and did not return */
		BASE(5, 1, 3, 1),
		BASE(2, 0, num - 1, 1),
		BASE(7, 0, 7, 1),
	};
	struct vg_net *n = vg_net_new(&(struct vg_opts){ .num = num });
	struct vg_queue *q = &n->q[0];
	int fd = q->dev.fd;
	unsigned int i;

	vg_alive(n);
	vg_queue_stop(q, VG_TX);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, VG_TX, bad[i]));
		kt_check(vg_get_base(fd, VG_TX) == bad[i], "base %#x reads back as %#x", bad[i],
			 vg_get_base(fd, VG_TX));
		kt_errno(vg_vring_file(fd, VHOST_NET_SET_BACKEND, VG_TX, q->backend), EINVAL);
		kt_check(vg_get_base(fd, VG_TX) == bad[i], "base %#x moved to %#x", bad[i],
			 vg_get_base(fd, VG_TX));
	}
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		vg_queue_forget(q, VG_TX);
		/* The ring as it is there: nothing available. */
		vg_ring_reset(&q->ring[VG_TX], (good[i] & 0xffff) * 0x10001u);
		vg_queue_setup(q, VG_TX, good[i]);
		vg_queue_start(q, VG_TX);
		kt_check(vg_queue_stop(q, VG_TX) == good[i], "base %#x moved to %#x", good[i],
			 vg_get_base(fd, VG_TX));
	}
	/* The size is another by the time that it starts. */
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, VG_TX, BASE(num - 1, 1, num - 1, 1)));
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_NUM, VG_TX, num / 2));
	kt_errno(vg_vring_file(fd, VHOST_NET_SET_BACKEND, VG_TX, q->backend), EINVAL);
	vg_queue_anew(q, VG_TX);
	vg_alive(n);
}

/* Another layout is another ring: it begins at its beginning. */
static void layout_changed(long arg)
{
	struct vg_net *n = vg_net_new(&(struct vg_opts){ .no_backend = true });
	struct vg_queue *q = &n->q[0];
	struct vg_ring *r = &q->ring[VG_TX];
	int fd = q->dev.fd;
	unsigned int i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		kt_check(vg_get_base(fd, VG_TX) == 0x80008000, "a new packed ring is at %#x",
			 vg_get_base(fd, VG_TX));
		kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, VG_TX, BASE(5, 0, 5, 0)));
		kt_sys(vg_set_features(fd, VG_BASIC));
		kt_check(vg_get_base(fd, VG_TX) == 0, "a new split ring is at %#x",
			 vg_get_base(fd, VG_TX));
		kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, VG_TX, 77));
		kt_sys(vg_set_features(fd, q->dev.features));
	}
	/* What half of a base DPDK's virtio-user gives. */
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, VG_TX, 0x8000));
	kt_check(vg_get_base(fd, VG_TX) == 0x80008000, "0x8000 is taken for %#x",
		 vg_get_base(fd, VG_TX));
	/* An address that would do for the other layout. */
	kt_sys(vg_set_features(fd, VG_BASIC));
	kt_sys(vg_vring_addr(fd, VG_TX, 0, (uintptr_t)r->pdesc, (uintptr_t)r->pdesc + 2,
			     (uintptr_t)r->pdesc + 4, 0));
	kt_sys(vg_set_features(fd, q->dev.features));
	kt_errno(vg_vring_file(fd, VHOST_NET_SET_BACKEND, VG_TX, q->backend), EINVAL);
	vg_queue_setup(q, VG_TX, vg_ring_first(r));
	vg_queue_start(q, VG_RX);
	vg_queue_start(q, VG_TX);
	kt_refused(vg_set_features(fd, VG_BASIC));
	vg_alive(n);
}

#define NO_EVENT (VG_BASIC & ~BIT(VIRTIO_RING_F_EVENT_IDX))
#define BOTH	 .on = VG_ON_ANY_PACKED

static const struct kt_case cases[] = {
	{ "a broken transmit ring", each, VG_TX, BOTH },
	{ "a broken receive ring", each, VG_RX, BOTH },
	{ "a table without the feature", no_indirect, BOTH },
	{ "buffer IDs of any value", ids, BOTH },
	{ "flags of another lap on transmission", other_lap, VG_TX, BOTH },
	{ "flags of another lap on reception", other_lap, VG_RX, BOTH },
	{ "a transmit ring that is always available", liars, VG_TX, BOTH },
	{ "a receive ring that is always available", liars, VG_RX, BOTH },
	{ "all buffers that were put back are taken back", taken_back, 0, BOTH },
	{ "some buffers that were put back are taken back", taken_back, 2, BOTH },
	{ "killed with a transmit ring that is always available", killed, VG_TX, BOTH },
	{ "killed with a receive ring that is always available", killed, VG_RX, BOTH },
	{ "event structures with EVENT_IDX", events, VG_BASIC, BOTH },
	{ "event structures without EVENT_IDX", events, NO_EVENT, BOTH },
	{ "bases of a ring of 256", bases, 256, BOTH },
	{ "bases of a ring of 100", bases, 100, BOTH },
	{ "the layout is changed", layout_changed, BOTH },
};

int main(int argc, char **argv)
{
	return kt_main(argc, argv, cases, ARRAY_SIZE(cases));
}
