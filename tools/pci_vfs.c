// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt pci vfs': SR-IOV functions, and their attributes.
 *
 * Attributes are words, as ip(8) has them: those behind 'vf I' are of function I, those before the
 * first of all of them.
 */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cmd.h"
#include "lib/pcibind.h"
#include "lib/pcivf.h"
#include "out.h"
#include "pci.h"

/**
 * struct vfs_wish - what the command line asks for
 * @number: of functions
 * @wait: for others to be done, seconds
 * @wishes: one a function, owned; @number of them
 * @set: there is an attribute at all
 */
struct vfs_wish {
	unsigned int number;
	unsigned int wait;
	struct pci_vf_wish *wishes;
	bool set;
};

static enum status take_switch(const char *what, const char *text, int *on, struct failure *why)
{
	if (strcmp(text, "on") && strcmp(text, "off"))
		return failed(why, ST_USAGE, "%s: '%s' is neither on nor off", what, text);
	*on = !strcmp(text, "on");
	return ST_OK;
}

/* One attribute, of one function. */
static enum status take_attribute(struct pci_vf_wish *wish, const char *word, const char *value,
				  struct failure *why)
{
	unsigned int number = 0;
	enum status status;

	if (!strcmp(word, "mac")) {
		wish->has_mac = true;
		return args_mac("mac", value, wish->mac, why);
	}
	if (!strcmp(word, "vlan")) {
		status = pci_take_number(word, value, 4094, &number, why);
		wish->vlan = (int)number;
		return status;
	}
	if (!strcmp(word, "qos"))
		return pci_take_number(word, value, 7, &wish->qos, why);
	if (!strcmp(word, "spoofcheck"))
		return take_switch(word, value, &wish->spoofcheck, why);
	if (!strcmp(word, "trust"))
		return take_switch(word, value, &wish->trust, why);
	return failed(why, ST_USAGE, "pci vfs: unknown attribute '%s': try 'shunt pci help'", word);
}

static enum status take_attributes(struct vfs_wish *wish, int argc, char **argv,
				   struct failure *why)
{
	unsigned int first = 0, behind = wish->number, index = 0;
	enum status status = ST_OK;

	for (int i = 0; !status && i < argc; i += 2) {
		if (i + 1 == argc)
			return failed(why, ST_USAGE, "pci vfs: '%s' needs a value", argv[i]);
		if (!strcmp(argv[i], "vf")) {
			status = pci_take_number("vf", argv[i + 1], PCI_VFS_MAX, &index, why);
			if (!status && index >= wish->number)
				status = failed(why, ST_NUMBER,
						"vf: %u functions are numbered from 0",
						wish->number);
			first = index;
			behind = index + 1;
			continue;
		}
		if (!wish->number)
			return failed(why, ST_USAGE, "pci vfs: no functions have no attributes");
		if (!strcmp(argv[i], "mac") && behind - first > 1)
			return failed(why, ST_USAGE,
				      "mac: not of all functions: say of which, by vf I");
		for (unsigned int k = first; !status && k < behind; k++)
			status = take_attribute(&wish->wishes[k], argv[i], argv[i + 1], why);
		wish->set = true;
	}
	for (unsigned int k = 0; !status && k < wish->number; k++)
		if (wish->wishes[k].qos && wish->wishes[k].vlan <= 0)
			status = failed(why, ST_USAGE, "qos: is of a VLAN, which is not given");
	return status;
}

/* There is one. */
static enum status take_option(void *self, int option, const char *argument, struct failure *why)
{
	struct vfs_wish *wish = self;

	(void)option;
	return pci_take_wait(argument, &wish->wait, why);
}

static enum status parse(int argc, char **argv, struct vfs_wish *wish, struct failure *why)
{
	static const struct option options[] = { { "wait", required_argument, NULL, 'w' }, { 0 } };
	enum status status;
	int first;

	if (argc < 3)
		return failed(why, ST_USAGE, "pci vfs: the number of functions is missing");
	status = pci_take_number("pci vfs", argv[2], PCI_VFS_MAX, &wish->number, why);
	if (!status)
		status = args_first_options("pci vfs", argc - 2, argv + 2, options, take_option,
					    wish, &first, why);
	if (status)
		return status;
	wish->wishes = calloc(wish->number + 1, sizeof(*wish->wishes));
	if (!wish->wishes)
		return failed(why, ST_SYSTEM, "out of memory");
	for (unsigned int k = 0; k < wish->number; k++)
		wish->wishes[k] = (struct pci_vf_wish){
			.index = k, .vlan = -1, .spoofcheck = -1, .trust = -1
		};
	return take_attributes(wish, argc - 2 - first, argv + 2 + first, why);
}

static void report(const char *address, const struct pci_devices *vfs,
		   const struct context *context)
{
	struct json_object *json, *list;

	if (!context->json) {
		for (size_t i = 0; i < vfs->count; i++)
			printf("%s\n", vfs->list[i].address);
		return;
	}
	json = json_object_new_object();
	list = json_object_new_array();
	for (size_t i = 0; i < vfs->count; i++)
		json_object_array_add(list, json_object_new_string(vfs->list[i].address));
	json_object_object_add(json, "device", json_object_new_string(address));
	json_object_object_add(json, "functions", list);
	json_print(json, context->pretty);
}

int pci_vfs(const struct context *context, int argc, char **argv)
{
	char address[PCI_ADDRESS_MAX] = "";
	struct pci_devices vfs = { 0 };
	struct sysfs sysfs = { -1 };
	struct vfs_wish wish = { .wait = PCI_LOCK_S };
	struct failure why;
	enum status status;
	int lock = -1;

	status = pci_take_device("pci vfs", argc, argv, address, &why);
	if (!status)
		status = parse(argc, argv, &wish, &why);
	if (!status)
		status = sysfs_open("/", &sysfs, &why);
	if (!status)
		status = pci_begin(&sysfs, wish.wait, &lock, &why);
	if (!status)
		status = pci_vfs_change(&sysfs, address, wish.number, wish.wishes,
					wish.set ? wish.number : 0, &vfs, &why);
	if (!status)
		report(address, &vfs, context);
	pci_free(&vfs);
	free(wish.wishes);
	if (lock >= 0)
		close(lock);
	sysfs_close(&sysfs);
	return status ? pci_complain(address, &why) : 0;
}
