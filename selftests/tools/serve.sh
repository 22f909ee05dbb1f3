#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2317 # the cases are called by name
#
# 'shunt net serve' is a program as the vhost-user specification wants back ends to be. What it does
# with a VMM is not for here.

. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/serving.sh"

BR=ttbr0

# start ARGUMENTS...: begin to serve; see serve.
start() {
	serve net --device "$SHUNT_DEV" "$@"
}

test_capabilities_are_printed_as_JSON() {
	works "$SHUNT" net serve --print-capabilities
	[ "$(field type <"$WORK/out")" = net ]
}

test_it_is_a_program_of_its_own_by_another_name() {
	ln -s "$SHUNT" "$WORK/shunt-vhost-user-net"
	works "$WORK/shunt-vhost-user-net" --print-capabilities
	[ "$(field type <"$WORK/out")" = net ]
	refused 101 "$WORK/shunt-vhost-user-net" --frob
}

test_its_description_is_installed_as_JSON() {
	make -s -C "$TOP/tools" DESTDIR="$WORK/root" install >"$WORK/out" 2>&1 ||
		fail "make install: $(cat "$WORK/out")"
	find "$WORK/root" -name '50-shunt-net.json' >"$WORK/found"
	[ "$(field type <"$(cat "$WORK/found")")" = net ]
	binary=$(field binary <"$(cat "$WORK/found")")
	[ -L "$WORK/root$binary" ] || fail "$binary is not installed"
}

test_SIGTERM_and_SIGINT_end_it() {
	for signal in TERM INT; do
		start --bridge "$BR" --tap ttx
		ip -o link show dev ttx >"$WORK/link"
		grep -q "master $BR " "$WORK/link" || fail 'the TAP is not on the bridge'
		ends "$signal"
		! ip link show dev ttx 2>/dev/null || fail 'the TAP is still there'
	done
}

test_the_socket_is_whose_it_shall_be() {
	start --socket-user nobody --socket-mode 0660
	[ "$(stat -c '%U %a' "$WORK/s")" = 'nobody 660' ] || fail "$(stat -c '%U %a' "$WORK/s")"
	ends TERM
	# The jail cannot remove it; who comes next does.
	start
	[ "$(stat -c '%U %a' "$WORK/s")" = 'root 600' ] || fail "$(stat -c '%U %a' "$WORK/s")"
	ends TERM
}

ip link add "$BR" type bridge || exit 1
trap 'ip link del "$BR"; rm -rf "$WORK"' EXIT
run_cases
