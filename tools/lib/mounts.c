// SPDX-License-Identifier: GPL-2.0-only
/* Reading files of /proc that have a line for each of something, of any length. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mounts.h"

#define MOUNTS "proc/self/mountinfo"

int proc_each_line(const struct sysfs *sysfs, const char *path,
		   bool (*call)(void *self, char *line), void *self)
{
	int error = 0, fd = openat(sysfs->root, path, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t size = 0;

	if (!file) {
		error = errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	/* Only errno tells an error, of memory too, from the end. */
	while (errno = 0, getline(&line, &size, file) >= 0)
		if (!call(self, line)) {
			errno = 0;
			break;
		}
	error = errno;
	free(line);
	fclose(file);
	return error;
}

const char *proc_field(char **rest)
{
	char *field;

	do
		field = strsep(rest, " \t\n");
	while (field && !*field);
	return field ? field : "";
}

static bool is_needed(const char *point)
{
	static const char *const points[] = { "/", "/boot", "/boot/efi", "/efi", "/usr", NULL };

	for (int i = 0; points[i]; i++)
		if (!strcmp(points[i], point))
			return true;
	return false;
}

static void make_printable(char *text)
{
	for (; *text; text++)
		if ((*text < ' ' && *text != '\n') || *text > '~')
			*text = '?';
}

struct each_mount {
	bool (*call)(void *self, const struct mount *mount);
	void *self;
};

static bool take_mount(void *self, char *line)
{
	struct each_mount *each = self;
	struct mount mount = { .type = "", .source = "" };
	char *rest = line;

	make_printable(line);
	proc_field(&rest);
	proc_field(&rest);
	mount.number = proc_field(&rest);
	proc_field(&rest);
	mount.point = proc_field(&rest);
	if (!*mount.point)
		return true;
	mount.needed = is_needed(mount.point);
	/* Before the dash are as many fields as the kernel likes. */
	while (rest && strcmp(proc_field(&rest), "-"))
		;
	if (rest) {
		mount.type = proc_field(&rest);
		mount.source = proc_field(&rest);
	}
	return each->call(each->self, &mount);
}

enum status mounts_each(const struct sysfs *sysfs,
			bool (*call)(void *self, const struct mount *mount), void *self,
			struct failure *why)
{
	struct each_mount each = { call, self };
	int error = proc_each_line(sysfs, MOUNTS, take_mount, &each);

	return error ? failed(why, ST_SYSTEM, "/" MOUNTS ": %s", strerror(error)) : ST_OK;
}
