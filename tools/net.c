// SPDX-License-Identifier: GPL-2.0-only
/* The object 'net': the table of its verbs. */
#include <stddef.h>

#include "cmd.h"

static const struct verb verbs[] = {
	{ "exec",
	  "[--bridge BRIDGE] [--tap NAME] [--queues N] [--mtu BYTES]\n"
	  "      [--device PATH] [--require FEATURE[,FEATURE]...] -- COMMAND [ARGUMENT]...",
	  "make a TAP, open the device, and run COMMAND with both", net_exec },
	{ "serve",
	  "--socket-path PATH | --fd FD [--print-capabilities]\n"
	  "      [--socket-user USER[:GROUP]] [--socket-mode MODE] [--user USER[:GROUP]]\n"
	  "      [--bridge BRIDGE] [--tap NAME] [--queues N] [--mtu BYTES] [--mac ADDRESS]\n"
	  "      [--device PATH] [--require FEATURE[,FEATURE]...]",
	  "be a vhost-user network device for any VMM, with a TAP and the device", net_serve },
	{ "show", "[-j] [-p]", "list open shunt net devices, with their rings and counters",
	  net_show },
	{ NULL, NULL, NULL, NULL },
};

const struct object net_object = {
	.name = "net",
	.summary = "network devices",
	.verbs = verbs,
};
