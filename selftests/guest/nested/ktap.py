# SPDX-License-Identifier: GPL-2.0-only
"""Test cases in KTAP, each with a window on the kernel log of the host."""

import os
import sys
import time
import traceback

from .vm import TOP

sys.path.insert(0, os.path.join(TOP, 'scripts'))
from lablib import report  # noqa: E402  pylint: disable=wrong-import-position


class Skip(Exception):
    """The case does not apply here; the text says why."""


class Again(Exception):
    """What the case needs did not come about, by chance; another attempt may have it."""


class Failed(Exception):
    """What was observed is not what must be."""


def check(condition, text):
    """Fail the case with this text unless the condition holds."""
    if not condition:
        raise Failed(text)


class KernelLog:
    """What the kernel of this machine logs from now on."""

    def __init__(self):
        self._fd = os.open('/dev/kmsg', os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self._fd, 0, os.SEEK_END)

    def take(self):
        """What has been logged since the last call, in the form of a console log."""
        rows = []
        while True:
            try:
                record = os.read(self._fd, 8192).decode(errors='replace')
            except BrokenPipeError:
                continue        # records were overwritten before they were read
            except BlockingIOError:
                return '\n'.join(rows)
            head, _, text = record.partition(';')
            usec = int(head.split(',')[2])
            rows.append(f'[{usec // 1000000:5}.{usec % 1000000:06}] {text.splitlines()[0]}')

    def close(self):
        """Close the log."""
        os.close(self._fd)


class Suite:
    """Prints the results of a known number of cases."""

    def __init__(self, planned):
        self._log = KernelLog()
        self._number = 0
        self._planned = planned
        self.passed = self.failed = self.skipped = 0
        print(f'TAP version 13\n1..{planned}', flush=True)

    @staticmethod
    def note(text):
        """Print a diagnostic."""
        for row in text.rstrip().splitlines():
            print(f'# {row}', flush=True)

    def case(self, name, function, after=None, diagnose=None):
        """
        Run one case: it passes when function() returns, whose result, if any, is noted.
        after() returns complaints (text) of what lies beside it, such as a guest's log.
        diagnose() returns what helps to understand a failure.
        """
        self._number += 1
        self._log.take()
        start = time.monotonic()
        why = skip = note = None
        try:
            note = function()
        except Skip as err:
            skip = str(err)
        except Exception as err:    # pylint: disable=broad-except
            if diagnose:
                self.note(diagnose())
            why = f'{type(err).__name__}: {err}'
            if not isinstance(err, Failed):
                why += '\n' + ''.join(traceback.format_tb(err.__traceback__)[-2:])
        beside = after() if after else ''
        for rows in report.find(self._log.take()):
            beside += '\nthe kernel reports:\n' + '\n'.join(rows)
        if beside:
            why = f'{why or ""}{beside}'
        if note:
            self.note(note)
        if why:
            self.failed += 1
            self.note(why)
            print(f'not ok {self._number} {name}', flush=True)
        elif skip:
            self.skipped += 1
            print(f'ok {self._number} {name} # SKIP {skip}', flush=True)
        else:
            self.passed += 1
            print(f'ok {self._number} {name}', flush=True)
            self.note(f'  {time.monotonic() - start:.1f} s')
        return not why and not skip

    def end(self):
        """Print the sum; returns the exit status."""
        self._log.close()
        for _ in range(self._number, self._planned):
            self._number += 1
            self.failed += 1
            print(f'not ok {self._number} was not run', flush=True)
        print(f'{self.passed} passed, {self.failed} failed, {self.skipped} skipped', flush=True)
        if self.failed:
            return 1
        return 0 if self.passed else 4
