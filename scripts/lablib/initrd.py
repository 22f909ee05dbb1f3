# SPDX-License-Identifier: GPL-2.0-only
"""Makes initramfs images: cpio archives in the `newc` format.

The kernel unpacks several archives one after the other, so that a base image
(busybox, modules, init) is made once a kernel, and each run adds a small
archive of its own (the command and its configuration).
"""

import hashlib
import lzma
import os
import pathlib
import stat
import subprocess

from lablib.common import LIB, LabError, cache_dir

# Modules without which the root cannot be reached; built in on some kernels.
_MODULES = ["virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay"]


class Cpio:
    """An archive in memory; parents of a path are added when missing."""

    def __init__(self):
        self._parts = []
        self._seen = set()
        self._ino = 0

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        self._ino += 1
        fields = [self._ino, mode, 0, 0, 1, 0, len(data), 0, 0, rdev[0], rdev[1],
                  len(name.encode()) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        self._parts.append(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def _parents(self, name):
        for parent in reversed(pathlib.PurePosixPath(name).parents):
            if str(parent) not in (".", "/"):
                self.directory(str(parent))

    def directory(self, name, mode=0o755):
        name = name.strip("/")
        if name and name not in self._seen:
            self._seen.add(name)
            self._parents(name)
            self._entry(name, stat.S_IFDIR | mode)

    def file(self, name, data, mode=0o644):
        name = name.strip("/")
        if name in self._seen:
            return
        self._seen.add(name)
        self._parents(name)
        self._entry(name, stat.S_IFREG | mode, data.encode() if isinstance(data, str) else data)

    def symlink(self, name, target):
        name = name.strip("/")
        if name in self._seen:
            return
        self._seen.add(name)
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, mode, major, minor):
        name = name.strip("/")
        self._seen.add(name)
        self._parents(name)
        self._entry(name, mode, rdev=(major, minor))

    def has(self, name):
        return name.strip("/") in self._seen

    def bytes(self):
        """The finished archive; nothing can be added after."""
        self._entry("TRAILER!!!", 0)
        data = b"".join(self._parts)
        return data + bytes(-len(data) % 512)


def module_files(version, names, base="/"):
    """Files of the modules `names` with all they depend on, in load order.

    What is built into the kernel is left out. Raises LabError for a module
    that this kernel has not got at all.
    """
    files = []
    for name in names:
        got = subprocess.run(["/sbin/modprobe", "-d", str(base), "-S", version,
                              "--show-depends", name],
                             capture_output=True, text=True, check=False)
        if got.returncode:
            raise LabError(f"kernel {version} has no module {name}: {got.stderr.strip()}")
        for line in got.stdout.splitlines():
            word = line.split()
            if word[0] == "insmod" and word[1] not in files:
                files.append(word[1])
    return files


def read_module(path):
    """Contents of a module file, unpacked when it is compressed."""
    data = pathlib.Path(path).read_bytes()
    return lzma.decompress(data) if path.endswith(".xz") else data


def plain_name(path):
    """Name of a module's file once unpacked."""
    name = os.path.basename(path)
    return name[:-3] if name.endswith(".xz") else name


def busybox():
    """Path of a static busybox."""
    for path in ("/usr/bin/busybox", "/bin/busybox"):
        if os.path.exists(path):
            return path
    raise LabError("no busybox; run scripts/deps")


def base_image(kernel):
    """The initramfs that every run of `kernel` starts from; a path in the cache."""
    modules = module_files(kernel.version, _MODULES, kernel.base) if kernel.modular else []
    inputs = [LIB / "init", LIB / "init2", pathlib.Path(__file__), pathlib.Path(busybox())]
    digest = hashlib.sha256()
    for path in inputs:
        digest.update(path.read_bytes())
    for path in modules:
        info = os.stat(path)
        digest.update(f"{path} {info.st_size} {info.st_mtime_ns}\n".encode())
    image = cache_dir() / f"initrd-{kernel.version}-{digest.hexdigest()[:16]}.cpio"
    if image.exists():
        return image

    cpio = Cpio()
    cpio.directory("/bin")
    cpio.file("/bin/busybox", pathlib.Path(busybox()).read_bytes(), 0o755)
    cpio.file("/init", (LIB / "init").read_bytes(), 0o755)
    cpio.file("/lab/init2", (LIB / "init2").read_bytes(), 0o755)
    for path in modules:
        cpio.file(f"/lab/modules/{plain_name(path)}", read_module(path))
    cpio.file("/lab/modules.list", "".join(f"{plain_name(m)}\n" for m in modules))
    for directory in ("/proc", "/sys", "/dev", "/run", "/tmp"):
        cpio.directory(directory)
    # Without it the kernel cannot give init a console before devtmpfs is there.
    cpio.device("/dev/console", stat.S_IFCHR | 0o600, 5, 1)
    for old in cache_dir().glob(f"initrd-{kernel.version}-*.cpio"):
        old.unlink(missing_ok=True)
    part = image.with_suffix(f".{os.getpid()}")
    part.write_bytes(cpio.bytes())
    part.rename(image)
    return image
