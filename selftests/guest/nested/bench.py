# SPDX-License-Identifier: GPL-2.0-only
"""A guest between tests: one NIC on a bridge of the host, traffic servers on both sides."""

import contextlib
import os
import re
import subprocess
import time

from . import net
from .door import make_nic
from .ktap import Again, Suite
from .qmp import QmpError
from .vm import WIRE, Guest, GuestError, LineError, debug_kernel

BRIDGE = 'shunt-gbr'
TAPS = ('shunt-gtap0', 'shunt-gtap1')
HOST, GUEST, PREFIX = '10.77.0.1', '10.77.0.2', 24
PORT = 7000         # `wire serve` on both sides
HOLD_PORT = 7001    # `wire hold` in the guest
QUEUES = 2

# What a guest's kernel says when its network device or its memory went wrong.
_COMPLAINTS = re.compile(
    r'^.*(?:id \d+ (?:is not a head|out of range)|virtio_net .*(?:error|fail)|'
    r'NETDEV WATCHDOG|BUG[: ]|WARNING: |Oops|general protection fault|Kernel panic|bad gso|'
    r'bogus|Bad page|list_(?:add|del) corruption|rx csum|hw csum failure).*$', re.MULTILINE)


def amount(number):
    """How much of something will do: less where each access is looked at."""
    return max(1, number // 4) if debug_kernel() else number


def host_run(*words, timeout=600):
    """Run a program of the host; returns its output, GuestError when it fails."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=timeout, check=False)
    if done.returncode:
        raise GuestError(f'on the host: {" ".join(words)}: exit status {done.returncode}\n'
                         f'{done.stdout.strip()}')
    return done.stdout


def numbers(text):
    """The key=number pairs of what `wire` printed last."""
    return {key: int(value) for key, value in re.findall(r'([\w.]+)=(\d+)\b', text)}


class Bench:
    """The network of one peer, and its guest, made anew when it is not alive."""

    def __init__(self, peer, rings='split'):
        """peer: who carries the packets; rings: of the guest's card, see vm.RINGS."""
        self.peer, self.rings = peer, rings
        self.by_shunt = peer in ('shunt', 'door')
        self._stack = contextlib.ExitStack()
        self._guest = None
        self._seen = 0          # length of the guest's console that has been looked at
        self._old = ''          # complaints of guests that are gone

    def __enter__(self):
        net.remove_link(BRIDGE)
        net.make_bridge(BRIDGE, f'{HOST}/{PREFIX}')
        self._stack.callback(net.remove_link, BRIDGE)
        # pylint: disable=consider-using-with
        serve = subprocess.Popen((WIRE, 'serve', str(PORT)), stdout=subprocess.PIPE, text=True)
        self._stack.callback(serve.wait)
        self._stack.callback(serve.kill)
        line = serve.stdout.readline()
        if not line.startswith('ready'):
            raise GuestError(f'wire serve: {line}')
        return self

    def __exit__(self, *what):
        self.drop()
        self._stack.close()

    def nic(self, tap=TAPS[0]):
        """The guest's card, on this TAP."""
        return make_nic('nic0', self.peer, tap, QUEUES, bridge=BRIDGE, number=1,
                        rings=self.rings)

    def guest_args(self):
        """What QEMU is given for the guest beside its card."""
        return ()

    def settle(self, guest):
        """Give a guest that has just booted its network and its server."""
        guest.set_address(f'{GUEST}/{PREFIX}')
        guest.run(f'wire queues eth0 {guest.nics[0].queues}')
        guest.line.start(f'exec wire serve {PORT}').wait_output('ready')

    def guest(self, by_tool=False):
        """The guest, alive and on the network.  by_tool: see Guest, where it must be booted."""
        if self._guest:
            try:
                self._guest.line.hello(90)
                return self._guest
            except LineError:
                self.drop()
        return self.boot(self.nic(), by_tool)

    def boot(self, nic, by_tool=False):
        """
        A new guest with this card, in place of the one that there was.  Again when it hangs
        before its kernel has said anything or begun with the card.
        """
        self.drop()
        guest = Guest([nic], by_tool=by_tool, qemu_args=self.guest_args())
        try:
            self._await_boot(guest)
            self.settle(guest)
        except BaseException:
            guest.__exit__(None, None, None)
            raise
        self.adopt(guest)
        return guest

    def _await_boot(self, guest):
        try:
            guest.boot()
        except GuestError as err:
            if self._has_begun(guest):
                raise
            raise Again(f'the guest hangs while it boots: {err}') from err

    @staticmethod
    def _has_begun(guest):
        """Whether a guest, or who has its card, has ended, or it complains or uses the card."""
        with contextlib.suppress(QmpError, AttributeError, OSError):
            return bool(guest.qmp.run('query-status')['status'] != 'running' or
                        guest.console_text() or
                        any(value != 'stopped' for device in net.shunt_fdinfo(guest.carrier)
                            for key, value in device.items() if key.endswith('-state')))
        return True

    def adopt(self, guest):
        """Make a guest (also one that has migrated here) the one of this bench."""
        self._guest = guest
        self._seen = 0

    def drop(self):
        """End the guest, if there is one."""
        if self._guest:
            self._old = self.complaints()
            self._guest.__exit__(None, None, None)
            self._guest = None

    def complaints(self):
        """What the guest's kernel has complained about since the last call."""
        old, self._old = self._old, ''
        if not self._guest:
            return old
        text = self._guest.console_text()
        new, self._seen = text[self._seen:], len(text)
        found = _COMPLAINTS.findall(new)
        for nic in self._guest.nics:
            old += nic.complaints()
        return old + ('\nthe guest reports:\n' + '\n'.join(found[:20]) if found else '')

    def guest_hangs(self):
        """
        Whether the guest's processor runs, without a complaint of its kernel, and still
        gets nowhere while the device does nothing: nested guests do so now and then where
        the host is emulated, whoever carries their packets.
        """
        guest = self._guest
        if not guest:
            return False
        try:
            if guest.qmp.run('query-status')['status'] != 'running':
                return False
            guest.line.hello(60)
            return False
        except QmpError:
            return False
        except LineError:
            pass
        try:
            before = net.shunt_fdinfo(guest.carrier)
            time.sleep(5)
            return (net.shunt_fdinfo(guest.carrier) == before and
                    not _COMPLAINTS.search(guest.console_text()[self._seen:]))
        except OSError:     # who has the card is no more
            return False

    def run(self, case):
        """
        Run a case; with another guest again when that hangs, once, or when the case says so,
        twice.  Returns its result.
        """
        more = 2
        while True:
            try:
                return case(self)
            except Again as err:
                if not more:
                    raise
                Suite.note(f'{err}; {case.__name__} begins again')
            except (GuestError, LineError) as err:
                if more < 2 or not self.guest_hangs():
                    raise
                Suite.note(f'the guest hangs: {err}; {case.__name__} begins again')
                Suite.note(self.diagnose())
            more -= 1
            self.drop()

    def diagnose(self):
        """The state of the guest and of its VMM, for a person."""
        if not self._guest:
            return 'no guest'
        rows = ['console:', self._guest.console_tail(), 'QEMU:', self._guest.log()]
        with contextlib.suppress(QmpError, AttributeError):
            rows.append(str(self._guest.qmp.run('query-status')))
            for command in ('info registers', 'info migrate', 'info network'):
                rows.append(self._guest.qmp.run('human-monitor-command', command_line=command))
        return '\n'.join(rows + self._diagnose_network())

    def _diagnose_network(self):
        """What the host's end, the device and the guest's end have counted."""
        rows = ['host:']
        for words in (('ip', '-s', 'link', 'show', 'master', BRIDGE), ('ip', 'neigh'),
                      ('ss', '-tino'), ('bridge', 'fdb', 'show', 'br', BRIDGE)):
            with contextlib.suppress(GuestError):
                rows.append(host_run(*words))
        for device in net.shunt_fdinfo(self._guest.carrier):
            rows.append(' '.join(f'{key}={value}' for key, value in device.items()))
        rows.append('guest:')
        try:
            rows.append(self._guest.line.run(
                'ip address; ip neigh; netstat -tn; grep virtio /proc/interrupts; '
                'cd /sys/class/net/eth0/statistics; grep . *x_*', 60)[1])
        except LineError as err:
            rows.append(str(err))
        return rows

    def traffic(self, way='both', streams=1):
        """Start TCP traffic from the guest to the host's server, until stop_traffic()."""
        return self.guest().line.start(f'exec wire tcp {HOST} {PORT} {way} 0 0 {streams}')

    @staticmethod
    def stop_traffic(job):
        """End traffic(); GuestError when a byte was wrong or missing.  Returns its output."""
        job.kill(10)    # SIGUSR1
        if job.wait():
            raise GuestError(f'{job.command}: {job.output.strip()}')
        return job.output

    def transfer(self, mib=4):
        """Checked TCP transfers both ways at once, by the guest's and by the host's initiative."""
        mib = amount(mib)
        self.guest().run(f'wire tcp {HOST} {PORT} both {mib} 0 1')
        host_run(WIRE, 'tcp', GUEST, str(PORT), 'both', str(mib), '0', '1')

    def guest_counters(self, guest):
        """Counters of the guest's eth0, by name."""
        text = guest.run('cd /sys/class/net/eth0/statistics && grep . *packets *bytes *dropped')
        return {key: int(value) for key, value in re.findall(r'(\w+):(\d+)', text)}

    def quiet(self, guest):
        """Wait until no packets move any more; returns (guest counters, TAP counters)."""
        before = None
        for _ in range(100):
            now = self.guest_counters(guest), net.counters(TAPS[0])
            if now == before:
                return now
            before = now
            time.sleep(0.3)
        raise GuestError('the network does not become quiet')


def vhost_users(pid):
    """How many TAP and vhost descriptors a process has open."""
    count = 0
    for fd in os.listdir(f'/proc/{pid}/fd'):
        with contextlib.suppress(OSError):
            target = os.readlink(f'/proc/{pid}/fd/{fd}')
            count += target in ('/dev/net/tun', '/dev/vhost-net', '/dev/shunt-net')
    return count
