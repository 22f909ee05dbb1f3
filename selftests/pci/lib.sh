# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# PCI devices of the lab's VM, for the tests of 'shunt pci': to be sourced after ktap.sh.

PCI=/sys/bus/pci/devices

# device VENDOR:DEVICE [N]: the address of the first one, or of the Nth.
device() {
	local path id number=${2:-1}

	for path in "$PCI"/*; do
		id="$(cat "$path/vendor"):$(cat "$path/device")"
		[ "$id" = "0x${1%:*}:0x${1#*:}" ] || continue
		number=$((number - 1))
		[ "$number" -gt 0 ] || break
	done
	[ "$number" -eq 0 ] || fail "no device $1"
	echo "${path##*/}"
}

# driver DEV: the driver's name, or nothing.
driver() {
	[ ! -e "$PCI/$1/driver" ] || basename "$(readlink "$PCI/$1/driver")"
}

# group DEV: the number of its IOMMU group.
group() {
	basename "$(readlink "$PCI/$1/iommu_group")"
}

# interface DEV: the name of its network interface.
interface() {
	local path

	for path in "$PCI/$1"/net/* "$PCI/$1"/virtio*/net/*; do
		[ ! -e "$path" ] || basename "$path"
	done
}

has_interface() {
	[ -n "$(interface "$1")" ]
}

# state DEV: what a refusal may not change.
state() {
	echo "driver $(driver "$1")"
	echo "override $(cat "$PCI/$1/driver_override")"
	echo "interface $(interface "$1")"
	echo "functions $(cat "$PCI/$1/sriov_numvfs" 2>/dev/null)"
	echo "node of $(stat -c %U:%G "/dev/vfio/$(group "$1")" 2>/dev/null)"
}

# untouched DEV CODE COMMAND...: refused, and the device is as it was.
untouched() {
	local dev=$1 before

	shift
	before=$(state "$dev")
	refused "$@"
	if [ "$before" != "$(state "$dev")" ]; then
		diff <(echo "$before") <(state "$dev") | sed 's/^/# /'
		fail "$dev was changed by what was refused"
	fi
}

# says TEXT: the last command said so on stderr.
says() {
	grep -qF -- "$1" "$WORK/err" || fail "not said: $1; but: $(cat "$WORK/err")"
}

# is WHAT WANTED: compare.
is() {
	[ "$1" = "$2" ] || fail "'$1' instead of '$2'"
}

# without COMMAND...: it fails, which set -e alone would not mind.
without() {
	if "$@"; then
		fail "should not be so: $*"
	fi
}

# given DEV DRIVER: it has that driver, named by driver_override, and a node.
given() {
	is "$(driver "$1")" "$2"
	is "$(cat "$PCI/$1/driver_override")" "$2"
	[ -c "/dev/vfio/$(group "$1")" ] || fail "no node of $1"
}

# given_back DEV DRIVER: it has that driver, and none is named.
given_back() {
	is "$(driver "$1")" "$2"
	is "$(cat "$PCI/$1/driver_override")" "(null)"
	[ ! -e "/dev/vfio/$(group "$1")" ] || fail "there is still a node of $1"
}

# covered FILE COMMAND...: in a mount namespace where whatever is written to FILE is refused.
covered() {
	covered_by /dev/full "$@"
}

# covered_by NODE FILE COMMAND...: in a mount namespace where FILE is that node.
covered_by() {
	local node=$1 file=$2

	shift 2
	# shellcheck disable=SC2016 # it is the inner shell's
	unshare --mount sh -c 'mount --bind "$1" "$2" && shift 2 && exec "$@"' \
		sh "$node" "$file" "$@"
}
