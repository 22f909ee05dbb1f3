/* SPDX-License-Identifier: GPL-2.0-only */
/* Tables for people, JSON for programs. */
#ifndef SHUNT_OUT_H
#define SHUNT_OUT_H

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/**
 * TABLE_COLUMNS_MAX - columns that a table can have
 */
#define TABLE_COLUMNS_MAX 20

/**
 * struct column - how a column looks
 * @title: its head
 * @number: align to the right
 */
struct column {
	const char *title;
	bool number;
};

/**
 * struct table - rows that are collected, so that all columns can be made wide enough
 * @columns: the columns
 * @column_count: how many, at most TABLE_COLUMNS_MAX
 * @cells: row by row, owned
 * @cell_count: how many
 * @broken: memory ran out; table_print() will say so
 */
struct table {
	const struct column *columns;
	size_t column_count;
	char **cells;
	size_t cell_count;
	bool broken;
};

/**
 * table_add() - add the next cell, left to right, row by row
 * @table: the table
 * @text: copied; NULL shows as '-'
 */
void table_add(struct table *table, const char *text);

/**
 * table_print() - print the heads and all rows to stdout, and empty the table
 * @table: the table
 *
 * Return: false if memory ran out while it was filled; nothing is printed then.
 */
bool table_print(struct table *table);

/**
 * json_print() - print an object to stdout, as one line or indented, and give it up
 * @json: the object
 * @pretty: indent it
 */
void json_print(struct json_object *json, bool pretty);

#endif
