// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of statuses and exit codes, and the recording of a failure.
 *
 * The codes start at 100, away from what commands started by 'shunt net exec' commonly return
 * (0, 1, 2) and from a shell's 128 + signal. 126 and 127 mean what they mean to a shell and env(1).
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "status.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* shunt(8) has the same table; selftests/tools compares the two. */
const struct status_info status_table[] = {
	[ST_OK] = { 0, "ok", "success" },
	[ST_SYSTEM] = { 100, "system", "the system refused something unexpectedly" },
	[ST_USAGE] = { 101, "usage", "unknown object, verb or option, or a missing argument" },
	[ST_NUMBER] = { 102, "number", "not a number, or out of range" },
	[ST_PRIVILEGE] = { 103, "privilege", "not root, or not permitted" },
	[ST_NO_DEVICE] = { 104, "no-device", "no vhost device node: module not loaded" },
	[ST_NOT_VHOST] = { 105, "not-vhost", "the node is not a vhost device" },
	[ST_FEATURE] = { 106, "feature", "the device or the kernel lacks a needed feature" },
	[ST_NO_BRIDGE] = { 107, "no-bridge", "no interface has the bridge's name" },
	[ST_NOT_BRIDGE] = { 108, "not-bridge", "the interface is not a bridge" },
	[ST_NAME] = { 109, "name", "not a possible interface name" },
	[ST_NAME_TAKEN] = { 110, "name-taken", "an interface of that name exists" },
	[ST_QUEUES] = { 111, "queues", "more queues than the kernel or the file limit allows" },
	[ST_MTU] = { 112, "mtu", "an MTU that the interface cannot have" },
	[ST_NO_TUN] = { 113, "no-tun", "no /dev/net/tun: module tun not loaded" },
	[ST_SOCKET] = { 114, "socket", "the vhost-user socket cannot be made, or is in use" },
	[ST_PEER] = { 115, "peer", "the front end broke the vhost-user protocol" },
	[ST_NO_DISK] = { 116, "no-disk", "no such disk, or it cannot be opened" },
	[ST_NOT_DISK] = { 117, "not-disk", "neither a block device nor a file" },
	[ST_DISK_BUSY] = { 118, "disk-busy", "another process, or the host itself, uses the disk" },
	[ST_CMD_CANNOT] = { 126, "cannot-run", "the command was found and cannot be run" },
	[ST_CMD_MISSING] = { 127, "not-found", "the command was not found" },
};

static_assert(COUNT(status_table) == ST_COUNT, "every status has a row in the table");

enum status failed(struct failure *why, enum status status, const char *format, ...)
{
	va_list args;

	assert(status > ST_OK && status < ST_COUNT);
	why->status = status;
	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return status;
}
