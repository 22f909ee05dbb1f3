// SPDX-License-Identifier: GPL-2.0-only
/* Replacing words in arguments: one pass, and what was put in is not looked at again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "subst.h"

/* The word that starts at the percent sign @text points at, or NULL. */
static const struct subst_word *word_at(const char *text, const struct subst_word *words,
					size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = strlen(words[i].name);

		if (!strncmp(text + 1, words[i].name, length) && text[1 + length] == '%')
			return &words[i];
	}
	return NULL;
}

enum status subst_expand(const char *argument, const struct subst_word *words, size_t count,
			 char **result, struct failure *why)
{
	size_t size;
	FILE *out;

	*result = NULL;
	out = open_memstream(result, &size);
	if (!out)
		return failed(why, ST_SYSTEM, "out of memory");
	while (*argument) {
		const struct subst_word *word = NULL;

		if (*argument == '%')
			word = word_at(argument, words, count);
		if (!word) {
			fputc(*argument++, out);
			continue;
		}
		if (!word->value) {
			fclose(out);
			free(*result);
			*result = NULL;
			return failed(why, ST_USAGE, "%%%s%% %s", word->name, word->why_not);
		}
		fputs(word->value, out);
		argument += strlen(word->name) + 2;
	}
	if (fclose(out)) {
		free(*result);
		*result = NULL;
		return failed(why, ST_SYSTEM, "out of memory");
	}
	return ST_OK;
}
