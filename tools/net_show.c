// SPDX-License-Identifier: GPL-2.0-only
/*
 * 'shunt net show': the open shunt net devices of all processes, as a table or as JSON.
 *
 * The table has a line a ring and the columns that people look at; the JSON has every field that
 * the kernel gives. Its form is documented in shunt-net(8) and only ever grows.
 */
#include <errno.h>
#include <getopt.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd.h"
#include "lib/feature.h"
#include "lib/survey.h"
#include "out.h"

#define KIND "net"

static bool is_net(const struct open_device *device)
{
	const char *kind = fields_get(&device->info.device, "device");

	return kind && !strcmp(kind, KIND);
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

static const struct column columns[] = {
	{ "DEVICE", true },  { "PID", true },	  { "COMMAND", false }, { "TAP", false },
	{ "RING", true },    { "ROLE", false },	  { "STATE", false },	{ "SIZE", true },
	{ "MAP", false },    { "PACKETS", true }, { "BYTES", true },	{ "KICKS", true },
	{ "SIGNALS", true }, { "DROPS", true },	  { "ERRORS", true },
};

/* Fields of a ring that stand in the columns from ROLE on. */
static const char *const ring_columns[] = { "role",  "state", "num",	 "map",	  "packets",
					    "bytes", "kicks", "signals", "drops", "errors" };

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

static void add_row(struct table *table, const struct survey *survey,
		    const struct open_device *device, const struct ring_info *ring)
{
	const struct holder *holder = main_holder(device);
	char taps[256], number[24];

	table_add(table, fields_get(&device->info.device, "id"));
	snprintf(number, sizeof(number), "%d", (int)holder->pid);
	table_add(table, number);
	table_add(table, holder->command);
	list_taps(survey, device, taps, sizeof(taps));
	table_add(table, taps);
	snprintf(number, sizeof(number), "%u", ring ? ring->index : 0);
	table_add(table, ring ? number : NULL);
	for (size_t i = 0; i < sizeof(ring_columns) / sizeof(ring_columns[0]); i++)
		table_add(table, ring ? fields_get(&ring->fields, ring_columns[i]) : NULL);
}

static enum status print_table(const struct survey *survey, struct failure *why)
{
	struct table table = { .columns = columns,
			       .column_count = sizeof(columns) / sizeof(columns[0]) };

	for (size_t i = 0; i < survey->device_count; i++) {
		const struct open_device *device = &survey->devices[i];

		if (!is_net(device))
			continue;
		for (size_t r = 0; r < device->info.ring_count; r++)
			add_row(&table, survey, device, &device->info.rings[r]);
		if (!device->info.ring_count)
			add_row(&table, survey, device, NULL);
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

static struct json_object *json_features(const struct open_device *device)
{
	const char *text = fields_get(&device->info.device, "features");
	struct json_object *list = json_object_new_array();
	uint64_t mask = text ? strtoull(text, NULL, 16) : 0;
	char name[FEATURE_NAME_MAX];

	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(mask & (1ULL << bit)))
			continue;
		feature_name(bit, name);
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

static struct json_object *json_device(const struct survey *survey,
				       const struct open_device *device)
{
	struct json_object *json = json_object_new_object();

	json_add_fields(json, &device->info.device);
	json_object_object_add(json, "feature_names", json_features(device));
	json_object_object_add(json, "taps", json_taps(survey, device));
	json_object_object_add(json, "holders", json_holders(device));
	json_object_object_add(json, "rings", json_rings(device));
	return json;
}

static void print_json(const struct survey *survey, bool complete, bool pretty)
{
	struct json_object *json = json_object_new_object(), *list = json_object_new_array();
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	for (size_t i = 0; i < survey->device_count; i++)
		if (is_net(&survey->devices[i]))
			json_object_array_add(list, json_device(survey, &survey->devices[i]));
	json_object_object_add(json, "complete", json_object_new_boolean(complete));
	json_object_object_add(json, "unreadable_processes",
			       json_object_new_int((int)survey->unreadable));
	json_object_object_add(json, "devices", list);
	puts(json_object_to_json_string_ext(json, flags));
	json_object_put(json);
}

static enum status parse_options(int argc, char **argv, struct context *context,
				 struct failure *why)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "pretty", no_argument, NULL, 'p' },
		{ 0 },
	};
	int option;

	opterr = 0;
	optind = 1;
	while ((option = getopt_long(argc, argv, "+jp", options, NULL)) != -1) {
		if (option == 'j')
			context->json = true;
		else if (option == 'p')
			context->pretty = true;
		else
			return failed(why, ST_USAGE,
				      "net show: unknown option '%s': try 'shunt net help'",
				      argv[optind - 1]);
	}
	if (argv[optind])
		return failed(why, ST_USAGE, "net show: unexpected argument '%s'", argv[optind]);
	return ST_OK;
}

int net_show(const struct context *global, int argc, char **argv)
{
	struct context context = *global;
	struct survey survey = { 0 };
	struct failure why;
	enum status status;
	bool complete;

	status = parse_options(argc, argv, &context, &why);
	if (!status)
		status = survey_take("/proc", &survey, &why);
	if (status) {
		survey_free(&survey);
		return complain(&why);
	}

	/* Who is not root may not even see all processes (hidepid=). */
	complete = !survey.unreadable && !geteuid();
	if (context.json)
		print_json(&survey, complete, context.pretty);
	else
		status = print_table(&survey, &why);
	if (!complete)
		fprintf(stderr, "shunt: net show: not all processes could be looked into "
				"(not root?): devices may be missing\n");
	survey_free(&survey);
	return status ? complain(&why) : 0;
}
