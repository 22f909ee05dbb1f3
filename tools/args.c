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
