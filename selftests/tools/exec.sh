#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2317 # the cases are called by name
#
# 'shunt net exec' gives a command what it promises, and nothing of it outlives the command.

. "$(dirname "$0")/ktap.sh"

BR=ttbr0
WORDS=(%TAPFDS% %VHOSTFDS% %IFNAME% %QUEUES%)

exec_() {
	"$SHUNT" net exec --device "$SHUNT_DEV" "$@"
}

# Text of a link, as the command sees it.
# shellcheck disable=SC2016
look='ip -o -d link show dev "$SHUNT_IFNAME"'

test_the_descriptors_are_right_with_one_queue() {
	works exec_ --bridge "$BR" -- "$TESTS/inspect" "${WORDS[@]}"
}

test_the_descriptors_are_right_with_four_queues() {
	works exec_ --bridge "$BR" --queues 4 -- "$TESTS/inspect" "${WORDS[@]}"
}

test_the_descriptors_are_right_with_256_queues() {
	ulimit -n 1024
	works exec_ --queues 256 -- "$TESTS/inspect" "${WORDS[@]}"
}

test_the_descriptors_are_right_when_stdin_is_closed() {
	closed() {
		exec_ -- "$TESTS/inspect" "${WORDS[@]}" <&-
	}
	works closed
}

test_single_descriptors_are_given_for_one_queue() {
	works exec_ -- "$TESTS/inspect" %TAPFD% %VHOSTFD% %IFNAME% %QUEUES%
}

test_words_are_replaced_and_other_text_is_not() {
	works exec_ --tap ttx --queues 3 -- \
		printf '%s|' 'a%IFNAME%b' %QUEUES% %VECTORS% %d 100% %ifname% '' 'two words'
	[ "$(cat "$WORK/out")" = 'attxb|3|8|%d|100%|%ifname%||two words|' ]
}

test_the_TAP_is_on_the_bridge_and_up() {
	works exec_ --bridge "$BR" --tap ttx -- sh -c "$look"
	grep -q 'ttx: <[^>]*\<UP\>' "$WORK/out"
	grep -q "master $BR " "$WORK/out"
}

test_without_a_bridge_the_TAP_is_on_none_and_up() {
	works exec_ --tap ttx -- sh -c "$look"
	grep -q 'ttx: <[^>]*\<UP\>' "$WORK/out"
	! grep -q master "$WORK/out" || fail "on a bridge"
}

test_names_are_made_when_none_is_given() {
	# shellcheck disable=SC2016
	works exec_ -- "$SHUNT" net exec --device "$SHUNT_DEV" -- sh -c 'echo "$SHUNT_IFNAME"'
	[ "$(cat "$WORK/out")" = shunt1 ]
}

test_the_MTU_is_the_one_asked_for() {
	works exec_ --bridge "$BR" --tap ttx --mtu 4000 -- sh -c "$look"
	grep -q 'mtu 4000 ' "$WORK/out"
	works exec_ --mtu 65521 -- sh -c "$look"
	grep -q 'mtu 65521 ' "$WORK/out"
	works exec_ --mtu 68 -- sh -c "$look"
	grep -q 'mtu 68 ' "$WORK/out"
}

test_the_MTU_is_else_that_of_the_bridge_which_keeps_it() {
	ip link add ttjumbo type bridge
	ip link set ttjumbo up
	ip tuntap add ttport mode tap
	ip link set ttport mtu 9000 master ttjumbo
	works exec_ --bridge ttjumbo --tap ttx -- \
		sh -c "$look; ip -o link show dev ttjumbo"
	ip link del ttjumbo
	ip link del ttport
	[ "$(grep -c 'mtu 9000 ' "$WORK/out")" -eq 2 ] || fail "$(cat "$WORK/out")"
}

test_the_exit_status_is_that_of_the_command() {
	run exec_ --bridge "$BR" -- sh -c 'exit 42'
	[ "$code" -eq 42 ]
	run exec_ --bridge "$BR" -- sh -c 'kill -TERM $$'
	[ "$code" -eq 143 ]
}

test_features_that_the_device_has_can_be_required() {
	works exec_ --require version-1,mrg-rxbuf --require event-idx,indirect-desc -- true
}

test_a_relative_command_and_one_from_PATH_are_found() {
	cp "$TESTS/inspect" "$WORK/ttcmd"
	(cd "$WORK" && works exec_ -- ./ttcmd "${WORDS[@]}")
	PATH=/no/such:$WORK:$PATH works exec_ -- ttcmd "${WORDS[@]}"
}

test_packets_pass_both_ways_with_one_queue() {
	works exec_ --bridge "$BR" -- "$TESTS/carrier" 100 100
	[ "$(cat "$WORK/out")" = ready ]
}

test_packets_pass_both_ways_with_four_queues() {
	works exec_ --bridge "$BR" --queues 4 -- "$TESTS/carrier" 100 100
	[ "$(cat "$WORK/out")" = ready ]
}

test_the_TAP_is_gone_after_kill_9() {
	# Not by a function: its PID would be that of a subshell.
	rm -f "$WORK/stdin"
	mkfifo "$WORK/stdin"
	"$SHUNT" net exec --device "$SHUNT_DEV" --bridge "$BR" --tap ttx --queues 2 -- \
		"$TESTS/carrier" 1 1 hold <"$WORK/stdin" >"$WORK/out" &
	victim=$!
	exec 8>"$WORK/stdin"
	wait_for grep -q ready "$WORK/out"
	ip link show dev ttx >/dev/null
	kill -9 "$victim"
	wait "$victim" 2>/dev/null || true
	exec 8>&-
	! ip link show dev ttx 2>/dev/null || fail "still there"
}

test_nothing_is_left_when_set_up_is_killed_at_any_moment() {
	local i

	for i in $(seq 8); do
		"$SHUNT" net exec --device "$SHUNT_DEV" --bridge "$BR" --tap ttx --queues 4 -- \
			sleep 60 &
		victim=$!
		sleep "0.$(printf %03d $((i * 12)))"
		kill -9 "$victim"
		wait "$victim" 2>/dev/null || true
		! ip link show dev ttx 2>/dev/null || fail "left behind in round $i"
	done
}

ip link add "$BR" type bridge || exit 1
ip link set "$BR" up
trap 'ip link del "$BR"; rm -rf "$WORK"' EXIT
run_cases
