// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory table and the dirty log as messages set them.
 *
 * DOC: Theory of Operation
 *
 * What the kernel uses is never unmapped under it: new memory is mapped first, the kernel told, the
 * addresses of running rings moved over, and only then the old memory unmapped. If one of these
 * fails the connection ends, and door_reset() takes the table away before it unmaps.
 *
 * The kernel does not know how long the log is. A log that is too short would have it set bits in
 * whatever is mapped behind. So while the kernel logs, the log covers all memory, whenever the one
 * or the other changes, and the rings that are logged (ring_push_addr()).
 *
 * A front end that connects in the middle of a migration acknowledges VHOST_F_LOG_ALL before it
 * sends the log. The kernel is told of the feature when the log is there, and rings that are to be
 * logged do not run before (ring_update()).
 */
#include <linux/vhost.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "door.h"

bool door_logs(const struct door *door)
{
	return door->kernel_acked >> VHOST_F_LOG_ALL & 1;
}

static bool log_covers(uint64_t size, uint64_t top)
{
	return !top || (top - 1) / VHOST_PAGE_SIZE / 8 < size;
}

enum status door_push_features(struct door *door, struct failure *why)
{
	uint64_t features = door->features & door_passed_on(door);
	enum status status;

	/* It is told them when a ring starts. */
	if (door->backend->device)
		return ST_OK;
	if (!door->log.start)
		features &= ~(1ULL << VHOST_F_LOG_ALL);
	if (features == door->kernel_acked)
		return ST_OK;
	if (features >> VHOST_F_LOG_ALL & 1 &&
	    !log_covers(door->log_size, memory_top(&door->memory)))
		return failed(why, ST_PEER, "the log is too short for the memory table");
	status = door_control_all(door, VHOST_SET_FEATURES, "VHOST_SET_FEATURES", &features, why);
	if (!status)
		door->kernel_acked = features;
	return status;
}

/* Tell the kernel the table as it is now. */
static enum status push_memory(struct door *door, struct failure *why)
{
	struct memory *memory = &door->memory;
	struct vhost_memory *table;
	enum status status;

	if (door->backend->device)
		return door->backend->device->set_memory(door, why);
	if (door_logs(door) && !log_covers(door->log_size, memory_top(memory)))
		return failed(why, ST_PEER, "the log is too short for the memory table");
	table = calloc(1, sizeof(*table) + memory->count * sizeof(table->regions[0]));
	if (!table)
		return failed(why, ST_SYSTEM, "out of memory");
	table->nregions = memory->count;
	for (unsigned int i = 0; i < memory->count; i++) {
		table->regions[i].guest_phys_addr = memory->regions[i].guest;
		table->regions[i].memory_size = memory->regions[i].size;
		table->regions[i].userspace_addr = memory->regions[i].map.host;
	}
	status = door_control_all(door, VHOST_SET_MEM_TABLE, "VHOST_SET_MEM_TABLE", table, why);
	free(table);
	if (!status)
		status = rings_push_addr(door, why);
	return status;
}

enum status on_set_mem_table(struct door *door, struct vu_message *message, struct failure *why)
{
	struct memory old = door->memory;
	enum status status = ST_OK;

	if (!memory_init(&door->memory, door->slots)) {
		door->memory = old;
		return failed(why, ST_SYSTEM, "out of memory");
	}
	for (unsigned int i = 0; !status && i < message->body.table.count; i++)
		status = memory_add(&door->memory, &message->body.table.regions[i], message->fds[i],
				    why);
	if (status) {
		/* The kernel still has the old one. */
		memory_end(&door->memory);
		door->memory = old;
		return status;
	}
	status = push_memory(door, why);
	if (status) {
		/* It may have the one or the other: both are kept until it has none. */
		door->stale = old;
		return status;
	}
	memory_end(&old);
	return ST_OK;
}

/*
 * QEMU of Debian 12 has a table for each queue pair, and adds and removes each region once for each
 * pair.
 */
enum status on_add_mem_reg(struct door *door, struct vu_message *message, struct failure *why)
{
	enum status status;

	if (memory_add_again(&door->memory, &message->body.one.region, message->fds[0]))
		return ST_OK;
	status = memory_add(&door->memory, &message->body.one.region, message->fds[0], why);
	return status ? status : push_memory(door, why);
}

/*
 * The kernel has been told, with this result, to do without a mapping: unmap it, or keep it where
 * it may be in use.
 */
static enum status retire(struct door *door, struct mapping *map, enum status status)
{
	if (status)
		door->stale_map = *map;
	else
		mapping_end(map);
	return status;
}

enum status on_rem_mem_reg(struct door *door, struct vu_message *message, struct failure *why)
{
	struct mapping map;
	enum status status;

	status = memory_take_out(&door->memory, &message->body.one.region, &map, why);
	if (status || !map.start)
		return status;
	return retire(door, &map, push_memory(door, why));
}

enum status on_set_log_base(struct door *door, struct vu_message *message, struct failure *why)
{
	uint64_t size = message->body.log.size, base;
	struct mapping new, old = door->log;
	enum status status;

	if (!log_covers(size, memory_top(&door->memory)))
		return failed(why, ST_PEER, "a log of %llu bytes is too short for the memory table",
			      (unsigned long long)size);
	/* The kernel writes to the new one for running rings as soon as it has it. */
	for (unsigned int i = 0; i < door->ring_count; i++) {
		if (!door->rings[i].running ||
		    !(door->rings[i].addr.flags & 1U << VHOST_VRING_F_LOG))
			continue;
		status = ring_check_log(door, i, size, why);
		if (status)
			return status;
	}
	status = mapping_make(message->fds[0], message->body.log.offset, size, &new, why);
	if (status)
		return status;
	base = new.host;
	status = door_control_all(door, VHOST_SET_LOG_BASE, "VHOST_SET_LOG_BASE", &base, why);
	door->log = new;
	door->log_size = size;
	/* Rings that asked for it when there was no log are logged from now on, or run at last. */
	if (!status)
		status = door_update(door, why);
	message->body.u64 = 0;
	message->head.size = sizeof(message->body.u64);
	return retire(door, &old, status);
}

enum status log_drop(struct door *door, struct failure *why)
{
	struct mapping old = door->log;

	if (!old.start)
		return ST_OK;
	door->log = (struct mapping){ 0 };
	door->log_size = 0;
	return retire(door, &old, door_push_features(door, why));
}

enum status on_set_log_fd(struct door *door, struct vu_message *message, struct failure *why)
{
	int fd, old = door->log_fd;
	enum status status;

	if (door->backend->device)
		return failed(why, ST_PEER, "nothing is ever logged here");
	fd = message_take_fd(message);
	door->log_fd = fd;
	status = door_control_all(door, VHOST_SET_LOG_FD, "VHOST_SET_LOG_FD", &fd, why);
	if (old >= 0)
		close(old);
	return status;
}
