# SPDX-License-Identifier: GPL-2.0-only
"""A root for the VM that is all in memory, for runs that count instructions.

With the machine's file tree mounted by 9p, the host's answers come when they
come, and virtual time jumps. So this root is an initramfs that holds busybox,
a few programs, this tree, the libraries of every program in its build/, and the
kernel modules that a network host uses.
"""

import os
import pathlib
import subprocess
import tempfile

from lablib import initrd
from lablib.common import TOP, LabError

# Programs of the machine that go along, where they are installed.
_PROGRAMS = ["bash", "ip", "tc", "bridge", "ethtool", "ping", "perf", "sysctl"]
# Modules that are there for modprobe; those that a kernel has not got are left out.
_MODULES = ["vhost_net", "tun", "tap", "macvtap", "macvlan", "bridge", "veth", "8021q", "dummy",
            "pktgen", "af_packet", "ext4", "crc32c_generic", "kvm_amd", "kvm_intel", "nbd",
            "null_blk", "sch_ingress", "virtio_pci_modern_dev", "irqbypass"]
# Parts of the tree that no run needs.
_SKIPPED = {".git", "__pycache__", "build/lab", "build/check", "build/lint", "build/guest",
            "bench-report"}


def _libraries(path):
    """Shared libraries (and the loader) of the program `path`; none when static."""
    got = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    if got.returncode:
        return []
    words = [line.split("=>")[-1].split() for line in got.stdout.splitlines()]
    return [w[0] for w in words if w and w[0].startswith("/")]


def _is_elf(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def _add_program(cpio, path, to):
    cpio.file(to, pathlib.Path(path).read_bytes(), 0o755)
    for library in _libraries(path):
        cpio.file(library, pathlib.Path(library).read_bytes(), 0o755)


def _add_tree(cpio):
    for where, dirs, files in os.walk(TOP):
        here = os.path.relpath(where, TOP)
        dirs[:] = [d for d in dirs
                   if d not in _SKIPPED and os.path.normpath(f"{here}/{d}") not in _SKIPPED]
        cpio.directory(where)
        for name in files + [d for d in dirs if os.path.islink(f"{where}/{d}")]:
            path = os.path.join(where, name)
            if os.path.islink(path):
                cpio.symlink(path, os.readlink(path))
            elif os.path.isfile(path) and not name.endswith((".o", ".cmd")):
                mode = 0o755 if os.access(path, os.X_OK) else 0o644
                cpio.file(path, pathlib.Path(path).read_bytes(), mode)
                if mode == 0o755 and _is_elf(path):
                    for library in _libraries(path):
                        cpio.file(library, pathlib.Path(library).read_bytes(), 0o755)


def _add_modules(cpio, kernel):
    """The modules, with the indexes that modprobe reads."""
    version = kernel.version
    source = pathlib.Path(kernel.base) / "lib/modules" / version
    with tempfile.TemporaryDirectory() as scratch:
        target = pathlib.Path(scratch) / "lib/modules" / version
        target.mkdir(parents=True)
        for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
            if (source / name).exists():
                (target / name).write_bytes((source / name).read_bytes())
        for name in _MODULES:
            try:
                files = initrd.module_files(version, [name], kernel.base)
            except LabError:
                continue
            for file in files:
                (target / initrd.plain_name(file)).write_bytes(initrd.read_module(file))
        subprocess.run(["/sbin/depmod", "-b", scratch, version], check=True)
        for file in target.iterdir():
            cpio.file(f"/lib/modules/{version}/{file.name}", file.read_bytes())


def _add_brought(cpio, path):
    """A file, or all in a directory, at the same path; of programs the libraries, too."""
    if not os.path.exists(path):
        raise LabError(f"--bring: {path} is not there")
    for where, _, files in os.walk(path) if os.path.isdir(path) else [("", [], [path])]:
        for name in files:
            file = os.path.join(where, name)
            if os.access(file, os.X_OK) or ".so" in name:
                _add_program(cpio, file, file)
            else:
                cpio.file(file, pathlib.Path(file).read_bytes())


def image(kernel, bring=()):
    """The initramfs: the lab's own one and the root, as bytes; bring: further paths."""
    cpio = initrd.Cpio()
    for name in _PROGRAMS:
        for directory in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"):
            path = f"{directory}/{name}"
            if os.path.exists(path):
                _add_program(cpio, path, f"/usr/bin/{name}")
                break
    for path in bring:
        _add_brought(cpio, path)
    cpio.symlink("/bin/bash", "/usr/bin/bash")
    cpio.symlink("/usr/bin/env", "/bin/busybox")
    for name in ("/root", "/etc", "/var/tmp"):
        cpio.directory(name)
    cpio.file("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
    cpio.file("/etc/group", "root:x:0:\n")
    _add_tree(cpio)
    _add_modules(cpio, kernel)
    return initrd.base_image(kernel).read_bytes() + cpio.bytes()
