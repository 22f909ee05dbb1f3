# SPDX-License-Identifier: GPL-2.0-only
"""The kernels that the lab boots: the distribution's and the debug kernel."""

import dataclasses
import os
import pathlib
import subprocess

from lablib.common import TOP, LabError


@dataclasses.dataclass
class Kernel:
    """A kernel that can be booted."""

    kind: str               # "distro" or "debug"
    version: str            # what `uname -r` says
    image: pathlib.Path     # bzImage
    base: pathlib.Path      # directory whose lib/modules/VERSION is its modules
    modular: bool           # whether what the lab needs may be in modules
    modules: str            # where its modules are when not in /lib/modules, or ""


def distro():
    """The distribution's kernel, as scripts/kver chooses it."""
    got = subprocess.run([TOP / "scripts" / "kver"], capture_output=True, text=True, check=False)
    if got.returncode:
        raise LabError(got.stderr.strip())
    version = got.stdout.strip()
    image = pathlib.Path(f"/boot/vmlinuz-{version}")
    if not image.exists() or not os.path.isdir(f"/lib/modules/{version}"):
        raise LabError(f"no kernel {version}: {image} and /lib/modules/{version} are needed")
    return Kernel("distro", version, image, pathlib.Path("/"), True, "")


def get(kind):
    """The kernel called `kind` on the command line."""
    if kind == "distro":
        return distro()
    if kind == "debug":
        from lablib import debugkernel
        return debugkernel.get()
    raise LabError(f"no kernel called {kind}: distro or debug")
