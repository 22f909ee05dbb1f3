#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2317 # the cases are called by name
#
# 'shunt net show' tells what the kernel tells. Needs a shunt device: stock vhost-net tells nothing.

. "$(dirname "$0")/ktap.sh"

BR=ttbr0
COUNT=23

# start [OPTION...]: a carrier in the background that holds its running rings; $holder is its PID.
start() {
	rm -f "$WORK/stdin"
	mkfifo "$WORK/stdin"
	: >"$WORK/carrier"
	"$SHUNT" net exec --device "$SHUNT_DEV" --bridge "$BR" "$@" -- \
		"${CARRIER:-$TESTS/carrier}" "$COUNT" 7 hold <"$WORK/stdin" >"$WORK/carrier" &
	holder=$!
	exec 8>"$WORK/stdin"
	wait_for grep -q ready "$WORK/carrier"
}

stop() {
	exec 8>&-
	wait "$holder"
	rm "$WORK/stdin"
}

# facts EXPRESSION...: all of these Python expressions hold for the JSON in $WORK/out: d is all of
# it, v its first device, rx and tx the rings of that.
facts() {
	python3 - "$WORK/out" "$@" <<-'END' || fail "see above"
		import json
		import sys

		d = json.load(open(sys.argv[1]))
		v = d["devices"][0] if d["devices"] else {}
		rx, tx = v.get("rings", [{}, {}])
		wrong = [text for text in sys.argv[2:] if not eval(text)]
		for text in wrong:
		    print("# does not hold:", text)
		if wrong:
		    print("#", d)
		sys.exit(bool(wrong))
	END
}

is() {
	[ "$1" = "$2" ] || fail "'$1' instead of '$2'"
}

test_with_no_device_open_the_list_is_empty() {
	works "$SHUNT" net show -j
	facts 'd == {"complete": True, "unreadable_processes": 0, "devices": []}'
	works "$SHUNT" net show
	is "$(wc -l <"$WORK/out")" 1
}

test_a_stock_device_is_not_taken_for_ours() {
	[ -e /dev/vhost-net ] || skip "no stock vhost-net here"
	works "$SHUNT" net exec --device /dev/vhost-net -- "$SHUNT" net show -j
	facts 'd["devices"] == []'
}

test_the_JSON_says_what_fdinfo_says() {
	start --queues 2 --tap ttx
	works "$SHUNT" net show -j
	# Traffic of the kernel's own may come in between: equal in one of several tries.
	wait_for python3 "$TOP/selftests/tools/compare_fdinfo.py" "$SHUNT" "$holder" 2
	stop
}

test_the_JSON_has_the_facts() {
	start --tap ttx
	works "$SHUNT" net show -j
	facts 'len(d["devices"]) == 1' 'v["device"] == "net"' "v['owner'] == $holder" \
		'v["taps"] == ["ttx"]' 'v["regions"] == 1' \
		'v["feature_names"] == ["mrg-rxbuf", "version-1"]' \
		'int(v["features"], 16) == 1 << 15 | 1 << 32' \
		"[h['pid'] for h in v['holders']] == [$holder]" \
		'v["holders"][0]["command"] == "carrier"' \
		'rx["role"] == "rx" and tx["role"] == "tx"' \
		'rx["state"] == tx["state"] == "running"' 'rx["num"] == tx["num"] == 64'
	stop
}

test_counters_count_packets_and_bytes() {
	counted() {
		"$SHUNT" net show -j >"$WORK/out"
		facts "tx['packets'] == $COUNT" 'rx["packets"] >= 7'
	}
	start
	# The worker may be a moment behind with its counting.
	wait_for eval '(counted)'
	# Frames of 100 bytes; the virtio-net header does not count.
	facts "tx['bytes'] == $COUNT * 100" 'tx["errors"] == 0' 'tx["kicks"] > 0' \
		'rx["bytes"] >= 700' 'rx["errors"] == 0'
	stop
}

test_the_table_has_a_line_a_ring() {
	start --queues 3 --tap ttx
	works "$SHUNT" net show
	is "$(wc -l <"$WORK/out")" 7
	is "$(grep -c "^ *[0-9]* *$holder  *carrier  *ttx  *[01]  *[rt]x  *running" "$WORK/out")" 6
	stop
}

test_options_may_stand_before_the_object() {
	works "$SHUNT" -j -p net show
	facts 'd["devices"] == []'
	[ "$(wc -l <"$WORK/out")" -gt 1 ] || fail "not indented"
}

test_a_device_held_twice_is_listed_once() {
	# shellcheck disable=SC2016
	works "$SHUNT" net exec --device "$SHUNT_DEV" -- \
		sh -c '"$0" net show -j; exit $?' "$SHUNT"
	facts 'len(d["devices"]) == 1' 'len(v["holders"]) == 2' 'v["owner"] == 0' \
		'rx["state"] == tx["state"] == "stopped"'
}

test_names_cannot_command_the_terminal() {
	cp "$TESTS/carrier" "$WORK/"$'a\033[31m"\\\303\n'
	CARRIER=$WORK/$'a\033[31m"\\\303\n' start
	works "$SHUNT" net show
	! grep -q $'[\033\303]' "$WORK/out" || fail "raw bytes in the table"
	works "$SHUNT" net show -j
	facts 'v["holders"][0]["command"] == r"""a?[31m"\??"""'
	stop
}

test_who_is_not_root_is_told_that_devices_may_be_missing() {
	start
	cp "$SHUNT" "$WORK/shunt"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$WORK/shunt" net show -j
	is "$code" 0
	facts 'd["complete"] is False' 'd["unreadable_processes"] > 0' 'd["devices"] == []'
	is "$(grep -c '^shunt: .*not root' "$WORK/err")" 1
	stop
}

test_processes_that_come_and_go_are_no_error() {
	local _

	while [ ! -e "$WORK/enough" ]; do
		"$SHUNT" net exec --device "$SHUNT_DEV" -- true &
		/bin/true &
		wait
	done &
	churn=$!
	for _ in $(seq 5); do
		works "$SHUNT" net show -j
		facts 'd["complete"]'
		works "$SHUNT" net show
	done
	# It ends with the last of them, none of which is to begin after this.
	touch "$WORK/enough"
	wait "$churn"
}

test_a_closed_device_is_listed_no_more() {
	start
	stop
	works "$SHUNT" net show -j
	facts 'd["devices"] == []'
}

ip link add "$BR" type bridge || exit 1
ip link set "$BR" up
trap 'ip link del "$BR"; rm -rf "$WORK"' EXIT
run_cases
