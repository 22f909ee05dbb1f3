# SPDX-License-Identifier: GPL-2.0-only
"""Which QEMU emulates the host VM.

Before 8.1 a processor of QEMU's multi-threaded emulation could go on with a translation of
code that another one had just changed (QEMU's commit deba78709ae8 mended it).
A kernel changes its code all the time (static keys, static calls): now and then a processor
then sees the breakpoint of such a change for ever, the more likely the busier the machine is.
The VM crawls or hangs.  Debian 12 has 7.2, and a newer one among its backports: that one is
unpacked in the cache, not installed.  It runs the host VM only; guests in it have the
installed one.
"""

import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import time

from lablib.common import LabError, cache_dir, say

NAME = "qemu-system-x86_64"
_SOUND = (8, 1)
_TRY_AGAIN = 3600       # seconds
_PACKAGES = ("qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios")


def _output(*args, **more):
    try:
        return subprocess.run(args, check=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **more).stdout
    except FileNotFoundError as error:
        raise LabError(f"{args[0]} is missing; run scripts/deps") from error
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise LabError(f"{args[0]}: {last}") from error


def _version(program):
    found = re.search(r"version (\d+)\.(\d+)", _output(program, "--version"))
    return tuple(int(part) for part in found.groups()) if found else (0, 0)


def _source(work):
    """Writes apt's list of the backports of this release, from the mirror that it has."""
    release = dict(line.split("=", 1) for line in
                   pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    codename = release.get("VERSION_CODENAME", "")
    key = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    targets = _output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian",
                      f"Codename: {codename}", "Component: main", "Created-By: Packages")
    if not targets or not key.exists():
        raise LabError("apt knows no mirror of this Debian release; run apt-get update")
    (work / "sources.list").write_text(
        f"deb [signed-by={key}] {targets.splitlines()[0]} {codename}-backports main\n")


def _fetch(home):
    """Unpacks the packages below `home`, with apt, whose own lists stay as they are."""
    work = home.with_suffix(".part")
    shutil.rmtree(work, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial", "debs", "root"):
        (work / name).mkdir(parents=True)
    _source(work)
    (work / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{work}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
        f'Dir::State::Lists "{work}/lists";\nDir::Cache "{work}/cache";\n'
        'APT::Sandbox::User "root";\nAcquire::Retries "3";\nAcquire::http::Timeout "30";\n')
    env = dict(os.environ, APT_CONFIG=str(work / "apt.conf"), LC_ALL="C")
    _output("apt-get", "-q", "update", env=env)
    _output("apt-get", "-q", "download", *_PACKAGES, env=env, cwd=work / "debs")
    for package in (work / "debs").iterdir():
        _output("dpkg", "-x", str(package), str(work / "root"))
    if _version(work / "root/usr/bin" / NAME) < _SOUND:
        raise LabError("the backports have no newer one")
    (work / "root").rename(home)
    shutil.rmtree(work)


def _unpacked():
    """The QEMU in the cache, which is fetched when it is not there."""
    home = cache_dir() / "qemu"
    with open(cache_dir() / "qemu.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            tried = cache_dir() / "qemu.tried"
            if tried.exists() and time.time() - tried.stat().st_mtime < _TRY_AGAIN:
                raise LabError("none could be fetched a while ago")
            tried.touch()
            say("fetching a QEMU from the backports, whose emulation keeps up with changed code")
            _fetch(home)
    # What the new packages do not bring, ROMs of network cards, the installed ones have.
    data = (home / "usr/share/qemu", home / "usr/share/seabios", "/usr/share/qemu",
            "/usr/lib/ipxe/qemu")
    return [str(home / "usr/bin" / NAME)] + [word for path in data for word in ("-L", str(path))]


def command(kvm):
    """The words that start QEMU for a host VM; kvm: nothing is to be emulated."""
    if kvm or _version(NAME) >= _SOUND:
        return [NAME]
    try:
        return _unpacked()
    except (LabError, OSError) as error:
        say(f"no QEMU from the backports: {error}. The installed one may hang now and then")
        return [NAME]
