#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2317 # the cases are called by name
#
# The manual pages and the help text say what the program does.

. "$(dirname "$0")/ktap.sh"

MAN=$TOP/tools/man

test_the_table_of_exit_codes_is_the_programs() {
	works "$SHUNT" help exit-codes
	sed -n '/BEGIN EXIT CODES/,/END EXIT CODES/p' "$MAN/shunt.8" |
		sed -n '/^\.BR /{N;s/^\.BR \([0-9]*\) " (\(.*\))"\n/\1\t\2\t/p}' >"$WORK/page"
	[ "$(wc -l <"$WORK/page")" -gt 10 ] || fail "no table found in the page"
	diff "$WORK/out" "$WORK/page"
}

test_every_option_of_the_help_text_is_in_the_page() {
	local object option

	for object in net disk pci; do
		works "$SHUNT" "$object" help
		grep -o -- '--[a-z]\+' "$WORK/out" | sort -u >"$WORK/options"
		[ "$(wc -l <"$WORK/options")" -ge 3 ] || fail "no options found"
		while read -r option; do
			grep -qF -- "${option//-/\\-}" "$MAN/shunt-$object.8" ||
				fail "$option is not in the page of $object"
		done <"$WORK/options"
	done
}

test_every_feature_name_is_in_the_page() {
	local name

	sed -n 's/.*= "\([a-z0-9-]*\)",$/\1/p' "$TOP/tools/lib/feature.c" >"$WORK/names"
	[ "$(wc -l <"$WORK/names")" -ge 20 ] || fail "no names found"
	while read -r name; do
		grep -qw -- "$name" "$MAN/shunt-net.8" "$MAN/shunt-disk.8" ||
			fail "$name is not in the pages"
	done <"$WORK/names"
}

test_the_pages_format_without_a_warning() {
	works make -s -C "$TOP/tools" check-man
	[ ! -s "$WORK/out" ]
}

test_help_and_version_are_no_errors() {
	works "$SHUNT" help
	works "$SHUNT" --help
	works "$SHUNT" net help
	works "$SHUNT" --version
	grep -q '^shunt [0-9]' "$WORK/out"
}

run_cases
