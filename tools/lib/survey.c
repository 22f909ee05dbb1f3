// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk over /proc.
 *
 * There is no daemon and no registry: the kernel knows who has what open. Only character devices of
 * the 'misc' major number are read (shunt devices and /dev/net/tun are such), so a host with a
 * hundred thousand open files is looked through fast. statx() is asked not to synchronise, because
 * the status of a file on a network file system that hangs would hang the survey too.
 *
 * Names of commands and interfaces are chosen by other users: bytes that are not printable ASCII
 * become '?', so that they can neither command a terminal nor break JSON.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/major.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "survey.h"

/* A fdinfo text of a device is about 1 KiB; anything beyond this is cut off. */
#define TEXT_MAX 65536

static void make_printable(char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			*text = '?';
}

/* Read a file into @text. False: it is not there, not readable, or empty. */
static bool read_text(int dir, const char *name, char *text, size_t size)
{
	size_t used = 0;
	ssize_t got;
	int fd;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	while (used < size - 1) {
		got = read(fd, text + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += (size_t)got;
	}
	close(fd);
	text[used] = '\0';
	return used > 0;
}

static bool may_be_ours(int fd_dir, const char *name)
{
	struct statx st;

	if (statx(fd_dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st))
		return false;
	return S_ISCHR(st.stx_mode) && st.stx_rdev_major == MISC_MAJOR;
}

static const char *value_or(const struct fields *fields, const char *key, const char *otherwise)
{
	const char *value = fields_get(fields, key);

	return value ? value : otherwise;
}

static bool same_device(const struct fdinfo *a, const struct fdinfo *b)
{
	return !strcmp(value_or(&a->device, "device", ""), value_or(&b->device, "device", "")) &&
	       !strcmp(value_or(&a->device, "id", ""), value_or(&b->device, "id", ""));
}

static bool add_holder(struct open_device *device, const struct holder *holder)
{
	struct holder *holders;

	holders = reallocarray(device->holders, device->holder_count + 1, sizeof(*holders));
	if (!holders)
		return false;
	device->holders = holders;
	holders[device->holder_count++] = *holder;
	return true;
}

/* Takes over what is in @info, or frees it. */
static bool add_device(struct survey *survey, struct fdinfo *info, const struct holder *holder)
{
	struct open_device *devices;

	for (size_t i = 0; i < survey->device_count; i++) {
		if (!same_device(&survey->devices[i].info, info))
			continue;
		fdinfo_free(info);
		return add_holder(&survey->devices[i], holder);
	}
	devices = reallocarray(survey->devices, survey->device_count + 1, sizeof(*devices));
	if (!devices) {
		fdinfo_free(info);
		return false;
	}
	survey->devices = devices;
	devices[survey->device_count] = (struct open_device){ .info = *info };
	return add_holder(&devices[survey->device_count++], holder);
}

static bool add_tap(struct survey *survey, pid_t pid, const char *name)
{
	struct process_tap *taps;

	for (size_t i = 0; i < survey->tap_count; i++)
		if (survey->taps[i].pid == pid && !strcmp(survey->taps[i].name, name))
			return true;
	taps = reallocarray(survey->taps, survey->tap_count + 1, sizeof(*taps));
	if (!taps)
		return false;
	survey->taps = taps;
	taps[survey->tap_count] = (struct process_tap){ .pid = pid };
	snprintf(taps[survey->tap_count].name, sizeof(taps[0].name), "%s", name);
	survey->tap_count++;
	return true;
}

/* One descriptor. False: no memory. */
static bool look_at_fd(struct survey *survey, int process_dir, const char *name,
		       struct holder *holder)
{
	static char text[TEXT_MAX];
	struct fdinfo info;
	char path[32];

	snprintf(path, sizeof(path), "fdinfo/%.20s", name);
	if (!read_text(process_dir, path, text, sizeof(text)))
		return true;
	if (!fdinfo_parse(text, &info)) {
		fdinfo_free(&info);
		return false;
	}
	if (info.is_shunt) {
		holder->fd = atoi(name);
		return add_device(survey, &info, holder);
	}
	if (info.tap[0]) {
		bool added;

		make_printable(info.tap);
		added = add_tap(survey, holder->pid, info.tap);
		fdinfo_free(&info);
		return added;
	}
	fdinfo_free(&info);
	return true;
}

/* One process. False: no memory. */
static bool look_at_process(struct survey *survey, int proc_dir, const char *name)
{
	struct holder holder = { .pid = (pid_t)atoi(name) };
	bool memory_left = true;
	struct dirent *entry;
	int process_dir, fd;
	size_t length;
	DIR *fds;

	process_dir = openat(proc_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (process_dir < 0)
		return true;
	fd = openat(process_dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds = fd < 0 ? NULL : fdopendir(fd);
	if (!fds) {
		if (errno == EACCES || errno == EPERM)
			survey->unreadable++;
		if (fd >= 0)
			close(fd);
		close(process_dir);
		return true;
	}
	if (!read_text(process_dir, "comm", holder.command, sizeof(holder.command)))
		holder.command[0] = '\0';
	/* The kernel ends it with a newline; the name may have others. */
	length = strlen(holder.command);
	if (length && holder.command[length - 1] == '\n')
		holder.command[length - 1] = '\0';
	make_printable(holder.command);

	while (memory_left && (entry = readdir(fds)))
		if (isdigit((unsigned char)entry->d_name[0]) && may_be_ours(fd, entry->d_name))
			memory_left = look_at_fd(survey, process_dir, entry->d_name, &holder);
	closedir(fds);
	close(process_dir);
	return memory_left;
}

static int by_kind_and_id(const void *left, const void *right)
{
	const struct open_device *a = left, *b = right;
	int kind = strcmp(value_or(&a->info.device, "device", ""),
			  value_or(&b->info.device, "device", ""));
	unsigned long long a_id, b_id;

	if (kind)
		return kind;
	a_id = strtoull(value_or(&a->info.device, "id", "0"), NULL, 10);
	b_id = strtoull(value_or(&b->info.device, "id", "0"), NULL, 10);
	return (a_id > b_id) - (a_id < b_id);
}

enum status survey_take(const char *proc, struct survey *survey, struct failure *why)
{
	bool memory_left = true;
	struct dirent *entry;
	DIR *processes;

	*survey = (struct survey){ 0 };
	processes = opendir(proc);
	if (!processes)
		return failed(why, ST_SYSTEM, "%s: %s", proc, strerror(errno));
	while (memory_left && (entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]))
			memory_left = look_at_process(survey, dirfd(processes), entry->d_name);
	closedir(processes);
	if (!memory_left)
		return failed(why, ST_SYSTEM, "out of memory");
	if (survey->device_count)
		qsort(survey->devices, survey->device_count, sizeof(*survey->devices),
		      by_kind_and_id);
	return ST_OK;
}

void survey_free(struct survey *survey)
{
	for (size_t i = 0; i < survey->device_count; i++) {
		fdinfo_free(&survey->devices[i].info);
		free(survey->devices[i].holders);
	}
	free(survey->devices);
	free(survey->taps);
	*survey = (struct survey){ 0 };
}

bool device_is_held_by(const struct open_device *device, pid_t pid)
{
	for (size_t i = 0; i < device->holder_count; i++)
		if (device->holders[i].pid == pid)
			return true;
	return false;
}
