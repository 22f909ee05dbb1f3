// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has a device's nodes open.
 *
 * /proc has for each process a directory of what it has open, each a link that leads to the very
 * file, whatever it is called and in whichever mount namespace. Nothing is opened for that, and no
 * server of a remote file is asked. A thread may have a table of its own: kcmp(2) tells.
 *
 * What goes while it is looked at is no longer in use; what cannot be looked at may be.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pciopen.h"

bool nodes_add(struct nodes *nodes, const struct sysfs *sysfs, const char *directory, bool block,
	       const char *name)
{
	struct node node = { .block = block }, *list;
	char path[SYSFS_PATH_MAX], text[32];

	sysfs_path(path, "%s/dev", directory);
	if (!sysfs_read(sysfs, path, text, sizeof(text)) ||
	    sscanf(text, "%u:%u", &node.major, &node.minor) != 2)
		return true;
	list = reallocarray(nodes->list, nodes->count + 1, sizeof(*list));
	if (!list)
		return false;
	snprintf(node.name, sizeof(node.name), "%s", name);
	nodes->list = list;
	list[nodes->count++] = node;
	return true;
}

bool nodes_join(struct nodes *nodes, const struct nodes *more)
{
	struct node *list;

	if (!more->count)
		return true;
	list = reallocarray(nodes->list, nodes->count + more->count, sizeof(*list));
	if (!list)
		return false;
	memcpy(&list[nodes->count], more->list, more->count * sizeof(*list));
	nodes->list = list;
	nodes->count += more->count;
	return true;
}

void nodes_free(struct nodes *nodes)
{
	free(nodes->list);
	*nodes = (struct nodes){ 0 };
}

/**
 * struct search - for a process
 * @sysfs: where
 * @nodes: one of which it is to have open
 * @self: this process, as /proc calls it
 * @process: that is being looked at
 * @found: what it has open; NULL: nothing yet
 * @error: an errno: not all of them could be looked at
 */
struct search {
	const struct sysfs *sysfs;
	const struct nodes *nodes;
	char self[SYSFS_NAME_MAX];
	char process[16];
	const struct node *found;
	int error;
};

/* A process, or a file of it, that is gone meanwhile is not in use. */
static void search_fails(struct search *search, int error)
{
	if (error != ENOENT && error != ESRCH)
		search->error = error;
}

static bool look_at_file(void *self, const char *path, const char *name)
{
	struct search *search = self;
	char file[SYSFS_PATH_MAX];
	struct statx is;

	sysfs_path(file, "%s/%s", path, name);
	if (statx(search->sysfs->root, file, AT_STATX_DONT_SYNC, STATX_TYPE, &is)) {
		search_fails(search, errno);
		return true;
	}
	if (!S_ISBLK(is.stx_mode) && !S_ISCHR(is.stx_mode))
		return true;
	for (size_t i = 0; i < search->nodes->count; i++) {
		const struct node *node = &search->nodes->list[i];

		if (node->block == S_ISBLK(is.stx_mode) && node->major == is.stx_rdev_major &&
		    node->minor == is.stx_rdev_minor) {
			search->found = node;
			return false;
		}
	}
	return true;
}

static bool look_at_thread(void *self, const char *path, const char *name)
{
	struct search *search = self;
	int found, process = atoi(search->process), thread = atoi(name);
	char files[SYSFS_PATH_MAX];

	/* Nearly all have the table of their process. */
	if (thread != process && !syscall(SYS_kcmp, process, thread, KCMP_FILES, 0, 0))
		return true;
	sysfs_path(files, "%s/%s/fd", path, name);
	found = sysfs_each(search->sysfs, files, look_at_file, search);
	if (found < 0)
		search_fails(search, -found);
	return !search->found;
}

static bool look_at_process(void *self, const char *path, const char *name)
{
	struct search *search = self;
	char threads[SYSFS_PATH_MAX];
	int found;

	if (name[strspn(name, "0123456789")] || !strcmp(name, search->self))
		return true;
	snprintf(search->process, sizeof(search->process), "%.15s", name);
	sysfs_path(threads, "%s/%s/task", path, name);
	found = sysfs_each(search->sysfs, threads, look_at_thread, search);
	if (found < 0)
		search_fails(search, -found);
	return !search->found;
}

enum status nodes_open(const struct sysfs *sysfs, const struct nodes *nodes, struct failure *why)
{
	struct search search = { .sysfs = sysfs, .nodes = nodes };
	char path[SYSFS_PATH_MAX], name[SYSFS_NAME_MAX];
	int found;

	if (!nodes->count)
		return ST_OK;
	sysfs_link(sysfs, "proc/self", search.self);
	found = sysfs_each(sysfs, "proc", look_at_process, &search);
	if (search.found) {
		sysfs_path(path, "proc/%s/comm", search.process);
		sysfs_read(sysfs, path, name, sizeof(name));
		return failed(why, ST_PCI_OPEN, "process %s (%s) has %s open", search.process, name,
			      search.found->name);
	}
	if (search.error == EACCES || search.error == EPERM)
		return failed(why, ST_PRIVILEGE, "only root sees whether a process has %s open",
			      nodes->list[0].name);
	if (found < 0 || search.error)
		return failed(why, ST_SYSTEM, "/proc: %s",
			      strerror(found < 0 ? -found : search.error));
	return ST_OK;
}
