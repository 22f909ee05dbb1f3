// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt net show' and 'shunt disk show': the open shunt devices of a kind of all processes, as a
 * table or as JSON.
 *
 * The table has a line a ring and the columns that people look at; the JSON has every field that
 * the kernel gives. Its form is documented in shunt-net(8) and only ever grows.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "cmd.h"
#include "lib/feature.h"
#include "lib/survey.h"
#include "out.h"

/**
 * struct kind - devices that are shown together
 * @device: what the kernel calls them
 * @object: what the command does
 * @has_taps: a process that has them open may have TAPs that belong to them
 * @name: names of their features
 * @columns: of the table, the first three being DEVICE, PID and COMMAND; TAP next with @has_taps
 * @column_count: how many
 * @fields: of a ring, which stand in the columns after RING
 */
struct kind {
	const char *device;
	const char *object;
	bool has_taps;
	void (*name)(unsigned int bit, char name[FEATURE_NAME_MAX]);
	const struct column *columns;
	size_t column_count;
	const char *const *fields;
};

static bool is_of(const struct kind *kind, const struct open_device *device)
{
	const char *name = fields_get(&device->info.device, "device");

	return name && !strcmp(name, kind->device);
}

/* The TAPs that any holder of the device has open: the kernel does not tell which one it is. */
static bool tap_may_belong(const struct survey *survey, size_t tap,
			   const struct open_device *device)
{
	if (!device_is_held_by(device, survey->taps[tap].pid))
		return false;
	for (size_t i = 0; i < tap; i++)
		if (!strcmp(survey->taps[i].name, survey->taps[tap].name) &&
		    device_is_held_by(device, survey->taps[i].pid))
			return false;
	return true;
}

/*
 * The line of the table names one process: the owner if it still has the device open, else the
 * first that has.
 */
static const struct holder *main_holder(const struct open_device *device)
{
	const char *owner = fields_get(&device->info.device, "owner");
	pid_t pid = owner ? (pid_t)atoi(owner) : 0;

	for (size_t i = 0; i < device->holder_count; i++)
		if (device->holders[i].pid == pid)
			return &device->holders[i];
	return &device->holders[0];
}

/* TABLE ------------------------------------------------------------------------------------ */

static const struct column net_columns[] = {
	{ "DEVICE", true },  { "PID", true },	  { "COMMAND", false }, { "TAP", false },
	{ "RING", true },    { "ROLE", false },	  { "STATE", false },	{ "SIZE", true },
	{ "MAP", false },    { "PACKETS", true }, { "BYTES", true },	{ "KICKS", true },
	{ "SIGNALS", true }, { "DROPS", true },	  { "ERRORS", true },
};

static const char *const net_fields[] = { "role",  "state", "num",     "map",	"packets",
					  "bytes", "kicks", "signals", "drops", "errors" };

static const struct kind net_kind = {
	.device = "net",
	.object = "net",
	.has_taps = true,
	.name = feature_name,
	.columns = net_columns,
	.column_count = sizeof(net_columns) / sizeof(net_columns[0]),
	.fields = net_fields,
};

static const struct column disk_columns[] = {
	{ "DEVICE", true }, { "PID", true },   { "COMMAND", false }, { "RING", true },
	{ "STATE", false }, { "SIZE", true },  { "MAP", false },     { "REQUESTS", true },
	{ "BYTES", true },  { "KICKS", true }, { "SIGNALS", true },  { "DROPS", true },
	{ "ERRORS", true },
};

static const char *const disk_fields[] = { "state", "num",     "map",	"requests", "bytes",
					   "kicks", "signals", "drops", "errors" };

static const struct kind disk_kind = {
	.device = "blk",
	.object = "disk",
	.name = feature_name_blk,
	.columns = disk_columns,
	.column_count = sizeof(disk_columns) / sizeof(disk_columns[0]),
	.fields = disk_fields,
};

static void list_taps(const struct survey *survey, const struct open_device *device, char *text,
		      size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < survey->tap_count && used < size; i++)
		if (tap_may_belong(survey, i, device))
			used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "," : "",
						 survey->taps[i].name);
	if (!used)
		snprintf(text, size, "-");
}

static void add_row(struct table *table, const struct kind *kind, const struct survey *survey,
		    const struct open_device *device, const struct ring_info *ring)
{
	const struct holder *holder = main_holder(device);
	size_t before = kind->has_taps ? 5 : 4;
	char taps[256], number[24];

	table_add(table, fields_get(&device->info.device, "id"));
	snprintf(number, sizeof(number), "%d", (int)holder->pid);
	table_add(table, number);
	table_add(table, holder->command);
	if (kind->has_taps) {
		list_taps(survey, device, taps, sizeof(taps));
		table_add(table, taps);
	}
	snprintf(number, sizeof(number), "%u", ring ? ring->index : 0);
	table_add(table, ring ? number : NULL);
	for (size_t i = 0; i < kind->column_count - before; i++)
		table_add(table, ring ? fields_get(&ring->fields, kind->fields[i]) : NULL);
}

static enum status print_table(const struct kind *kind, const struct survey *survey,
			       struct failure *why)
{
	struct table table = { .columns = kind->columns, .column_count = kind->column_count };

	for (size_t i = 0; i < survey->device_count; i++) {
		const struct open_device *device = &survey->devices[i];

		if (!is_of(kind, device))
			continue;
		for (size_t r = 0; r < device->info.ring_count; r++)
			add_row(&table, kind, survey, device, &device->info.rings[r]);
		if (!device->info.ring_count)
			add_row(&table, kind, survey, device, NULL);
	}
	return table_print(&table) ? ST_OK : failed(why, ST_SYSTEM, "out of memory");
}

/* JSON ------------------------------------------------------------------------------------- */

/* A decimal number becomes a number; anything else stays text (hexadecimal masks do). */
static struct json_object *json_value(const char *text)
{
	unsigned long long number;
	char *end;

	if (*text >= '0' && *text <= '9') {
		errno = 0;
		number = strtoull(text, &end, 10);
		if (!*end && !errno)
			return json_object_new_uint64(number);
	}
	return json_object_new_string(text);
}

static void json_add_fields(struct json_object *json, const struct fields *fields)
{
	char key[64];

	for (size_t i = 0; i < fields->count; i++) {
		snprintf(key, sizeof(key), "%s", fields->list[i].key);
		for (char *c = key; *c; c++)
			if (*c == '-')
				*c = '_';
		json_object_object_add(json, key, json_value(fields->list[i].value));
	}
}

static struct json_object *json_features(const struct kind *kind, const struct open_device *device)
{
	const char *text = fields_get(&device->info.device, "features");
	struct json_object *list = json_object_new_array();
	uint64_t mask = text ? strtoull(text, NULL, 16) : 0;
	char name[FEATURE_NAME_MAX];

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(mask & (1ULL << bit)))
			continue;
		kind->name(bit, name);
		json_object_array_add(list, json_object_new_string(name));
	}
	return list;
}

static struct json_object *json_holders(const struct open_device *device)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < device->holder_count; i++) {
		const struct holder *holder = &device->holders[i];
		struct json_object *json = json_object_new_object();

		json_object_object_add(json, "pid", json_object_new_int(holder->pid));
		json_object_object_add(json, "fd", json_object_new_int(holder->fd));
		json_object_object_add(json, "command", json_object_new_string(holder->command));
		json_object_array_add(list, json);
	}
	return list;
}

static struct json_object *json_taps(const struct survey *survey, const struct open_device *device)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < survey->tap_count; i++)
		if (tap_may_belong(survey, i, device))
			json_object_array_add(list, json_object_new_string(survey->taps[i].name));
	return list;
}

static struct json_object *json_rings(const struct open_device *device)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < device->info.ring_count; i++) {
		const struct ring_info *ring = &device->info.rings[i];
		struct json_object *json = json_object_new_object();

		json_object_object_add(json, "index", json_object_new_int((int)ring->index));
		json_add_fields(json, &ring->fields);
		json_object_array_add(list, json);
	}
	return list;
}

static struct json_object *json_device(const struct kind *kind, const struct survey *survey,
				       const struct open_device *device)
{
	struct json_object *json = json_object_new_object();

	json_add_fields(json, &device->info.device);
	json_object_object_add(json, "feature_names", json_features(kind, device));
	if (kind->has_taps)
		json_object_object_add(json, "taps", json_taps(survey, device));
	json_object_object_add(json, "holders", json_holders(device));
	json_object_object_add(json, "rings", json_rings(device));
	return json;
}

static void print_json(const struct kind *kind, const struct survey *survey, bool complete,
		       bool pretty)
{
	struct json_object *json = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < survey->device_count; i++)
		if (is_of(kind, &survey->devices[i]))
			json_object_array_add(list, json_device(kind, survey, &survey->devices[i]));
	json_object_object_add(json, "complete", json_object_new_boolean(complete));
	json_object_object_add(json, "unreadable_processes",
			       json_object_new_int((int)survey->unreadable));
	json_object_object_add(json, "devices", list);
	json_print(json, pretty);
}

static int show(const struct kind *kind, const struct context *global, int argc, char **argv)
{
	struct context context = *global;
	struct survey survey = { 0 };
	struct failure why;
	enum status status;
	char verb[16];
	bool complete;

	snprintf(verb, sizeof(verb), "%s show", kind->object);
	status = args_output(verb, argc, argv, &context, &why);
	if (!status)
		status = survey_take("/proc", &survey, &why);
	if (status) {
		survey_free(&survey);
		return complain(&why);
	}

	/* Who is not root may not even see all processes (hidepid=). */
	complete = !survey.unreadable && !geteuid();
	if (context.json)
		print_json(kind, &survey, complete, context.pretty);
	else
		status = print_table(kind, &survey, &why);
	if (!complete)
		fprintf(stderr,
			"shunt: %s show: not all processes could be looked into "
			"(not root?): devices may be missing\n",
			kind->object);
	survey_free(&survey);
	return status ? complain(&why) : 0;
}

int net_show(const struct context *context, int argc, char **argv)
{
	return show(&net_kind, context, argc, argv);
}

int disk_show(const struct context *context, int argc, char **argv)
{
	return show(&disk_kind, context, argc, argv);
}
