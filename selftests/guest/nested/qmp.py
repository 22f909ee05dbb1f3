# SPDX-License-Identifier: GPL-2.0-only
"""A client of QEMU's monitor protocol (QMP) over a UNIX socket, file descriptors included."""

import array
import json
import select
import socket
import time


class QmpError(Exception):
    """QEMU refused a command, went away, or did not answer."""


class Qmp:
    """One connection to a QEMU.  Not thread safe."""

    def __init__(self, path, timeout=300, alive=lambda: True):
        """
        Connect to the socket at path, waiting up to timeout seconds for QEMU to make it;
        alive() tells whether that is still to be hoped for.
        """
        self.events = []
        self._buf = b''
        self._answers = []
        end = time.monotonic() + timeout
        while True:
            self._sock = socket.socket(socket.AF_UNIX)
            try:
                self._sock.connect(path)
                break
            except OSError as err:
                self._sock.close()
                if time.monotonic() > end or not alive():
                    raise QmpError(f'no monitor at {path}: {err}') from err
                time.sleep(0.05)
        self._take(lambda: self._greeted, timeout)
        self.run('qmp_capabilities')

    _greeted = False

    def _feed(self, timeout):
        """Read what has come; False when nothing came within timeout seconds."""
        if not select.select([self._sock], [], [], max(timeout, 0))[0]:
            return False
        try:
            data = self._sock.recv(65536)
        except OSError as err:
            raise QmpError(f'QEMU went away: {err}') from err
        if not data:
            raise QmpError('QEMU closed its monitor')
        self._buf += data
        *lines, self._buf = self._buf.split(b'\n')
        for line in lines:
            if not line.strip():
                continue
            msg = json.loads(line)
            if 'QMP' in msg:
                self._greeted = True
            elif 'event' in msg:
                self.events.append(msg)
            else:
                self._answers.append(msg)
        return True

    def _take(self, ready, timeout):
        end = time.monotonic() + timeout
        while not ready():
            if not self._feed(end - time.monotonic()) and time.monotonic() >= end:
                raise QmpError('QEMU does not answer')

    def run(self, command, _fds=(), _timeout=300, **arguments):
        """Run a command and return its result; '_' in argument names stands for '-'."""
        msg = {'execute': command}
        if arguments:
            msg['arguments'] = {k.replace('_', '-'): v for k, v in arguments.items()}
        control = []
        if _fds:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', _fds))]
        try:
            self._sock.sendmsg([json.dumps(msg).encode() + b'\n'], control)
        except OSError as err:
            raise QmpError(f'{command}: {err}') from err
        self._take(lambda: self._answers, _timeout)
        answer = self._answers.pop(0)
        if 'error' in answer:
            raise QmpError(f"{command}: {answer['error']['desc']}")
        return answer['return']

    def give_fd(self, name, fd):
        """Hand a file descriptor to QEMU, to be used by that name."""
        self.run('getfd', _fds=(fd,), fdname=name)

    def wait_event(self, name, timeout=300, **data):
        """Wait for an event with these data (also one that has come); take and return it."""
        def match(event):
            return event['event'] == name and all(
                event.get('data', {}).get(k) == v for k, v in data.items())

        self._take(lambda: any(match(e) for e in self.events), timeout)
        event = next(e for e in self.events if match(e))
        self.events.remove(event)
        return event

    def close(self):
        """Close the connection."""
        self._sock.close()
