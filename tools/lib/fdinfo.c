// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parser of fdinfo text.
 *
 * The fields are kept as pairs of key and value rather than as a struct of counters, so that a
 * counter which a newer module adds shows up in 'shunt net show -j' without a newer tool.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fdinfo.h"

#define DEVICE_PREFIX "shunt-"
#define RING_PREFIX "vq"

static bool add_field(struct fields *fields, const char *key, size_t key_length, const char *value,
		      size_t value_length)
{
	struct field *list, *field;

	list = reallocarray(fields->list, fields->count + 1, sizeof(*list));
	if (!list)
		return false;
	fields->list = list;
	field = &list[fields->count];
	field->key = strndup(key, key_length);
	field->value = strndup(value, value_length);
	if (!field->key || !field->value) {
		free(field->key);
		free(field->value);
		return false;
	}
	fields->count++;
	return true;
}

static void free_fields(struct fields *fields)
{
	for (size_t i = 0; i < fields->count; i++) {
		free(fields->list[i].key);
		free(fields->list[i].value);
	}
	free(fields->list);
	fields->list = NULL;
	fields->count = 0;
}

const char *fields_get(const struct fields *fields, const char *key)
{
	for (size_t i = 0; i < fields->count; i++)
		if (!strcmp(fields->list[i].key, key))
			return fields->list[i].value;
	return NULL;
}

/* The ring of that number, made if it is new. NULL: no memory. */
static struct ring_info *ring_of(struct fdinfo *info, unsigned int index)
{
	struct ring_info *rings;

	for (size_t i = 0; i < info->ring_count; i++)
		if (info->rings[i].index == index)
			return &info->rings[i];
	rings = reallocarray(info->rings, info->ring_count + 1, sizeof(*rings));
	if (!rings)
		return NULL;
	info->rings = rings;
	rings[info->ring_count] = (struct ring_info){ .index = index };
	return &rings[info->ring_count++];
}

/*
 * Number of the ring that a key such as "vq12-state" speaks of, and the length of its "vq12-".
 * False: not such a key.
 */
static bool ring_key(const char *key, size_t length, unsigned int *index, size_t *prefix)
{
	size_t at = strlen(RING_PREFIX);
	unsigned int number = 0;

	if (length <= at || strncmp(key, RING_PREFIX, at) || !isdigit((unsigned char)key[at]))
		return false;
	for (; at < length && isdigit((unsigned char)key[at]); at++) {
		number = number * 10 + (unsigned int)(key[at] - '0');
		if (number >= FDINFO_RINGS_MAX)
			return false;
	}
	if (at + 1 >= length || key[at] != '-')
		return false;
	*index = number;
	*prefix = at + 1;
	return true;
}

static bool parse_line(const char *line, size_t length, struct fdinfo *info)
{
	const char *colon = memchr(line, ':', length), *value, *end = line + length;
	size_t key_length, value_length, prefix;
	unsigned int index;

	if (!colon)
		return true;
	key_length = (size_t)(colon - line);
	for (value = colon + 1; value < end && isspace((unsigned char)*value); value++)
		;
	while (end > value && isspace((unsigned char)end[-1]))
		end--;
	value_length = (size_t)(end - value);

	if (key_length == 3 && !strncmp(line, "iff", 3)) {
		if (value_length < sizeof(info->tap)) {
			memcpy(info->tap, value, value_length);
			info->tap[value_length] = '\0';
		}
		return true;
	}

	prefix = strlen(DEVICE_PREFIX);
	if (key_length > prefix && !strncmp(line, DEVICE_PREFIX, prefix)) {
		info->is_shunt = true;
		return add_field(&info->device, line + prefix, key_length - prefix, value,
				 value_length);
	}
	if (ring_key(line, key_length, &index, &prefix)) {
		struct ring_info *ring = ring_of(info, index);

		return ring && add_field(&ring->fields, line + prefix, key_length - prefix, value,
					 value_length);
	}
	return true;
}

bool fdinfo_parse(const char *text, struct fdinfo *info)
{
	*info = (struct fdinfo){ 0 };
	while (*text) {
		size_t length = strcspn(text, "\n");

		if (!parse_line(text, length, info))
			return false;
		text += length;
		if (*text)
			text++;
	}
	return true;
}

void fdinfo_free(struct fdinfo *info)
{
	free_fields(&info->device);
	for (size_t i = 0; i < info->ring_count; i++)
		free_fields(&info->rings[i].fields);
	free(info->rings);
	*info = (struct fdinfo){ 0 };
}
