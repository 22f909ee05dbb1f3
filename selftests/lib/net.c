// SPDX-License-Identifier: GPL-2.0-only
/*
 * net.c - a virtio network card put together from memory, rings and a device
 *
 * Every buffer lies in a room of guest memory in which its segments stand apart
 * with a few canary bytes between them; receive buffers are checked for bytes
 * written where none belong.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vguest.h"

#define HOLE	 5 /* bytes between segments */
#define CANARY	 0xa7
#define IOVA_OFF 0x4000000000ull

static const uint32_t one_piece[] = { 1u << 24 };

/* Cut a room into segments of the lengths in o->cut, the last length repeated. */
static void buf_cut(const struct vg_opts *o, struct vg_buf *b, uint32_t bytes)
{
	uint32_t at = HOLE, left = bytes;

	b->nseg = 0;
	while (left) {
		unsigned int c = b->nseg < o->ncut ? b->nseg : o->ncut - 1;
		uint32_t n = o->cut[c];

		/* What is left over when the segments run out goes into the last. */
		if (n > left || b->nseg == VG_MAX_SEGS - 1)
			n = left;
		b->seg[b->nseg].gpa = b->gpa + at;
		b->seg[b->nseg++].len = n;
		at += n + HOLE;
		left -= n;
	}
	b->cap = bytes;
}

static uint32_t room_for(uint32_t bytes)
{
	return bytes + HOLE * (VG_MAX_SEGS + 1);
}

static void bufs_new(struct vg_queue *q, unsigned int dir, unsigned int n, uint32_t bytes)
{
	const struct vg_opts *o = &q->net->o;
	unsigned int i;

	q->buf[dir] = calloc(n, sizeof(*q->buf[dir]));
	q->fifo[dir] = calloc(n, sizeof(*q->fifo[dir]));
	kt_check(q->buf[dir] && q->fifo[dir], "no memory");
	for (i = 0; i < n; i++) {
		struct vg_buf *b = &q->buf[dir][i];

		b->room = room_for(bytes);
		b->gpa = vg_alloc(q->net->mem, b->room, 1);
		buf_cut(o, b, bytes);
	}
	vg_queue_forget(q, dir);
}

void vg_queue_setup(struct vg_queue *q, unsigned int i, uint32_t base)
{
	struct vg_ring *r = &q->ring[i];
	int fd = q->dev.fd;
	uint64_t desc = (uintptr_t)r->desc, avail = (uintptr_t)r->avail, used = (uintptr_t)r->used;

	if (q->net->o.iotlb) {
		desc = r->desc_gpa + q->net->mem->iova_off;
		avail = r->avail_gpa + q->net->mem->iova_off;
		used = r->used_gpa + q->net->mem->iova_off;
	}
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_NUM, i, r->num));
	kt_sys(vg_vring_state(fd, VHOST_SET_VRING_BASE, i, base));
	kt_sys(vg_vring_addr(fd, i, q->dev.vring_flags, desc, avail, used, q->dev.log_gpa[i]));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_KICK, i, r->kick));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_CALL, i, r->call));
	kt_sys(vg_vring_file(fd, VHOST_SET_VRING_ERR, i, r->err));
}

void vg_queue_start(struct vg_queue *q, unsigned int i)
{
	struct vg_ring *r = &q->ring[i];

	/* Stock looks at the used ring here and cannot wait for an answer: QEMU does the same. */
	if (q->net->o.iotlb)
		kt_sys(vg_iotlb_map(&q->dev, r->used_gpa, vg_ring_used_bytes(r), VHOST_ACCESS_RW));
	kt_sys(vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, i, q->backend));
}

unsigned int vg_queue_stop(struct vg_queue *q, unsigned int i)
{
	kt_sys(vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, i, -1));
	return vg_get_base(q->dev.fd, i);
}

void vg_queue_new(struct vg_net *n, unsigned int index)
{
	struct vg_queue *q = &n->q[index];
	const struct vg_opts *o = &n->o;
	unsigned int i;

	q->net = n;
	q->index = index;
	q->backend = -1;
	q->nbuf = o->depth;
	q->dev.mem = n->mem;
	q->dev.features = o->features;
	bufs_new(q, VG_RX, q->nbuf, o->rx_buf);
	bufs_new(q, VG_TX, q->nbuf, o->frame + n->hdr_len);
	for (i = 0; i < 2; i++) {
		vg_ring_init(&q->ring[i], n->mem, o->num,
			     o->features & BIT(VIRTIO_RING_F_EVENT_IDX));
		q->dev.ring[i] = &q->ring[i];
	}
}

static void queue_new(struct vg_net *n, unsigned int index, int backend)
{
	struct vg_queue *q = &n->q[index];
	const struct vg_opts *o = &n->o;
	struct vg_dev *d = &q->dev;
	unsigned int i;

	vg_queue_new(n, index);
	q->backend = backend;
	d->fd = vg_open();
	d->tlb.version = o->iotlb;
	d->tlb.grain = o->grain;
	d->tlb.hook = o->hook;
	kt_sys(ioctl(d->fd, VHOST_SET_OWNER));
	if (o->iotlb) {
		uint64_t be = o->iotlb == 2 ? BIT(VHOST_BACKEND_F_IOTLB_MSG_V2) : 0;

		kt_sys(fcntl(d->fd, F_SETFL, O_NONBLOCK));
		kt_sys(ioctl(d->fd, VHOST_SET_BACKEND_FEATURES, &be));
	}
	if (vg_ring_features() & ~vg_features(d->fd))
		kt_skip("this device has no %s rings", getenv("SHUNT_TEST_RING"));
	kt_sys(vg_set_features(d->fd, o->features));
	if (vg_set_mem(d->fd, n->mem)) {
		kt_check(errno == E2BIG && !vg_is_shunt(), "memory table of %u regions: %m",
			 n->mem->n);
		kt_skip("this device takes fewer than %u memory regions", n->mem->n);
	}
	for (i = 0; i < 2; i++) {
		vg_queue_setup(q, i, vg_ring_first(&q->ring[i]));
		if (o->busyloop)
			kt_sys(vg_vring_state(d->fd, VHOST_SET_VRING_BUSYLOOP_TIMEOUT, i,
					      o->busyloop));
	}
	if (o->iotlb)
		vg_iotlb_start(d);
	if (!o->no_backend) {
		vg_queue_start(q, VG_RX);
		vg_queue_start(q, VG_TX);
	}
}

static void opts_default(struct vg_net *n, const struct vg_opts *given)
{
	struct vg_opts *o = &n->o;

	*o = *given;
	if (!o->features)
		o->features = VG_BASIC;
	if (o->iotlb)
		o->features |= BIT(VIRTIO_F_ACCESS_PLATFORM);
	kt_check(!vg_ring_features() || o->features & BIT(VIRTIO_F_VERSION_1),
		 "these rings came with version 1");
	o->features |= vg_ring_features();
	n->mergeable = o->features & BIT(VIRTIO_NET_F_MRG_RXBUF);
	n->hdr_len = o->features & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF)) ?
			     sizeof(struct virtio_net_hdr_mrg_rxbuf) :
			     sizeof(struct virtio_net_hdr);
	o->pairs = o->pairs ? o->pairs : 1;
	o->num = o->num ? o->num : 256;
	o->regions = o->regions ? o->regions : 4;
	o->frame = o->frame ? o->frame : 1514;
	o->rx_buf = o->rx_buf ? o->rx_buf : o->frame + n->hdr_len;
	o->depth = o->depth ? o->depth : 128;
	if (o->depth > o->num)
		o->depth = o->num;
	if (!o->cut) {
		o->cut = one_piece;
		o->ncut = 1;
	}
}

struct vg_net *vg_net_alloc(const struct vg_opts *given)
{
	struct vg_net *n = calloc(1, sizeof(*n));
	struct vg_opts *o;
	uint64_t each;

	kt_check(n, "no memory");
	opts_default(n, given);
	o = &n->o;
	each = room_for(o->rx_buf) + room_for(o->frame + n->hdr_len);
	/* Tables for indirect chains, and a region must hold its largest buffer. */
	each = (each + 2 * 16 * VG_MAX_SEGS) * o->depth * o->pairs + (1 << 20);
	if (o->layout != VG_ADJACENT && o->regions > 1) {
		uint64_t least = (room_for(o->frame + o->rx_buf) + VG_PAGE) * (o->regions - 1);

		each = (each * 3 / 2 > least ? each * 3 / 2 : least);
	}
	n->mem = vg_mem_new(o->regions, each, o->layout);
	if (o->iotlb)
		n->mem->iova_off = IOVA_OFF;
	return n;
}

struct vg_net *vg_net_on(const struct vg_opts *o, const int *fd, int packet)
{
	struct vg_net *n = vg_net_alloc(o);
	unsigned int i;

	n->packet = packet;
	for (i = 0; i < n->o.pairs; i++)
		queue_new(n, i, fd[i]);
	return n;
}

struct vg_net *vg_net_new(const struct vg_opts *given)
{
	struct vg_net *n = vg_net_alloc(given);
	const struct vg_opts *o = &n->o;
	unsigned int flags = (o->no_vnet ? 0 : IFF_VNET_HDR) | (o->pairs > 1 ? IFF_MULTI_QUEUE : 0);
	int fd[VG_PAIRS];
	unsigned int i;

	vg_netns();
	snprintf(n->ifname, sizeof(n->ifname), "vgtap0");
	for (i = 0; i < o->pairs; i++) {
		fd[i] = vg_tap(n->ifname, flags, n->hdr_len, o->offloads);
		if (o->sndbuf)
			kt_sys(ioctl(fd[i], TUNSETSNDBUF, &o->sndbuf));
	}
	if (o->frame > 1514)
		vg_link_mtu(n->ifname, o->frame - 14 > 65521 ? 65521 : o->frame - 14);
	vg_link_up(n->ifname, true);
	n->packet = vg_packet(n->ifname);
	for (i = 0; i < o->pairs; i++)
		queue_new(n, i, fd[i]);
	return n;
}

void vg_net_free(struct vg_net *n)
{
	unsigned int i, d;

	for (i = 0; i < n->o.pairs; i++) {
		struct vg_queue *q = &n->q[i];

		vg_iotlb_stop(&q->dev);
		close(q->dev.fd);
		close(q->backend);
		for (d = 0; d < 2; d++) {
			vg_ring_free(&q->ring[d]);
			free(q->buf[d]);
			free(q->fifo[d]);
		}
	}
	if (n->packet >= 0)
		close(n->packet);
	vg_mem_free(n->mem);
	free(n);
}

void vg_queue_forget(struct vg_queue *q, unsigned int i)
{
	unsigned int b;

	q->first[i] = 0;
	q->nfree[i] = q->nbuf;
	for (b = 0; b < q->nbuf; b++) {
		q->buf[i][b].busy = false;
		q->fifo[i][b] = &q->buf[i][b];
	}
}

void vg_queue_anew(struct vg_queue *q, unsigned int i)
{
	/* Stock refuses even this for a ring at a bad address, which then does not run. */
	vg_vring_file(q->dev.fd, VHOST_NET_SET_BACKEND, i, -1);
	vg_queue_forget(q, i);
	vg_ring_reset(&q->ring[i], vg_ring_first(&q->ring[i]));
	vg_ring_erred(&q->ring[i], 0);
	vg_queue_setup(q, i, vg_ring_first(&q->ring[i]));
	vg_queue_start(q, i);
}

/* The free buffer whose turn it is; NULL when there is none. */
static struct vg_buf *buf_first(struct vg_queue *q, unsigned int dir)
{
	return q->nfree[dir] ? q->fifo[dir][q->first[dir]] : NULL;
}

/* The first free buffer is offered to the device, */
static void buf_take(struct vg_queue *q, unsigned int dir)
{
	q->fifo[dir][q->first[dir]]->busy = true;
	q->first[dir] = (q->first[dir] + 1) % q->nbuf;
	q->nfree[dir]--;
}

/* and one comes back. */
static void buf_give(struct vg_queue *q, unsigned int dir, struct vg_buf *b)
{
	kt_check(b->busy, "a buffer came back twice");
	b->busy = false;
	q->fifo[dir][(q->first[dir] + q->nfree[dir]++) % q->nbuf] = b;
}

unsigned int vg_rx_fill(struct vg_queue *q)
{
	struct vg_ring *r = &q->ring[VG_RX];
	struct vg_buf *b;
	unsigned int n;

	for (n = 0; (b = buf_first(q, VG_RX)); n++) {
		vg_fill(q->net->mem, b->gpa, CANARY, b->room);
		if (!vg_ring_add(r, b->seg, 0, b->nseg, q->net->o.indirect, b))
			break;
		buf_take(q, VG_RX);
	}
	return n;
}

/* Nothing but the first @len bytes of the segments of @b may have been written. */
static void check_holes(const struct vg_mem *m, const struct vg_buf *b, uint32_t len)
{
	uint64_t at = b->gpa;
	unsigned int i;

	for (i = 0; i < b->nseg; i++) {
		const struct vg_seg *s = &b->seg[i];
		uint32_t n = len < s->len ? len : s->len;

		kt_check(vg_filled(m, at, CANARY, s->gpa - at),
			 "bytes before segment %u of a buffer were written", i);
		at = s->gpa + n;
		len -= n;
		/* The tail of a huge segment is not all looked at: it would take long. */
		if (s->len - n > 512) {
			kt_check(vg_filled(m, at, CANARY, 256),
				 "bytes behind the data of a buffer were written");
			at = s->gpa + s->len - 256;
		}
	}
	kt_check(vg_filled(m, at, CANARY, b->gpa + b->room - at),
		 "bytes behind the last segment of a buffer were written");
}

static void note_written(struct vg_pages *p, const struct vg_buf *b, uint32_t len)
{
	unsigned int i;

	for (i = 0; len; i++) {
		uint32_t n = len < b->seg[i].len ? len : b->seg[i].len;

		vg_pages_add(p, b->seg[i].gpa, n);
		len -= n;
	}
}

/* Gather the first @len bytes of the segments of @b. */
static void buf_gather(const struct vg_mem *m, const struct vg_buf *b, uint8_t *to, uint32_t len)
{
	unsigned int i;

	for (i = 0; len; i++) {
		uint32_t n = len < b->seg[i].len ? len : b->seg[i].len;

		vg_get(m, b->seg[i].gpa, to, n);
		to += n;
		len -= n;
	}
}

static uint32_t rx_one(struct vg_queue *q, uint8_t *to, size_t room, bool last)
{
	struct vg_buf *b = NULL;
	void *cookie;
	uint32_t len;

	kt_check(vg_ring_get(&q->ring[VG_RX], &cookie, &len),
		 "a merged frame's buffers did not come together");
	b = cookie;
	kt_check(len, "a receive buffer came back empty");
	kt_check(last || len == b->cap, "a merged frame left %u bytes of a buffer empty",
		 b->cap - len);
	kt_check(len <= room, "received frame is longer than %zu bytes", room);
	check_holes(q->net->mem, b, len);
	if (q->net->wrote)
		note_written(q->net->wrote, b, len);
	buf_gather(q->net->mem, b, to, len);
	buf_give(q, VG_RX, b);
	return len;
}

bool vg_rx(struct vg_queue *q, uint8_t *f, size_t size, size_t *len,
	   struct virtio_net_hdr_mrg_rxbuf *h)
{
	static uint8_t raw[70000];
	unsigned int hlen = q->net->hdr_len, i, nbuf = 1;
	struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = 1 };
	size_t got;

	if (!vg_ring_pending(&q->ring[VG_RX]))
		return false;
	/* Whether the first is also the last is known once its header is read. */
	got = rx_one(q, raw, sizeof(raw), true);
	kt_check(got >= hlen || q->net->mergeable, "received %zu bytes, the header alone is %u",
		 got, hlen);
	kt_check(got >= sizeof(hdr) || hlen < sizeof(hdr), "the header is cut at %zu bytes", got);
	memcpy(&hdr, raw, hlen);
	if (q->net->mergeable)
		nbuf = hdr.num_buffers;
	kt_check(nbuf, "num_buffers is 0");
	kt_check(nbuf == 1 || got == q->net->o.rx_buf,
		 "the first of %u merged buffers holds %zu bytes of %u", nbuf, got,
		 q->net->o.rx_buf);
	for (i = 1; i < nbuf; i++)
		got += rx_one(q, raw + got, sizeof(raw) - got, i + 1 == nbuf);
	kt_check(got >= hlen, "a frame without a header");
	kt_check(got - hlen <= size, "a frame of %zu bytes, wanted at most %zu", got - hlen, size);
	memcpy(f, raw + hlen, got - hlen);
	*len = got - hlen;
	if (h)
		*h = hdr;
	return true;
}

bool vg_tx(struct vg_queue *q, const uint8_t *f, size_t len, const struct virtio_net_hdr *h)
{
	unsigned int hlen = q->net->hdr_len, i;
	static uint8_t raw[70000];
	struct vg_buf *b = buf_first(q, VG_TX);
	struct vg_ring *r = &q->ring[VG_TX];
	size_t at = 0;

	if (!b)
		return false;
	kt_check(hlen + len <= b->room - HOLE * (VG_MAX_SEGS + 1) && hlen + len <= sizeof(raw),
		 "frame of %zu bytes is too long for this card", len);
	buf_cut(&q->net->o, b, hlen + len);
	if (r->nfree < (q->net->o.indirect ? 1 : b->nseg))
		return false;
	memset(raw, 0, hlen);
	if (h)
		memcpy(raw, h, sizeof(*h));
	memcpy(raw + hlen, f, len);
	for (i = 0; i < b->nseg; i++) {
		vg_put(q->net->mem, b->seg[i].gpa, raw + at, b->seg[i].len);
		at += b->seg[i].len;
	}
	kt_check(vg_ring_add(r, b->seg, b->nseg, 0, q->net->o.indirect, b),
		 "no room in a ring that had room");
	buf_take(q, VG_TX);
	return true;
}

unsigned int vg_tx_reap(struct vg_queue *q)
{
	unsigned int n = 0;
	void *cookie;

	while (vg_ring_get(&q->ring[VG_TX], &cookie, NULL)) {
		buf_give(q, VG_TX, cookie);
		n++;
	}
	return n;
}
