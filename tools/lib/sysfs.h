/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading and writing the small files of /sys and /proc, below a root that tests can choose. */
#ifndef SHUNT_SYSFS_H
#define SHUNT_SYSFS_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"

/**
 * SYSFS_PATH_MAX - bytes of a path here, with its end
 */
#define SYSFS_PATH_MAX 384

/**
 * SYSFS_NAME_MAX - bytes of the name of a device, driver or interface, with its end
 */
#define SYSFS_NAME_MAX 64

/**
 * struct sysfs - where sys, proc, dev, etc and run are
 * @root: descriptor of the directory that has them; -1: none
 */
struct sysfs {
	int root;
};

/**
 * sysfs_open() - begin
 * @root: the directory, ``/`` but for tests
 * @sysfs: filled in; end it with sysfs_close() in any case
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM.
 */
enum status sysfs_open(const char *root, struct sysfs *sysfs, struct failure *why);

/**
 * sysfs_close() - end
 * @sysfs: from sysfs_open()
 */
void sysfs_close(struct sysfs *sysfs);

/**
 * sysfs_path() - put a path together
 * @path: receives it, SYSFS_PATH_MAX bytes; empty if it would be longer, which no file is called
 * @format: of printf
 */
void sysfs_path(char path[SYSFS_PATH_MAX], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/**
 * sysfs_exists() - whether a file of any kind is there
 * @sysfs: where
 * @path: below the root, without a slash before it; so in all that follows
 */
bool sysfs_exists(const struct sysfs *sysfs, const char *path);

/**
 * sysfs_read() - read a text, made printable, without blanks at its end
 * @sysfs: where
 * @path: the file
 * @text: receives it; empty on failure. What does not fit is cut off
 * @size: its size
 *
 * Return: false if it cannot be read.
 */
bool sysfs_read(const struct sysfs *sysfs, const char *path, char *text, size_t size);

/**
 * sysfs_number() - read a number, decimal or, with 0x, hexadecimal
 * @sysfs: where
 * @path: the file
 * @otherwise: what to take where there is none
 */
long sysfs_number(const struct sysfs *sysfs, const char *path, long otherwise);

/**
 * sysfs_link() - the last part of what a symbolic link points to
 * @sysfs: where
 * @path: the link
 * @name: receives it, SYSFS_NAME_MAX bytes; empty if there is no such link
 *
 * Return: false if there is none.
 */
bool sysfs_link(const struct sysfs *sysfs, const char *path, char name[SYSFS_NAME_MAX]);

/**
 * sysfs_write() - write a text in one go
 * @sysfs: where
 * @path: the file, which exists
 * @text: what
 *
 * Return: 0, or an errno.
 */
int sysfs_write(const struct sysfs *sysfs, const char *path, const char *text);

/**
 * sysfs_each() - call a function for each entry of a directory, in no order
 * @sysfs: where
 * @path: the directory
 * @call: gets @self, @path and the entry's name; false ends it
 * @self: for @call
 *
 * Entries that begin with a dot are passed over. A name may be of any length.
 *
 * Return: how many there were; -ENOENT if there is no such directory; another negative errno if it
 * could not be read, or not to its end.
 */
int sysfs_each(const struct sysfs *sysfs, const char *path,
	       bool (*call)(void *self, const char *path, const char *name), void *self);

#endif
