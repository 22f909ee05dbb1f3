/* SPDX-License-Identifier: GPL-2.0-only */
/* What descriptors bring, mapped: the guest's memory, the dirty log, the in-flight region. */
#ifndef SHUNT_DOOR_MEMORY_H
#define SHUNT_DOOR_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/status.h"
#include "proto.h"

/**
 * struct mapping - a piece of a file in this process's address space
 * @start: where it begins, NULL for none
 * @length: bytes, whole pages of the file's page size
 * @host: address here of the first byte that was asked for
 */
struct mapping {
	void *start;
	size_t length;
	uint64_t host;
};

/**
 * struct region - a piece of the guest's memory
 * @guest: guest-physical address
 * @size: bytes, not 0
 * @user: address in the front end
 * @offset: where it begins in its file
 * @device: of the file system that its file is on
 * @inode: number of its file
 * @added: how often it was added and not removed
 * @map: where it is here
 */
struct region {
	uint64_t guest;
	uint64_t size;
	uint64_t user;
	uint64_t offset;
	dev_t device;
	ino_t inode;
	unsigned int added;
	struct mapping map;
};

/**
 * struct memory - all that is known of the guest's memory
 * @regions: the regions; no two overlap, by guest or by user address
 * @count: how many
 * @slots: how many there can be
 */
struct memory {
	struct region *regions;
	unsigned int count;
	unsigned int slots;
};

/**
 * mapping_make() - map a piece of a file that was handed in, to be read and written
 * @fd: the file; stays the caller's
 * @offset: where the piece begins
 * @size: its bytes
 * @map: filled in
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_PEER or ST_SYSTEM.
 */
enum status mapping_make(int fd, uint64_t offset, uint64_t size, struct mapping *map,
			 struct failure *why);

/**
 * mapping_end() - unmap
 * @map: to be empty afterwards; may be so already
 */
void mapping_end(struct mapping *map);

/**
 * memory_init() - make an empty memory
 * @memory: filled in
 * @slots: how many regions it is to have room for
 *
 * Return: false if memory ran out.
 */
bool memory_init(struct memory *memory, unsigned int slots);

/**
 * memory_clear() - unmap all regions
 * @memory: to be empty afterwards
 */
void memory_clear(struct memory *memory);

/**
 * memory_end() - unmap all regions, and free what memory_init() made
 * @memory: not to be used afterwards
 */
void memory_end(struct memory *memory);

/**
 * memory_add() - map one more region
 * @memory: the memory
 * @region: what the front end says of it; nothing of it is trusted
 * @fd: its file; stays the caller's
 * @why: filled in on failure, where nothing has changed
 *
 * Return: ST_OK, ST_PEER or ST_SYSTEM.
 */
enum status memory_add(struct memory *memory, const struct vu_region *region, int fd,
		       struct failure *why);

/**
 * memory_add_again() - count a region that is there already, the same in all it is
 * @memory: the memory
 * @region: what the front end says of it
 * @fd: its file; stays the caller's
 *
 * Return: false if there is none like it, and nothing has changed.
 */
bool memory_add_again(struct memory *memory, const struct vu_region *region, int fd);

/**
 * memory_take_out() - take a region out of the table, still mapped
 * @memory: the memory
 * @region: guest address, user address and size say which
 * @map: receives its mapping, to be ended when the kernel does not use it any more; an empty one
 *	where the region was added more often, and stays
 * @why: filled in on failure
 *
 * Return: ST_OK, or ST_PEER if there is none.
 */
enum status memory_take_out(struct memory *memory, const struct vu_region *region,
			    struct mapping *map, struct failure *why);

/**
 * memory_translate() - find where a piece of the front end's memory is here
 * @memory: the memory
 * @user: address in the front end
 * @size: bytes; all must be in one region
 * @host: receives the address here
 *
 * Return: false if it is in no region.
 */
bool memory_translate(const struct memory *memory, uint64_t user, uint64_t size, uint64_t *host);

/**
 * memory_to_guest() - find which guest-physical address a piece of the front end's memory has
 * @memory: the memory
 * @user: address in the front end
 * @size: bytes; all must be in one region
 * @guest: receives the guest-physical address
 *
 * Return: false if it is in no region.
 */
bool memory_to_guest(const struct memory *memory, uint64_t user, uint64_t size, uint64_t *guest);

/**
 * memory_top() - the first guest address above all regions
 * @memory: the memory
 */
uint64_t memory_top(const struct memory *memory);

#endif
