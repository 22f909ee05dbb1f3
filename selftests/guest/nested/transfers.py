# SPDX-License-Identifier: GPL-2.0-only
"""
Work for a guest's cards, measured: TCP streams, echoes, packets of the kernel's generator.

A guest has a card for each of those that are compared, so that all else is the same.  A stream is
measured in steady state: TCP runs without an end, and the window opens after the first packets and
closes when the agreed number of bytes has passed the TAP.
"""

import re
import subprocess
import time

from . import exits, net, pktgen
from .vm import WIRE, GuestError

PORT = 7000
WARM_UP = 60        # packets before a window opens


class Cards:
    """
    The cards of one guest, each with a TAP that has the host's address: 10.77.N.1, of the guest
    10.77.N.2.  A context manager, that runs the other end of the work.
    """

    def __init__(self, guest):
        """guest: it has booted."""
        self._guest = guest
        self._devs = {}
        self._serve = None
        for number, nic in enumerate(guest.nics, 1):
            dev = guest.run(f'cd /sys/class/net; grep -l {nic.mac} */address').split('/')[0]
            guest.set_address(f'10.77.{number}.2/24', dev)
            self._devs[nic.name] = (nic, number, dev)

    def __enter__(self):
        # pylint: disable=consider-using-with
        self._serve = subprocess.Popen((WIRE, 'serve', str(PORT)), stdout=subprocess.DEVNULL)
        return self

    def __exit__(self, *what):
        self._serve.kill()
        self._serve.wait()

    def use_queues(self, name, count):
        """Have a card use so many queue pairs."""
        self._guest.run(f'wire queues {self._devs[name][2]} {count}')

    def host(self, name):
        """The host's address towards a card."""
        return f'10.77.{self._devs[name][1]}.1'

    def stream(self, name, way, mib, patience, streams=1):
        """
        A window of TCP over a card: mib of it, up (from the guest) or down, or as much as passes
        in so many seconds.  Returns a dict: packets, rate (bytes a second), and of exits.VmmCost
        userspace_exits and syscalls; server: system calls of who has the TAP, if not the VMM.
        """
        nic = self._devs[name][0]
        job = self._guest.line.start(
            f'exec wire tcp {self.host(name)} {PORT} {way} 0 0 {streams}')

        def wait(key, start, amount, patience=None):
            begin = time.monotonic()
            while True:
                now = net.counters(nic.tap)
                spent = time.monotonic() - begin
                if sum(now[k] - start[k] for k in key) >= amount:
                    return now
                if patience and spent > patience and \
                        now['rx_packets'] - start['rx_packets'] > WARM_UP:
                    return now
                if spent > 300 or job.status is not None:
                    raise GuestError(f'no traffic over {name}: {job.output}')
                time.sleep(0.02)

        packets = ('rx_packets', 'tx_packets')
        wait(packets, net.counters(nic.tap), WARM_UP)
        cost = exits.VmmCost(self._guest.pid)
        calls = exits.EventCount('raw_syscalls/sys_enter', nic.carrier) if nic.carrier else None
        before, start = net.counters(nic.tap), time.monotonic()
        # What the guest sends, the TAP receives.
        after = wait(('rx_bytes',) if way == 'up' else ('tx_bytes',), before, mib << 20, patience)
        seconds = time.monotonic() - start
        result = cost.stop()
        if cost.missing:
            raise GuestError(f'this kernel cannot count exits: {cost.missing}')
        result['server'] = calls.read() if calls else 0
        if calls:
            calls.close()
        job.kill(10)    # SIGUSR1: come to the end
        if job.wait():
            raise GuestError(f'wrong transfer over {name}: {job.output}')
        moved = ('rx_bytes', 'tx_bytes')
        result.update(packets=sum(after[k] - before[k] for k in packets),
                      rate=sum(after[k] - before[k] for k in moved) / seconds)
        return result

    def echoes(self, name, count, size=64):
        """The times of UDP echoes, a dict: median_us, p90_us, p99_us, mean_us."""
        output = self._guest.run(f'wire rtt {self.host(name)} {PORT} {count} {size}')
        return {key: int(value) for key, value in re.findall(r'(\w+_us)=(\d+)', output)}

    def packets_to_guest(self, name, count, size):
        """The generator on the host sends into the TAP; packets a second that the guest got."""
        nic, number, _ = self._devs[name]
        before = net.counters(nic.tap)
        seconds = pktgen.on_host(nic.tap, count, size, nic.mac, f'10.77.{number}.2')[2]
        return (net.counters(nic.tap)['tx_packets'] - before['tx_packets']) / seconds

    def packets_from_guest(self, name, count, size):
        """The generator in the guest sends; packets a second that came out of the TAP."""
        nic, _, dev = self._devs[name]
        with open(f'/sys/class/net/{nic.tap}/address', encoding='ascii') as file:
            mac = file.read().strip()
        before = net.counters(nic.tap)
        seconds = pktgen.in_guest(self._guest, dev, count, size, mac, self.host(name))[2]
        return (net.counters(nic.tap)['rx_packets'] - before['rx_packets']) / seconds
