/* SPDX-License-Identifier: GPL-2.0-only */
/* Processes that have the nodes of devices open. */
#ifndef SHUNT_PCIOPEN_H
#define SHUNT_PCIOPEN_H

#include <stdbool.h>
#include <stddef.h>

#include "status.h"
#include "sysfs.h"

/**
 * struct node - what a node in /dev is of
 * @block: a block device; else a character device
 * @major: its driver's number
 * @minor: its own
 * @name: the kernel's for it
 */
struct node {
	bool block;
	unsigned int major;
	unsigned int minor;
	char name[SYSFS_NAME_MAX];
};

/**
 * struct nodes - some of them
 * @list: owned
 * @count: how many
 */
struct nodes {
	struct node *list;
	size_t count;
};

/**
 * nodes_add() - add the node of a device, if it has one
 * @nodes: to these
 * @sysfs: where
 * @directory: the device's; its file 'dev' has the numbers
 * @block: it is a block device
 * @name: its name
 *
 * Return: false if memory ran out.
 */
bool nodes_add(struct nodes *nodes, const struct sysfs *sysfs, const char *directory, bool block,
	       const char *name);

/**
 * nodes_join() - add nodes
 * @nodes: to these
 * @more: which
 *
 * Return: false if memory ran out.
 */
bool nodes_join(struct nodes *nodes, const struct nodes *more);

/**
 * nodes_free() - free nodes
 * @nodes: to be empty afterwards
 */
void nodes_free(struct nodes *nodes);

/**
 * nodes_open() - find a process that has one of them open, by whatever path
 * @sysfs: where
 * @nodes: which
 * @why: filled in unless ST_OK
 *
 * This process is passed over. Not seen is what is in no process's table of files: io_uring's own
 * tables, descriptors on their way through a socket, files that the kernel itself has open.
 *
 * Return: ST_OK: nobody; ST_PCI_OPEN; ST_PRIVILEGE (there are processes that the caller may not
 * look at) or ST_SYSTEM.
 */
enum status nodes_open(const struct sysfs *sysfs, const struct nodes *nodes, struct failure *why);

#endif
