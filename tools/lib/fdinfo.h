/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading what the kernel tells of an open file in /proc/PID/fdinfo/FD. */
#ifndef SHUNT_FDINFO_H
#define SHUNT_FDINFO_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * FDINFO_RINGS_MAX - rings of one device that are looked at; more are ignored
 */
#define FDINFO_RINGS_MAX 64

/**
 * struct field - one line of the kernel's text
 * @key: what stands before the colon, without the prefix that told where the line belongs
 * @value: what stands behind it, without surrounding blanks
 */
struct field {
	char *key;
	char *value;
};

/**
 * struct fields - lines that belong together, in the kernel's order
 * @list: the lines
 * @count: how many
 */
struct fields {
	struct field *list;
	size_t count;
};

/**
 * struct ring_info - a virtqueue
 * @index: its number in the device
 * @fields: what the lines ``vqN-...`` say
 */
struct ring_info {
	unsigned int index;
	struct fields fields;
};

/**
 * struct fdinfo - an open file, as far as it matters here
 * @is_shunt: it is an open shunt device
 * @tap: name of the interface if it is an attached TUN or TAP descriptor, else empty
 * @device: what the lines ``shunt-...`` say
 * @rings: its virtqueues, in the kernel's order
 * @ring_count: how many
 */
struct fdinfo {
	bool is_shunt;
	char tap[IFNAMSIZ];
	struct fields device;
	struct ring_info *rings;
	size_t ring_count;
};

/**
 * fdinfo_parse() - take the kernel's text apart
 * @text: the whole text of a fdinfo file, zero-terminated
 * @info: filled in; free it with fdinfo_free() in any case
 *
 * Lines of other forms are passed over: what a later kernel adds is not an error.
 *
 * Return: false if memory ran out.
 */
bool fdinfo_parse(const char *text, struct fdinfo *info);

/**
 * fdinfo_free() - free what fdinfo_parse() filled in
 * @info: to be empty afterwards
 */
void fdinfo_free(struct fdinfo *info);

/**
 * fields_get() - value of a key
 * @fields: where to look
 * @key: the key
 *
 * Return: the value, or NULL. It belongs to @fields.
 */
const char *fields_get(const struct fields *fields, const char *key);

#endif
