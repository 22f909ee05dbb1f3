# SPDX-License-Identifier: GPL-2.0-only
"""
A guest with a disk: one that `shunt disk serve` serves, or, for proof of the cases, QEMU's own.

What the guest does with the disk is seen from both sides.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile

from . import net
from .bench import amount
from .door import Server
from .ktap import check
from .vm import Guest, LineError

# Who serves the disk, in words.
PEERS = {
    'user': "QEMU's own virtio-blk",
    'door': 'shunt-blk, by vhost-user',
}
KINDS = {
    'file': 'a file on ext4',
    'device': 'a block device',
}
MIB = 64                # of the disk
QUEUES = 2
SERIAL = 'shunt-disk-1'
DISK = '/dev/vda'       # in the guest


def _host(*words):
    """Run a program of the host; returns its output."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Backing:
    """
    What a disk is on the host: a file on ext4, or a block device.  Below either is a device of
    the device mapper, which can be held up.
    """

    _NAME = 'shunt-disk'

    def __init__(self, kind):
        """kind: of KINDS."""
        self._on = None
        self._size = 0
        # The VM's root is a tmpfs, which knows no direct I/O.
        self._dir = tempfile.mkdtemp(prefix='shunt-disk-', dir='/var/tmp')
        self._image = os.path.join(self._dir, 'image')
        self._truncate(self._image, 2 * MIB if kind == 'file' else MIB)
        self._loop = _host('losetup', '--find', '--show', self._image)
        self._map('create')
        # The kernel's own node: /dev/mapper is udev's, which may not be there.
        self.path = '/dev/' + _host('dmsetup', 'info', '--columns', '--noheadings', '--options',
                                    'blkdevname', self._NAME)
        # Whatever the disk takes is taken from this file.
        self.file = self._image
        if kind == 'file':
            self._on = os.path.join(self._dir, 'on')
            os.mkdir(self._on)
            _host('mkfs.ext4', '-q', '-m', '0', self.path)
            _host('mount', self.path, self._on)
            self.path = self.file = os.path.join(self._on, 'disk')
            self._truncate(self.file, MIB)

    @staticmethod
    def _truncate(path, mib):
        with open(path, 'ab') as file:
            file.truncate(mib << 20)

    def _map(self, verb):
        sectors = os.stat(self._image).st_size >> 9
        _host('dmsetup', verb, '--noudevsync', self._NAME, '--table',
              f'0 {sectors} linear {self._loop} 0')

    def resize(self, mib):
        """Make it larger or smaller."""
        self._truncate(self.file, mib)
        if not self._on:
            _host('losetup', '--set-capacity', self._loop)
            self._map('reload')
            _host('dmsetup', 'resume', '--noudevsync', self._NAME)

    def put(self, image):
        """Have the contents of a file as the disk's."""
        _host('dd', f'if={image}', f'of={self.path}', 'bs=1M', 'conv=notrunc,fsync', 'status=none')

    def flushes(self):
        """How often what is below was told to make durable what it has taken."""
        with open(f'/sys/block/{os.path.basename(self._loop)}/stat', encoding='ascii') as file:
            return int(file.read().split()[15])

    def hold(self):
        """Let no request come to its end."""
        _host('dmsetup', 'suspend', '--noflush', '--nolockfs', self._NAME)

    def release(self):
        """Undo hold()."""
        _host('dmsetup', 'resume', '--noudevsync', self._NAME)

    def close(self):
        """Remove it."""
        self.release()
        if self._on:
            _host('umount', self._on)
        _host('dmsetup', 'remove', '--noudevsync', self._NAME)
        _host('losetup', '--detach', self._loop)
        shutil.rmtree(self._dir)


class DiskBench:
    """A disk, and the guest that has it, made anew when it is not alive."""

    def __init__(self, peer, kind, rings='split'):
        """peer: of PEERS; kind: of KINDS; rings: split or packed."""
        self.peer = peer
        self.rings = rings
        self._guest = None
        self.backing = Backing(kind)
        self.file = self.backing.path
        self.door = self._old_door = None
        self._read_only = False
        self._firmware = None
        self._options = ()

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.drop()
        self.backing.close()

    @property
    def by_door(self):
        """Whether the disk is behind the door."""
        return self.peer == 'door'

    def _qemu_args(self):
        # The host's programs, for guests that mount them.
        args = ['-virtfs', 'local,path=/,mount_tag=host,security_model=none,readonly=on,'
                'multidevs=remap']
        more = ',bootindex=0' if self._firmware else ''
        more += ',packed=on' if self.rings == 'packed' else ''
        if not self.by_door:
            return args + ['-drive', f'if=none,id=d0,file={self.file},format=raw,cache=none,'
                           f'discard=unmap,readonly={"on" if self._read_only else "off"}',
                           '-device', f'virtio-blk-pci,drive=d0,id=disk0,serial={SERIAL},'
                           f'num-queues={QUEUES}{more}']
        return args + ['-chardev', f'socket,id=c0,path={self.door.path},reconnect=1', '-device',
                       f'vhost-user-blk-pci,chardev=c0,id=disk0,num-queues={QUEUES}{more}']

    def boot(self, read_only=False, firmware=None, nics=(), options=()):
        """
        A new guest, with the disk's driver loaded, in place of the one there was.

        firmware: see Guest; nics: cards that it has; options: more of them for the door.
        """
        self.drop()
        self._read_only, self._firmware, self._options = read_only, firmware, options
        if self.by_door:
            self.door = self._make_door()
        return self._boot(nics)

    def _make_door(self, *options):
        door = Server('disk serve', '--blk-file', self.file, '--serial', SERIAL,
                      '--queues', str(QUEUES), *options, *self._options,
                      *(('--read-only',) if self._read_only else ()))
        door.start()
        return door

    def _boot(self, nics=()):
        self._guest = Guest(nics, qemu_args=self._qemu_args(), shared=self.by_door,
                            firmware=self._firmware)
        self._guest.boot()
        self.settle()
        return self._guest

    def target(self, nics=()):
        """Where the guest can migrate to, behind a door of its own; to be adopted."""
        self._old_door = self.door
        if self.by_door:
            self.door = self._make_door('--incoming')
        return Guest(nics, qemu_args=self._qemu_args(), shared=self.by_door, incoming=True)

    def adopt(self, guest):
        """Have another guest instead of this one."""
        self._guest.__exit__(None, None, None)
        self._guest = guest
        if self._old_door:
            door, self._old_door = self._old_door, None
            door.close()

    def replace_vmm(self):
        """Kill the VMM, and boot another one with the same door."""
        self._guest.kill(signal.SIGKILL)
        self._guest.__exit__(None, None, None)
        return self._boot()

    def settle(self):
        """Load what a guest that has just booted needs for the disk."""
        said = self._guest.run('drivers disk')
        check(not said.strip(), said)
        self._guest.run(f'while [ ! -b {DISK} ]; do sleep 0.1; done', 60)

    def guest(self):
        """
        The guest, alive, with a disk that can be written and that it did not boot from.  One whose
        door has options of its own is not replaced: another door would not have them.
        """
        if self._guest and not self._read_only and not self._firmware:
            try:
                self._guest.line.hello(90)
                return self._guest
            except LineError:
                if self._options:
                    raise
        return self.boot()

    def drop(self):
        """End the guest and its door, if there are."""
        if self._guest:
            self._guest.__exit__(None, None, None)
            self._guest = None
        if self.door:
            door, self.door = self.door, None
            door.close()

    def requests(self):
        """How many requests the door's device has taken since the door was started."""
        return sum(int(value) for device in net.shunt_fdinfo(self.door.pid)
                   for key, value in device.items() if key.endswith('-requests'))

    def complaints(self):
        """What the guest's kernel and the door have to complain about."""
        text = self._guest.console_text() if self._guest else ''
        rows = re.findall(r'^.*(?:I/O error|blk_update_request|BUG[: ]|Oops|panic|hung_task|'
                          r'EXT4-fs error|EXT4-fs warning|WARNING: ).*$', text, re.MULTILINE)
        return '\n'.join(rows[:20]) + (self.door.said() if self.door else '')

    def diagnose(self):
        """The state of the guest and of its disk, for a person."""
        if not self._guest:
            return 'no guest'
        rows = ['console:', self._guest.console_tail(), 'QEMU:', self._guest.log()]
        if self.door and self.door.alive():
            rows += [' '.join(f'{key}={value}' for key, value in device.items())
                     for device in net.shunt_fdinfo(self.door.pid)]
        return '\n'.join(rows)
