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
import time

from . import exits, net
from .bench import amount
from .door import Server, forbidden_fds
from .ktap import Skip, check
from .vm import Guest, LineError

# Who serves the disk, in words.
PEERS = {
    'user': "QEMU's own virtio-blk",
    'door': 'shunt-blk, by vhost-user',
}
KINDS = {
    'file': 'a file on ext4',
    'device': 'a loop device',
}
MIB = 64                # of the disk
AREA = amount(16)       # of it that is read and written
QUEUES = 2
THREADS = 16            # of a load: so many requests at once
KILLS = 4               # of the door, under load
SERIAL = 'shunt-disk-1'
READS = amount(100000)  # requests in which system calls are counted
DISK = '/dev/vda'


def _host(*words):
    """Run a program of the host; returns its output."""
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


class Backing:
    """What a disk is on the host: a file on ext4, or a block device."""

    def __init__(self, kind):
        """kind: of KINDS."""
        self._device = None
        # The VM's root is a tmpfs, which knows no direct I/O.
        self._dir = tempfile.mkdtemp(prefix='shunt-disk-', dir='/var/tmp')
        # Whatever the disk takes is taken from this file.
        self.file = os.path.join(self._dir, 'image')
        self._resize(2 * MIB if kind == 'file' else MIB)
        if kind == 'file':
            _host('mkfs.ext4', '-q', '-F', '-m', '0', self.file)
            os.mkdir(os.path.join(self._dir, 'on'))
            _host('mount', '-o', 'loop', self.file, os.path.join(self._dir, 'on'))
            self.file = os.path.join(self._dir, 'on', 'disk')
            self._resize(MIB)
        else:
            self._device = _host('losetup', '--find', '--show', self.file)
        self.path = self._device or self.file

    def _resize(self, mib):
        with open(self.file, 'ab') as file:
            file.truncate(mib << 20)

    def resize(self, mib):
        """Make it larger or smaller."""
        self._resize(mib)
        if self._device:
            _host('losetup', '--set-capacity', self._device)

    def close(self):
        """Remove it."""
        if self._device:
            _host('losetup', '--detach', self._device)
        else:
            _host('umount', os.path.join(self._dir, 'on'))
        shutil.rmtree(self._dir)


class DiskBench:
    """A disk, and the guest that has it, made anew when it is not alive."""

    def __init__(self, peer, kind):
        """peer: of PEERS; kind: of KINDS."""
        self.peer = peer
        self._guest = None
        self.backing = Backing(kind)
        self.file = self.backing.path
        self.door = self._old_door = None
        self._read_only = False

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
        if not self.by_door:
            return ('-drive', f'if=none,id=d0,file={self.file},format=raw,cache=none,'
                    f'discard=unmap,readonly={"on" if self._read_only else "off"}',
                    '-device', f'virtio-blk-pci,drive=d0,id=disk0,serial={SERIAL},'
                    f'num-queues={QUEUES}')
        return ('-chardev', f'socket,id=c0,path={self.door.path},reconnect=1',
                '-device', f'vhost-user-blk-pci,chardev=c0,id=disk0,num-queues={QUEUES}')

    def boot(self, read_only=False):
        """A new guest, with the disk's driver loaded, in place of the one there was."""
        self.drop()
        self._read_only = read_only
        if self.by_door:
            self.door = self._make_door()
        return self._boot()

    def _make_door(self, *options):
        door = Server('disk serve', '--blk-file', self.file, '--serial', SERIAL,
                      '--queues', str(QUEUES), *options,
                      *(('--read-only',) if self._read_only else ()))
        door.start()
        return door

    def _boot(self):
        self._guest = Guest([], qemu_args=self._qemu_args(), shared=self.by_door)
        self._guest.boot()
        self.settle()
        return self._guest

    def target(self):
        """Where the guest can migrate to, behind a door of its own; to be adopted."""
        self._old_door = self.door
        if self.by_door:
            self.door = self._make_door('--incoming')
        return Guest([], qemu_args=self._qemu_args(), shared=self.by_door, incoming=True)

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
        """The guest, alive, with a disk that can be written."""
        if self._guest and not self._read_only:
            try:
                self._guest.line.hello(90)
                return self._guest
            except LineError:
                pass
        return self.boot()

    def drop(self):
        """End the guest and its door, if there are."""
        if self._guest:
            self._guest.__exit__(None, None, None)
            self._guest = None
        if self.door:
            door, self.door = self.door, None
            door.close()

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


def is_as_said(bench):
    """Size, serial number, queues and write cache are what the host has."""
    guest = bench.guest()
    words = guest.run('cd /sys/block/vda; cat size ro serial; echo; cat queue/write_cache; '
                      'ls mq | wc -l')
    want = [str(MIB << 11), '0', SERIAL, 'write', 'back', str(min(QUEUES, guest.cpus))]
    check(words.split() == want, f'{words.split()} instead of {want}')


def both_sides_see_the_same(bench):
    """What the guest writes the host reads, and the other way round."""
    guest = bench.guest()
    guest.run(f'disk fill {DISK} {AREA} 7')
    guest.run(f'disk check {DISK} {AREA} 7')
    with open(bench.file, 'rb') as file:
        data = file.read(AREA << 20)
    for block in (0, 1, len(data) // 4096 - 1):
        first = int.from_bytes(data[block * 4096:block * 4096 + 8], 'little')
        want = ((block << 32 | 7) * 0x9e3779b97f4a7c15) & (2 ** 64 - 1)
        check(first == want, f'block {block} begins with {first:#x} instead of {want:#x}')
    with open(bench.file, 'r+b') as file:
        file.write(data[:4096][::-1])
        file.flush()
        os.fsync(file)
    guest.run('echo 3 >/proc/sys/vm/drop_caches')
    status, _ = guest.line.run(f'disk check {DISK} {AREA} 7')
    check(status == 1, 'the guest does not see what the host wrote')


def load(bench):
    """Many requests at once, each read compared with what was written."""
    guest = bench.guest()
    job = guest.line.start(f'exec disk load {DISK} {AREA} {THREADS}')
    _go_on(job, 3)
    return _end(job)


def _go_on(job, times=1):
    """Wait until a load has gone further, so many times."""
    for _ in range(times):
        before, end = _done(job), time.monotonic() + 120
        while _done(job) < before + 50:
            check(job.status is None, f'the load ended: {job.output[-500:]}')
            check(time.monotonic() < end, f'the load stands still: {job.output[-500:]}')
            # pylint: disable=protected-access
            job._line.pump(0.2)


def _done(job):
    """Requests that a load has told of."""
    found = re.findall(r'writes=(\d+) reads=(\d+)', job.output)
    return sum(map(int, found[-1])) if found else 0


def _end(job):
    """End a load, and see what it says."""
    job.kill(signal.SIGUSR1)
    check(job.wait() == 0, f'the load failed: {job.output[-500:]}')
    return job.output.splitlines()[-1]


def door_killed_under_load(bench):
    """SIGKILL to the door, again and again: nothing acknowledged is lost, and nothing hangs."""
    guest = bench.guest()
    job = guest.line.start(f'exec disk load {DISK} {AREA} {THREADS}')
    _go_on(job)
    for _ in range(KILLS):
        check(bench.door.end(signal.SIGKILL) == -signal.SIGKILL, 'it was gone before')
        bench.door.start()
        _go_on(job)
    return _end(job)


def door_ends_by_sigterm(bench):
    """SIGTERM under load: exit status 0 and no word; and it can be started again."""
    guest = bench.guest()
    job = guest.line.start(f'exec disk load {DISK} {AREA} {THREADS}')
    _go_on(job)
    status = bench.door.end()
    check(status == 0, f'exit status {status}')
    bench.door.start()
    _go_on(job)
    return _end(job)


def has_the_disk_alone(bench):
    """Nobody else can lock the disk while its guest runs; and the guest waits for who has it."""
    guest = bench.guest()
    command = ('flock', '--nonblock', bench.file, 'true')
    job = guest.line.start(f'exec disk load {DISK} {AREA} {THREADS}')
    _go_on(job)
    check(subprocess.run(command, check=False).returncode == 1, 'the disk is not locked')
    guest.qmp.run('stop')
    # pylint: disable=consider-using-with
    other = subprocess.Popen(('flock', '--nonblock', bench.file, 'cat'), stdin=subprocess.PIPE)
    try:
        time.sleep(1)
        check(other.poll() is None, 'a guest that is stopped keeps the disk')
        guest.qmp.run('cont')
        end, said = time.monotonic() + 60, ''
        while 'another process has the disk' not in said:
            check(time.monotonic() < end, f'the door does not wait, and says: {said}')
            said += bench.door.said()
            time.sleep(0.1)
        # What was done before is told every half second.
        counts = []
        for _ in range(2):
            end = time.monotonic() + 2
            while time.monotonic() < end:
                guest.line.pump(0.2)
            counts.append(_done(job))
        check(counts[0] == counts[1], f'requests are served meanwhile: {counts}')
    finally:
        other.communicate(b'')
    _go_on(job)
    check(not bench.door.said(), 'the door has more to say')
    return _end(job)


def live_migration(bench):
    """A guest moves to another VMM, with another door on the same disk, under load."""
    source = bench.guest()
    job = source.line.start(f'exec disk load {DISK} {AREA} {THREADS}')
    _go_on(job)
    target = bench.target()
    try:
        target.start()
        source.qmp.run('migrate-set-parameters', max_bandwidth=64 << 20, downtime_limit=20000)
        source.qmp.run('migrate', uri=target.incoming())
        info = source.wait_migration(lambda info: info['status'] == 'completed')
        source.move_line(target)
    except BaseException:
        bench.adopt(target)
        raise
    bench.adopt(target)
    target.line.hello()
    _go_on(job, 2)
    return f"{_end(job)}, {info['ram']['dirty-sync-count']} passes over memory"


def jail(bench):
    """While it serves, the door has no privilege and a filter, and little is open."""
    bench.guest()
    status = bench.door.status()
    wanted = {'Groups': '', 'CapPrm': '0' * 16, 'CapEff': '0' * 16, 'NoNewPrivs': '1',
              'Seccomp': '2'}
    found = {key: status[key] for key in wanted}
    check(found == wanted, f'/proc/PID/status: {found}')
    check(all(int(number) > 0 for number in status['Uid'].split()), f'Uid: {status["Uid"]}')
    more = [path for path in forbidden_fds(bench.door.pid)
            if path not in ('/dev/shunt-blk', bench.file)]
    check(not more, f'open files: {more}')


def no_system_calls_by_requests(bench):
    """Neither the door nor the VMM does anything for a request: their system calls are counted."""
    guest = bench.guest()
    try:
        door = exits.EventCount('raw_syscalls/sys_enter', bench.door.pid)
    except exits.NoCounter as err:
        raise Skip(str(err)) from err
    guest.run(f'disk reads {DISK} {AREA} {READS}', 1800)
    count = door.read()
    door.close()
    check(count == 0, f'{count} system calls of the door in {READS} requests')
    return f'{READS} requests: {count} system calls of the door'


def grows(bench):
    """The guest sees that the disk has become larger."""
    guest = bench.guest()
    bench.backing.resize(MIB + 8)
    if not bench.by_door:
        guest.qmp.run('block_resize', device='d0', size=(MIB + 8) << 20)
    try:
        guest.run(f'while [ "$(cat /sys/block/vda/size)" != {(MIB + 8) << 11} ]; do sleep 0.1; '
                  'done', 60)
        guest.run(f'dd if=/dev/zero of={DISK} bs=1M count=8 seek={MIB} oflag=direct 2>/dev/null')
    finally:
        bench.drop()
        bench.backing.resize(MIB)


def file_system(bench):
    """A file system: mounted, filled, checked by the host; and again after the guest rebooted."""
    bench.drop()
    subprocess.run(('mkfs.ext4', '-q', '-F', bench.file), check=True)
    guest = bench.guest()
    for turn in (1, 2):
        guest.run(f'mount -t ext4 {DISK} /tmp; cp -r /bin /tmp/{turn}; sync; '
                  f'cd /tmp/{turn}; ls | wc -l; cd /; umount /tmp')
        guest.run(f'mount -t ext4 {DISK} /tmp; cmp /bin/busybox /tmp/{turn}/busybox && '
                  'rm /tmp/*/wire; umount /tmp')
        guest.reboot()
        bench.settle()
    bench.drop()
    done = subprocess.run(('e2fsck', '-fn', bench.file), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 0, done.stdout)
    return done.stdout.splitlines()[-1]


def trims(bench):
    """What the guest discards the host's file system gets back."""
    guest = bench.guest()
    guest.run(f'disk fill {DISK} {AREA} 3')
    before = os.stat(bench.backing.file).st_blocks
    words = guest.run('cat /sys/block/vda/queue/discard_max_bytes')
    if int(words) == 0:
        raise Skip('the disk cannot discard')
    status, output = guest.line.run(f'blkdiscard -o 0 -l {AREA << 20} {DISK}')
    if status == 127:
        raise Skip('the guest has no program for it')
    check(status == 0, output)
    after = os.stat(bench.backing.file).st_blocks
    check(before - after >= AREA << 10, f'{before} blocks before, {after} after')


def read_only(bench):
    """A disk that is read-only for the host is for the guest, too."""
    guest = bench.boot(read_only=True)
    check(guest.run('cat /sys/block/vda/ro').strip() == '1', 'the guest may write')
    guest.run(f'disk reads {DISK} {AREA} 100')
    status, _ = guest.line.run(f'dd if=/dev/zero of={DISK} bs=4k count=1 oflag=direct')
    check(status != 0, 'the guest has written')
    bench.drop()


def vmm_comes_back(bench):
    """SIGKILL to the VMM under load; the next one is served by the same process."""
    guest = bench.guest()
    pid = bench.door.pid
    job = guest.line.start(f'exec disk load {DISK} {AREA} {THREADS}')
    _go_on(job)
    guest = bench.replace_vmm()
    guest.run(f'disk fill {DISK} {AREA} 9; disk check {DISK} {AREA} 9')
    check(bench.door.alive() and bench.door.pid == pid, 'the door is another one')


# For whoever serves the disk; for the door; and what of the latter does not depend on the disk.
COMMON = (is_as_said, both_sides_see_the_same, load, trims, file_system, grows, read_only)
ONCE = (jail, no_system_calls_by_requests)
CASES = COMMON[:4] + ONCE + (has_the_disk_alone, door_killed_under_load, door_ends_by_sigterm,
                             live_migration, vmm_comes_back) + COMMON[4:]
