# SPDX-License-Identifier: GPL-2.0-only
"""Builds the debug kernel from the distribution's linux-source package.

The result is kept in the cache, outside the tree, under a hash of all that goes
into it: the configuration, the source, the compiler. Layout of a finished one:

  debug-kernel/HASH/src/            the source (needed for building modules)
  debug-kernel/HASH/build/          the build: KDIR for modules, arch/x86/boot/bzImage
  debug-kernel/HASH/root/           lib/modules/VERSION
  debug-kernel/HASH/done            the version; there only when all is finished
"""

import fcntl
import glob
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from lablib import kernel
from lablib.common import LIB, TOP, LabError, cache_dir, say

_CONFIG = LIB / "debug.config"
# Compiled objects of a whole build, for the progress line only.
_OBJECTS = 1730
# Parts of the source that building for x86 never reads.
_UNUSED = ["Documentation/*/*", "arch/*/boot/dts", "drivers/gpu/drm/amd/include",
           "tools/testing/selftests"]


def _archive():
    """The newest 6.1 source archive that is installed."""
    found = sorted(glob.glob("/usr/src/linux-source-6.1.tar.*"))
    return pathlib.Path(found[-1]) if found else None


def _digest(archive):
    info = archive.stat()
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "linux-source-6.1"],
                             capture_output=True, text=True, check=False).stdout
    compiler = subprocess.run(["gcc", "--version"], capture_output=True, text=True,
                              check=True).stdout.splitlines()[0]
    digest = hashlib.sha256()
    digest.update(_options_text().encode())
    digest.update(f"{archive.name} {info.st_size} {version} {compiler}".encode())
    return digest.hexdigest()[:16]


def _options_text():
    """The options asked for, without comments that are not options."""
    lines = _CONFIG.read_text().splitlines()
    return "".join(f"{line}\n" for line in lines
                   if line.startswith("CONFIG_") or line.endswith(" is not set"))


def _home():
    """Directory of the debug kernel that the present inputs make."""
    archive = _archive()
    if archive is None:
        raise LabError("no linux-source-6.1; run scripts/deps debug-kernel")
    return cache_dir() / "debug-kernel" / _digest(archive)


def get():
    """The debug kernel; builds it when it is not there yet."""
    if _archive() is None:
        _install_packages()
    home = _home()
    if not (home / "done").exists():
        _build(home)
    version = (home / "done").read_text().strip()
    return kernel.Kernel("debug", version, home / "build/arch/x86/boot/bzImage",
                         home / "root", False, str(home / "root/lib/modules" / version))


def build_tree():
    """What KDIR is for modules of the debug kernel."""
    return _home() / "build"


def _install_packages():
    if subprocess.run([TOP / "scripts/deps", "debug-kernel"], check=False).returncode:
        raise LabError("packages for the debug kernel are missing")


def _quiet(args, log, **more):
    with open(log, "ab") as out:
        got = subprocess.run(args, stdout=out, stderr=out, check=False, **more)
    if got.returncode:
        tail = log.read_text(errors="replace").splitlines()[-25:]
        print("\n".join(tail), file=sys.stderr)
        raise LabError(f"debug kernel: {args[0]} failed; log: {log}")


def _unpack(home, log):
    if (home / "src/Makefile").exists():
        return
    say("debug kernel: unpacking the source")
    part = home / "src.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    skip = [f"--exclude={pattern}" for pattern in _UNUSED]
    _quiet(["tar", "-xf", str(_archive()), "-C", str(part), "--strip-components=1", *skip], log)
    part.rename(home / "src")


def _configure(home, log):
    """Makes .config; every option that was asked for has to be in it."""
    wanted = home / "wanted.config"
    wanted.write_text(_options_text())
    env = dict(os.environ, KCONFIG_ALLCONFIG=str(wanted))
    _quiet(["make", "-C", str(home / "src"), f"O={home}/build", "allnoconfig"], log, env=env)
    got = set((home / "build/.config").read_text().splitlines())
    lost = [line for line in _options_text().splitlines()
            if line not in got and line.startswith("CONFIG_")]
    if lost:
        raise LabError("debug kernel: the configuration lost " + ", ".join(lost))


def _compile(home, log):
    """The long part, with a progress line."""
    args = ["make", "-C", str(home / "build"), f"-j{os.cpu_count()}", "bzImage", "modules"]
    began = time.monotonic()
    objects = 0
    told = 0.0
    step = 2 if sys.stderr.isatty() else 30
    with open(log, "ab") as out, subprocess.Popen(
            args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as make:
        for line in make.stdout:
            out.write(line.encode())
            objects += bool(re.match(r"\s+(?:CC|AS|LD)\b", line))
            now = time.monotonic()
            if now - told >= step:
                told = now
                spent = int(now - began)
                text = (f"lab: debug kernel: {min(99, objects * 100 // _OBJECTS)} % "
                        f"({objects} objects, {spent // 60} min {spent % 60:02} s)")
                end = "\r" if sys.stderr.isatty() else "\n"
                print(text, end=end, file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if make.returncode:
        tail = log.read_text(errors="replace").splitlines()
        errors = [line for line in tail if "error" in line.lower()] or tail[-25:]
        print("\n".join(errors[:25]), file=sys.stderr)
        raise LabError(f"debug kernel: make failed; log: {log}")
    spent = int(time.monotonic() - began)
    say(f"debug kernel: {objects} objects in {spent // 60} min {spent % 60:02} s")


def _finish(home, log):
    """Installs the modules and notes the version; removes older debug kernels."""
    version = (home / "build/include/config/kernel.release").read_text().strip()
    _quiet(["make", "-C", str(home / "build"), f"INSTALL_MOD_PATH={home}/root",
            "modules_install"], log)
    (home / "done").write_text(version + "\n")
    for old in home.parent.iterdir():
        if old != home and old.is_dir() and time.time() - old.stat().st_mtime > 86400:
            shutil.rmtree(old, ignore_errors=True)


def _build(home):
    _install_packages()
    home.mkdir(parents=True, exist_ok=True)
    log = home / "log"
    with open(home / "lock", "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("debug kernel: another build of it is under way; waiting for that")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / "done").exists():
            return
        say(f"debug kernel: building in {home} (20 processor minutes, once)")
        _unpack(home, log)
        _configure(home, log)
        _compile(home, log)
        _finish(home, log)


def main(only_print):
    """`scripts/lab debug-kernel`."""
    if only_print:
        home = _home()
        done = home / "done"
        if not done.exists():
            raise LabError("the debug kernel is not built: scripts/lab debug-kernel")
        print(f"{done.read_text().strip()} {home}/build")
        return 0
    built = get()
    say(f"debug kernel {built.version} is there; KDIR={build_tree()}")
    return 0
