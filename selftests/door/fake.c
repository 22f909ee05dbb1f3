// SPDX-License-Identifier: GPL-2.0-only
/*
 * fake.c - vhost devices and a TAP that are not there: see fake.h
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake.h"
#include "uapi/shunt.h"

#define BIT(n) (1ULL << (n))

void fake_must(bool it, const char *what, const char *file, int line)
{
	if (it)
		return;
	printf("# %s:%d: the kernel was given something wrong: %s\n", file, line, what);
	fflush(stdout);
	abort();
}

bool fake_is_mapped(uint64_t address, uint64_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), first = address & ~(page - 1);
	static unsigned char vector[FAKE_PIECE / 4096 + 1];

	if (!size || size > FAKE_PIECE)
		return false;
	return !mincore((void *)(uintptr_t)first, address + size - first, vector);
}

static bool in_table(const struct fake_file *file, uint64_t address, uint64_t size)
{
	for (unsigned int i = 0; i < file->regions; i++) {
		uint64_t into = address - file->region[i].userspace_addr;

		if (into < file->region[i].memory_size &&
		    size <= file->region[i].memory_size - into)
			return true;
	}
	return false;
}

static bool logs(const struct fake_file *file)
{
	return file->features & BIT(VHOST_F_LOG_ALL);
}

static void check_ring(const struct fake_file *file, const struct fake_ring *ring)
{
	bool packed = file->features & BIT(VIRTIO_F_RING_PACKED);
	uint64_t used = packed ? 4 : 6 + 8ULL * ring->num;

	MUST(in_table(file, ring->addr.desc_user_addr, 16ULL * ring->num));
	MUST(in_table(file, ring->addr.avail_user_addr, packed ? 4 : 6 + 2ULL * ring->num));
	MUST(in_table(file, ring->addr.used_user_addr, used));
	if (ring->addr.flags && logs(file)) {
		uint64_t first = ring->addr.log_guest_addr / VHOST_PAGE_SIZE / 8;
		uint64_t last = (ring->addr.log_guest_addr + used - 1) / VHOST_PAGE_SIZE / 8;

		MUST(fake_is_mapped(file->log_base + first, last - first + 1));
	}
}

static bool runs(const struct fake_file *file)
{
	for (unsigned int i = 0; i < FAKE_RINGS; i++)
		if (file->rings[i].backend >= 0)
			return true;
	return false;
}

void fake_check(const struct fake *fake)
{
	for (unsigned int f = 0; f < FAKE_FILES; f++) {
		const struct fake_file *file = &fake->files[f];

		for (unsigned int i = 0; i < file->regions; i++) {
			const struct vhost_memory_region *r = &file->region[i];
			uint64_t last = (r->guest_phys_addr + r->memory_size - 1);

			MUST(fake_is_mapped(r->userspace_addr, r->memory_size));
			MUST(!logs(file) ||
			     fake_is_mapped(file->log_base + last / VHOST_PAGE_SIZE / 8, 1));
		}
		for (unsigned int i = 0; i < FAKE_RINGS; i++)
			if (file->rings[i].backend >= 0)
				check_ring(file, &file->rings[i]);
		MUST(!file->places ||
		     fake_is_mapped(file->places, FAKE_RINGS * sizeof(struct shunt_place)));
	}
	MUST(!fake->locked || runs(&fake->files[0]));
}

static void reset_file(struct fake_file *file)
{
	*file = (struct fake_file){ .log_fd = -1, .config_call = -1, .wce = 1 };
	for (unsigned int i = 0; i < FAKE_RINGS; i++)
		file->rings[i] =
			(struct fake_ring){ .kick = -1, .call = -1, .err = -1, .backend = -1 };
}

bool fake_is_new(const struct fake *fake)
{
	if (fake->locked)
		return false;
	for (unsigned int f = 0; f < FAKE_FILES; f++) {
		struct fake_file new;

		reset_file(&new);
		if (fake->files[f].features || fake->files[f].regions || fake->files[f].log_base ||
		    fake->files[f].places ||
		    memcmp(fake->files[f].rings, new.rings, sizeof(new.rings)))
			return false;
		if (!f && fake->disk && fake->files[f].wce == fake->switches)
			return false;
		/* The first queue of the TAP is always in use. */
		if (f && !fake->disk && !fake->unused[f])
			return false;
	}
	return true;
}

int fake_refuse(int error)
{
	errno = error;
	return -1;
}

static int set_table(struct fake_file *file, const struct vhost_memory *table)
{
	if (table->padding)
		return fake_refuse(EOPNOTSUPP);
	if (table->nregions > FAKE_REGIONS)
		return fake_refuse(E2BIG);
	file->regions = table->nregions;
	memcpy(file->region, table->regions, table->nregions * sizeof(file->region[0]));
	return 0;
}

/* Write down where a ring is, where the door has asked for that. */
static void put_place(const struct fake_file *file, const struct fake_ring *ring, uint32_t state)
{
	struct shunt_place *places = (struct shunt_place *)(uintptr_t)file->places;

	if (places)
		places[ring - file->rings] = (struct shunt_place){ ring->base, state };
}

static void stop(const struct fake *fake, const struct fake_file *file, struct fake_ring *ring)
{
	if (ring->backend < 0)
		return;
	/* Something has gone through. */
	ring->base += 3;
	ring->backend = -1;
	put_place(file, ring, fake->breaks ? SHUNT_PLACE_BROKEN : SHUNT_PLACE_STOPPED);
}

static int set_places(struct fake_file *file, uint64_t places)
{
	MUST(!runs(file));
	MUST(!(places % sizeof(struct shunt_place)));
	file->places = places;
	return 0;
}

static int set_backend(struct fake *fake, struct fake_file *file, struct fake_ring *ring, int fd)
{
	unsigned int queue = (unsigned int)fd - FAKE_TAP;

	if (fd >= 0 && fake->disk) {
		MUST(fd == FAKE_DISK);
		MUST(fake->locked);
		MUST(ring->num && ring->addressed);
		check_ring(file, ring);
	} else if (fd >= 0) {
		MUST(queue == (unsigned int)(file - fake->files));
		MUST(!fake->unused[queue]);
		MUST(ring->num && ring->addressed);
		/* The stock device has no header before. */
		MUST(file->told);
		/* Both halves of the address space and of the header agree. */
		MUST(fake->header ==
		     (file->features & (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_NET_F_MRG_RXBUF)) ?
			      12 :
			      10));
		check_ring(file, ring);
	}
	if (fd < 0) {
		stop(fake, file, ring);
		return 0;
	}
	ring->backend = fd;
	put_place(file, ring, SHUNT_PLACE_RUNNING);
	return 0;
}

int fake_set_eventfd(int *place, int fd)
{
	struct stat st;

	/* Here it is enough that it is open; fstat() is allowed in the jail. */
	if (fd >= 0 && fstat(fd, &st))
		return fake_refuse(EBADF);
	*place = fd;
	return 0;
}

/* Requests of one ring; @argument begins with its number. */
static int ring_control(struct fake *fake, struct fake_file *file, unsigned long request,
			void *argument)
{
	struct vhost_vring_state *state = argument;
	struct vhost_vring_file *with_fd = argument;
	struct fake_ring *ring;

	MUST(state->index < (fake->disk ? FAKE_RINGS : 2));
	ring = &file->rings[state->index];
	switch (request) {
	case VHOST_SET_VRING_NUM:
		MUST(ring->backend < 0);
		MUST(state->num && state->num <= 32768);
		ring->num = state->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		MUST(ring->backend < 0);
		ring->base = state->num;
		return 0;
	case VHOST_GET_VRING_BASE:
		MUST(ring->backend < 0);
		state->num = ring->base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		ring->addr = *(struct vhost_vring_addr *)argument;
		ring->addressed = true;
		return 0;
	case VHOST_SET_VRING_KICK:
		return fake_set_eventfd(&ring->kick, with_fd->fd);
	case VHOST_SET_VRING_CALL:
		return fake_set_eventfd(&ring->call, with_fd->fd);
	case VHOST_SET_VRING_ERR:
		return fake_set_eventfd(&ring->err, with_fd->fd);
	case VHOST_NET_SET_BACKEND:
	case VHOST_BLK_SET_BACKEND:
		MUST(fake->disk == (request == VHOST_BLK_SET_BACKEND));
		return set_backend(fake, file, ring, with_fd->fd);
	}
	return fake_refuse(ENOTTY);
}

/* Requests that a disk alone knows. */
static int disk_control(const struct fake *fake, struct fake_file *file, unsigned long request,
			void *argument)
{
	const uint64_t capacity = FAKE_CAPACITY;
	struct shunt_blk_config *config = argument;
	const uint32_t *number = argument;

	switch (request) {
	case SHUNT_BLK_GET_CONFIG:
		memset(config, 0, sizeof(*config));
		config->len = sizeof(struct virtio_blk_config);
		memcpy(config->config, &capacity, sizeof(capacity));
		config->config[offsetof(struct virtio_blk_config, wce)] = (uint8_t)file->wce;
		return 0;
	case SHUNT_BLK_SET_WCE:
		MUST(fake->switches && *number <= 1);
		file->wce = *number;
		return 0;
	case SHUNT_BLK_SET_CONFIG_CALL:
		return fake_set_eventfd(&file->config_call, *(int *)argument);
	case SHUNT_BLK_SET_PLACES:
		return set_places(file, *(uint64_t *)argument);
	}
	return fake_refuse(ENOTTY);
}

static int vhost_control(struct fake *fake, struct fake_file *file, unsigned long request,
			 void *argument)
{
	uint64_t *number = argument;

	if (request == VHOST_GET_FEATURES) {
		*number = fake->offered;
		return 0;
	}
	if (request == VHOST_SET_OWNER) {
		if (file->owned)
			return fake_refuse(EBUSY);
		file->owned = true;
		return 0;
	}
	if (!file->owned)
		return fake_refuse(EPERM);
	switch (request) {
	case VHOST_RESET_OWNER:
		for (unsigned int i = 0; i < FAKE_RINGS; i++)
			stop(fake, file, &file->rings[i]);
		reset_file(file);
		return 0;
	case VHOST_SET_FEATURES:
		MUST(!(*number & ~fake->offered));
		MUST(!(*number & BIT(VHOST_F_LOG_ALL)) || file->log_base);
		file->features = *number;
		file->told = true;
		return 0;
	case VHOST_SET_MEM_TABLE:
		return set_table(file, argument);
	case VHOST_SET_LOG_BASE:
		file->log_base = *number;
		return 0;
	case VHOST_SET_LOG_FD:
		return fake_set_eventfd(&file->log_fd, *(int *)argument);
	case SHUNT_BLK_GET_CONFIG:
	case SHUNT_BLK_SET_WCE:
	case SHUNT_BLK_SET_CONFIG_CALL:
	case SHUNT_BLK_SET_PLACES:
		MUST(fake->disk);
		return disk_control(fake, file, request, argument);
	default:
		return ring_control(fake, file, request, argument);
	}
}

static int tap_control(struct fake *fake, unsigned int queue, unsigned long request, void *argument)
{
	const struct ifreq *use = argument;

	switch (request) {
	case TUNSETQUEUE:
		MUST(queue);
		MUST(fake->unused[queue] == (use->ifr_flags == IFF_ATTACH_QUEUE));
		fake->unused[queue] = use->ifr_flags == IFF_DETACH_QUEUE;
		return 0;
	case TUNSETOFFLOAD:
		MUST(!fake->unused[queue]);
		if ((unsigned long)argument & ~fake->known_offloads)
			return fake_refuse(EINVAL);
		fake->offloads = (unsigned long)argument;
		return 0;
	case TUNSETVNETHDRSZ:
		MUST(!fake->unused[queue]);
		fake->header = *(int *)argument;
		return 0;
	}
	return fake_refuse(ENOTTY);
}

static int fake_control(void *self, int fd, unsigned long request, void *argument)
{
	struct fake *fake = self;
	unsigned int file;

	fake->calls++;
	if (fake->fail.error && request == fake->fail.request) {
		errno = fake->fail.error;
		fake->fail.error = 0;
		return -1;
	}
	if (fd >= FAKE_TAP && fd < FAKE_TAP + FAKE_FILES)
		return tap_control(fake, (unsigned int)(fd - FAKE_TAP), request, argument);
	file = (unsigned int)(fd - FAKE_VHOST);
	MUST(file < FAKE_FILES);
	return vhost_control(fake, &fake->files[file % FAKE_FILES], request, argument);
}

long fake_peek(void *self, const void *at, void *to, size_t size)
{
	(void)self;
	return kernel_real.peek(NULL, at, to, size);
}

static int fake_lock(void *self, int fd, int operation)
{
	struct fake *fake = self;

	MUST(fd == FAKE_DISK);
	if (operation == LOCK_UN) {
		MUST(!runs(&fake->files[0]));
		fake->locked = 0;
		return 0;
	}
	MUST(!fake->locked);
	if (fake->no_locks)
		return fake_refuse(ENOLCK);
	if (fake->foreign)
		return fake_refuse(EWOULDBLOCK);
	fake->locked = operation;
	return 0;
}

static long fake_inject(void *self, int fd, const void *frame, size_t size)
{
	struct fake *fake = self;

	MUST(fd == FAKE_TAP && size <= sizeof(fake->frame.bytes));
	memcpy(fake->frame.bytes, frame, size);
	fake->frame.size = (long)size;
	return (long)size;
}

void fake_init(struct fake *fake)
{
	*fake = (struct fake){
		.kernel = { fake_control, fake_peek, fake_inject, fake_lock, fake },
		.offered = BIT(VIRTIO_NET_F_MRG_RXBUF) | BIT(VHOST_F_LOG_ALL) |
			   BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VIRTIO_RING_F_INDIRECT_DESC) |
			   BIT(VIRTIO_RING_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) |
			   BIT(VIRTIO_F_ACCESS_PLATFORM) | BIT(VIRTIO_F_RING_PACKED) |
			   BIT(VIRTIO_F_RING_RESET),
		.known_offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO,
	};
	for (unsigned int i = 0; i < FAKE_FILES; i++)
		reset_file(&fake->files[i]);
}

void fake_init_disk(struct fake *fake)
{
	fake_init(fake);
	fake->disk = true;
	fake->offered |= BIT(VIRTIO_BLK_F_SEG_MAX) | BIT(VIRTIO_BLK_F_FLUSH) |
			 BIT(VIRTIO_BLK_F_CONFIG_WCE) | BIT(VIRTIO_BLK_F_MQ);
	fake->offered &= ~BIT(VIRTIO_NET_F_MRG_RXBUF);
}
