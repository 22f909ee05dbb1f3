// SPDX-License-Identifier: GPL-2.0-only
/* Tables for people, with columns as wide as their widest cell; and JSON for programs. */
#include <assert.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

void table_add(struct table *table, const char *text)
{
	char **cells = reallocarray(table->cells, table->cell_count + 1, sizeof(*cells));
	char *copy = strdup(text ? text : "-");

	if (cells)
		table->cells = cells;
	if (!cells || !copy) {
		free(copy);
		table->broken = true;
		return;
	}
	cells[table->cell_count++] = copy;
}

static void print_cell(const struct table *table, size_t column, const char *text, int width)
{
	bool last = column + 1 == table->column_count;

	if (table->columns[column].number)
		printf("%*s", width, text);
	else
		printf("%-*s", last ? 0 : width, text);
	fputs(last ? "\n" : "  ", stdout);
}

bool table_print(struct table *table)
{
	size_t width[TABLE_COLUMNS_MAX], columns = table->column_count;
	bool whole = !table->broken;

	assert(columns <= TABLE_COLUMNS_MAX && (table->broken || table->cell_count % columns == 0));
	for (size_t i = 0; i < columns; i++)
		width[i] = strlen(table->columns[i].title);
	for (size_t i = 0; i < table->cell_count; i++)
		if (strlen(table->cells[i]) > width[i % columns])
			width[i % columns] = strlen(table->cells[i]);

	for (size_t i = 0; whole && i < columns; i++)
		print_cell(table, i, table->columns[i].title, (int)width[i]);
	for (size_t i = 0; i < table->cell_count; i++) {
		if (whole)
			print_cell(table, i % columns, table->cells[i], (int)width[i % columns]);
		free(table->cells[i]);
	}
	free(table->cells);
	table->cells = NULL;
	table->cell_count = 0;
	return whole;
}

void json_print(struct json_object *json, bool pretty)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (pretty)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	puts(json_object_to_json_string_ext(json, flags));
	json_object_put(json);
}
