# SPDX-License-Identifier: GPL-2.0-only
"""
The demonstration's disks: the same one by QEMU's own virtio-blk, by qemu-storage-daemon and by
shunt-blk, which the guest boots from.
"""

import contextlib
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from . import exits, net
from .door import Server
from .vm import GuestError, boot_image

PEERS = {
    'user': "QEMU's virtio-blk",
    'qsd': 'qemu-storage-daemon',
    'shunt': 'shunt-blk',
}
MIB = 64            # of each disk
AREA = 32           # of it that is read
DEPTHS = (1, 16)    # requests at once
WARM_UP = 50        # requests before the window opens
REQUESTS = 3000     # of a window
WINDOW_S = 3        # seconds after which it closes on a busy machine
_SLOT = 0x10        # PCI slot of the first disk
_NULLB = '/sys/kernel/config/nullb'


class Disks:
    """Three disks in memory and who serves them.  A context manager."""

    def __init__(self):
        self._stack = contextlib.ExitStack()
        self._dir = None
        self._devices = {}
        self._nodes = {}
        self._servers = {}

    def __enter__(self):
        subprocess.run(('modprobe', '-q', 'null_blk', 'nr_devices=0'), check=False)
        if not os.path.ismount('/sys/kernel/config'):
            subprocess.run(('mount', '-t', 'configfs', 'none', '/sys/kernel/config'), check=True)
        self._dir = tempfile.mkdtemp(prefix='shunt-demo-')
        self._stack.callback(shutil.rmtree, self._dir, ignore_errors=True)
        for peer in PEERS:
            self._devices[peer] = self._null_disk(f'shunt-{peer}')
        subprocess.run(('dd', f'if={boot_image()}', f'of={self._devices["shunt"]}', 'bs=1M',
                        'status=none', 'conv=fsync'), check=True)
        self._start_qsd()
        door = Server('disk serve', '--blk-file', self._devices['shunt'])
        door.start()
        self._stack.callback(door.close)
        self._servers['shunt'] = door
        return self

    def __exit__(self, *what):
        self._stack.close()

    def _null_disk(self, name):
        """A block device in memory; its path."""
        path = f'{_NULLB}/{name}'
        os.mkdir(path)
        self._stack.callback(os.rmdir, path)
        for key, value in (('memory_backed', 1), ('size', MIB), ('blocksize', 512), ('power', 1)):
            with open(f'{path}/{key}', 'w', encoding='ascii') as file:
                file.write(str(value))
        if os.path.exists(f'/dev/{name}'):
            return f'/dev/{name}'
        # As they were once called.
        with open(f'{path}/index', encoding='ascii') as file:
            return f'/dev/nullb{file.read().strip()}'

    def _start_qsd(self):
        path = f'{self._dir}/qsd'
        # pylint: disable=consider-using-with
        server = subprocess.Popen(
            ('qemu-storage-daemon', '--blockdev',
             f'driver=host_device,node-name=d,filename={self._devices["qsd"]},cache.direct=on,'
             'aio=io_uring', '--object', 'iothread,id=io', '--export',
             f'type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path={path},writable=on,'
             'iothread=io'), stdin=subprocess.DEVNULL)
        self._stack.callback(server.wait)
        self._stack.callback(server.terminate)
        self._servers['qsd'] = server
        end = time.monotonic() + 60
        while not os.path.exists(path):
            if server.poll() is not None or time.monotonic() > end:
                raise GuestError('qemu-storage-daemon does not start')
            time.sleep(0.05)

    def qemu_args(self):
        """What gives the disks to a guest, which boots from that of shunt-blk."""
        slots = {peer: f'{slot:#x}' for slot, peer in enumerate(PEERS, _SLOT)}
        args = ['-object', 'iothread,id=disk-io', '-drive',
                f'if=none,id=disk-user,file={self._devices["user"]},format=raw,cache=none,'
                'aio=io_uring', '-device',
                f'virtio-blk-pci,drive=disk-user,iothread=disk-io,addr={slots["user"]}']
        for peer, path, more in (('qsd', f'{self._dir}/qsd', ''),
                                 ('shunt', self._servers['shunt'].path, ',bootindex=0')):
            args += ['-chardev', f'socket,id=disk-{peer},path={path}', '-device',
                     f'vhost-user-blk-pci,chardev=disk-{peer},addr={slots[peer]}{more}']
        return args

    def prepare(self, guest):
        """Load the driver in a guest that has booted, and learn what it calls the disks."""
        said = guest.run('drivers disk')
        if said.strip():
            raise GuestError(said)
        for slot, peer in enumerate(PEERS, _SLOT):
            path = f'/sys/bus/pci/devices/0000:00:{slot:02x}.0/virtio*/block/*'
            name = guest.run(f'while ! ls -d {path}; do sleep 0.1; done 2>/dev/null')
            self._nodes[peer] = node = f'/dev/{os.path.basename(name.strip())}'
            guest.run(f'while [ ! -b {node} ]; do sleep 0.1; done', 60)

    def served(self):
        """(requests, MiB) that shunt-blk has served."""
        device = net.shunt_fdinfo(self._servers['shunt'].pid)[0]
        return int(device['vq0-requests']), int(device['vq0-bytes']) / (1 << 20)

    def _requests(self, peer):
        """How many the device below has seen."""
        name = os.path.basename(self._devices[peer])
        with open(f'/sys/block/{name}/stat', encoding='ascii') as file:
            fields = file.read().split()
        return int(fields[0]) + int(fields[4])

    def window(self, guest, peer, depth):
        """Random reads of 4 KiB, so many at once; returns what they took, a dict."""
        job = guest.line.start(f'exec disk rate {self._nodes[peer]} {AREA} {depth}')
        first = self._requests(peer)

        def wait(amount, patience=300):
            end = time.monotonic() + patience
            while self._requests(peer) < amount and time.monotonic() < end:
                time.sleep(0.02)

        wait(first + WARM_UP)
        cost = exits.VmmCost(guest.pid)
        server = self._servers.get(peer)
        calls = exits.EventCount('raw_syscalls/sys_enter', server.pid) if server else None
        before, start = self._requests(peer), time.monotonic()
        wait(before + REQUESTS, WINDOW_S)
        after, seconds = self._requests(peer), time.monotonic() - start
        result = cost.stop()
        if cost.missing:
            raise GuestError(f'this kernel cannot count exits: {cost.missing}')
        result.update(requests=after - before, rate=(after - before) / seconds,
                      server=calls.read() if calls else 0)
        if calls:
            calls.close()
        job.kill(10)    # SIGUSR1
        if job.wait() or after < before + 2 * WARM_UP:
            raise GuestError(f'no load on the disk of {peer}: {job.output}')
        return result

    def round(self, guest, number):
        """One round of all, which begins with another one each time; a dict by (peer, depth)."""
        peers = list(PEERS)
        order = peers[number % len(peers):] + peers[:number % len(peers)]
        return {(peer, depth): self.window(guest, peer, depth)
                for peer in order for depth in DEPTHS}


def table(rounds):
    """Print the table; returns what shunt-blk took a request: exits and system calls."""
    print(f'\nRandom reads of 4 KiB, {DEPTHS[0]} or {DEPTHS[1]} at once, windows of {REQUESTS} (or '
          f'{WINDOW_S} s of it),\n{len(rounds)} rounds in turns, medians, as above.  Disks in the '
          "host's memory.\n")
    row = '{:22}{:>9}{:>10}{:>12}{:>14}{:>14}{:>14}'
    for each in (('', '', 'rate', 'rate', 'VMM exits a', 'VMM exits a', 'system calls'),
                 ('', '', *(f'{depth} at once' for depth in DEPTHS), 'request by', 'request by',
                  'a request of'),
                 ('', 'requests', '', '', 'its vCPUs', 'its own I/O', 'its server')):
        print(row.format(*each).rstrip())
    found = {}
    for peer, name in PEERS.items():
        ratios = [statistics.median(each[peer, depth]['rate'] / each['user', depth]['rate']
                                    for each in rounds) for depth in DEPTHS]
        windows = [each[peer, depth] for each in rounds for depth in DEPTHS]
        total = sum(window['requests'] for window in windows)
        found[peer] = [f'{sum(window[key] for window in windows) / total:.2f}'
                       for key in ('userspace_exits', 'syscalls', 'server')]
        print(row.format(name, total, *(f'{ratio:.2f}' for ratio in ratios), *found[peer][:2],
                         '-' if peer == 'user' else found[peer][2]))
    print(flush=True)
    return found['shunt']


def booted_from(guest):
    """Whether the guest has been booted from a disk by its firmware."""
    return 'shunt.firmware=bios' in guest.run('cat /proc/cmdline')
