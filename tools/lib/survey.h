/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding every open shunt device of the machine. */
#ifndef SHUNT_SURVEY_H
#define SHUNT_SURVEY_H

#include <net/if.h>
#include <stddef.h>
#include <sys/types.h>

#include "fdinfo.h"
#include "status.h"

/**
 * struct holder - a descriptor of an open device
 * @pid: process that has it
 * @fd: its number there
 * @command: the process's name, made printable
 */
struct holder {
	pid_t pid;
	int fd;
	char command[17];
};

/**
 * struct open_device - an open shunt device, however many descriptors it has
 * @info: what its fdinfo says
 * @holders: its descriptors
 * @holder_count: how many, at least one
 */
struct open_device {
	struct fdinfo info;
	struct holder *holders;
	size_t holder_count;
};

/**
 * struct process_tap - a TUN or TAP interface that a process has open
 * @pid: the process
 * @name: the interface, made printable
 */
struct process_tap {
	pid_t pid;
	char name[IFNAMSIZ];
};

/**
 * struct survey - all that was found
 * @devices: the devices, sorted by kind and id
 * @device_count: how many
 * @taps: TAPs of all processes, each once a process
 * @tap_count: how many
 * @unreadable: processes that the caller was not allowed to look into
 */
struct survey {
	struct open_device *devices;
	size_t device_count;
	struct process_tap *taps;
	size_t tap_count;
	unsigned int unreadable;
};

/**
 * survey_take() - look through the descriptors of all processes
 * @proc: where proc(5) is mounted, ``/proc``
 * @survey: filled in; free it with survey_free() in any case
 * @why: filled in on failure
 *
 * Processes and descriptors that vanish meanwhile are passed over. The counters of one device are
 * read in one go, those of different devices one after the other.
 *
 * Return: ST_OK or ST_SYSTEM.
 */
enum status survey_take(const char *proc, struct survey *survey, struct failure *why);

/**
 * survey_free() - free what survey_take() filled in
 * @survey: to be empty afterwards
 */
void survey_free(struct survey *survey);

/**
 * device_is_held_by() - whether a process has a device open
 * @device: the device
 * @pid: the process
 */
bool device_is_held_by(const struct open_device *device, pid_t pid);

#endif
