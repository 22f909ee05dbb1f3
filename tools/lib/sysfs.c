// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small files below a root. Texts come from devices and from other users: what is not printable
 * ASCII becomes '?', so that it can neither command a terminal nor break JSON.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sysfs.h"

enum status sysfs_open(const char *root, struct sysfs *sysfs, struct failure *why)
{
	sysfs->root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (sysfs->root < 0)
		return failed(why, ST_SYSTEM, "%s: %s", root, strerror(errno));
	return ST_OK;
}

void sysfs_close(struct sysfs *sysfs)
{
	if (sysfs->root >= 0)
		close(sysfs->root);
	sysfs->root = -1;
}

void sysfs_path(char path[SYSFS_PATH_MAX], const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path, SYSFS_PATH_MAX, format, args);
	va_end(args);
	if (length < 0 || length >= SYSFS_PATH_MAX)
		path[0] = '\0';
}

bool sysfs_exists(const struct sysfs *sysfs, const char *path)
{
	return !faccessat(sysfs->root, path, F_OK, AT_SYMLINK_NOFOLLOW);
}

bool sysfs_read(const struct sysfs *sysfs, const char *path, char *text, size_t size)
{
	size_t used = 0;
	ssize_t got;
	int fd;

	text[0] = '\0';
	fd = openat(sysfs->root, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	do {
		got = read(fd, text + used, size - 1 - used);
		if (got > 0)
			used += (size_t)got;
	} while ((got > 0 && used < size - 1) || (got < 0 && errno == EINTR));
	close(fd);
	while (used && strchr(" \t\n", text[used - 1]))
		used--;
	text[used] = '\0';
	for (char *c = text; *c; c++)
		if ((*c < ' ' || *c > '~') && *c != '\n')
			*c = '?';
	return got >= 0;
}

long sysfs_number(const struct sysfs *sysfs, const char *path, long otherwise)
{
	char text[32], *end;
	long number;

	if (!sysfs_read(sysfs, path, text, sizeof(text)))
		return otherwise;
	errno = 0;
	number = strtol(text, &end, strncmp(text, "0x", 2) ? 10 : 16);
	return end == text || *end || errno ? otherwise : number;
}

bool sysfs_link(const struct sysfs *sysfs, const char *path, char name[SYSFS_NAME_MAX])
{
	char target[4096], *last;
	ssize_t length;

	name[0] = '\0';
	length = readlinkat(sysfs->root, path, target, sizeof(target) - 1);
	if (length <= 0)
		return false;
	target[length] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) >= SYSFS_NAME_MAX)
		return false;
	memcpy(name, last, strlen(last) + 1);
	return true;
}

int sysfs_write(const struct sysfs *sysfs, const char *path, const char *text)
{
	ssize_t written;
	int fd, error;

	fd = openat(sysfs->root, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	written = write(fd, text, strlen(text));
	error = written < 0 ? errno : (size_t)written == strlen(text) ? 0 : EIO;
	close(fd);
	return error;
}

int sysfs_each(const struct sysfs *sysfs, const char *path,
	       bool (*call)(void *self, const char *path, const char *name), void *self)
{
	struct dirent *entry;
	int fd, count = 0;
	DIR *dir;

	/* The path of one whose name was too long to be put together. */
	if (!*path)
		return -ENAMETOOLONG;
	fd = openat(sysfs->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return -error;
	}
	/* Only errno tells an error from the end. */
	while (errno = 0, (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (call && !call(self, path, entry->d_name)) {
			errno = 0;
			break;
		}
	}
	if (errno)
		count = -errno;
	closedir(dir);
	return count;
}
