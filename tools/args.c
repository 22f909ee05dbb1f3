// SPDX-License-Identifier: GPL-2.0-only
/* Arguments that several verbs understand alike. */
#include <errno.h>
#include <stdlib.h>

#include "args.h"

enum status args_number(const char *option, const char *text, unsigned int *number,
			struct failure *why)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end)
		return failed(why, ST_NUMBER, "%s: '%s' is not a number", option, text);
	if (errno || !value || value > 1000000000)
		return failed(why, ST_NUMBER, "%s: %s is out of range", option, text);
	*number = (unsigned int)value;
	return ST_OK;
}

enum status args_options(const char *verb, int argc, char **argv, const struct option *options,
			 enum status (*take)(void *wish, int option, const char *argument,
					     struct failure *why),
			 void *wish, struct failure *why)
{
	enum status status = ST_OK;
	int option;

	opterr = 0;
	optind = 1;
	while (!status && (option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
		if (option == ':')
			status = failed(why, ST_USAGE, "%s: %s needs an argument", verb,
					argv[optind - 1]);
		else if (option == '?')
			status = failed(why, ST_USAGE, "%s: unknown option '%s': try 'shunt help'",
					verb, argv[optind - 1]);
		else
			status = take(wish, option, optarg, why);
	}
	if (!status && optind < argc)
		status = failed(why, ST_USAGE, "%s: '%s' is too much", verb, argv[optind]);
	return status;
}

enum status args_output(const char *verb, int argc, char **argv, struct context *context,
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
			return failed(why, ST_USAGE, "%s: unknown option '%s': try 'shunt help'",
				      verb, argv[optind - 1]);
	}
	if (optind < argc)
		return failed(why, ST_USAGE, "%s: '%s' is too much", verb, argv[optind]);
	return ST_OK;
}
