/* SPDX-License-Identifier: GPL-2.0-only */
/* Arguments that several verbs understand alike. */
#ifndef SHUNT_ARGS_H
#define SHUNT_ARGS_H

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

#endif
