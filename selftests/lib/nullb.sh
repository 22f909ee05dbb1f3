# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Block devices in memory, of null_blk, whose module is loaded and whose configfs mounted.

nullb=/sys/kernel/config/nullb

# null_disk NAME ATTRIBUTE=VALUE…: makes one, which `rmdir $nullb/NAME` removes; prints its path
null_disk() {
	local name=$1 dir=$nullb/$1 attr

	mkdir "$dir" || return
	shift
	for attr; do
		echo "${attr#*=}" >"$dir/${attr%%=*}" || return
	done
	echo 1 >"$dir/power" || return
	# Its name is that of the directory, or, as it was once, a number.
	[ -b "/dev/$name" ] || name=nullb$(cat "$dir/index")
	echo "/dev/$name"
}
