// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the host uses a disk.
 *
 * From a disk it goes on, by its partitions and by whoever holds them ('holders': md, device
 * mapper, bcache; and loop devices, which name what is beneath them), to all block devices that
 * are made of it. These are compared with what is mounted and swapped to. Who else has a disk
 * exclusively, such as a file system that is mounted in another mount namespace only, shows when
 * it is opened exclusively here, which also keeps it from being used until its driver is gone.
 * That is done by who takes a device away, not by who merely looks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mounts.h"
#include "pciuse.h"

/**
 * struct stack - a disk, and all block devices that are made of it
 * @sysfs: where
 * @names: theirs, the disk first
 * @holder: the first that is not the disk or a partition of it; empty: there is none
 * @status: ST_OK, or why not all of them could be found
 * @why: that in words
 */
struct stack {
	const struct sysfs *sysfs;
	struct names names;
	char holder[SYSFS_NAME_MAX];
	enum status status;
	struct failure *why;
};

static void stack_add(struct stack *stack, const char *name);

static void stack_fails(struct stack *stack, const char *path, const char *reason)
{
	if (!stack->status)
		stack->status =
			failed(stack->why, ST_SYSTEM,
			       "who has its disk cannot be seen: /%.250s: %s", path, reason);
}

static bool stack_holder(void *self, const char *path, const char *name)
{
	struct stack *stack = self;

	(void)path;
	if (!stack->holder[0])
		snprintf(stack->holder, sizeof(stack->holder), "%s", name);
	stack_add(stack, name);
	return !stack->status;
}

static bool stack_partition(void *self, const char *path, const char *name)
{
	char file[SYSFS_PATH_MAX];
	struct stack *stack = self;

	sysfs_path(file, "%s/%s/partition", path, name);
	if (sysfs_exists(stack->sysfs, file))
		stack_add(stack, name);
	return !stack->status;
}

/* What is not there belongs to a disk that is gone. */
static void stack_each(struct stack *stack, const char *path,
		       bool (*call)(void *self, const char *path, const char *name))
{
	int found = sysfs_each(stack->sysfs, path, call, stack);

	if (found < 0 && found != -ENOENT)
		stack_fails(stack, path, strerror(-found));
}

/* Each is there once, so this ends, whoever holds whom. */
static void stack_add(struct stack *stack, const char *name)
{
	char path[SYSFS_PATH_MAX];
	int added = names_add(&stack->names, name);

	sysfs_path(path, "sys/class/block/%s", name);
	if (added < 0)
		stack_fails(stack, path, "it cannot be kept in mind");
	if (added <= 0)
		return;
	stack_each(stack, path, stack_partition);
	sysfs_path(path, "sys/class/block/%s/holders", name);
	stack_each(stack, path, stack_holder);
}

/* A file that may be the node of a block device: is it that of one of these? */
static bool stack_has_node(const struct stack *stack, const char *node)
{
	char path[SYSFS_PATH_MAX], text[32], number[32];
	const char *last = strrchr(node, '/');
	struct stat st;

	if (strncmp(node, "/dev/", 5))
		return false;
	number[0] = '\0';
	if (!fstatat(stack->sysfs->root, node + 1, &st, 0) && S_ISBLK(st.st_mode))
		snprintf(number, sizeof(number), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	for (size_t i = 0; i < stack->names.count; i++) {
		if (!strcmp(last + 1, stack->names.list[i]))
			return true;
		sysfs_path(path, "sys/class/block/%s/dev", stack->names.list[i]);
		if (sysfs_read(stack->sysfs, path, text, sizeof(text)) && !strcmp(text, number))
			return true;
	}
	return false;
}

static bool stack_has_number(const struct stack *stack, const char *number)
{
	char path[SYSFS_PATH_MAX], text[32];

	for (size_t i = 0; i < stack->names.count; i++) {
		sysfs_path(path, "sys/class/block/%s/dev", stack->names.list[i]);
		if (sysfs_read(stack->sysfs, path, text, sizeof(text)) && !strcmp(text, number))
			return true;
	}
	return false;
}

/* Loop devices are no holders to the kernel: it is theirs to say what they are of. */
static bool stack_loop(void *self, const char *path, const char *name)
{
	static const char gone[] = " (deleted)";
	char file[SYSFS_PATH_MAX], node[4096 + sizeof(gone)];
	struct stack *stack = self;
	size_t length;

	sysfs_path(file, "%s/%s/loop/backing_file", path, name);
	if (strncmp(name, "loop", 4) || !sysfs_read(stack->sysfs, file, node, sizeof(node)))
		return true;
	length = strlen(node);
	if (length >= sizeof(gone) && !strcmp(node + length + 1 - sizeof(gone), gone))
		node[length + 1 - sizeof(gone)] = '\0';
	return !stack_has_node(stack, node) || stack_holder(stack, path, name);
}

/* Until there are no more: a loop device may be of what is made of another. */
static void stack_add_loops(struct stack *stack)
{
	size_t before;

	do {
		before = stack->names.count;
		stack_each(stack, "sys/class/block", stack_loop);
	} while (!stack->status && stack->names.count > before);
}

/* A mount that the host needs is worth more than the others, which are as good as the first. */
static bool stack_mount(void *self, const struct mount *mount)
{
	struct stack *stack = self;

	/* File systems of several devices have numbers of their own. */
	if (!stack_has_number(stack, mount->number) && !stack_has_node(stack, mount->source))
		return true;
	if (mount->needed)
		stack->status =
			failed(stack->why, ST_PCI_BOOT, "the host runs from its disk %s: %.200s",
			       stack->names.list[0], mount->point);
	else if (!stack->status)
		stack->status = failed(stack->why, ST_PCI_MOUNTED, "its disk %s is mounted: %.200s",
				       stack->names.list[0], mount->point);
	return !mount->needed;
}

static bool stack_swap(void *self, char *line)
{
	struct stack *stack = self;
	const char *node;
	char *gone;

	/* So it is called once its node is removed. */
	gone = strstr(line, "\\040(deleted)");
	if (gone)
		*gone = ' ';
	node = proc_field(&line);
	if (stack_has_node(stack, node))
		stack->status = failed(stack->why, ST_PCI_SWAP, "the host swaps to its disk %s",
				       stack->names.list[0]);
	return !stack->status;
}

static void stack_swapped(struct stack *stack)
{
	int error = proc_each_line(stack->sysfs, "proc/swaps", stack_swap, stack);

	/* A kernel without swap has no such file. */
	if (error && error != ENOENT)
		stack_fails(stack, "proc/swaps", strerror(error));
}

enum status pci_disk_used(const struct sysfs *sysfs, const char *disk, struct nodes *nodes,
			  struct failure *why)
{
	struct stack stack = { .sysfs = sysfs, .why = why };
	char path[SYSFS_PATH_MAX];
	enum status status;

	stack_add(&stack, disk);
	if (!stack.status)
		stack_add_loops(&stack);
	if (!stack.status) {
		status = mounts_each(sysfs, stack_mount, &stack, why);
		if (status)
			stack.status = status;
	}
	if (!stack.status)
		stack_swapped(&stack);
	if (!stack.status && stack.holder[0])
		stack.status =
			failed(why, ST_PCI_ARRAY, "its disk %s is part of %s", disk, stack.holder);
	for (size_t i = 0; !stack.status && i < stack.names.count; i++) {
		sysfs_path(path, "sys/class/block/%s", stack.names.list[i]);
		if (!nodes_add(nodes, sysfs, path, true, stack.names.list[i]))
			stack.status = failed(why, ST_SYSTEM, "out of memory");
	}
	names_free(&stack.names);
	return stack.status;
}

static enum status claim_disk(const struct sysfs *sysfs, const char *disk, int *fd,
			      struct failure *why)
{
	char path[SYSFS_PATH_MAX], is[32], number[32];
	struct stat st;

	sysfs_path(path, "sys/class/block/%s/dev", disk);
	sysfs_read(sysfs, path, number, sizeof(number));
	sysfs_path(path, "dev/%s", disk);
	for (char *c = path; *c; c++)
		if (*c == '!') /* the kernel's slash in names of devices */
			*c = '/';
	*fd = openat(sysfs->root, path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (*fd < 0 && errno == EBUSY)
		return failed(why, ST_PCI_CLAIMED, "its disk %s is in use", disk);
	/* A drive without a disk in it is no disk that somebody could use. */
	if (*fd < 0 && errno == ENOMEDIUM)
		return ST_OK;
	if (*fd < 0)
		return failed(why, ST_SYSTEM, "/%s: %s", path, strerror(errno));
	if (fstat(*fd, &st))
		return failed(why, ST_SYSTEM, "/%s: %s", path, strerror(errno));
	snprintf(is, sizeof(is), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	if (!S_ISBLK(st.st_mode) || strcmp(is, number))
		return failed(why, ST_SYSTEM, "/%s is not the node of %s", path, disk);
	return ST_OK;
}

enum status pci_parts_claim(const struct sysfs *sysfs, const struct pci_parts *parts,
			    struct pci_claim *claim, struct failure *why)
{
	enum status status = ST_OK;
	int fd;

	*claim = (struct pci_claim){ 0 };
	if (!parts->disks.count)
		return ST_OK;
	claim->fds = calloc(parts->disks.count, sizeof(*claim->fds));
	if (!claim->fds)
		return failed(why, ST_SYSTEM, "out of memory");
	for (size_t i = 0; !status && i < parts->disks.count; i++) {
		status = claim_disk(sysfs, parts->disks.list[i], &fd, why);
		if (fd >= 0)
			claim->fds[claim->count++] = fd;
	}
	return status;
}

void pci_claim_end(struct pci_claim *claim)
{
	for (size_t i = 0; i < claim->count; i++)
		close(claim->fds[i]);
	free(claim->fds);
	*claim = (struct pci_claim){ 0 };
}
