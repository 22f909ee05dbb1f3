#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compares `shunt net show -j` with the fdinfo files of a process, key by key.

  compare_fdinfo.py SHUNT PID DEVICES [OBJECT]

OBJECT is another one than net, such as disk.

Exits 0 if the process's DEVICES open devices are listed with exactly the keys and values of their
fdinfo, with fdinfo unchanged from before to after the command ran; else 1, saying what differs.
"""

import json
import os
import re
import subprocess
import sys


def read_fdinfo(pid):
    """The shunt devices that a process has open: {fd: {key: value}}."""
    found = {}
    for fd in os.listdir(f"/proc/{pid}/fdinfo"):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as lines:
            pairs = dict(line.rstrip("\n").split(":\t", 1) for line in lines if ":\t" in line)
        if "shunt-device" in pairs:
            found[int(fd)] = pairs
    return found


def value(text):
    return int(text) if re.fullmatch("[0-9]+", text) else text


def expected(pairs):
    """What the JSON should say of a device with these lines, without what is derived."""
    device, rings = {}, {}
    for key, text in pairs.items():
        ring = re.fullmatch(r"vq(\d+)-(.*)", key)
        if ring:
            entry = rings.setdefault(int(ring[1]), {"index": int(ring[1])})
            entry[ring[2].replace("-", "_")] = value(text)
        elif key.startswith("shunt-"):
            device[key[len("shunt-"):].replace("-", "_")] = value(text)
    device["rings"] = [rings[number] for number in sorted(rings)]
    return device


def main():
    shunt, pid, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    kind = sys.argv[4] if len(sys.argv) > 4 else "net"
    before = read_fdinfo(pid)
    shown = json.loads(subprocess.run([shunt, kind, "show", "-j"], check=True,
                                      stdout=subprocess.PIPE).stdout)
    if read_fdinfo(pid) != before:
        sys.exit("fdinfo changed meanwhile")
    if len(before) != count or len(shown["devices"]) != count:
        sys.exit(f"{len(before)} devices in fdinfo, {len(shown['devices'])} shown, not {count}")
    for device in shown["devices"]:
        holder = device.pop("holders")[0]
        for derived in ("feature_names", "taps") if kind == "net" else ("feature_names",):
            device.pop(derived)
        want = expected(before[holder["fd"]])
        if holder["pid"] != pid or device != want:
            sys.exit(f"shown: {device}\nfdinfo: {want}")


main()
