/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vguest.h - a guest's side of virtio, and its VMM's side of vhost, in one process
 *
 * Theory of operation. A test plays three parts at once: the guest, which owns
 * memory and virtqueues (mem.c, vring*.c); the VMM, which tells a vhost device
 * where they are (vhost.c); and the host, which holds the other end of the TAP
 * (tap.c). net.c puts them together as a network card with 1 to 4 queue pairs.
 *
 * Memory is one memfd cut into regions, each mapped by itself: either with
 * holes between them on both sides, or adjacent in guest addresses but
 * scattered in the process, so that a buffer may lie across several regions.
 *
 * The library is strict: a used element that was not in flight, a length that
 * does not fit, a byte outside a buffer that changed, a call that never came,
 * each fails the running case at once. Functions therefore return only what a
 * caller can want to know.
 *
 * Rings: the verbs are dispatched by a switch over the layout. A test does not
 * choose it: SHUNT_TEST_RING does (split, packed, split-in-order, packed-in-order;
 * split when it is not set), and selftests/run runs each program once for each that
 * the device offers. A case that is about some layouts only says so: kt_case.on.
 */
#ifndef VGUEST_H
#define VGUEST_H

#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ktap.h"

#define BIT(n) (1ULL << (n))

#ifndef VIRTIO_F_IN_ORDER
#define VIRTIO_F_IN_ORDER 35
#endif
#ifndef VIRTIO_F_RING_RESET
#define VIRTIO_F_RING_RESET 40
#endif

#define VG_PAGE	    4096u
#define VG_STALL_MS 20000 /* nothing at all happened for so long: a hang */

/* ---- mem.c: guest memory ---- */

enum vg_layout {
	VG_GAPS,     /* holes between regions, a buffer lies in one region */
	VG_ADJACENT, /* no holes in guest addresses, buffers cross regions */
	VG_PRIVATE,  /* like VG_GAPS, in private anonymous memory instead of a memfd */
};

struct vg_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t used; /* bytes given out */
	uint8_t *va;
};

struct vg_mem {
	int fd;
	enum vg_layout layout;
	unsigned int n;
	unsigned int next;   /* the region that the next allocation tries first */
	uint64_t iova_off;   /* what a descriptor's address is above the guest address */
	bool whole_elements; /* no used element of a split ring lies on two pages */
	struct vg_region *r;
};

/*
 * Make guest memory of @n regions with room for about @data bytes of buffers
 * beside 8 MiB for rings (region 0). The guest's address is also the offset in the memfd.
 */
struct vg_mem *vg_mem_new(unsigned int n, uint64_t data, enum vg_layout layout);
void vg_mem_free(struct vg_mem *m);
/* Allocate ring memory (contiguous in the process too). Returns a guest address. */
uint64_t vg_alloc_ring(struct vg_mem *m, uint64_t size, uint64_t align);
/* Allocate buffer memory, going round the data regions. Returns a guest address. */
uint64_t vg_alloc(struct vg_mem *m, uint64_t size, uint64_t align);
/* The process's address of guest memory that lies in one region; fails otherwise. */
void *vg_va(const struct vg_mem *m, uint64_t gpa, uint64_t len);
/* Copy to, from and fill guest memory, across regions. */
void vg_put(const struct vg_mem *m, uint64_t gpa, const void *buf, uint64_t len);
void vg_get(const struct vg_mem *m, uint64_t gpa, void *buf, uint64_t len);
void vg_fill(const struct vg_mem *m, uint64_t gpa, int byte, uint64_t len);
/* Is every byte of the range @byte? */
bool vg_filled(const struct vg_mem *m, uint64_t gpa, int byte, uint64_t len);
/* One past the highest guest address. */
uint64_t vg_mem_end(const struct vg_mem *m);

/* A set of pages of guest memory, one bit each, in the layout of vhost's dirty log. */
struct vg_pages {
	uint8_t *bits;
	uint64_t n; /* pages */
};

struct vg_pages *vg_pages_new(const struct vg_mem *m);
void vg_pages_clear(struct vg_pages *p);
/* Add the pages of [gpa, gpa+len). */
void vg_pages_add(struct vg_pages *p, uint64_t gpa, uint64_t len);
bool vg_pages_has(const struct vg_pages *p, uint64_t page);
/* The first page that is in @a and not in @b; -1 when there is none. */
int64_t vg_pages_extra(const struct vg_pages *a, const struct vg_pages *b);

/* ---- vring.c, vring_split.c, vring_packed.c: virtqueues, the driver's side ---- */

enum vg_ring_layout { VG_SPLIT, VG_PACKED };

/* Which rings SHUNT_TEST_RING asks for: one of VG_ON_*, for kt_case.on. */
#define VG_ON_SPLIT	      1u
#define VG_ON_PACKED	      2u
#define VG_ON_SPLIT_IN_ORDER  4u
#define VG_ON_PACKED_IN_ORDER 8u
#define VG_ON_ANY_SPLIT	      (VG_ON_SPLIT | VG_ON_SPLIT_IN_ORDER)
#define VG_ON_ANY_PACKED      (VG_ON_PACKED | VG_ON_PACKED_IN_ORDER)
#define VG_ON_ANY_IN_ORDER    (VG_ON_SPLIT_IN_ORDER | VG_ON_PACKED_IN_ORDER)
#define VG_ON_ONCE	      VG_ON_SPLIT /* the layout does not matter */
unsigned int vg_rings(void);
bool vg_packed(void);
/* The feature bits of these rings. */
uint64_t vg_ring_features(void);
/* Print the names of the rings that the device under test offers. Returns an exit status. */
int vg_rings_print(void);

#define VG_MAX_SEGS 64 /* segments in a chain, so entries of an indirect table */

struct vg_seg {
	uint64_t gpa;
	uint32_t len;
};

struct vg_slot {
	void *cookie;
	uint32_t in_len; /* writable bytes of the chain */
	uint16_t ndesc;	 /* descriptors taken, 0: not in flight */
	uint64_t table;	 /* indirect table of this head, 0: none yet */
};

/**
 * struct vg_ring - a virtqueue, as its driver has it
 *
 * Chains are counted by avail_idx and last_used in either layout; those of a split
 * ring are the indices in the ring. Descriptors of a packed ring are counted by
 * at_avail, at_used and at_kick, over all laps: number t is descriptor t % num, and
 * the wrap counter is 1 on even laps. A slot is what is known of a chain: that of
 * its head (split), or of its buffer ID (packed).
 */
struct vg_ring {
	enum vg_ring_layout layout;
	struct vg_mem *mem;
	unsigned int num;
	bool event_idx;
	bool in_order;
	bool write_unsaid;   /* packed: a used length counts without the flag WRITE, too */
	int kick, call, err; /* eventfds, owned by the ring */
	/* the three areas: descriptors; driver, or available ring; device, or used ring */
	uint64_t desc_gpa, avail_gpa, used_gpa;
	union {
		volatile struct vring_desc *desc;
		volatile struct vring_packed_desc *pdesc;
	};
	union {
		volatile struct vring_avail *avail;
		volatile struct vring_packed_desc_event *driver;
	};
	union {
		volatile struct vring_used *used;
		volatile struct vring_packed_desc_event *device;
	};
	struct vg_slot *slot;
	uint16_t *free_next;
	uint16_t free_head;
	unsigned int nfree;	 /* descriptors */
	unsigned int in_flight;	 /* chains */
	uint16_t *order;	 /* slots by the number of their chain, all 65,536 */
	unsigned int batch;	 /* chains that were used together and are not yet taken, */
	unsigned int batch_slot; /* the last of them, and the bytes written into it */
	uint32_t batch_len;
	uint16_t avail_idx;  /* published */
	uint16_t kicked_idx; /* avail_idx at the last kick decision */
	uint16_t last_used;
	uint64_t at_avail, at_used, at_kick;
	unsigned int raw;   /* packed: descriptors of vg_desc() that are not published */
	uint16_t raw_flags; /* of the first of them */
	struct vring_packed_desc *shadow; /* the packed ring as the driver wrote it */
	struct vg_pages *wrote;		  /* when set: where the device is seen to write */
	uint64_t kicks, calls, elements;  /* the last: used elements, of which one may be a batch */
};

/* Lay out a ring of @num entries in @m and make its eventfds. */
void vg_ring_init(struct vg_ring *r, struct vg_mem *m, unsigned int num, bool event_idx);
/*
 * Start over at @base (see vg_ring_base()) with an empty ring as it is there; chains
 * in flight are forgotten.
 */
void vg_ring_reset(struct vg_ring *r, uint32_t base);
void vg_ring_free(struct vg_ring *r);
/* What VHOST_SET_VRING_BASE is told of a ring through which @n descriptors (packed: since
 * its first lap) or chains (split) went. */
uint32_t vg_ring_base(const struct vg_ring *r, uint64_t n);
/* The base of a new ring. */
uint32_t vg_ring_first(const struct vg_ring *r);
/* The base behind all that the device has used: where it must be when it is stopped. */
uint32_t vg_ring_at(const struct vg_ring *r);
/* Bytes of the device area, which is at used_gpa. */
uint64_t vg_ring_used_bytes(const struct vg_ring *r);
/* Offer a chain: @nout readable segments, then @nin writable ones; @indirect puts it into an
 * indirect table. Returns false when the ring has no room. */
bool vg_ring_add(struct vg_ring *r, const struct vg_seg *seg, unsigned int nout, unsigned int nin,
		 bool indirect, void *cookie);
/* Kick unless the device asked not to be. */
void vg_ring_kick(struct vg_ring *r);
/* Whether it would kick now; who asks has to, then. */
bool vg_ring_wants_kick(struct vg_ring *r);
/* Kick whatever the device asked for. */
void vg_ring_kick_always(struct vg_ring *r);
/* Take one used chain: its cookie and the bytes written. False when there is none. */
bool vg_ring_get(struct vg_ring *r, void **cookie, uint32_t *len);
bool vg_ring_pending(const struct vg_ring *r);
/* Ask for a call at the next used chain. Returns true when one is there already. */
bool vg_ring_arm(struct vg_ring *r);
/* With EVENT_IDX: ask for the call when @more chains (packed: of one descriptor) follow it. */
void vg_ring_arm_at(struct vg_ring *r, unsigned int more);
/* Ask for no calls. */
void vg_ring_disarm(struct vg_ring *r);
/* Wait for a used chain by the call eventfd. False after @ms without one. */
bool vg_ring_wait(struct vg_ring *r, int ms);
/* Did the device report an error since the last look? Waits up to @ms. */
bool vg_ring_erred(struct vg_ring *r, int ms);
/* How many chains the device has used, as avail_idx counts those that were published. */
uint16_t vg_used_idx(const struct vg_ring *r);

/*
 * Raw access for bad input. vg_desc() writes descriptor @i of the table (split), or of
 * the chain that begins at the next free place (packed: @next does not exist there);
 * vg_publish() makes @head available (packed: all that was written since the last).
 * Nothing of it is in flight for vg_ring_get().
 */
void vg_desc(struct vg_ring *r, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags,
	     uint16_t next);
void vg_publish(struct vg_ring *r, uint16_t head);
/* Write an indirect table of @n entries in the layout's form. */
void vg_put_table(struct vg_ring *r, uint64_t gpa, const struct vring_desc *d, unsigned int n);
/* A ring that never runs empty: all of it available, and again what was used. */
void vg_endless(struct vg_ring *r, uint64_t gpa, uint32_t len, uint16_t flags);
void vg_endless_again(struct vg_ring *r);

/*
 * Raw access to a packed ring: write descriptor number @t (see struct vg_ring) with
 * just these flags; and AVAIL and USED as they are in an available descriptor number
 * @t, and in a used one.
 */
void vg_packed_put(struct vg_ring *r, uint64_t t, uint64_t addr, uint32_t len, uint16_t id,
		   uint16_t flags);
uint16_t vg_packed_avail(const struct vg_ring *r, uint64_t t);
uint16_t vg_packed_spent(const struct vg_ring *r, uint64_t t);

/* layout-specific, called by vring.c alone */
void vg_split_init(struct vg_ring *r);
void vg_split_reset(struct vg_ring *r, uint32_t base);
void vg_split_add(struct vg_ring *r, struct vring_desc *d, unsigned int n);
void vg_split_desc(struct vg_ring *r, unsigned int i, const struct vring_desc *d);
void vg_split_publish(struct vg_ring *r, uint16_t head);
bool vg_split_want_kick(struct vg_ring *r);
bool vg_split_next(struct vg_ring *r);
void vg_split_give(struct vg_ring *r, unsigned int slot);
void vg_split_arm(struct vg_ring *r, bool on, unsigned int more);
uint16_t vg_split_used(const struct vg_ring *r);
void vg_split_endless_again(struct vg_ring *r);
void vg_packed_init(struct vg_ring *r);
void vg_packed_reset(struct vg_ring *r, uint32_t base);
void vg_packed_add(struct vg_ring *r, const struct vring_desc *d, unsigned int n);
bool vg_packed_want_kick(struct vg_ring *r);
bool vg_packed_next(struct vg_ring *r);
void vg_packed_give(struct vg_ring *r, unsigned int slot);
void vg_packed_arm(struct vg_ring *r, bool on, unsigned int more);
/* vg_used_idx(); and the descriptor where the device goes on, in @at if that is not NULL. */
uint16_t vg_packed_used(const struct vg_ring *r, uint64_t *at);
void vg_packed_desc(struct vg_ring *r, unsigned int i, const struct vring_desc *d);
void vg_packed_publish(struct vg_ring *r);
void vg_packed_endless_again(struct vg_ring *r);
/* For these: the device names @slot as used next, and @len; there are @most chains it can mean. */
void vg_ring_used(struct vg_ring *r, unsigned int slot, uint32_t len, unsigned int most);

/* ---- vhost.c, iotlb.c: the device ---- */

enum { VG_RX, VG_TX };

struct vg_dev;

/* The path of the device under test: SHUNT_DEV, by default /dev/shunt-net. */
const char *vg_path(void);
/* Is it shunt's (also when it stands in for vhost-net), or stock's? */
bool vg_is_shunt(void);
/* Skip the case unless the device under test is shunt's. */
void vg_need_shunt(void);
/* Open the device under test; fails the case. */
int vg_open(void);
uint64_t vg_features(int fd);
/* ioctl wrappers: 0, or -1 with errno, as ioctl() itself */
int vg_set_features(int fd, uint64_t features);
int vg_set_mem(int fd, const struct vg_mem *m);
int vg_set_mem_raw(int fd, const struct vhost_memory_region *r, uint32_t n, uint32_t padding);
int vg_vring_state(int fd, unsigned long req, unsigned int index, unsigned int num);
int vg_vring_file(int fd, unsigned long req, unsigned int index, int file);
int vg_vring_addr(int fd, unsigned int index, unsigned int flags, uint64_t desc, uint64_t avail,
		  uint64_t used, uint64_t log);
/* GET_VRING_BASE; fails the case. */
unsigned int vg_get_base(int fd, unsigned int index);
/* Value of a fdinfo key of @fd; false when the key is absent. */
bool vg_fdinfo(int fd, const char *key, char *val, size_t size);
/* The same as a number; fails the case when the key is absent. */
uint64_t vg_fdinfo_u64(int fd, const char *key);

/* Hook of the miss thread: may answer by itself (return true) or leave it (false). */
typedef bool (*vg_miss_fn)(struct vg_dev *d, uint64_t iova, uint8_t perm);

struct vg_iotlb {
	int version;	/* 1 or 2 */
	uint64_t grain; /* bytes mapped for a miss, 0: the whole region */
	vg_miss_fn hook;
	pthread_t thread;
	int stop; /* eventfd */
	bool running;
	uint64_t misses;
};

struct vg_dev {
	int fd;
	uint64_t features;
	struct vg_mem *mem;
	struct vg_ring *ring[2];
	unsigned int vring_flags; /* for SET_VRING_ADDR */
	uint64_t log_gpa[2];	  /* log_guest_addr of each ring */
	struct vg_iotlb tlb;
};

/* Send one IOTLB message of the device's version. 0, or -1 with errno. */
int vg_iotlb_send(struct vg_dev *d, uint8_t type, uint64_t iova, uint64_t size, uint64_t uaddr,
		  uint8_t perm);
/* Map [gpa, gpa+size) rounded to pages at its IOVA. */
int vg_iotlb_map(struct vg_dev *d, uint64_t gpa, uint64_t size, uint8_t perm);
int vg_iotlb_unmap(struct vg_dev *d, uint64_t gpa, uint64_t size);
/* Answer misses in a thread until vg_iotlb_stop(). */
void vg_iotlb_start(struct vg_dev *d);
void vg_iotlb_stop(struct vg_dev *d);

/* ---- tap.c: the host's side ---- */

#define VG_ETHERTYPE 0x88b5 /* ethertype for local experiments */

/* A network namespace of its own for this process, IPv6 off. */
void vg_netns(void);
/* Make or attach to TAP @name; @flags are IFF_*; returns the queue's fd. */
int vg_tap(const char *name, unsigned int flags, int hdr_len, unsigned int offloads);
void vg_link_up(const char *name, bool up);
void vg_link_mtu(const char *name, int mtu);
/* A packet socket on @name that sends and receives with virtio-net headers. */
int vg_packet(const char *name);
/* The same with none of that: plain frames. */
int vg_packet_plain(const char *name);
/* Make a veth pair; returns nothing, fails the case (or skips where there is no veth). */
void vg_veth(const char *a, const char *b);
/* A macvtap (passthru) on @lower; returns its queue's fd, or skips. */
int vg_macvtap(const char *lower, const char *name, int hdr_len);

/* ---- frame.c: frames that prove themselves ---- */

#define VG_FRAME_MIN 14
#define VG_FRAME_MAX 65535

/* Fill a frame of @len bytes (14 and up) with content that follows from @seq and @queue. */
void vg_frame(uint8_t *f, size_t len, uint32_t seq, unsigned int queue);
/* Check one; gives its numbers. Returns NULL, or what is wrong with it. */
const char *vg_frame_check(const uint8_t *f, size_t len, uint32_t *seq, unsigned int *queue);
/*
 * Frames carry an age. The drains below begin a new one, after a test disturbed
 * the rings: what lingered in the TAP all the same, on a slow machine, is then told
 * from the frames of the traffic that follows. Within an age nothing is forgiven.
 */
void vg_frame_new_age(void);
/* Begin with one that no process has had for long, where what was under way outlives them. */
void vg_frame_age_of_process(void);
/* Is a frame, which is right otherwise, of the present age? */
bool vg_frame_of_age(const uint8_t *f);
/* An IPv4 frame, UDP or TCP, with @payload bytes that follow from @seq; returns its length. */
size_t vg_frame_ip(uint8_t *f, int proto, uint16_t sport, uint16_t dport, size_t payload,
		   uint32_t seq, bool partial_csum);
/* Check its headers, checksum (unless partial) and payload. */
const char *vg_frame_ip_check(const uint8_t *f, size_t len, int proto, bool partial_csum,
			      uint32_t *seq);
/* The bytes that vg_frame_ip() puts at @off of the payload of @seq. */
void vg_pattern(uint8_t *p, size_t len, size_t off, uint32_t seq);

/* ---- net.c, traffic.c: a network card ---- */

#define VG_PAIRS 4

struct vg_opts {
	uint64_t features;    /* to acknowledge; VG_BASIC when 0 */
	unsigned int pairs;   /* queue pairs, 1 when 0 */
	unsigned int num;     /* ring size, 256 when 0 */
	unsigned int regions; /* memory regions, 4 when 0 */
	enum vg_layout layout;
	unsigned int frame;  /* largest frame, 1514 when 0 */
	unsigned int rx_buf; /* bytes of a receive buffer, frame + header when 0 */
	unsigned int depth;  /* buffers each way, 128 when 0; not above num */
	bool indirect;
	const uint32_t *cut; /* lengths of the segments of a chain, the last repeats */
	unsigned int ncut;
	unsigned int offloads; /* TUN_F_* */
	int sndbuf;	       /* TUNSETSNDBUF, 0: as it is */
	int iotlb;	       /* 0, or the version of the messages */
	uint64_t grain;	       /* of the answers to misses */
	vg_miss_fn hook;
	unsigned int busyloop; /* microseconds */
	bool no_vnet;	       /* TAP without IFF_VNET_HDR */
	bool no_backend;       /* do not set the back end yet */
};

#define VG_BASIC                                                 \
	(BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF) | \
	 BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))

struct vg_buf {
	uint64_t gpa; /* of its room, holes included */
	uint32_t room;
	uint32_t cap; /* bytes in segments */
	unsigned int nseg;
	struct vg_seg seg[VG_MAX_SEGS];
	bool busy;
};

struct vg_queue {
	struct vg_net *net;
	unsigned int index;
	struct vg_dev dev;
	struct vg_ring ring[2];
	int backend; /* the fd that the device is given */
	struct vg_buf *buf[2];
	unsigned int nbuf;
	/* the free ones, first in, first out, so that all memory takes part */
	struct vg_buf **fifo[2];
	unsigned int first[2], nfree[2];
};

struct vg_net {
	struct vg_opts o;
	struct vg_mem *mem;
	struct vg_queue q[VG_PAIRS];
	char ifname[16];
	int packet; /* the host's end */
	unsigned int hdr_len;
	bool mergeable;
	struct vg_pages *wrote; /* when set: what the device is seen to write */
};

/* Bring up a card on a TAP in a network namespace of its own, running. */
struct vg_net *vg_net_new(const struct vg_opts *o);
/* The same, on back ends that the caller made: @fd for each pair, @packet the other end. */
struct vg_net *vg_net_on(const struct vg_opts *o, const int *fd, int packet);
void vg_net_free(struct vg_net *n);
/* The steps that need no device, for other kinds of it: options and memory; */
struct vg_net *vg_net_alloc(const struct vg_opts *given);
/* the buffers and rings of queue pair @index. */
void vg_queue_new(struct vg_net *n, unsigned int index);
/* Tell the device about ring @i of @q, from index @base. */
void vg_queue_setup(struct vg_queue *q, unsigned int i, uint32_t base);
/* Start and stop ring @i of @q by its back end. stop returns the index to go on from. */
void vg_queue_start(struct vg_queue *q, unsigned int i);
unsigned int vg_queue_stop(struct vg_queue *q, unsigned int i);
/*
 * Start ring @i over as a new one with nothing in it, whatever state it is in: stopped,
 * broken, or with addresses that make no sense. Errors so far are forgotten.
 */
void vg_queue_anew(struct vg_queue *q, unsigned int i);
/* Fill the receive ring with all the free buffers. Returns how many it took. */
unsigned int vg_rx_fill(struct vg_queue *q);
/*
 * Take a received frame, if there is one: false when not. The header is given
 * out with its num_buffers.
 */
bool vg_rx(struct vg_queue *q, uint8_t *f, size_t size, size_t *len,
	   struct virtio_net_hdr_mrg_rxbuf *h);
/* Offer a frame for transmission; false when there is no room. Does not kick. */
bool vg_tx(struct vg_queue *q, const uint8_t *f, size_t len, const struct virtio_net_hdr *h);
/* Take back transmitted buffers. Returns how many. */
unsigned int vg_tx_reap(struct vg_queue *q);
/* Forget what is in flight in ring @i (after a stop that lost the ring). */
void vg_queue_forget(struct vg_queue *q, unsigned int i);
/* The host sends a frame into the TAP. */
void vg_host_send(struct vg_net *n, const uint8_t *f, size_t len, const struct virtio_net_hdr *h);
/* The host takes a frame that came out of the TAP; false when there is none within @ms. */
bool vg_host_recv(struct vg_net *n, uint8_t *f, size_t size, size_t *len, struct virtio_net_hdr *h,
		  int ms);

/* Take and throw away whatever waits for the guest, until nothing comes any more. */
void vg_guest_drain(struct vg_queue *q);
/* Throw away what came out of the TAP. */
void vg_host_drain(struct vg_net *n);
/* Take nothing at all out of the TAP: whatever the guest sends is lost. */
void vg_host_deaf(struct vg_net *n, bool deaf);

#define VG_AHEAD 1024 /* how far frames of a flow may overtake each other */

/**
 * struct vg_traffic - checked traffic over a card
 * @tx: frames from each queue of the guest to the host
 * @rx: frames from the host to the guest, in all
 * @min: smallest frame, 60 when 0
 * @max: largest frame, that of the card when 0
 * @window: frames under way each way, 64 when 0
 * @spread: the host's frames are IP/UDP flows over all queues
 * @every: sizes go up one by one instead of scattered
 * @errs: that a ring signalled an error does not matter
 * @hook: called each round, may do something to the card
 */
struct vg_traffic {
	unsigned int tx, rx;
	size_t min, max;
	unsigned int window;
	bool spread;
	bool every;
	bool errs;
	void (*hook)(struct vg_net *n, void *arg);
	void *arg;
	/* state and results */
	uint32_t tx_sent[VG_PAIRS], tx_seen[VG_PAIRS];
	uint32_t rx_sent, rx_seen;
	uint32_t rx_queue[VG_PAIRS];	      /* of each queue or flow: seen, none missing before */
	uint32_t rx_next[VG_PAIRS][VG_PAIRS]; /* of each queue and flow: least to come */
	bool rx_ahead[VG_PAIRS][VG_AHEAD];    /* of each flow: seen behind a missing one */
	uint64_t waits;
};

/* Run it to the end: every frame once, in order, byte for byte, or the case fails. */
void vg_run(struct vg_net *n, struct vg_traffic *t);
/* A short run both ways: the card works. */
void vg_alive(struct vg_net *n);
/* Milliseconds since some point in the past. */
uint64_t vg_ms(void);

/* ---- uffd.c: faults that only the VMM can answer ---- */

/* A userfaultfd; skips the case where there is none. */
int vg_uffd(void);
/* Empty a page of the process: faults in it now wait for whoever reads the fd. */
void vg_uffd_trap(int uffd, void *page);
/* Wait until something faults. */
void vg_uffd_wait(int uffd);
/*
 * Run @vmm in a process, which writes a byte to @ready when it is as far as it is to be and never
 * returns; kill it; it must be gone within @ms.
 */
void vg_killable(void (*vmm)(int ready, long arg), long arg, unsigned int ms);

/* ---- memlock.c: the limit of locked memory ---- */

/* Kilobytes that this process has locked and pinned. */
unsigned long vg_locked(void);
/* Set RLIMIT_MEMLOCK; whoever has CAP_IPC_LOCK has no limit. */
void vg_limit_locked(unsigned long long bytes);
void vg_drop_ipc_lock(void);

/* ---- spoil.c: rings that a guest breaks ---- */

enum vg_spoil_mode {
	VG_STRICT,	    /* must err */
	VG_STOCK_OTHERWISE, /* shunt must err; stock tolerates, or stalls until restarted */
	VG_EITHER,	    /* may err, may be used up: either way the ring starts anew */
};

/**
 * struct vg_spoil - something wrong in a ring
 * @name: what
 * @spoil: writes it into @r, which is empty and whose buffers begin at @buf; @w is the
 *	flag that makes them writable on a receive ring
 * @tx, @rx: what the device must do about it, on either ring
 * @on: rings that have this (VG_ON_*), 0 for all
 */
struct vg_spoil {
	const char *name;
	void (*spoil)(struct vg_ring *r, uint64_t buf, uint16_t w);
	enum vg_spoil_mode tx, rx;
	unsigned int on;
};

/*
 * Spoil ring @i of a card with each in turn: where it must err it does, and uses
 * nothing; the other ring goes on; and a ring started anew works.
 */
void vg_spoil_each(const struct vg_spoil *s, unsigned int nr, unsigned int i);
/* Start ring @i of the first queue with nothing in it, and nothing waiting on either side. */
void vg_spoil_over(struct vg_net *n, unsigned int i);

#endif
