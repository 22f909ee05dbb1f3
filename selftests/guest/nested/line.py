# SPDX-License-Identifier: GPL-2.0-only
"""The driver's end of the guest agent's serial line (protocol: see agent.c)."""

import re
import select
import socket
import time


class LineError(Exception):
    """The guest did not answer, or was gone."""


def _escape(text):
    return ''.join(c if 0x20 <= ord(c) <= 0x7e and c != '\\' else
                   ''.join(f'\\x{b:02x}' for b in c.encode()) for c in text)


def _unescape(text):
    raw = re.sub(rb'\\x([0-9a-f]{2})', lambda m: bytes([int(m[1], 16)]), text.encode())
    return raw.decode(errors='replace')


class Job:
    """A command that runs in the guest."""

    def __init__(self, line, number, command):
        self._line = line
        self.number = number
        self.command = command
        self.output = ''
        self.status = None      # exit status, 128 + signal; None while it runs

    def wait(self, timeout=600):
        """Wait for its end; returns the exit status."""
        self._line.pump_until(lambda: self.status is not None, timeout,
                              f'the guest did not end: {self.command}')
        return self.status

    def wait_output(self, text, timeout=300):
        """Wait until it has printed text."""
        self._line.pump_until(lambda: text in self.output or self.status is not None, timeout,
                              f'no "{text}" from: {self.command}')
        if text not in self.output:
            raise LineError(f'{self.command}: ended early: {self.output.strip()}')

    def kill(self, signal):
        """Send a signal to the command and its children."""
        self._line.send(f'KILL {self.number} {int(signal)}')


class Line:
    """The line to one guest.  It outlives a reset, and moves along with a migration."""

    def __init__(self):
        self._sock = None
        self._buf = b''
        self._jobs = {}
        self._next = 1
        self.boot = None        # boot ID of the last hello
        self.release = None     # its kernel version
        self.echo = None        # called with each piece of output, if set

    def connect(self, path, timeout=300):
        """Connect to the VMM's socket at path, leaving an earlier one."""
        end = time.monotonic() + timeout
        if self._sock:
            self._sock.close()
        self._buf = b''
        while True:
            self._sock = socket.socket(socket.AF_UNIX)
            try:
                self._sock.connect(path)
                return
            except OSError as err:
                self._sock.close()
                if time.monotonic() > end:
                    raise LineError(f'no serial line at {path}: {err}') from err
                time.sleep(0.05)

    def close(self):
        """Close the connection."""
        if self._sock:
            self._sock.close()

    def send(self, text):
        """Send one message to the agent."""
        try:
            self._sock.sendall(text.encode() + b'\n')
        except OSError as err:
            raise LineError(f'serial line: {err}') from err

    def pump(self, timeout):
        """Take what has come within timeout seconds.  False: nothing came."""
        if not select.select([self._sock], [], [], max(timeout, 0))[0]:
            return False
        data = self._sock.recv(65536)
        if not data:
            raise LineError('the VMM closed the serial line')
        self._buf += data
        *lines, self._buf = self._buf.split(b'\n')
        for raw in lines:
            self._hear(raw.decode(errors='replace').strip('\r\0'))
        return True

    def _hear(self, msg):
        # Firmware and a kernel that is being reset may leave bytes before a message.
        word, _, rest = msg.partition(' ')
        if word.endswith('hello') and rest.count(' ') == 1:
            self.boot, self.release = rest.split()
            return
        number, _, rest = rest.partition(' ')
        job = self._jobs.get(int(number)) if number.isdigit() else None
        if not job:
            return
        if word == 'out':
            text = _unescape(rest)
            job.output += text
            if self.echo:
                self.echo(text)
        elif word == 'end':
            job.status = int(rest)
            del self._jobs[job.number]

    def pump_until(self, ready, timeout, complaint):
        """Go on until ready() is true; LineError(complaint) after timeout seconds."""
        end = time.monotonic() + timeout
        while not ready():
            if not self.pump(min(end - time.monotonic(), 1)) and time.monotonic() > end:
                raise LineError(complaint)

    def wait_boot(self, old, timeout=600):
        """Wait for the hello of a boot other than old (a boot ID, or None)."""
        self.pump_until(lambda: self.boot not in (None, old), timeout, 'the guest does not boot')
        self._jobs.clear()

    def hello(self, timeout=300):
        """
        Ask for a sign of life and wait for it; returns the boot ID.  Asks again every 20
        seconds: what is sent while one VMM takes over from another may get lost.
        """
        end = time.monotonic() + timeout
        ask = 0
        self.boot = None
        while not self.boot:
            now = time.monotonic()
            if now > end:
                raise LineError('the guest does not answer')
            if now >= ask:
                self.send('HELLO')
                ask = now + 20
            self.pump(1)
        return self.boot

    def start(self, command):
        """Start `sh -c command` in the guest; returns the Job."""
        job = Job(self, self._next, command)
        self._next += 1
        self._jobs[job.number] = job
        self.send(f'RUN {job.number} {_escape(command)}')
        return job

    def run(self, command, timeout=600):
        """Run `sh -c command` in the guest; returns (exit status, output)."""
        job = self.start(command)
        job.wait(timeout)
        return job.status, job.output
