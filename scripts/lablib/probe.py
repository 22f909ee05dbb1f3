# SPDX-License-Identifier: GPL-2.0-only
"""Finds out whether KVM works: whether it boots a kernel to userspace.

That /dev/kvm exists proves nothing: in some clouds it is an emulation under
which an ordinary kernel never finishes booting. The answer is kept until the
machine boots again.
"""

import os
import socket
import subprocess
import tempfile

from lablib import initrd, kernel, vm
from lablib.common import cache_dir, say

# Seconds that a kernel with working KVM needs for this, several times over.
_LIMIT = 15
_WORD = b"userspace"


def _boots():
    """Whether a VM under KVM gets to userspace in time."""
    distro = kernel.distro()
    cpio = initrd.Cpio()
    cpio.file("/lab/config", "LAB_ROOT=probe\n")
    cpio.file("/lab/keep.list", "")
    ours, theirs = socket.socketpair()
    with tempfile.NamedTemporaryFile(suffix=".cpio") as archive:
        archive.write(initrd.base_image(distro).read_bytes() + cpio.bytes())
        archive.flush()
        args = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot", *vm.machine_args(True, False, 1), "-m", "512",
                "-kernel", str(distro.image), "-initrd", archive.name,
                "-append", "console=ttyS0 quiet panic=-1",
                "-device", "virtio-serial-pci",
                "-chardev", f"socket,id=p,fd={theirs.fileno()}",
                "-device", "virtserialport,chardev=p,name=lab.status"]
        with subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, pass_fds=[theirs.fileno()]) as qemu:
            theirs.close()
            ours.settimeout(_LIMIT)
            got = b""
            try:
                while _WORD not in got:
                    data = ours.recv(64)
                    if not data:
                        break
                    got += data
            except (TimeoutError, ConnectionResetError):
                pass
            qemu.kill()
    return _WORD in got


def kvm_works(again=False):
    """Whether to use KVM here; probes once a boot of the machine."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    note = cache_dir() / "kvm-probe"
    if note.exists() and not again:
        known, _, answer = note.read_text().strip().partition(" ")
        if known == boot:
            return answer == "works"
    say(f"probing whether KVM works here (up to {_LIMIT} s, once a boot)")
    works = _boots()
    note.write_text(f"{boot} {'works' if works else 'broken'}\n")
    say("KVM works" if works else "KVM does not boot a kernel here: using TCG")
    return works
