#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2317 # the cases are called by name
#
# Each kind of wrong input has its exit code and one line on stderr, and leaves nothing behind.
# shunt(8) has the table of codes.

. "$(dirname "$0")/ktap.sh"

BR=ttbr0

exec_() {
	"$SHUNT" net exec --device "$SHUNT_DEV" "$@"
}

test_command_line_with_a_missing_part_is_101() {
	refused 101 "$SHUNT"
	refused 101 "$SHUNT" net
	refused 101 exec_
	refused 101 exec_ --
	refused 101 exec_ --queues
	refused 101 exec_ --bridge
}

test_unknown_words_are_101() {
	refused 101 "$SHUNT" frob show
	refused 101 "$SHUNT" net frob
	refused 101 "$SHUNT" --frob net show
	refused 101 "$SHUNT" help frob
	refused 101 exec_ --frob -- true
	refused 101 exec_ -x -- true
	refused 101 "$SHUNT" net show --frob
	refused 101 "$SHUNT" net show something
}

test_abbreviated_words_are_101() {
	refused 101 "$SHUNT" ne show
	refused 101 "$SHUNT" net sh
}

test_serve_without_a_socket_is_101() {
	refused 101 "$SHUNT" net serve
	refused 101 "$SHUNT" net serve --socket-path "$WORK/s" --fd 3
	refused 101 "$SHUNT" net serve --socket-path "$WORK/s" too-much
	refused 101 "$SHUNT" net serve --socket-path "$WORK/s" --frob
	refused 101 "$SHUNT" -j net serve --socket-path "$WORK/s"
}

test_serving_no_function_is_101_200_or_220() {
	refused 101 "$SHUNT" pci serve
	refused 101 "$SHUNT" pci serve --socket-path "$WORK/s"
	refused 101 "$SHUNT" pci serve 0000:00:00.0
	refused 101 "$SHUNT" -j pci serve 0000:00:00.0 --socket-path "$WORK/s"
	refused 200 "$SHUNT" pci serve ffff:ff:1f.7 --socket-path "$WORK/s"
	refused 220 "$SHUNT" pci serve 0000:00:00.0 --socket-path "$WORK/s"
}

test_serve_for_unknown_users_is_101() {
	refused 101 "$SHUNT" net serve --socket-path "$WORK/s" --user no-such-user
	refused 101 "$SHUNT" net serve --socket-path "$WORK/s" --user nobody:no-such-group
	refused 101 "$SHUNT" net serve --socket-path "$WORK/s" --mac 52:54:00:12:34
	refused 101 "$SHUNT" net serve --socket-path "$WORK/s" --mac 53:54:00:12:34:56
}

test_a_socket_that_cannot_be_made_is_114() {
	: >"$WORK/file"
	refused 114 "$SHUNT" net serve --device "$SHUNT_DEV" --socket-path "$WORK/file"
	refused 114 "$SHUNT" net serve --device "$SHUNT_DEV" --socket-path "$WORK/no/dir"
	refused 114 "$SHUNT" net serve --device "$SHUNT_DEV" --fd 99
}

test_JSON_of_exec_is_101() {
	refused 101 "$SHUNT" -j net exec --device "$SHUNT_DEV" -- true
}

test_a_single_descriptor_of_many_is_101() {
	refused 101 exec_ --queues 2 -- echo %TAPFD%
	refused 101 exec_ --queues 2 -- echo x=%VHOSTFD%,y
}

test_an_unknown_feature_is_101() {
	refused 101 exec_ --require frob -- true
	refused 101 exec_ --require version-1,,event-idx -- true
	refused 101 exec_ --require '' -- true
}

test_what_is_not_a_number_is_102() {
	local bad

	for bad in x 2x '' ' 2' -1 +1 0x2 1.5 0 99999999999 999999999999999999999; do
		refused 102 exec_ --queues "$bad" -- true
	done
	refused 102 "$SHUNT" net serve --fd x
	for bad in 4 0G 4K G 4GB -1G '' 99999999T; do
		refused 102 "$SHUNT" pci serve 0000:00:00.0 --fd 3 --memory "$bad"
	done
	for bad in x 0 -1 '' 1.5 99999999999; do
		refused 102 "$SHUNT" pci serve 0000:00:00.0 --fd 3 --queues "$bad"
	done
	refused 102 "$SHUNT" net serve --socket-path "$WORK/s" --socket-mode 888
	refused 102 exec_ --mtu x -- true
	refused 102 exec_ --mtu 0 -- true
}

test_another_user_is_103() {
	cp "$SHUNT" "$WORK/shunt"
	refused 103 setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$WORK/shunt" net exec --device "$SHUNT_DEV" -- true
}

test_root_without_the_capability_is_103() {
	refused 103 setpriv --bounding-set -net_admin --inh-caps -net_admin \
		"$SHUNT" net exec --device "$SHUNT_DEV" -- true
}

test_an_absent_device_is_104() {
	refused 104 "$SHUNT" net exec --device "$WORK/absent" -- true
	refused 104 "$SHUNT" net exec --device '' -- true
}

test_a_node_without_its_driver_is_104() {
	mknod "$WORK/node" c 120 7
	refused 104 "$SHUNT" net exec --device "$WORK/node" -- true
}

test_the_default_device_without_its_module_is_104() {
	# A /dev without it, in case that the module is loaded.
	refused 104 unshare --mount sh -c \
		'mount -t tmpfs none /dev && mkdir /dev/net && mknod /dev/net/tun c 10 200 &&
		exec "$@"' sh "$SHUNT" net exec -- true
	grep -q /dev/shunt-net "$WORK/err"
}

test_what_is_not_a_vhost_device_is_105() {
	mkfifo "$WORK/fifo"
	: >"$WORK/file"
	refused 105 "$SHUNT" net exec --device /dev/null -- true
	refused 105 "$SHUNT" net exec --device "$WORK/file" -- true
	refused 105 "$SHUNT" net exec --device "$WORK" -- true
	refused 105 timeout 20 "$SHUNT" net exec --device "$WORK/fifo" -- true
}

test_a_feature_that_the_device_lacks_is_106() {
	refused 106 exec_ --require bit-63 -- true
	grep -q bit-63 "$WORK/err"
	refused 106 exec_ --require version-1,bit-63 -- true
	refused 106 exec_ --require bit-63 --require version-1 -- true
}

test_a_vhost_device_of_another_kind_is_106() {
	modprobe vhost_vsock 2>/dev/null || [ -e /dev/vhost-vsock ] || skip "no vhost-vsock here"
	refused 106 "$SHUNT" net exec --device /dev/vhost-vsock -- true
}

test_no_such_bridge_is_107() {
	refused 107 exec_ --bridge nosuchbr -- true
	refused 107 exec_ --bridge '' -- true
	refused 107 exec_ --bridge a-name-that-is-too-long-for-any -- true
}

test_what_is_not_a_bridge_is_108() {
	refused 108 exec_ --bridge lo -- true
	refused 108 exec_ --bridge tttap0 -- true
}

test_an_impossible_name_is_109() {
	local bad

	for bad in '' . .. a/b a:b tap%d 'a b' $'a\tb' $'a\033b' $'caf\303\251' sixteen--letters; do
		refused 109 exec_ --tap "$bad" -- true
	done
}

test_a_name_in_use_is_110() {
	local taken

	# tttap0 is a TAP that one could attach to.
	for taken in lo "$BR" tttap0; do
		refused 110 exec_ --tap "$taken" -- true
		refused 110 exec_ --tap "$taken" --queues 4 -- true
	done
}

test_too_many_queues_is_111() {
	refused 111 exec_ --queues 257 -- true
	refused 111 "$SHUNT" net serve --socket-path "$WORK/s" --queues 129
	refused 111 exec_ --queues 1000000000 -- true
}

test_too_few_files_for_the_queues_is_111() {
	limited() {
		(
			ulimit -n 20
			exec_ "$@"
		)
	}
	refused 111 limited --queues 18 -- true
	# Enough for the devices, not for the TAP: fails when part of it is there.
	refused 111 limited --queues 10 --bridge "$BR" -- true
}

test_an_impossible_MTU_is_112() {
	refused 112 exec_ --mtu 67 -- true
	refused 112 exec_ --mtu 65522 -- true
	refused 112 exec_ --bridge "$BR" --mtu 1000000 -- true
}

test_no_TUN_driver_is_113() {
	refused 113 unshare --mount sh -c \
		'mount -t tmpfs none /dev/net && exec "$@"' sh \
		"$SHUNT" net exec --device "$SHUNT_DEV" -- true
}

test_a_command_that_cannot_run_is_126() {
	echo true >"$WORK/no-x"
	refused 126 exec_ --bridge "$BR" -- "$WORK/no-x"
	refused 126 exec_ --bridge "$BR" -- "$WORK"
}

test_a_command_that_fails_to_start_is_126_and_the_TAP_gone() {
	# Busy: a file that is open for writing is executable by its mode, and cannot be run.
	cp "$TESTS/inspect" "$WORK/busy"
	exec 9>>"$WORK/busy"
	refused 126 exec_ --bridge "$BR" --queues 4 -- "$WORK/busy"
	exec 9>&-
}

test_a_missing_command_is_127() {
	refused 127 exec_ --bridge "$BR" -- no-such-command-anywhere
	refused 127 exec_ --bridge "$BR" -- /no/such/command
	refused 127 exec_ --bridge "$BR" -- ''
}

test_a_missing_interpreter_is_127_and_the_TAP_gone() {
	printf '#!/no/such/interpreter\n' >"$WORK/script"
	chmod +x "$WORK/script"
	refused 127 exec_ --bridge "$BR" --queues 4 -- "$WORK/script"
}

test_output_that_cannot_be_written_is_100() {
	full() {
		"$SHUNT" "$@" >/dev/full
	}
	refused 100 full net show
	refused 100 full -j net show
	refused 100 full help
}

test_mistakes_are_found_before_anything_is_made() {
	local log=$WORK/events

	# Until the monitor is seen to see.
	poke() {
		ip link set "$BR" down
		ip link set "$BR" up
		[ -s "$log" ]
	}
	ip -o monitor link >>"$log" &
	monitor=$!
	wait_for poke
	run exec_ --bridge "$BR" --tap ttnew --require bit-63 -- true
	run exec_ --bridge lo --tap ttnew -- true
	run exec_ --bridge "$BR" --tap ttnew -- no-such-command-anywhere
	run exec_ --bridge "$BR" --tap ttnew --queues 2 -- echo %TAPFD%
	run exec_ --bridge "$BR" --tap lo -- true
	run "$SHUNT" net exec --bridge "$BR" --tap ttnew --device /dev/null -- true
	# What is made is seen: this marks the end.
	exec_ --tap ttmark -- true
	wait_for grep -q ttmark "$log"
	kill "$monitor"
	! grep ttnew "$log" || fail "an interface was made and taken away"
}

ip link add "$BR" type bridge || exit 1
ip link set "$BR" up
ip tuntap add tttap0 mode tap || exit 1
trap 'ip link del "$BR"; ip link del tttap0; rm -rf "$WORK"' EXIT
run_cases
