# SPDX-License-Identifier: GPL-2.0-only
"""Places and small things that every room of the lab uses."""

import os
import pathlib
import sys

# The tree that this file is in.
TOP = pathlib.Path(__file__).resolve().parent.parent.parent
LIB = TOP / "scripts" / "lablib"

# Exit statuses of the lab itself; every other status is the command's own.
EXIT_EMULATOR = 121
EXIT_PANIC = 122
EXIT_REPORT = 123
EXIT_TIMEOUT = 124
EXIT_LAB = 125


class LabError(Exception):
    """The lab cannot do what it was asked to; the text says why."""


def cache_dir():
    """The directory for what is dear to make again, outside the tree."""
    path = os.environ.get("SHUNT_CACHE")
    if not path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        path = os.path.join(base, "shunt")
    path = pathlib.Path(path).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def say(text):
    """A line about what the lab does, for people, on standard error."""
    sys.stdout.flush()
    print(f"lab: {text}", file=sys.stderr, flush=True)
