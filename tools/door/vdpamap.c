// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function's memory: what of the guest's the IOMMU lets it reach.
 *
 * DOC: Theory of Operation
 *
 * The function has the guest's own addresses. What is behind them the kernel pins when it is
 * mapped, by the place that the door has it mapped at; from then on that place does not matter, and
 * a table that is sent again with the same pieces of the same files changes nothing.
 *
 * Pinning takes as long as the memory takes to come, and the kernel leaves off for nothing but the
 * end of the process. So a region is mapped in pieces, and between two of them a signal comes in:
 * serve.c gives up then what is not over in time. Pieces end where the kernel would end a mapping
 * of the IOMMU anyway, at multiples of 1 GiB of the function's addresses; they go together.
 *
 * The IOMMU cannot replace a mapping: what is not in the new table goes first, then what is new
 * comes. While the function has rings, no memory goes that one of them is in: it would go on with a
 * ring that is not there, and neither guest nor VMM would know. Buffers are not looked at; what the
 * function does with one whose memory is gone the IOMMU blocks.
 *
 * Whoever discards pages of the guest's memory (a balloon) takes them from the guest and not from
 * the function, which goes on with those that were pinned.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vdpa.h"

/* A piece crosses no multiple of this. */
#define PIECE (1ULL << 30)

static enum status message(const struct door *door, uint8_t type, uint64_t guest, uint64_t size,
			   uint64_t host, struct failure *why)
{
	const struct door_vdpa *vdpa = door->self;
	const struct vhost_msg_v2 msg = {
		.type = VHOST_IOTLB_MSG_V2,
		.iotlb = {
			.iova = guest,
			.size = size,
			.uaddr = host,
			.perm = VHOST_ACCESS_RW,
			.type = type,
		},
	};
	long sent = door->kernel->inject(door->kernel->self, vdpa->node, &msg, sizeof(msg));
	const char *what = strerror(errno);

	if (sent == sizeof(msg))
		return ST_OK;
	if (type == VHOST_IOTLB_INVALIDATE || sent >= 0)
		return failed(why, ST_SYSTEM, "%llu bytes at guest %#llx cannot be unmapped: %s",
			      (unsigned long long)size, (unsigned long long)guest,
			      sent < 0 ? what : "cut short");
	switch (errno) {
	case ENOMEM:
		what = "more than may be locked (RLIMIT_MEMLOCK, see --memory), or than there is";
		break;
	case EINVAL:
		what = "the IOMMU has some of these addresses reserved";
		break;
	case EFAULT:
		what = "memory of this kind of file cannot be pinned";
		break;
	case ENOSPC:
		what = "too many mappings, or too widely spread for the IOMMU's page tables, since "
		       "the function was opened";
		break;
	case ENODEV:
		return failed(why, ST_SYSTEM, "the function is gone");
	case EPERM: /* another process owns it */
	case EINTR: /* this one is being killed */
		return failed(why, ST_SYSTEM, "%llu bytes at guest %#llx cannot be mapped: %s",
			      (unsigned long long)size, (unsigned long long)guest, what);
	}
	return failed(why, ST_PEER, "%llu bytes of a memory region, at guest %#llx: %s",
		      (unsigned long long)size, (unsigned long long)guest, what);
}

static bool is_same(const struct vdpa_map *map, const struct region *region)
{
	return map->guest == region->guest && map->size == region->size &&
	       map->device == region->device && map->inode == region->inode &&
	       map->offset == region->offset;
}

static bool is_wanted(const struct memory *memory, const struct vdpa_map *map)
{
	for (unsigned int i = 0; i < memory->count; i++)
		if (is_same(map, &memory->regions[i]))
			return true;
	return false;
}

static bool is_mapped(const struct door_vdpa *vdpa, const struct region *region)
{
	for (unsigned int i = 0; i < vdpa->map_count; i++)
		if (is_same(&vdpa->maps[i], region))
			return true;
	return false;
}

/* See that no ring of the function is in a piece of memory. */
static enum status check_unused(const struct door *door, const struct vdpa_map *map,
				struct failure *why)
{
	const struct door_vdpa *vdpa = door->self;

	for (unsigned int i = 0; i < door->ring_count; i++) {
		const struct vdpa_ring *ring = &vdpa->rings[i];

		for (unsigned int part = 0; ring->given && part < 3; part++)
			if (ring->at[part] - map->guest < map->size)
				return failed(
					why, ST_PEER,
					"the memory at guest %#llx goes, or changes, while the "
					"function has ring %u there",
					(unsigned long long)map->guest, i);
	}
	return ST_OK;
}

static enum status unmap(struct door *door, unsigned int index, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	struct vdpa_map *map = &vdpa->maps[index];
	enum status status = message(door, VHOST_IOTLB_INVALIDATE, map->guest, map->size, 0, why);

	if (!status)
		*map = vdpa->maps[--vdpa->map_count];
	return status;
}

static enum status map(struct door *door, const struct region *region, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	enum status status = ST_OK;
	struct vdpa_map *made;

	/* That none is empty or wraps around memory_add() has seen to. */
	if ((region->guest | region->size | region->map.host) & (page - 1))
		return failed(why, ST_PEER,
			      "a memory region of %llu bytes at guest %#llx, offset %#llx, is not "
			      "of whole pages",
			      (unsigned long long)region->size, (unsigned long long)region->guest,
			      (unsigned long long)region->offset);
	if (region->guest < vdpa->first || region->guest + (region->size - 1) > vdpa->last)
		return failed(why, ST_PEER,
			      "a memory region of %llu bytes at guest %#llx is not within what the "
			      "IOMMU can map, %#llx to %#llx",
			      (unsigned long long)region->size, (unsigned long long)region->guest,
			      (unsigned long long)vdpa->first, (unsigned long long)vdpa->last);
	made = &vdpa->maps[vdpa->map_count];
	*made = (struct vdpa_map){
		.guest = region->guest,
		.device = region->device,
		.inode = region->inode,
		.offset = region->offset,
	};
	while (!status && made->size < region->size) {
		uint64_t guest = region->guest + made->size, left = region->size - made->size;
		uint64_t size = PIECE - guest % PIECE;

		if (size > left)
			size = left;
		status = message(door, VHOST_IOTLB_UPDATE, guest, size,
				 region->map.host + made->size, why);
		if (!status)
			made->size += size;
	}
	/* After a failure the connection ends, and what has been mapped is unmapped. */
	if (made->size)
		vdpa->map_count++;
	return status;
}

enum status vdpa_set_memory(struct door *door, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	const struct memory *memory = &door->memory;
	enum status status = ST_OK;
	unsigned int i;

	for (i = 0; !status && i < vdpa->map_count; i++)
		if (!is_wanted(memory, &vdpa->maps[i]))
			status = check_unused(door, &vdpa->maps[i], why);
	for (i = vdpa->map_count; !status && i; i--)
		if (!is_wanted(memory, &vdpa->maps[i - 1]))
			status = unmap(door, i - 1, why);
	/* The table has no more regions than there is room for maps. */
	for (i = 0; !status && i < memory->count; i++)
		if (!is_mapped(vdpa, &memory->regions[i]))
			status = map(door, &memory->regions[i], why);
	return status;
}

enum status vdpa_unmap_all(struct door *door, struct failure *why)
{
	struct door_vdpa *vdpa = door->self;
	enum status status = ST_OK;

	while (!status && vdpa->map_count)
		status = unmap(door, vdpa->map_count - 1, why);
	return status;
}
