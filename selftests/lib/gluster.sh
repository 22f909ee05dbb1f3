# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A GlusterFS volume on this machine: three replicas, each a directory of one XFS on a loop device.

# gluster_up DIR: mounts it at DIR/on, with room for a disk of 64 MiB
gluster_up() {
	local dir=$1 bricks=$1/bricks

	modprobe -aq fuse xfs loop
	ip link set lo up
	mkdir -p "$bricks" "$dir/on"
	if ! {
		truncate -s 600M "$dir/image" && mkfs.xfs -q "$dir/image" &&
			mount -o loop "$dir/image" "$bricks" &&
			glusterd --log-level=ERROR >"$dir/log" 2>&1 &&
			mkdir "$bricks/1" "$bricks/2" "$bricks/3" &&
			gluster_say "$dir" create shunt replica 3 "127.0.1.1:$bricks/1" \
				"127.0.1.1:$bricks/2" "127.0.1.1:$bricks/3" force &&
			gluster_say "$dir" start shunt &&
			mount -t glusterfs 127.0.1.1:/shunt "$dir/on"
	}; then
		cat "$dir/log" >&2
		return 1
	fi
}

gluster_say() { # DIR WORD…
	local dir=$1

	shift
	gluster --mode=script volume "$@" >>"$dir/log" 2>&1
}

# gluster_down DIR: undoes gluster_up
gluster_down() {
	umount "$1/on" && gluster_say "$1" stop shunt
	pkill -x glusterd
	while pgrep -x 'gluster.*' >/dev/null; do
		sleep 0.1
	done
	umount "$1/bricks"
}
