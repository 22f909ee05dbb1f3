/* SPDX-License-Identifier: GPL-2.0-only */
/* What is mounted. */
#ifndef SHUNT_MOUNTS_H
#define SHUNT_MOUNTS_H

#include <stdbool.h>

#include "status.h"
#include "sysfs.h"

/**
 * struct mount - a line of /proc/self/mountinfo; blanks in names are written \\040 there
 * @number: major:minor of the file system
 * @point: where it is mounted, made printable
 * @type: of the file system; empty if the line does not say
 * @source: what it is of; empty if the line does not say
 * @needed: the host itself runs from it
 */
struct mount {
	const char *number;
	const char *point;
	const char *type;
	const char *source;
	bool needed;
};

/**
 * mounts_each() - call a function for each mount of this process's mount namespace
 * @sysfs: where
 * @call: gets @self and a mount, which is gone when it returns; false ends it
 * @self: for @call
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM (not all of them could be read).
 */
enum status mounts_each(const struct sysfs *sysfs,
			bool (*call)(void *self, const struct mount *mount), void *self,
			struct failure *why);

/**
 * proc_each_line() - call a function for each line of a file
 * @sysfs: where
 * @path: the file
 * @call: gets @self and the line, which it may change; false ends it
 * @self: for @call
 *
 * Return: 0 or an errno: the file is not there, or could not be read to its end.
 */
int proc_each_line(const struct sysfs *sysfs, const char *path,
		   bool (*call)(void *self, char *line), void *self);

/**
 * proc_field() - cut the next field off a line, as strsep() does; fields are not empty
 * @rest: the line, and afterwards what is behind the field
 *
 * Return: the field, empty at the end.
 */
const char *proc_field(char **rest);

#endif
