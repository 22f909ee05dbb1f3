# SPDX-License-Identifier: GPL-2.0-only
"""A card behind DPDK's vhost-user back end: testpmd, between a socket and a TAP."""

import os
import shutil
import signal
import subprocess
import tempfile
import time

from . import net
from .vm import GuestError, Nic

_PROGRAM = 'dpdk-testpmd'
_MIB = 128          # of memory for packets


class DpdkNic(Nic):
    """
    Plugged in by vhost-user.  testpmd polls, with one thread, on the processors that there are; it
    has no huge pages, so that it needs none from the machine.
    """

    shared = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._process = None
        self._dir = None

    @property
    def carrier(self):
        """Process that carries the packets."""
        return self._process.pid

    def _command(self):
        cpu = min(1, (os.cpu_count() or 1) - 1)
        return [_PROGRAM, '--no-huge', '-m', str(_MIB), '--no-pci', '--no-telemetry',
                '--lcores', f'0@0,1@{cpu}', '--file-prefix', self.name, '--vdev',
                f'net_vhost0,iface={self._dir}/socket,queues={self.queues}', '--vdev',
                f'net_tap0,iface={self.tap}', '--', '--auto-start', '--forward-mode=io',
                '--total-num-mbufs=8192', '--mbuf-size=2048']

    def open(self):
        """Have testpmd run, with a TAP and a socket."""
        if not shutil.which(_PROGRAM):
            raise GuestError(f'no {_PROGRAM} here (scripts/deps dpdk)')
        self._dir = tempfile.mkdtemp(prefix='shunt-dpdk-')
        with open(f'{self._dir}/log', 'wb') as log:
            # pylint: disable=consider-using-with
            self._process = subprocess.Popen(self._command(), stdin=subprocess.PIPE, stdout=log,
                                             stderr=log)
        end = time.monotonic() + 120
        while not (os.path.exists(f'{self._dir}/socket') and
                   os.path.exists(f'/sys/class/net/{self.tap}')):
            if self._process.poll() is not None or time.monotonic() > end:
                raise GuestError(f'{_PROGRAM} does not start: {self._said()}')
            time.sleep(0.1)
        net.quiet_ipv6(self.tap)
        if self.address:
            net.ip('address', 'add', self.address, 'dev', self.tap)
        net.ip('link', 'set', self.tap, 'up')
        return [], []

    def _said(self):
        with open(f'{self._dir}/log', encoding='utf-8', errors='replace') as file:
            return ' '.join(file.read().split())[-300:]

    def run(self, on):
        """Have it go on, or stand still: while it polls, others have less of the machine."""
        self._process.send_signal(signal.SIGCONT if on else signal.SIGSTOP)

    def close(self):
        """End it."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        if self._dir:
            shutil.rmtree(self._dir, ignore_errors=True)
            self._dir = None

    def chardev(self):
        """The -chardev properties."""
        return {'type': 'socket', 'id': f'c-{self.name}', 'path': f'{self._dir}/socket'}

    def netdev(self, taps, vhosts):
        """The -netdev properties."""
        return {'type': 'vhost-user', 'id': f'n-{self.name}', 'chardev': f'c-{self.name}',
                'queues': self.queues}
