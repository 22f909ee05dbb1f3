// SPDX-License-Identifier: GPL-2.0-only
/* The command 'shunt': finds object and verb, and prints help. What they do is elsewhere. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd.h"

/* A kind of device more is a line here and a file of its own. */
static const struct object *const objects[] = {
	&net_object,
	&disk_object,
	&pci_object,
	NULL,
};

/*
 * Names under which the program is a single verb. The JSON descriptors of vhost-user back ends
 * (tools/vhost-user/) name a program, and leave no place for an object and a verb.
 */
static const struct alias {
	const char *name;
	int (*run)(const struct context *context, int argc, char **argv);
} aliases[] = {
	{ "shunt-vhost-user-net", net_serve },
	{ "shunt-vhost-user-blk", disk_serve },
	{ NULL, NULL },
};

int complain(const struct failure *why)
{
	fprintf(stderr, "shunt: %s\n", why->text);
	return status_table[why->status].exit_code;
}

static void print_verbs(const struct object *object)
{
	for (const struct verb *verb = object->verbs; verb->name; verb++)
		printf("  shunt %s %s %s\n      %s\n", object->name, verb->name, verb->synopsis,
		       verb->summary);
}

static void print_help(void)
{
	printf("Usage: shunt [-j] [-p] OBJECT VERB [ARGUMENTS]\n"
	       "       shunt help [exit-codes] | OBJECT help | --version\n\n"
	       "Objects:\n");
	for (int i = 0; objects[i]; i++)
		printf("  %-6s %s\n", objects[i]->name, objects[i]->summary);
	printf("\nVerbs:\n");
	for (int i = 0; objects[i]; i++)
		print_verbs(objects[i]);
	printf("\nOptions:\n"
	       "  -j     print JSON\n"
	       "  -p     indent the JSON\n"
	       "\nManual pages: shunt(8)");
	for (int i = 0; objects[i]; i++)
		printf(", shunt-%s(8)", objects[i]->name);
	printf("\n");
}

static void print_exit_codes(void)
{
	for (int i = 0; i < ST_COUNT; i++)
		printf("%d\t%s\t%s\n", status_table[i].exit_code, status_table[i].name,
		       status_table[i].meaning);
}

static int help(int argc, char **argv)
{
	struct failure why;

	if (argc == 1) {
		print_help();
		return 0;
	}
	if (argc == 2 && !strcmp(argv[1], "exit-codes")) {
		print_exit_codes();
		return 0;
	}
	failed(&why, ST_USAGE, "help: unknown subject '%s': try 'shunt help'", argv[1]);
	return complain(&why);
}

static int run_verb(const struct context *context, const struct object *object, int argc,
		    char **argv)
{
	struct failure why;

	if (argc < 2) {
		failed(&why, ST_USAGE, "%s: a verb is missing: try 'shunt %s help'", object->name,
		       object->name);
		return complain(&why);
	}
	for (const struct verb *verb = object->verbs; verb->name; verb++)
		if (!strcmp(argv[1], verb->name))
			return verb->run(context, argc - 1, argv + 1);
	if (!strcmp(argv[1], "help") && argc == 2) {
		print_verbs(object);
		return 0;
	}
	failed(&why, ST_USAGE, "%s: unknown verb '%s': try 'shunt %s help'", object->name, argv[1],
	       object->name);
	return complain(&why);
}

static int run_object(const struct context *context, int argc, char **argv)
{
	struct failure why;

	if (!strcmp(argv[0], "help"))
		return help(argc, argv);
	for (int i = 0; objects[i]; i++)
		if (!strcmp(argv[0], objects[i]->name))
			return run_verb(context, objects[i], argc, argv);
	failed(&why, ST_USAGE, "unknown object '%s': try 'shunt help'", argv[0]);
	return complain(&why);
}

/* Text that did not reach its file must not look like success. */
static int finish_output(int code)
{
	struct failure why;

	if (!fflush(stdout) && !ferror(stdout))
		return code;
	failed(&why, ST_SYSTEM, "cannot write the output: %s", strerror(errno));
	complain(&why);
	return code ? code : status_table[ST_SYSTEM].exit_code;
}

int main(int argc, char **argv)
{
	struct context context = { 0 };
	const char *name = argc ? strrchr(argv[0], '/') : NULL;
	struct failure why;
	int at = 1;

	name = name ? name + 1 : argc ? argv[0] : "";
	for (const struct alias *alias = aliases; alias->name; alias++)
		if (!strcmp(name, alias->name))
			return finish_output(alias->run(&context, argc, argv));

	for (; at < argc && argv[at][0] == '-'; at++) {
		if (!strcmp(argv[at], "-j") || !strcmp(argv[at], "--json")) {
			context.json = true;
		} else if (!strcmp(argv[at], "-p") || !strcmp(argv[at], "--pretty")) {
			context.pretty = true;
		} else if (!strcmp(argv[at], "-V") || !strcmp(argv[at], "--version")) {
			printf("shunt %s\n", SHUNT_VERSION);
			return finish_output(0);
		} else if (!strcmp(argv[at], "-h") || !strcmp(argv[at], "--help")) {
			print_help();
			return finish_output(0);
		} else {
			failed(&why, ST_USAGE, "unknown option '%s': try 'shunt help'", argv[at]);
			return complain(&why);
		}
	}
	if (at == argc) {
		failed(&why, ST_USAGE, "an object is missing: try 'shunt help'");
		return complain(&why);
	}
	return finish_output(run_object(&context, argc - at, argv + at));
}
