// SPDX-License-Identifier: GPL-2.0-only
/* Arguments that several verbs understand alike. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

enum status args_mac(const char *option, const char *text, uint8_t mac[6], struct failure *why)
{
	unsigned int part[6];
	char rest;

	if (strlen(text) != 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &part[0], &part[1],
					 &part[2], &part[3], &part[4], &part[5], &rest) != 6)
		return failed(why, ST_USAGE, "%s: '%s' is not an address such as 52:54:00:12:34:56",
			      option, text);
	if (part[0] & 1)
		return failed(why, ST_USAGE, "%s: %s is a multicast address", option, text);
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)part[i];
	return ST_OK;
}

enum status args_user(const char *option, const char *word, uid_t *uid, gid_t *gid,
		      struct failure *why)
{
	size_t length = strcspn(word, ":");
	struct passwd *user;
	struct group *group;
	char name[64];

	if (!length || length >= sizeof(name))
		return failed(why, ST_USAGE, "%s: '%s' names no user", option, word);
	memcpy(name, word, length);
	name[length] = '\0';
	user = getpwnam(name);
	if (!user)
		return failed(why, ST_USAGE, "%s: no user '%s'", option, name);
	*uid = user->pw_uid;
	*gid = user->pw_gid;
	if (!word[length])
		return ST_OK;
	group = getgrnam(word + length + 1);
	if (!group)
		return failed(why, ST_USAGE, "%s: no group '%s'", option, word + length + 1);
	*gid = group->gr_gid;
	return ST_OK;
}

enum status args_first_options(const char *verb, int argc, char **argv,
			       const struct option *options,
			       enum status (*take)(void *wish, int option, const char *argument,
						   struct failure *why),
			       void *wish, int *first, struct failure *why)
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
	*first = optind;
	return status;
}

enum status args_options(const char *verb, int argc, char **argv, const struct option *options,
			 enum status (*take)(void *wish, int option, const char *argument,
					     struct failure *why),
			 void *wish, struct failure *why)
{
	int first;
	enum status status = args_first_options(verb, argc, argv, options, take, wish, &first, why);

	if (!status && first < argc)
		status = failed(why, ST_USAGE, "%s: '%s' is too much", verb, argv[first]);
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
