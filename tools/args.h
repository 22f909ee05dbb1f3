/* SPDX-License-Identifier: GPL-2.0-only */
/* Arguments that several verbs understand alike. */
#ifndef SHUNT_ARGS_H
#define SHUNT_ARGS_H

#include <getopt.h>
#include <stdint.h>
#include <sys/types.h>

#include "cmd.h"
#include "lib/status.h"

/**
 * args_number() - take a number, 1 to 1,000,000,000, in decimal digits
 * @option: what it belongs to
 * @text: the argument
 * @number: receives it
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_NUMBER.
 */
enum status args_number(const char *option, const char *text, unsigned int *number,
			struct failure *why);

/**
 * args_mac() - take the address of a network card
 * @option: what it belongs to
 * @text: the argument
 * @mac: receives it
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_USAGE, for multicast addresses too.
 */
enum status args_mac(const char *option, const char *text, uint8_t mac[6], struct failure *why);

/**
 * args_user() - take USER or USER:GROUP, by name
 * @option: what it belongs to
 * @word: the argument
 * @uid: receives the user
 * @gid: receives the group; the user's own if none is named
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_USAGE.
 */
enum status args_user(const char *option, const char *word, uid_t *uid, gid_t *gid,
		      struct failure *why);

/**
 * args_options() - take all options of a verb, and see that nothing else is there
 * @verb: object and verb, for what is said
 * @argc: words of the command line; argv[0] is the verb
 * @argv: the words
 * @options: as getopt_long() wants them
 * @take: takes one by its letter and argument; returns ST_OK, or what is wrong with it
 * @wish: for @take
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_USAGE, or what @take returned.
 */
enum status args_options(const char *verb, int argc, char **argv, const struct option *options,
			 enum status (*take)(void *wish, int option, const char *argument,
					     struct failure *why),
			 void *wish, struct failure *why);

/**
 * args_first_options() - as args_options(), but words may come behind them
 * @verb: object and verb, for what is said
 * @argc: words of the command line; argv[0] is what the options are behind
 * @argv: the words
 * @options: as getopt_long() wants them
 * @take: takes one by its letter and argument; returns ST_OK, or what is wrong with it
 * @wish: for @take
 * @first: receives the index of the first word that is no option's; @argc if there is none
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_USAGE, or what @take returned.
 */
enum status args_first_options(const char *verb, int argc, char **argv,
			       const struct option *options,
			       enum status (*take)(void *wish, int option, const char *argument,
						   struct failure *why),
			       void *wish, int *first, struct failure *why);

/**
 * args_output() - take -j and -p of a verb that prints and has no other arguments
 * @verb: object and verb, for what is said
 * @argc: words of the command line; argv[0] is the verb
 * @argv: the words
 * @context: what was said before the verb; changed
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_USAGE.
 */
enum status args_output(const char *verb, int argc, char **argv, struct context *context,
			struct failure *why);

#endif
