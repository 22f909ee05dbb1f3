/* SPDX-License-Identifier: GPL-2.0-only */
/* Replacing words such as %TAPFDS% in the arguments of a command. */
#ifndef SHUNT_SUBST_H
#define SHUNT_SUBST_H

#include <stddef.h>

#include "status.h"

/**
 * struct subst_word - a word that is replaced
 * @name: the word without its percent signs
 * @value: what it becomes, or NULL where it has no meaning
 * @why_not: where @value is NULL: what to tell the user
 */
struct subst_word {
	const char *name;
	const char *value;
	const char *why_not;
};

/**
 * subst_expand() - replace all known words in an argument
 * @argument: the text; a percent sign that starts no known word stays as it is
 * @words: the known words
 * @count: number of @words
 * @result: receives the new text; the caller frees it
 * @why: filled in on failure
 *
 * Return: ST_OK, ST_USAGE for a word that has no meaning here, or ST_SYSTEM (no memory).
 */
enum status subst_expand(const char *argument, const struct subst_word *words, size_t count,
			 char **result, struct failure *why);

#endif
