// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping what comes as descriptors: the guest's memory, the dirty log, the in-flight region.
 *
 * DOC: Theory of Operation
 *
 * The door never writes what is mapped here, and reads of it a ring's used index (ring.c), and the
 * mark and the places of an in-flight region (inflight.c), each by a system call that reports
 * memory that is not there. It lends the kernel the addresses, and the kernel copies with its fault
 * handling or has pinned the pages: a front end that truncates its file afterwards harms its own
 * rings and requests, and nobody here gets a SIGBUS.
 *
 * Sizes and offsets are the front end's words. They are checked for running over the end of all
 * numbers, against the size of the file where it has one, and regions of memory for overlap. How
 * many regions there can be is bounded by the kernel's table, and how much can be mapped in all by
 * the address space; nothing is reserved or touched by mapping it.
 *
 * A file can be mapped in whole pages only, and one of huge pages in whole huge pages, which the
 * offset that a front end gives need not be a multiple of; so a mapping may begin before the piece
 * that was asked for and end after it. What the kernel is told of is the piece.
 */
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memory.h"

/* Linux has none larger on any machine; a file system that says so is not believed. */
#define PAGE_MAX (1ULL << 34)

/* What the place and the size of a mapping of the file have to be multiples of. */
static enum status file_page_size(int fd, uint64_t *page, struct failure *why)
{
	struct statfs fs;

	*page = (uint64_t)sysconf(_SC_PAGESIZE);
	if (fstatfs(fd, &fs))
		return failed(why, ST_SYSTEM, "fstatfs: %s", strerror(errno));
	if ((uint32_t)fs.f_type == HUGETLBFS_MAGIC)
		*page = (uint64_t)fs.f_bsize;
	if (!*page || *page > PAGE_MAX || *page & (*page - 1))
		return failed(why, ST_PEER, "memory with pages of %llu bytes",
			      (unsigned long long)*page);
	return ST_OK;
}

enum status mapping_make(int fd, uint64_t offset, uint64_t size, struct mapping *map,
			 struct failure *why)
{
	uint64_t page, first, end;
	enum status status;
	struct stat st;
	void *start;

	*map = (struct mapping){ 0 };
	if (!size || size > INT64_MAX || offset > INT64_MAX - size)
		return failed(why, ST_PEER, "cannot map %llu bytes at %llu of a file",
			      (unsigned long long)size, (unsigned long long)offset);
	if (fstat(fd, &st))
		return failed(why, ST_SYSTEM, "fstat: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode))
		return failed(why, ST_PEER, "a descriptor for memory is not of a file");
	/* Of a character device (persistent memory) there is no size to be had. */
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size < offset + size)
		return failed(why, ST_PEER, "a file of %lld bytes is too small for %llu at %llu",
			      (long long)st.st_size, (unsigned long long)size,
			      (unsigned long long)offset);
	status = file_page_size(fd, &page, why);
	if (status)
		return status;
	first = offset & ~(page - 1);
	if (offset + size > INT64_MAX - page)
		return failed(why, ST_PEER, "a mapping at the end of all numbers");
	end = (offset + size + page - 1) & ~(page - 1);

	start = mmap(NULL, end - first, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		     (off_t)first);
	if (start == MAP_FAILED)
		return failed(why, ST_PEER, "cannot map %llu bytes: %s",
			      (unsigned long long)(end - first), strerror(errno));
	/* Guest memory is no business of a core dump. */
	(void)madvise(start, end - first, MADV_DONTDUMP);
	*map = (struct mapping){
		.start = start,
		.length = end - first,
		.host = (uint64_t)(uintptr_t)start + (offset - first),
	};
	return ST_OK;
}

void mapping_end(struct mapping *map)
{
	if (map->start)
		munmap(map->start, map->length);
	*map = (struct mapping){ 0 };
}

bool memory_init(struct memory *memory, unsigned int slots)
{
	*memory = (struct memory){ .slots = slots };
	memory->regions = calloc(slots, sizeof(*memory->regions));
	return memory->regions;
}

void memory_clear(struct memory *memory)
{
	while (memory->count)
		mapping_end(&memory->regions[--memory->count].map);
}

void memory_end(struct memory *memory)
{
	memory_clear(memory);
	free(memory->regions);
	*memory = (struct memory){ 0 };
}

/* Whether two pieces meet; neither is empty or wraps around. */
static bool overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

bool memory_add_again(struct memory *memory, const struct vu_region *region, int fd)
{
	struct stat st;

	for (unsigned int i = 0; i < memory->count; i++) {
		struct region *old = &memory->regions[i];

		if (old->guest != region->guest || old->user != region->user ||
		    old->size != region->size)
			continue;
		if (old->offset != region->offset || fstat(fd, &st) || old->device != st.st_dev ||
		    old->inode != st.st_ino || old->added == UINT_MAX)
			return false;
		old->added++;
		return true;
	}
	return false;
}

enum status memory_add(struct memory *memory, const struct vu_region *region, int fd,
		       struct failure *why)
{
	struct region *new;
	enum status status;
	struct stat st;

	if (memory->count == memory->slots)
		return failed(why, ST_PEER, "more than %u memory regions", memory->slots);
	if (!region->size || region->guest > UINT64_MAX - region->size ||
	    region->user > UINT64_MAX - region->size)
		return failed(why, ST_PEER,
			      "a memory region of %llu bytes at guest %#llx, user %#llx",
			      (unsigned long long)region->size, (unsigned long long)region->guest,
			      (unsigned long long)region->user);
	for (unsigned int i = 0; i < memory->count; i++) {
		const struct region *old = &memory->regions[i];

		if (overlap(old->guest, old->size, region->guest, region->size) ||
		    overlap(old->user, old->size, region->user, region->size))
			return failed(
				why, ST_PEER, "memory regions at guest %#llx and %#llx overlap",
				(unsigned long long)old->guest, (unsigned long long)region->guest);
	}
	if (fstat(fd, &st))
		return failed(why, ST_SYSTEM, "fstat: %s", strerror(errno));
	new = &memory->regions[memory->count];
	status = mapping_make(fd, region->offset, region->size, &new->map, why);
	if (status)
		return status;
	new->guest = region->guest;
	new->size = region->size;
	new->user = region->user;
	new->offset = region->offset;
	new->device = st.st_dev;
	new->inode = st.st_ino;
	new->added = 1;
	memory->count++;
	return ST_OK;
}

enum status memory_take_out(struct memory *memory, const struct vu_region *region,
			    struct mapping *map, struct failure *why)
{
	for (unsigned int i = 0; i < memory->count; i++) {
		struct region *old = &memory->regions[i];

		if (old->guest != region->guest || old->user != region->user ||
		    old->size != region->size)
			continue;
		*map = (struct mapping){ 0 };
		if (--old->added)
			return ST_OK;
		*map = old->map;
		*old = memory->regions[--memory->count];
		memory->regions[memory->count] = (struct region){ 0 };
		return ST_OK;
	}
	return failed(why, ST_PEER, "no memory region of %llu bytes at guest %#llx",
		      (unsigned long long)region->size, (unsigned long long)region->guest);
}

/* The region that a piece of the front end's memory is in, and where in it; NULL: in none. */
static const struct region *find(const struct memory *memory, uint64_t user, uint64_t size,
				 uint64_t *into)
{
	for (unsigned int i = 0; i < memory->count; i++) {
		const struct region *region = &memory->regions[i];

		*into = user - region->user;
		if (*into < region->size && size <= region->size - *into)
			return region;
	}
	return NULL;
}

bool memory_translate(const struct memory *memory, uint64_t user, uint64_t size, uint64_t *host)
{
	uint64_t into;
	const struct region *region = find(memory, user, size, &into);

	if (region)
		*host = region->map.host + into;
	return region;
}

bool memory_to_guest(const struct memory *memory, uint64_t user, uint64_t size, uint64_t *guest)
{
	uint64_t into;
	const struct region *region = find(memory, user, size, &into);

	if (region)
		*guest = region->guest + into;
	return region;
}

uint64_t memory_top(const struct memory *memory)
{
	uint64_t top = 0;

	for (unsigned int i = 0; i < memory->count; i++)
		if (memory->regions[i].guest + memory->regions[i].size > top)
			top = memory->regions[i].guest + memory->regions[i].size;
	return top;
}
