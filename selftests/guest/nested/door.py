# SPDX-License-Identifier: GPL-2.0-only
"""`shunt net serve` and `shunt disk serve`: processes that a guest's devices are behind."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

from . import net
from .vm import TOP, GuestError, Nic

SHUNT = os.path.join(TOP, 'build/tools/shunt')


class Server:
    """A vhost-user back end.  It outlives VMMs, and can be started again after its end."""

    def __init__(self, verb, *options):
        """verb: the object and verb of `shunt`; options: but for the socket's path."""
        self.verb = verb
        self._dir = tempfile.mkdtemp(prefix='shunt-door-')
        self.path = os.path.join(self._dir, 'socket')
        self._log = os.path.join(self._dir, 'log')
        self._seen = 0
        self._command = [SHUNT, *verb.split(), '--socket-path', self.path, *options]
        self._process = None

    @property
    def pid(self):
        """Process ID."""
        return self._process.pid

    def status(self):
        """What /proc says of the process, by name."""
        with open(f'/proc/{self.pid}/status', encoding='ascii') as file:
            rows = (row.split(':', 1) for row in file.read().splitlines())
            return {key: value.strip() for key, value in rows}

    def alive(self):
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def spawn(self):
        """Start it.  An earlier process may still be there: it is forgotten, and returned."""
        old = self._process
        with open(self._log, 'ab') as log:
            # pylint: disable=consider-using-with
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log)
        return old

    def serves(self):
        """Whether it serves, which it does once it is in its jail."""
        return self.status().get('Seccomp') == '2'

    def start(self, timeout=60):
        """Start it and wait until it serves."""
        self.spawn()
        self.wait(timeout)

    def wait(self, timeout=60):
        """Wait until it serves."""
        end = time.monotonic() + timeout
        while self.alive() and not self.serves():
            if time.monotonic() > end:
                raise GuestError(f'`shunt {self.verb}` does not begin to serve')
            time.sleep(0.02)
        if not self.alive():
            raise GuestError(f'`shunt {self.verb}` ended: {self.said()}')

    def said(self):
        """What it has printed since the last call."""
        with open(self._log, encoding='utf-8', errors='replace') as file:
            file.seek(self._seen)
            text = file.read()
            self._seen = file.tell()
        return text

    def kill(self):
        """Send SIGKILL; does not wait."""
        self._process.kill()

    def end(self, sig=signal.SIGTERM, timeout=60):
        """End it by a signal; returns its exit status, or minus a signal."""
        self._process.send_signal(sig)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as err:
            self._process.kill()
            self._process.wait()
            raise GuestError(f'`shunt {self.verb}` did not end by signal {int(sig)}') from err

    def close(self):
        """Whatever its state: nothing is left of it afterwards."""
        try:
            status = self.end() if self.alive() else 0
            said = self.said()
        finally:
            shutil.rmtree(self._dir, ignore_errors=True)
        if status or said:
            raise GuestError(f'`shunt {self.verb}` ended with {status}: {said}')


class Door(Server):
    """A network device: at the same socket, with a TAP of the same name, as often as it starts."""

    def __init__(self, tap, device, queues=1, bridge=None):
        """tap: its name; device: path of the vhost device; bridge: that the TAP gets on."""
        self.tap = tap
        super().__init__('net serve', '--tap', tap, '--queues', str(queues), '--device', device,
                         *(('--bridge', bridge) if bridge else ()))

    def start(self, timeout=60):
        """Start it and wait until it serves."""
        super().start(timeout)
        net.quiet_ipv6(self.tap)


class DoorNic(Nic):
    """A card that is plugged in by vhost-user.  Its door is there from open() to close()."""

    shared = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.door = None

    @property
    def carrier(self):
        """Process that has the TAP and the vhost devices."""
        return self.door.pid

    def open(self):
        """Have the door, which may be there from another guest."""
        if not self.door:
            self.door = Door(self.tap, net.peer_device(self.peer), self.queues, self.bridge)
            self.door.start()
            if self.address:
                net.ip('address', 'add', self.address, 'dev', self.tap)
        return [], []

    def close(self):
        """End the door; GuestError when it does not end as it must."""
        if self.door:
            door, self.door = self.door, None
            door.close()

    def complaints(self):
        """What the door has printed since the last call: nothing, where all is well."""
        return self.door.said() if self.door else ''

    def chardev(self):
        """The -chardev properties."""
        return {'type': 'socket', 'id': f'c-{self.name}', 'path': self.door.path, 'reconnect': 1}

    def netdev(self, taps, vhosts):
        """The -netdev properties."""
        return {'type': 'vhost-user', 'id': f'n-{self.name}', 'chardev': f'c-{self.name}',
                'queues': self.queues}

    def before_plug(self, qmp):
        """Have the connection in a VMM that runs."""
        chardev = self.chardev()
        qmp.run('chardev-add', id=chardev['id'], backend={'type': 'socket', 'data': {
            'addr': {'type': 'unix', 'data': {'path': chardev['path']}},
            'server': False, 'reconnect': chardev['reconnect']}})

    def after_unplug(self, qmp):
        """Give up what is left: the connection goes with QEMU's -netdev."""
        chardevs = [row['label'] for row in qmp.run('query-chardev')]
        if f'c-{self.name}' in chardevs:
            raise GuestError(f'unplugged, but there is its connection: {chardevs}')
        self.close()


def make_nic(name, peer, *args, **kwargs):
    """A card of whatever kind this peer (net.PEERS) asks for."""
    return (DoorNic if peer in net.DOORS else Nic)(name, peer, *args, **kwargs)


def forbidden_fds(pid):
    """Open files of a process that a door has no use for."""
    wanted = re.compile(r'/dev/(null|net/tun|vhost-net|shunt-net)$|socket:|anon_inode:|/memfd:|'
                        r'/tmp/shunt-door-[^/]*/log$|pipe:')
    found = []
    for fd in os.listdir(f'/proc/{pid}/fd'):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f'/proc/{pid}/fd/{fd}')
            if not wanted.match(target):
                found.append(target)
    return found
