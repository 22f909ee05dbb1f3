# SPDX-License-Identifier: GPL-2.0-only
"""Raw figures: what measurement programs print, and the CSV file that keeps all of it.

A program prints lines, anything else on its output is for people:

    bench: NAME PEER ROUND VALUE UNIT

NAME says what was done, its parts by dots (net.cost.tx64x32), and with /KIND:WHAT a part of
that figure. PEER says who carried or served it. Figures of one ROUND were taken right after each
other. What could not be measured is, with its reason,

    bench: NAME PEER - REASON

A row of the file adds the run (a line of table.RUNS) and the boot. Figures of different boots are
never compared: the newest boot of a run that came to its end (a row `done`) is the one that
counts. What the machine was is in rows `about`.
"""

import collections
import csv
import re

FIELDS = ("run", "boot", "name", "peer", "round", "value", "unit")
_LINE = re.compile(r"bench: ([\w.-]+(?:/\S+)?) ([\w-]+) (?:(\d+) (-?\d+(?:\.\d+)?) (\S+)|- (.*))$")

Row = collections.namedtuple("Row", FIELDS)


def parse(line, run, boot):
    """The row of a line of output; None when it is none."""
    found = _LINE.match(line.strip())
    if not found:
        return None
    name, peer, number, value, unit, reason = found.groups()
    if reason is not None:
        return Row(run, boot, name, peer, "-", "", reason.strip())
    return Row(run, boot, name, peer, number, value, unit)


class Raw:
    """The file."""

    def __init__(self, path):
        self._path = path
        self.rows = []
        if path.exists():
            self._end_line()
            with open(path, newline="", encoding="utf-8") as file:
                # What was cut off in the middle of a line is none.
                text = (line for line in file if not line.startswith("#"))
                self.rows = [Row(**row) for row in csv.DictReader(text)
                             if None not in row and None not in row.values()]

    def _end_line(self):
        """End a line that an interruption has cut off."""
        with open(self._path, "rb+") as file:
            if file.seek(0, 2) and file.seek(-1, 2) is not None and file.read(1) != b"\n":
                file.write(b"\n")

    def add(self, row):
        """Append a row, at once."""
        fresh = not self._path.exists()
        with open(self._path, "a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            if fresh:
                writer.writerow(FIELDS)
            writer.writerow(row)
        self.rows.append(row)

    def done(self, run, size=None):
        """The newest boot in which a run came to its end, or None.  size: quick or full."""
        boots = [row.boot for row in self.rows if row.run == run and row.name == "done"
                 and size in (None, row.unit)]
        return boots[-1] if boots else None

    def of(self, run):
        """The rows of a run that count."""
        boot = self.done(run)
        return [row for row in self.rows if boot and row.run == run and row.boot == boot]
