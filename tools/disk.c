// SPDX-License-Identifier: GPL-2.0-only
/* The object 'disk': the table of its verbs. */
#include <stddef.h>

#include "cmd.h"

static const struct verb verbs[] = {
	{ "serve",
	  "--blk-file PATH [--read-only] [--incoming] [--serial TEXT]\n"
	  "      [--queues N] [--config-wce]\n"
	  "      --socket-path PATH | --fd FD [--print-capabilities]\n"
	  "      [--socket-user USER[:GROUP]] [--socket-mode MODE] [--user USER[:GROUP]]\n"
	  "      [--device PATH]",
	  "be a vhost-user disk for any VMM, of a block device or a raw file", disk_serve },
	{ "show", "[-j] [-p]", "list open shunt disks, with their rings and counters", disk_show },
	{ NULL, NULL, NULL, NULL },
};

const struct object disk_object = {
	.name = "disk",
	.summary = "disks",
	.verbs = verbs,
};
