// SPDX-License-Identifier: GPL-2.0-only
/* The object 'net': the table of its verbs. */
#include <stddef.h>

#include "cmd.h"

static const struct verb verbs[] = {
	{ "exec",
	  "[--bridge BRIDGE] [--tap NAME] [--queues N] [--mtu BYTES]\n"
	  "      [--device PATH] [--require FEATURE[,FEATURE]...] -- COMMAND [ARGUMENT]...",
	  "make a TAP, open the device, and run COMMAND with both", net_exec },
	{ "show", "[-j] [-p]", "list open shunt net devices, with their rings and counters",
	  net_show },
	{ NULL, NULL, NULL, NULL },
};

const struct object net_object = {
	.name = "net",
	.summary = "network devices",
	.verbs = verbs,
};
