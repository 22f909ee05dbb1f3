/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptors 0 to 2, which some parents leave closed. */
#ifndef SHUNT_STDFDS_H
#define SHUNT_STDFDS_H

#include "lib/status.h"

/**
 * fill_standard_fds() - see that nothing is opened as descriptor 0, 1 or 2
 * @why: filled in on failure
 *
 * Return: ST_OK or ST_SYSTEM.
 */
enum status fill_standard_fds(struct failure *why);

#endif
