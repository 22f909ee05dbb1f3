/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the virtio and vhost feature bits that a vhost net device, or a disk, may have. */
#ifndef SHUNT_FEATURE_H
#define SHUNT_FEATURE_H

#include <stddef.h>
#include <stdint.h>

#include "status.h"

/**
 * FEATURE_NAME_MAX - bytes that hold any name feature_name() makes, with its end
 */
#define FEATURE_NAME_MAX 24

/**
 * feature_name() - name of a feature bit
 * @bit: 0 to 63
 * @name: receives the name, or ``bit-N`` for a bit that has none here
 */
void feature_name(unsigned int bit, char name[FEATURE_NAME_MAX]);

/**
 * feature_name_blk() - the same of a disk
 * @bit: 0 to 63
 * @name: receives the name, or ``bit-N`` for a bit that has none here
 */
void feature_name_blk(unsigned int bit, char name[FEATURE_NAME_MAX]);

/**
 * feature_parse() - mask of a comma-separated list of names
 * @list: names as feature_name() makes them; not empty
 * @mask: receives the mask of all bits named
 * @why: filled in when a name is unknown
 *
 * Return: ST_OK, or ST_USAGE for an unknown name.
 */
enum status feature_parse(const char *list, uint64_t *mask, struct failure *why);

/**
 * feature_list() - names of all bits of a mask, comma-separated
 * @mask: the features
 * @text: receives the list; cut off at @size
 * @size: bytes in @text
 */
void feature_list(uint64_t mask, char *text, size_t size);

#endif
