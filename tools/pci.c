// SPDX-License-Identifier: GPL-2.0-only
/* The object 'pci': the table of its verbs. */
#include <stddef.h>

#include "cmd.h"

static const struct verb verbs[] = {
	{ "list", "[-j] [-p]", "list PCI devices, and whether each can be passed through",
	  pci_list },
	{ "bind",
	  "DEV [--driver vfio-pci|shunt-vfio] [--owner USER[:GROUP]] [--persist]\n"
	  "      [--wait SECONDS]",
	  "take a device from the host, for virtual machines", pci_bind_verb },
	{ "release", "DEV [--wait SECONDS]", "give it back to the host", pci_release_verb },
	{ "serve",
	  "DEV --socket-path PATH | --fd FD [--memory SIZE] [--queues N] [--function-mac]\n"
	  "      [--socket-user USER[:GROUP]] [--socket-mode MODE] [--user USER[:GROUP]]",
	  "be a vhost-user device for any VMM, with a virtio function", pci_serve },
	{ "vfs",
	  "DEV N [--wait SECONDS] [mac ADDRESS] [vlan ID [qos N]] [spoofcheck on|off]\n"
	  "      [trust on|off] [vf I ATTRIBUTE...]...",
	  "have N SR-IOV functions, with attributes for all, or for one", pci_vfs },
	{ "check", "[-j] [-p]", "what the host has and lacks for passing devices through",
	  pci_check },
	{ NULL, NULL, NULL, NULL },
};

const struct object pci_object = {
	.name = "pci",
	.summary = "PCI devices to be passed through",
	.verbs = verbs,
};
