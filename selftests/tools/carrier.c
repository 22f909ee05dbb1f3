// SPDX-License-Identifier: GPL-2.0-only
/*
 * A command for 'shunt net exec' to run: the smallest VMM and guest that carry packets.
 *
 *   carrier SENT RECEIVED [hold]
 *
 * Takes descriptors from the environment, runs every queue pair on the TAP, sends SENT frames out
 * of the first transmit ring and sees each come out of the TAP, sends RECEIVED frames into the TAP
 * and sees each arrive in some receive ring. Prints "ready" then; with 'hold' it goes on holding
 * the running rings until its standard input ends. Any failure is a line on stderr and exit 1.
 *
 * It uses nothing of the guest library of the other tests, because what it has to prove is that
 * the very descriptors it inherited work.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX   4
#define RING_SIZE   64
#define BUFFER	    2048
#define FRAME	    100
#define ETHERTYPE   0x88b5 /* for experiments */
#define HEADER	    sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define PATIENCE_MS 60000
#define RX	    0
#define TX	    1

/* All that a ring needs, in guest memory. */
struct ring_memory {
	struct vring_desc desc[RING_SIZE];
	_Alignas(2) uint16_t avail[2 + RING_SIZE + 1];
	_Alignas(4) unsigned char used[4 + 8 * RING_SIZE + 2];
	unsigned char buffer[RING_SIZE][BUFFER];
};

struct ring {
	struct ring_memory *memory;
	struct vring vring;
	uint16_t used_seen;
	int kick, call;
};

static struct ring rings[PAIRS_MAX][2];
static unsigned int pairs;

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "carrier: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void must(long result, const char *what)
{
	if (result < 0)
		die(what);
}

static unsigned int fd_list(const char *name, int fds[PAIRS_MAX])
{
	char *text = getenv(name);
	unsigned int count = 0;

	if (!text) {
		errno = EINVAL;
		die(name);
	}
	for (text = strtok(strdup(text), ":"); text && count < PAIRS_MAX; text = strtok(NULL, ":"))
		fds[count++] = atoi(text);
	return count;
}

static void kick(struct ring *ring)
{
	uint64_t one = 1;

	must(write(ring->kick, &one, sizeof(one)), "kick");
}

/* Give the device buffer @index of the ring. */
static void offer(struct ring *ring, unsigned int index, uint32_t length, uint16_t flags)
{
	uint16_t at = ring->vring.avail->idx;

	ring->vring.desc[index] = (struct vring_desc){
		.addr = (uintptr_t)ring->memory->buffer[index],
		.len = length,
		.flags = flags,
	};
	ring->vring.avail->ring[at % RING_SIZE] = (uint16_t)index;
	__atomic_store_n(&ring->vring.avail->idx, (uint16_t)(at + 1), __ATOMIC_SEQ_CST);
}

/* Guest addresses are this process's own: one region with offset 0. */
static void start_ring(int vhost, int tap, unsigned int index, struct ring *ring)
{
	struct vhost_vring_state state = { .index = index, .num = RING_SIZE };
	struct vhost_vring_file file = { .index = index };
	struct vhost_vring_addr addr = { .index = index };

	ring->vring.num = RING_SIZE;
	ring->vring.desc = ring->memory->desc;
	ring->vring.avail = (struct vring_avail *)ring->memory->avail;
	ring->vring.used = (struct vring_used *)ring->memory->used;
	ring->kick = eventfd(0, EFD_CLOEXEC);
	ring->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(ring->kick, "eventfd");
	must(ring->call, "eventfd");
	if (index == RX)
		for (unsigned int i = 0; i < RING_SIZE; i++)
			offer(ring, i, BUFFER, VRING_DESC_F_WRITE);

	must(ioctl(vhost, VHOST_SET_VRING_NUM, &state), "VHOST_SET_VRING_NUM");
	state.num = 0;
	must(ioctl(vhost, VHOST_SET_VRING_BASE, &state), "VHOST_SET_VRING_BASE");
	addr.desc_user_addr = (uintptr_t)ring->vring.desc;
	addr.avail_user_addr = (uintptr_t)ring->vring.avail;
	addr.used_user_addr = (uintptr_t)ring->vring.used;
	must(ioctl(vhost, VHOST_SET_VRING_ADDR, &addr), "VHOST_SET_VRING_ADDR");
	file.fd = ring->kick;
	must(ioctl(vhost, VHOST_SET_VRING_KICK, &file), "VHOST_SET_VRING_KICK");
	file.fd = ring->call;
	must(ioctl(vhost, VHOST_SET_VRING_CALL, &file), "VHOST_SET_VRING_CALL");
	file.fd = tap;
	must(ioctl(vhost, VHOST_NET_SET_BACKEND, &file), "VHOST_NET_SET_BACKEND");
}

static void start_pair(int vhost, int tap, struct ring_memory *memory, struct ring pair[2])
{
	uint64_t features = 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VIRTIO_NET_F_MRG_RXBUF;
	struct vhost_memory *table;
	int header = HEADER;

	table = calloc(1, sizeof(*table) + sizeof(table->regions[0]));
	if (!table)
		die("calloc");
	table->nregions = 1;
	table->regions[0].guest_phys_addr = (uintptr_t)memory;
	table->regions[0].userspace_addr = (uintptr_t)memory;
	table->regions[0].memory_size = 2 * sizeof(*memory);

	must(ioctl(tap, TUNSETVNETHDRSZ, &header), "TUNSETVNETHDRSZ");
	must(ioctl(vhost, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	must(ioctl(vhost, VHOST_SET_FEATURES, &features), "VHOST_SET_FEATURES");
	must(ioctl(vhost, VHOST_SET_MEM_TABLE, table), "VHOST_SET_MEM_TABLE");
	free(table);
	for (unsigned int i = RX; i <= TX; i++) {
		pair[i].memory = &memory[i];
		start_ring(vhost, tap, i, &pair[i]);
	}
}

static uint16_t used_index(const struct ring *ring)
{
	return __atomic_load_n(&ring->vring.used->idx, __ATOMIC_ACQUIRE);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void make_frame(unsigned char *frame, unsigned int number)
{
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x01", 6);
	frame[12] = ETHERTYPE >> 8;
	frame[13] = ETHERTYPE & 0xff;
	for (unsigned int i = 14; i < FRAME; i++)
		frame[i] = (unsigned char)(number + i);
}

static int is_frame(const unsigned char *frame, unsigned int number)
{
	unsigned char want[FRAME];

	make_frame(want, number);
	return !memcmp(frame, want, FRAME);
}

/*
 * A packet socket at the host's end of the TAP. Of all protocols: what comes in on a port of a
 * bridge is the bridge's before it is looked at for a certain one.
 */
static int open_host_end(void)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int host = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	must(host, "packet socket");
	address.sll_ifindex = (int)if_nametoindex(getenv("SHUNT_IFNAME"));
	must(bind(host, (struct sockaddr *)&address, sizeof(address)), "bind");
	return host;
}

static void send_from_guest(int host, unsigned int count)
{
	struct pollfd wait = { .fd = host, .events = POLLIN };
	struct ring *ring = &rings[0][TX];
	unsigned char frame[BUFFER];

	for (unsigned int i = 0; i < count; i++) {
		unsigned char *buffer = ring->memory->buffer[i % RING_SIZE];

		memset(buffer, 0, HEADER);
		make_frame(buffer + HEADER, i);
		offer(ring, i % RING_SIZE, HEADER + FRAME, 0);
		kick(ring);
		do {
			/* Others use the interface too: the kernel's IPv6, for one. */
			errno = ETIMEDOUT;
			if (poll(&wait, 1, PATIENCE_MS) != 1)
				die("a frame did not come out of the TAP");
			must(recv(host, frame, sizeof(frame), 0), "recv");
		} while (!is_frame(frame, i));
		for (long end = now_ms() + PATIENCE_MS; used_index(ring) != (uint16_t)(i + 1);) {
			errno = ETIMEDOUT;
			if (now_ms() > end)
				die("a transmitted buffer was not given back");
			usleep(1000);
		}
	}
}

/* Look for frame @number in the newly used buffers of all receive rings; give them back. */
static int take_received(unsigned int number)
{
	int found = 0;

	for (unsigned int pair = 0; pair < pairs; pair++) {
		struct ring *ring = &rings[pair][RX];

		while (ring->used_seen != used_index(ring)) {
			uint16_t at = ring->used_seen++ % RING_SIZE;
			unsigned int index = ring->vring.used->ring[at].id;

			if (index >= RING_SIZE) {
				errno = EBADMSG;
				die("the used ring names no buffer");
			}
			if (is_frame(ring->memory->buffer[index] + HEADER, number))
				found = 1;
			offer(ring, index, BUFFER, VRING_DESC_F_WRITE);
			kick(ring);
		}
	}
	return found;
}

static void send_to_guest(int host, unsigned int count)
{
	unsigned char frame[FRAME];

	for (unsigned int i = 0; i < count; i++) {
		long end = now_ms() + PATIENCE_MS;

		make_frame(frame, i);
		must(send(host, frame, sizeof(frame), 0), "send");
		while (!take_received(i)) {
			errno = ETIMEDOUT;
			if (now_ms() > end)
				die("a frame did not arrive in a receive ring");
			usleep(1000);
		}
	}
}

int main(int argc, char **argv)
{
	int taps[PAIRS_MAX], vhosts[PAIRS_MAX], host;
	struct ring_memory *memory;
	char byte;

	if (argc < 3) {
		fprintf(stderr, "usage: carrier SENT RECEIVED [hold]\n");
		return 2;
	}
	pairs = fd_list("SHUNT_TAP_FDS", taps);
	if (!pairs || fd_list("SHUNT_VHOST_FDS", vhosts) != pairs) {
		errno = EINVAL;
		die("descriptors");
	}
	memory = mmap(NULL, PAIRS_MAX * 2 * sizeof(*memory), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	host = open_host_end();
	for (unsigned int i = 0; i < pairs; i++)
		start_pair(vhosts[i], taps[i], memory + 2 * i, rings[i]);
	send_from_guest(host, (unsigned int)atoi(argv[1]));
	send_to_guest(host, (unsigned int)atoi(argv[2]));
	close(host);

	puts("ready");
	fflush(stdout);
	if (argc > 3)
		while (read(STDIN_FILENO, &byte, 1) > 0)
			;
	return 0;
}
