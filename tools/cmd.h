/* SPDX-License-Identifier: GPL-2.0-only */
/* The grammar of the command: shunt [OPTIONS] OBJECT VERB [ARGUMENTS]. */
#ifndef SHUNT_CMD_H
#define SHUNT_CMD_H

#include <stdbool.h>

#include "lib/status.h"

/**
 * struct context - options that mean the same to every verb
 * @json: print JSON for programs instead of text for people
 * @pretty: indent the JSON
 */
struct context {
	bool json;
	bool pretty;
};

/**
 * struct verb - something that can be done with an object
 * @name: the word on the command line; must be given in full
 * @synopsis: its arguments, for the help text
 * @summary: half a sentence
 * @run: does it; argv[0] is the verb. Returns an exit code, having printed what went wrong
 */
struct verb {
	const char *name;
	const char *synopsis;
	const char *summary;
	int (*run)(const struct context *context, int argc, char **argv);
};

/**
 * struct object - a kind of thing that the tool works on
 * @name: the word on the command line; must be given in full
 * @summary: half a sentence
 * @verbs: what can be done with it; ends with an entry without a name
 */
struct object {
	const char *name;
	const char *summary;
	const struct verb *verbs;
};

extern const struct object net_object;
extern const struct object disk_object;
extern const struct object pci_object;

int disk_serve(const struct context *context, int argc, char **argv);
int disk_show(const struct context *context, int argc, char **argv);
int net_exec(const struct context *context, int argc, char **argv);
int net_serve(const struct context *context, int argc, char **argv);
int net_show(const struct context *context, int argc, char **argv);
int pci_bind_verb(const struct context *context, int argc, char **argv);
int pci_check(const struct context *context, int argc, char **argv);
int pci_list(const struct context *context, int argc, char **argv);
int pci_release_verb(const struct context *context, int argc, char **argv);
int pci_serve(const struct context *context, int argc, char **argv);
int pci_vfs(const struct context *context, int argc, char **argv);

/**
 * complain() - print a failure as the one line ``shunt: ...`` on stderr
 * @why: the failure
 *
 * Return: its exit code.
 */
int complain(const struct failure *why);

#endif
