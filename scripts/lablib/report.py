# SPDX-License-Identifier: GPL-2.0-only
"""Finds the kernel's reports of its own trouble in a console log."""

import re

# What the kernel prints at the start of a message when something is wrong with
# it. A line counts when its text, after the time stamp, matches one of these.
_START = [
    r"-+\[ cut here \]-+",             # what was given to WARN() comes after it
    r"WARNING: ",                      # WARN_ON, lockdep, suspicious RCU usage
    r"BUG: ",                          # KASAN, lockdep, atomic sleep, bad page
    r"kernel BUG at ",
    r"Oops",
    r"general protection fault",
    r"Unable to handle kernel ",
    r"UBSAN: ",
    r"KASAN: ",
    r"KCSAN: ",
    r"INFO: task .* blocked for more than ",
    r"INFO: trying to register non-static key",
    r"INFO: possible recursive locking",
    r"(?:rcu: )?INFO: .*detected (?:expedited )?stalls? ",
    r"(?:rcu: )?INFO: .*self-detected stall",
    r"watchdog: BUG: ",
    r"unreferenced object ",           # kmemleak's finding
    r"kmemleak: \d+ new suspected memory leaks",
    r"refcount_t: ",
    r"list_(?:add|del) corruption",
    r"ODEBUG: ",
    r"DEBUG_LOCKS_WARN_ON",
    r"page dumped because: ",
    r"stack segment: ",
    r"double fault: ",
    r"invalid opcode: ",
    r"divide error: ",
    r"int3: ",
    r"unchecked MSR access error: ",
    r"usercopy: Kernel memory ",
    r"sysfs: cannot create duplicate filename",
    r"kobject_add_internal failed ",
    r"unregister_netdevice: waiting for ",
    r".*: page allocation failure: order:",
    r"slab .* start .* pointer offset",
    r"=+\n?BUG ",
    r"Kernel panic - not syncing",
]
_REPORT = re.compile("|".join(f"(?:{p})" for p in _START))
_STAMP = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+\](?:\[\s*[TC]\d+\])? ")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
_PANIC = re.compile(r"Kernel panic - not syncing: ?(.*)")

_RULE = re.compile(r"={40,}$")
_LEAK = re.compile(r"unreferenced object |kmemleak: \d+ new")

_ENDING = re.compile(r"reboot: |sysrq: (?:Power Off|Resetting)|Kernel panic - ")

# Lines of a report that are shown at most.
_SHOWN = 70


def _text(line):
    """The message in a console line: no time stamp, no thread id."""
    return _STAMP.sub("", line)


def _another(lines, at):
    """Whether a report of its own starts at a line, whatever is before it."""
    text = _text(lines[at])
    if _RULE.match(text):
        # Lockdep, KASAN and UBSAN draw a line above their reports.
        return at + 1 < len(lines) and bool(_REPORT.match(_text(lines[at + 1])))
    return bool(_LEAK.match(text))


def find(log):
    """Reports in the text `log`: a list of lists of lines, in order.

    A report runs from its first line to its end-of-trace mark, to the next
    one that is sure to be another, or to a limit; other first lines inside a
    report (an oops has several) do not start a new one.
    """
    lines = log.replace("\r", "").split("\n")
    reports = []
    at = 0
    while at < len(lines):
        if not _STAMP.match(lines[at]) or not _REPORT.match(_text(lines[at])):
            at += 1
            continue
        end = at + 1
        while (end < len(lines) and end - at < _SHOWN and not _END.search(lines[end - 1])
               and not _another(lines, end)):
            end += 1
        reports.append([line for line in lines[at:end] if line])
        at = end
    return reports


def panic(log):
    """The reason of the kernel's panic in `log`, or None."""
    found = _PANIC.search(log)
    return found.group(1).strip() if found else None


def ended(log):
    """Whether the kernel said in `log` that it ends, in good order or not."""
    return bool(_ENDING.search(log))
