/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What can go wrong, one value and one exit code each, and the one-line message that goes with it.
 * The library parts never print and never exit: they fill in a struct failure and return its
 * status.
 */
#ifndef SHUNT_STATUS_H
#define SHUNT_STATUS_H

/**
 * enum status - outcome of an operation; status_table[] gives each its exit code
 * @ST_OK: done
 * @ST_SYSTEM: the system refused something for a reason that has no status of its own
 * @ST_USAGE: the command line names no such object, verb or option, or lacks a part
 * @ST_NUMBER: an argument that must be a number is not one, or is out of its range
 * @ST_PRIVILEGE: the caller may not do this
 * @ST_NO_DEVICE: the vhost device node is not there
 * @ST_NOT_VHOST: the node is there, but no vhost device is behind it
 * @ST_FEATURE: the device or the kernel lacks a feature that is needed
 * @ST_NO_BRIDGE: no interface has the bridge's name
 * @ST_NOT_BRIDGE: the interface of that name is not a bridge
 * @ST_NAME: no interface can have that name
 * @ST_NAME_TAKEN: an interface of that name exists
 * @ST_QUEUES: more queues than the kernel or the file limit allows
 * @ST_MTU: an MTU that the interface cannot have
 * @ST_NO_TUN: /dev/net/tun is not there
 * @ST_SOCKET: the vhost-user socket cannot be made, or is in use
 * @ST_PEER: the front end broke the vhost-user protocol, or went away within a message
 * @ST_NO_DISK: the disk is not there, or cannot be opened
 * @ST_NOT_DISK: the path is neither a block device nor a file
 * @ST_DISK_BUSY: somebody else uses the disk, or the host does
 * @ST_CMD_CANNOT: the command exists and cannot be run
 * @ST_CMD_MISSING: the command was not found
 * @ST_COUNT: number of values, not a status
 */
enum status {
	ST_OK,
	ST_SYSTEM,
	ST_USAGE,
	ST_NUMBER,
	ST_PRIVILEGE,
	ST_NO_DEVICE,
	ST_NOT_VHOST,
	ST_FEATURE,
	ST_NO_BRIDGE,
	ST_NOT_BRIDGE,
	ST_NAME,
	ST_NAME_TAKEN,
	ST_QUEUES,
	ST_MTU,
	ST_NO_TUN,
	ST_SOCKET,
	ST_PEER,
	ST_NO_DISK,
	ST_NOT_DISK,
	ST_DISK_BUSY,
	ST_CMD_CANNOT,
	ST_CMD_MISSING,
	ST_COUNT
};

/**
 * struct status_info - how a status shows outside the program
 * @exit_code: the process's exit code; never changes once released
 * @name: short name, as in the manual page
 * @meaning: half a sentence for people
 */
struct status_info {
	int exit_code;
	const char *name;
	const char *meaning;
};

extern const struct status_info status_table[ST_COUNT];

/**
 * struct failure - why an operation did not succeed
 * @status: what kind of failure
 * @text: one line without newline and without the program's name
 */
struct failure {
	enum status status;
	char text[512];
};

/**
 * failed() - record a failure
 * @why: filled in
 * @status: what kind of failure; not ST_OK
 * @format: printf format of the one line that says what is wrong
 *
 * Return: @status, so that a caller can write ``return failed(...)``.
 */
enum status failed(struct failure *why, enum status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
