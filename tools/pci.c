// SPDX-License-Identifier: GPL-2.0-only
/* The object 'pci': the table of its verbs. */
#include <stddef.h>

#include "cmd.h"

static const struct verb verbs[] = {
	{ "list", "[-j] [-p]", "list PCI devices, and whether each can be passed through",
	  pci_list },
	{ "check", "[-j] [-p]", "what the host has and lacks for passing devices through",
	  pci_check },
	{ NULL, NULL, NULL, NULL },
};

const struct object pci_object = {
	.name = "pci",
	.summary = "PCI devices to be passed through",
	.verbs = verbs,
};
