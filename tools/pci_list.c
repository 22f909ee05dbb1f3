// SPDX-License-Identifier: GPL-2.0-only
/* 'shunt pci list': all PCI devices, and what stands in the way of passing each through. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "args.h"
#include "cmd.h"
#include "lib/pcijudge.h"
#include "out.h"

/**
 * struct row - a device, with all that is shown of it
 * @device: it
 * @group: the others of its IOMMU group
 * @parts: what hangs on it
 * @status: the verdict; ST_OK: it can be passed through, or is already
 * @text: in words
 */
struct row {
	struct pci_device device;
	struct pci_devices group;
	struct pci_parts parts;
	enum status status;
	char text[512];
};

/* What cannot be looked at has that for a verdict; the other devices are no worse for it. */
static void row_read(const struct sysfs *sysfs, const struct pci_facts *facts,
		     const struct pci_device *device, struct row *row)
{
	struct failure verdict;

	*row = (struct row){ .device = *device };
	row->status = pci_read_group(sysfs, device, &row->group, &verdict);
	if (!row->status)
		row->status = pci_parts_read(sysfs, device->address, &row->parts, &verdict);
	if (!row->status)
		row->status =
			pci_judge(sysfs, facts, device, &row->parts, PCI_DRIVER_VFIO, &verdict);
	if (row->status)
		snprintf(row->text, sizeof(row->text), "%s", verdict.text);
	else
		snprintf(row->text, sizeof(row->text), "%s",
			 pci_is_given(device) ? "given to virtual machines" : "can be given");
}

static void row_free(struct row *row)
{
	pci_free(&row->group);
	pci_parts_free(&row->parts);
}

/* TABLE ------------------------------------------------------------------------------------ */

static const struct column columns[] = {
	{ "DEVICE", false }, { "KIND", false },	  { "ID", false },  { "DRIVER", false },
	{ "GROUP", true },   { "SHARED", false }, { "NUMA", true }, { "RESET", false },
	{ "SRIOV", false },  { "OK", false },	  { "WHY", false },
};

/* Names of the others in a group: one, or how many. */
static void list_group(const struct pci_devices *group, char *text, size_t size)
{
	if (group->count == 1)
		snprintf(text, size, "%s", group->list[0].address);
	else if (group->count)
		snprintf(text, size, "%s+%zu", group->list[0].address, group->count - 1);
	else
		snprintf(text, size, "-");
}

static void list_sriov(const struct pci_device *device, char *text, size_t size)
{
	if (device->pf[0])
		snprintf(text, size, "of %s", device->pf);
	else if (device->vfs_total)
		snprintf(text, size, "%u/%u", device->vfs, device->vfs_total);
	else
		snprintf(text, size, "-");
}

static void print_row(struct table *table, const struct row *row)
{
	const struct pci_device *device = &row->device;
	const char *help = pci_help(row->status);
	char text[700];

	table_add(table, device->address);
	table_add(table, pci_class_name(device->class));
	snprintf(text, sizeof(text), "%04x:%04x", device->vendor, device->device);
	table_add(table, text);
	table_add(table, device->driver[0] ? device->driver : NULL);
	snprintf(text, sizeof(text), "%d", device->group);
	table_add(table, device->group == PCI_NO_GROUP ? NULL : text);
	list_group(&row->group, text, sizeof(text));
	table_add(table, text);
	snprintf(text, sizeof(text), "%d", device->numa);
	table_add(table, device->numa < 0 ? NULL : text);
	snprintf(text, sizeof(text), "%s", device->reset[0] ? device->reset : "yes");
	for (char *c = text; *c; c++)
		if (*c == ' ')
			*c = ',';
	table_add(table, device->can_reset ? text : NULL);
	list_sriov(device, text, sizeof(text));
	table_add(table, text);
	table_add(table, row->status ? "no" : "yes");
	snprintf(text, sizeof(text), "%s%s%s", row->text, help ? ": " : "", help ? help : "");
	table_add(table, text);
}

/* JSON ------------------------------------------------------------------------------------- */

static void add_text(struct json_object *json, const char *key, const char *text)
{
	json_object_object_add(json, key, text && *text ? json_object_new_string(text) : NULL);
}

static void add_number(struct json_object *json, const char *key, int number)
{
	json_object_object_add(json, key, number < 0 ? NULL : json_object_new_int(number));
}

static struct json_object *json_words(const char *text)
{
	struct json_object *list = json_object_new_array();

	while (*text) {
		size_t length = strcspn(text, " ");

		if (length)
			json_object_array_add(list, json_object_new_string_len(text, (int)length));
		text += length + (text[length] == ' ');
	}
	return list;
}

static struct json_object *json_names(const struct names *names)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < names->count; i++)
		json_object_array_add(list, json_object_new_string(names->list[i]));
	return list;
}

static struct json_object *json_group(const struct pci_devices *group)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < group->count; i++) {
		const struct pci_device *device = &group->list[i];
		struct json_object *json = json_object_new_object();

		add_text(json, "device", device->address);
		add_text(json, "driver", device->driver);
		json_object_object_add(json, "host_used",
				       json_object_new_boolean(pci_is_host_used(device)));
		json_object_array_add(list, json);
	}
	return list;
}

static struct json_object *json_row(const struct row *row)
{
	struct json_object *json = json_object_new_object(), *sriov = NULL;
	const struct pci_device *device = &row->device;
	char text[16];

	add_text(json, "device", device->address);
	snprintf(text, sizeof(text), "%04x", device->vendor);
	add_text(json, "vendor_id", text);
	snprintf(text, sizeof(text), "%04x", device->device);
	add_text(json, "device_id", text);
	snprintf(text, sizeof(text), "%06x", device->class);
	add_text(json, "class", text);
	add_text(json, "kind", pci_class_name(device->class));
	add_text(json, "driver", device->driver);
	add_text(json, "driver_override", device->override);
	add_number(json, "iommu_group", device->group);
	json_object_object_add(json, "shared_with", json_group(&row->group));
	add_number(json, "numa_node", device->numa);
	json_object_object_add(json, "can_reset", json_object_new_boolean(device->can_reset));
	json_object_object_add(json, "reset_methods", json_words(device->reset));
	if (device->vfs_total) {
		sriov = json_object_new_object();
		add_number(sriov, "total", (int)device->vfs_total);
		add_number(sriov, "number", (int)device->vfs);
	}
	json_object_object_add(json, "sriov", sriov);
	add_text(json, "physical_function", device->pf);
	json_object_object_add(json, "disks", json_names(&row->parts.disks));
	json_object_object_add(json, "interfaces", json_names(&row->parts.interfaces));
	json_object_object_add(json, "given", json_object_new_boolean(pci_is_given(device)));
	json_object_object_add(json, "possible", json_object_new_boolean(!row->status));
	add_text(json, "reason", row->status ? status_table[row->status].name : NULL);
	add_text(json, "verdict", row->text);
	add_text(json, "help", pci_help(row->status));
	return json;
}

int pci_list(const struct context *global, int argc, char **argv)
{
	struct table table = {
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(columns[0]),
	};
	struct context context = *global;
	struct json_object *list = NULL;
	struct pci_devices devices = { 0 };
	struct sysfs sysfs = { -1 };
	struct pci_facts facts;
	struct failure why;
	enum status status;

	status = args_output("pci list", argc, argv, &context, &why);
	if (!status)
		status = sysfs_open("/", &sysfs, &why);
	if (!status)
		status = pci_read_all(&sysfs, &devices, &why);
	if (!status) {
		pci_facts_read(&sysfs, &facts);
		list = json_object_new_array();
	}
	for (size_t i = 0; !status && i < devices.count; i++) {
		struct row row;

		row_read(&sysfs, &facts, &devices.list[i], &row);
		if (context.json)
			json_object_array_add(list, json_row(&row));
		else
			print_row(&table, &row);
		row_free(&row);
	}
	if (!status && context.json) {
		struct json_object *json = json_object_new_object();

		json_object_object_add(json, "devices", json_object_get(list));
		json_print(json, context.pretty);
	} else if (!status && !table_print(&table)) {
		status = failed(&why, ST_SYSTEM, "out of memory");
	}
	json_object_put(list);
	pci_free(&devices);
	sysfs_close(&sysfs);
	return status ? complain(&why) : 0;
}
