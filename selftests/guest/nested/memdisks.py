# SPDX-License-Identifier: GPL-2.0-only
"""
Disks in the host's memory for one guest, by each of those that are compared, so that all else is
the same: null_blk devices, who serves them, and the windows in which their work is measured.
"""

import contextlib
import dataclasses
import os
import shutil
import subprocess
import tempfile
import time

from . import exits, net
from .door import Server
from .vm import GuestError

MIB = 64            # of each disk
AREA = 32           # of it that is read
WARM_UP = 50        # requests before a window opens
REQUESTS = 3000     # of a window
WINDOW_S = 3        # seconds after which it closes on a busy machine
_SLOT = 0x10        # PCI slot of the first disk
_NULLB = '/sys/kernel/config/nullb'


@dataclasses.dataclass(frozen=True)
class Kind:
    """
    By whom a disk is served.  server: vmm (QEMU's virtio-blk, with an iothread), qsd
    (qemu-storage-daemon), shunt, or host (nobody: the host uses it); aio: of the first two;
    packed: rings; file: on ext4, on the device; mapped: an iothread for each queue, which needs a
    QEMU that has iothread-vq-mapping.
    """

    server: str
    aio: str = 'io_uring'
    packed: bool = False
    file: bool = False
    mapped: bool = False


class Disks:
    """Disks and who serves them.  A context manager; fill() the first before they are served."""

    def __init__(self, kinds, queues=1, boot=None):
        """kinds: {name: Kind}; boot: the name of that from which the guest boots."""
        self._kinds, self._queues, self._boot = kinds, queues, boot
        self._stack = contextlib.ExitStack()
        self._dir = None
        self._devices = {}
        self.paths = {}         # what is served, by name
        self._nodes = {}
        self._servers = {}

    def __enter__(self):
        subprocess.run(('modprobe', '-q', 'null_blk', 'nr_devices=0'), check=False)
        if not os.path.ismount('/sys/kernel/config'):
            subprocess.run(('mount', '-t', 'configfs', 'none', '/sys/kernel/config'), check=True)
        self._dir = tempfile.mkdtemp(prefix='shunt-disks-')
        self._stack.callback(shutil.rmtree, self._dir, ignore_errors=True)
        for name, kind in self._kinds.items():
            self._devices[name] = self.paths[name] = self._null_disk(f'shunt-{name}')
            if kind.file:
                self.paths[name] = self._file_on(name)
        return self

    def __exit__(self, *what):
        self._stack.close()

    def fill(self, name, image):
        """Have a file's contents as the disk's."""
        subprocess.run(('dd', f'if={image}', f'of={self.paths[name]}', 'bs=1M', 'status=none',
                        'conv=fsync'), check=True)

    def serve(self):
        """Start those who serve them, but for the VMM."""
        for name, kind in self._kinds.items():
            if kind.server == 'qsd':
                self._start_qsd(name, kind)
            elif kind.server == 'shunt':
                door = Server('disk serve', '--blk-file', self.paths[name], '--queues',
                              str(self._queues))
                door.start()
                self._stack.callback(door.close)
                self._servers[name] = door

    def _null_disk(self, name):
        """A block device in memory; its path."""
        path = f'{_NULLB}/{name}'
        os.mkdir(path)
        self._stack.callback(os.rmdir, path)
        for key, value in (('memory_backed', 1), ('size', MIB), ('blocksize', 512),
                           ('submit_queues', self._queues), ('power', 1)):
            with open(f'{path}/{key}', 'w', encoding='ascii') as file:
                file.write(str(value))
        if os.path.exists(f'/dev/{name}'):
            return f'/dev/{name}'
        # As they were once called.
        with open(f'{path}/index', encoding='ascii') as file:
            return f'/dev/nullb{file.read().strip()}'

    def _file_on(self, name):
        """A file that fills most of a file system on a device; its path."""
        on = f'{self._dir}/{name}'
        os.mkdir(on)
        subprocess.run(('mkfs.ext4', '-q', '-m', '0', self._devices[name]), check=True)
        subprocess.run(('mount', self._devices[name], on), check=True)
        self._stack.callback(subprocess.run, ('umount', on), check=True)
        with open(f'{on}/disk', 'wb') as file:
            os.posix_fallocate(file.fileno(), 0, (MIB - 16) << 20)
        return f'{on}/disk'

    def _blockdev(self, name, kind):
        driver = 'file' if kind.file else 'host_device'
        return (f'driver={driver},node-name=d-{name},filename={self.paths[name]},cache.direct=on,'
                f'aio={kind.aio}')

    def _socket(self, name):
        return self._servers[name].path if self._kinds[name].server == 'shunt' else \
            f'{self._dir}/{name}.socket'

    def _start_qsd(self, name, kind):
        path = self._socket(name)
        # pylint: disable=consider-using-with
        server = subprocess.Popen(
            ('qemu-storage-daemon', '--blockdev', self._blockdev(name, kind), '--object',
             'iothread,id=io', '--export',
             f'type=vhost-user-blk,id=e,node-name=d-{name},addr.type=unix,addr.path={path},'
             f'writable=on,iothread=io,num-queues={self._queues}'), stdin=subprocess.DEVNULL)
        self._stack.callback(server.wait)
        self._stack.callback(server.terminate)
        self._servers[name] = server
        end = time.monotonic() + 60
        while not os.path.exists(path):
            if server.poll() is not None or time.monotonic() > end:
                raise GuestError('qemu-storage-daemon does not start')
            time.sleep(0.05)

    def _slots(self):
        names = [name for name, kind in self._kinds.items() if kind.server != 'host']
        return {name: slot for slot, name in enumerate(names, _SLOT)}

    def qemu_args(self):
        """What gives the disks to a guest."""
        args = []
        for name, slot in self._slots().items():
            kind = self._kinds[name]
            more = f'num-queues={self._queues},addr={slot:#x}'
            more += ',packed=on' if kind.packed else ''
            more += ',bootindex=0' if name == self._boot else ''
            if kind.server == 'vmm':
                args += ['-object', f'iothread,id=io-{name}', '-blockdev',
                         self._blockdev(name, kind), '-device']
                args.append(f'virtio-blk-pci,drive=d-{name},iothread=io-{name},{more}'
                            if not kind.mapped else self._mapped(name, slot, args))
            else:
                args += ['-chardev', f'socket,id=c-{name},path={self._socket(name)}', '-device',
                         f'vhost-user-blk-pci,chardev=c-{name},{more}']
        return args

    def _mapped(self, name, slot, args):
        """A disk with an iothread for each queue, in the syntax that this needs."""
        threads = [f'io-{name}'] + [f'io-{name}-{i}' for i in range(1, self._queues)]
        for thread in threads[1:]:
            args[-1:-1] = ['-object', f'iothread,id={thread}']
        mapping = ','.join(f'{{"iothread":"{thread}"}}' for thread in threads)
        return (f'{{"driver":"virtio-blk-pci","drive":"d-{name}","addr":"{slot:#x}",'
                f'"num-queues":{self._queues},"iothread-vq-mapping":[{mapping}]}}')

    def prepare(self, guest):
        """Load the driver in a guest that has booted, and learn what it calls the disks."""
        said = guest.run('drivers disk')
        if said.strip():
            raise GuestError(said)
        for name, slot in self._slots().items():
            path = f'/sys/bus/pci/devices/0000:00:{slot:02x}.0/virtio*/block/*'
            found = guest.run(f'while ! ls -d {path}; do sleep 0.1; done 2>/dev/null')
            self._nodes[name] = node = f'/dev/{os.path.basename(found.strip())}'
            guest.run(f'while [ ! -b {node} ]; do sleep 0.1; done', 60)

    def node(self, name):
        """What the guest calls a disk; of a disk that the host uses, what the host does."""
        return self._nodes.get(name) or self.paths[name]

    def served(self, name):
        """(requests, MiB) that shunt-blk has served of a disk."""
        device = net.shunt_fdinfo(self._servers[name].pid)[0]
        return int(device['vq0-requests']), int(device['vq0-bytes']) / (1 << 20)

    def _requests(self, name):
        """How many the device below has seen."""
        device = os.path.basename(self._devices[name])
        with open(f'/sys/block/{device}/stat', encoding='ascii') as file:
            fields = file.read().split()
        return int(fields[0]) + int(fields[4])

    def window(self, guest, name, depth):
        """Random reads of 4 KiB, so many at once; returns what they took, a dict."""
        job = guest.line.start(f'exec disk rate {self._nodes[name]} {AREA} {depth}')
        first = self._requests(name)

        def wait(amount, patience=300):
            end = time.monotonic() + patience
            while self._requests(name) < amount and time.monotonic() < end:
                time.sleep(0.02)

        wait(first + WARM_UP)
        cost = exits.VmmCost(guest.pid)
        server = self._servers.get(name)
        calls = exits.EventCount('raw_syscalls/sys_enter', server.pid) if server else None
        before, start = self._requests(name), time.monotonic()
        wait(before + REQUESTS, WINDOW_S)
        after, seconds = self._requests(name), time.monotonic() - start
        result = cost.stop()
        if cost.missing:
            raise GuestError(f'this kernel cannot count exits: {cost.missing}')
        result.update(requests=after - before, rate=(after - before) / seconds,
                      server=calls.read() if calls else 0)
        if calls:
            calls.close()
        job.kill(10)    # SIGUSR1
        if job.wait() or after < before + 2 * WARM_UP:
            raise GuestError(f'no load on the disk of {name}: {job.output}')
        return result
