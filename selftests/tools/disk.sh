#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2317 # the cases are called by name
#
# 'shunt disk serve' and 'shunt disk show': command lines and refusals. What a VMM has to do with
# it is not for here.

. "$(dirname "$0")/ktap.sh"
. "$(dirname "$0")/serving.sh"
# shellcheck source=selftests/lib/nullb.sh
. "$(dirname "$0")/../lib/nullb.sh"

# start ARGUMENTS...: begin to serve $WORK/disk; see serve.
start() {
	serve disk --blk-file "$WORK/disk" "$@"
}

is_locked() {
	! flock -n "$WORK/disk" true
}

# no CODE ARGUMENTS...: refused, for a disk that could be served but for them.
no() {
	local code=$1

	shift
	# The jail does not let a server remove its own.
	rm -f "$WORK/s"
	refused "$code" "$SHUNT" disk serve --socket-path "$WORK/s" --blk-file "$WORK/disk" "$@"
	[ ! -e "$WORK/s" ] || fail 'it has made its socket'
}

test_capabilities_are_printed_as_JSON() {
	works "$SHUNT" disk serve --print-capabilities
	[ "$(field type <"$WORK/out")" = block ]
	[ "$(field features <"$WORK/out")" = "['blk-file', 'read-only']" ]
}

test_it_is_a_program_of_its_own_by_another_name() {
	ln -s "$SHUNT" "$WORK/shunt-vhost-user-blk"
	works "$WORK/shunt-vhost-user-blk" --print-capabilities
	[ "$(field type <"$WORK/out")" = block ]
	refused 101 "$WORK/shunt-vhost-user-blk" --frob
}

test_its_description_is_installed_as_JSON() {
	make -s -C "$TOP/tools" DESTDIR="$WORK/root" install >"$WORK/out" 2>&1 ||
		fail "make install: $(cat "$WORK/out")"
	find "$WORK/root" -name '50-shunt-blk.json' >"$WORK/found"
	[ "$(field type <"$(cat "$WORK/found")")" = block ]
	binary=$(field binary <"$(cat "$WORK/found")")
	[ -L "$WORK/root$binary" ] || fail "$binary is not installed"
	make -s -C "$TOP/tools" DESTDIR="$WORK/root" uninstall >"$WORK/out" 2>&1 ||
		fail "make uninstall: $(cat "$WORK/out")"
	[ -z "$(find "$WORK/root" ! -type d)" ] || fail "$(find "$WORK/root" ! -type d)"
}

test_wrong_command_lines_are_refused() {
	refused 101 "$SHUNT" disk
	refused 101 "$SHUNT" disk frob
	refused 101 "$SHUNT" disk serve --socket-path "$WORK/s"
	refused 101 "$SHUNT" disk serve --blk-file "$WORK/disk"
	refused 101 "$SHUNT" -j disk serve --socket-path "$WORK/s" --blk-file "$WORK/disk"
	no 101 --fd 3
	no 101 --bridge br0
	no 101 --config-wce=on
	no 101 more
	no 101 --user 'no such user'
	no 102 --queues 0
	no 102 --queues 65
	no 102 --queues two
	no 102 --serial 123456789012345678901
	no 102 --socket-mode 9
}

test_disks_that_cannot_be_served_are_refused() {
	refused 116 "$SHUNT" disk serve --socket-path "$WORK/s" --blk-file "$WORK/none"
	refused 117 "$SHUNT" disk serve --socket-path "$WORK/s" --blk-file /dev/null
	refused 117 "$SHUNT" disk serve --socket-path "$WORK/s" --blk-file "$WORK"
	mkfifo "$WORK/fifo"
	refused 117 "$SHUNT" disk serve --socket-path "$WORK/s" --blk-file "$WORK/fifo"
}

# The disk is removed, whatever comes of it.
test_a_zoned_disk_is_refused() {
	modprobe -q null_blk nr_devices=0 || true
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	dev=$(null_disk shunt-zoned size=64 zoned=1 zone_size=8 2>"$WORK/why") || dev=
	code=0
	"$SHUNT" disk serve --socket-path "$WORK/s" --blk-file "$dev" >"$WORK/out" \
		2>"$WORK/err" || code=$?
	rmdir "$nullb/shunt-zoned"
	[ -n "$dev" ] || skip "this kernel has no zoned disks: $(cat "$WORK/why")"
	[ "$code" -eq 117 ] || fail "exit code $code: $(cat "$WORK/err")"
	grep -q zoned "$WORK/err" || fail "$(cat "$WORK/err")"
}

test_devices_that_cannot_serve_them_are_refused() {
	no 104 --device "$WORK/none"
	no 105 --device "$WORK/disk"
	no 105 --device /dev/null
	no 105 --device /dev/shunt-net
}

test_SIGTERM_and_SIGINT_end_it() {
	for signal in TERM INT; do
		start --queues 4 --serial 12345678901234567890
		ends "$signal"
	done
}

# offers_wce: whether the door offers VIRTIO_BLK_F_CONFIG_WCE, to two connections, one after the
# other: the first one was forgotten by then, in the jail.
offers_wce() {
	python3 - "$WORK/s" <<-'END'
		import socket, struct, sys

		for _ in range(2):
		    with socket.socket(socket.AF_UNIX) as door:
		        door.connect(sys.argv[1])
		        door.sendall(struct.pack('=III', 1, 1, 0))  # GET_FEATURES
		        reply = door.recv(20, socket.MSG_WAITALL)
		print(struct.unpack('=IIIQ', reply)[3] >> 11 & 1)
	END
}

test_the_write_cache_is_the_guests_only_with_the_option() {
	start
	[ "$(offers_wce)" = 0 ] || fail 'it is offered'
	ends TERM
	for more in '' --read-only '--queues 3'; do
		# shellcheck disable=SC2086 # two words
		start --config-wce $more
		[ "$(offers_wce)" = 1 ] || fail "it is not offered with '$more'"
		ends TERM
	done
}

# What the kernel says of it: fdinfo, word for word.
test_what_is_open_is_shown() {
	works "$SHUNT" disk show
	[ "$(wc -l <"$WORK/out")" -eq 1 ] || fail "$(cat "$WORK/out")"
	start --queues 3
	works "$SHUNT" disk show
	[ "$(grep -c " $pid *shunt " "$WORK/out")" -eq 3 ] || fail "$(cat "$WORK/out")"
	works "$SHUNT" disk show -j
	works python3 "$TOP/selftests/tools/compare_fdinfo.py" "$SHUNT" "$pid" 1 disk
	works "$SHUNT" net show -j
	! grep -q '"blk"' "$WORK/out" || fail 'it is taken for a network device'
	refused 101 "$SHUNT" disk show --frob
	refused 101 "$SHUNT" disk show more
	: >"$WORK/out"
	: >"$WORK/err"
	ends TERM
}

# A guest locks its disk; whoever has it is waited for, unless its guest is to come here.
test_who_has_the_disk_is_waited_for() {
	rm -f "$WORK/s"
	flock "$WORK/disk" sleep 1000 &
	holder=$!
	wait_for is_locked
	start --incoming
	ends TERM
	rm -f "$WORK/s"
	"$SHUNT" disk serve --socket-path "$WORK/s" --blk-file "$WORK/disk" >"$WORK/out" \
		2>"$WORK/err" &
	pid=$!
	wait_for grep -q 'waiting for another process' "$WORK/err"
	[ ! -e "$WORK/s" ] || fail 'it has made its socket'
	pkill -P "$holder"
	wait "$holder" || true
	wait_for grep -q '^Seccomp:[[:space:]]*2' "/proc/$pid/status"
	: >"$WORK/err"
	ends TERM
}

test_a_disk_without_a_guest_is_not_locked() {
	start
	works flock -n "$WORK/disk" true
	: >"$WORK/out"
	: >"$WORK/err"
	ends TERM
}

truncate -s 16M "$WORK/disk"
run_cases
