# SPDX-License-Identifier: GPL-2.0-only
"""The cases of a guest with a disk."""

import os
import re
import signal
import subprocess
import time

from . import bench as netbench
from . import exits, net
from .bench import amount
from .cases import moved, until
from .disks import DISK, MIB, QUEUES, SERIAL
from .door import forbidden_fds
from .ktap import Skip, check
from .vm import boot_image

AREA = amount(16)       # MiB of the disk that are read and written
THREADS = amount(16)    # of a load: so many requests at once
KILLS = 4               # of the door, under load
FIO_KILLS = amount(20)  # the same, with fio
RING_PACKED = 34        # VIRTIO 1.2, 6
WRITES = 20             # whose flushes are counted
READS = amount(100000)  # requests in which system calls are counted


def is_as_said(bench):
    """Size, serial number, queues and write cache are what the host has."""
    guest = bench.guest()
    words = guest.run('cd /sys/block/vda; cat size ro serial; echo; cat queue/write_cache; '
                      'ls mq | wc -l')
    want = [str(MIB << 11), '0', SERIAL, 'write', 'back', str(min(QUEUES, guest.cpus))]
    check(words.split() == want, f'{words.split()} instead of {want}')


def rings_in_use(bench):
    """The guest and the device have the rings that were asked for."""
    guest = bench.guest()
    bits = guest.run('cat /sys/block/vda/device/features').strip()
    packed = bench.rings == 'packed'
    check(bits[RING_PACKED] == str(int(packed)), bits)
    if bench.by_door:
        layouts = {value for device in net.shunt_fdinfo(bench.door.pid)
                   for key, value in device.items() if key.endswith('-layout')}
        check(layouts == {bench.rings}, f'fdinfo: {layouts}')


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


def _load(guest):
    """Start a load, and wait until it is under way."""
    job = guest.line.start(f'exec disk load {DISK} {AREA} {THREADS}')
    _go_on(job)
    return job


def load(bench):
    """Many requests at once, each read compared with what was written."""
    job = _load(bench.guest())
    _go_on(job, 2)
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


def _replace(door):
    """Kill a door, and start it again."""
    check(door.end(signal.SIGKILL) == -signal.SIGKILL, 'it was gone before')
    door.start()


def door_killed_under_load(bench):
    """SIGKILL to the door, again and again: nothing acknowledged is lost, and nothing hangs."""
    job = _load(bench.guest())
    for _ in range(KILLS):
        _replace(bench.door)
        _go_on(job)
    return _end(job)


def door_ends_by_sigterm(bench):
    """SIGTERM under load: exit status 0 and no word; and it can be started again."""
    job = _load(bench.guest())
    status = bench.door.end()
    check(status == 0, f'exit status {status}')
    bench.door.start()
    _go_on(job)
    return _end(job)


def has_the_disk_alone(bench):
    """Nobody else can lock the disk while its guest runs; and the guest waits for who has it."""
    guest = bench.guest()
    command = ('flock', '--nonblock', bench.file, 'true')
    job = _load(guest)
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


def stops_and_goes_on(bench):
    """The VM is stopped and goes on under load, twice: its rings go on where they were."""
    guest = bench.guest()
    job = _load(guest)
    for _ in range(2):
        guest.qmp.run('stop')
        guest.qmp.run('cont')
        _go_on(job)
    return _end(job)


def waits_for_what_is_under_way(bench):
    """
    A door is killed while the disk is held up: neither does the VMM take it for gone, nor does the
    next one begin, before the requests that were taken have come to their end.
    """
    guest = bench.guest()
    job = _load(guest)
    bench.backing.hold()
    try:
        time.sleep(1)
        bench.door.kill()
        old = bench.door.spawn()
        time.sleep(5)
        check(old.poll() is None, 'the process has ended with its requests in flight')
        check(bench.door.alive() and not bench.door.serves(), 'the next door does not wait')
        chardevs = [row['filename'] for row in guest.qmp.run('query-chardev')]
        check(not any(name.startswith('disconnected') for name in chardevs),
              f'the connection has ended with requests in flight: {chardevs}')
    finally:
        bench.backing.release()
    check(old.wait(60) == -signal.SIGKILL, 'it was gone before')
    bench.door.wait()
    said = bench.door.said()
    check('waiting for another process' in said and len(said.splitlines()) == 1,
          f'the door says: {said}')
    _go_on(job)
    return _end(job)


def fio_verifies(bench):
    """fio compares what it reads with what it wrote, while the door is killed again and again."""
    guest = bench.guest()
    guest.run('drivers host; mkdir -p /host; mount -t 9p -o trans=virtio,version=9p2000.L,ro,'
              'cache=loose,msize=262144 host /host; mount -o bind /dev /host/dev', 120)
    words = (f'--name=verify --filename={DISK} --size={AREA}M --rw=randrw --bs=4k --direct=1 '
             f'--ioengine=libaio --iodepth={THREADS} --verify=crc32c --verify_fatal=1 '
             '--verify_backlog=256 --verify_state_save=0 --randrepeat=0 --time_based '
             '--runtime=3600 --thread')
    job = guest.line.start(f'cd /; exec chroot /host fio {words}')

    def goes_on(requests=200):
        start, end = bench.requests(), time.monotonic() + 240
        while bench.requests() < start + requests:
            guest.line.pump(0.1)
            check(job.status is None, f'fio ended: {job.output[-1000:]}')
            check(time.monotonic() < end, f'fio stands still: {job.output[-1000:]}')

    goes_on(1000)
    for _ in range(FIO_KILLS):
        _replace(bench.door)
        goes_on()
    job.kill(signal.SIGINT)
    job.wait()
    check('err= 0' in job.output, f'fio: {job.output[-1000:]}')
    guest.run('umount /host/dev; umount /host')
    return f'{FIO_KILLS} kills'


def _move(bench, nics=()):
    """Have the guest move to another VMM, with other doors; returns passes over its memory."""
    source = bench.guest()
    target = bench.target(nics)
    try:
        target.start()
        source.qmp.run('migrate-set-parameters', max_bandwidth=64 << 20, downtime_limit=20000)
        source.qmp.run('migrate', uri=target.incoming())
        info = source.wait_migration(lambda info: info['status'] == 'completed')
        source.move_line(target)
    finally:
        bench.adopt(target)
    target.line.hello()
    return info['ram']['dirty-sync-count']


def live_migration(bench):
    """A guest moves to another VMM, with another door on the same disk, under load."""
    job = _load(bench.guest())
    passes = _move(bench)
    _go_on(job, 2)
    return f'{_end(job)}, {passes} passes over memory'


def with_a_card(bench):
    """
    A disk and a card, both by the door, both under load: both doors are killed, and the guest
    moves to another VMM.
    """
    with netbench.Bench('door') as other:
        nics = [other.nic(tap) for tap in netbench.TAPS]
        guest = bench.boot(nics=nics[:1])
        try:
            other.settle(guest)
            job = _load(guest)
            traffic = guest.line.start(f'exec wire tcp {netbench.HOST} {netbench.PORT} both 0 0 1')

            def both_go_on(tap):
                start = net.counters(tap)
                until(lambda: moved(start, 50, tap), 'no traffic', 150)
                _go_on(job)

            both_go_on(netbench.TAPS[0])
            for door in (bench.door, nics[0].door):
                _replace(door)
                both_go_on(netbench.TAPS[0])
            _move(bench, nics[1:])
            both_go_on(netbench.TAPS[1])
            other.stop_traffic(traffic)
            return _end(job)
        finally:
            bench.drop()


def _boots(bench, firmware):
    """Boot from the disk, and compare what the guest reads of it with what is there."""
    bench.drop()
    bench.backing.put(boot_image())
    guest = bench.boot(firmware=firmware)
    said = guest.run('cat /proc/cmdline')
    check(f'shunt.firmware={firmware}' in said, f'not booted from the disk: {said}')
    found, want = (text.split()[0] for text in
                   (guest.run(f'md5sum {DISK}'), netbench.host_run('md5sum', bench.file)))
    check(found == want, f'the guest reads {found} instead of {want}')
    return guest


def boots_by_bios(bench):
    """The BIOS (SeaBIOS) boots the guest from the disk, and again after a reset of the machine."""
    guest = _boots(bench, 'bios')
    guest.reset()
    bench.settle()
    bench.drop()


def boots_by_uefi(bench):
    """UEFI firmware (OVMF) boots the guest from the disk."""
    _boots(bench, 'efi')
    bench.drop()


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


def _flushes(bench, mode, durable, counts):
    """
    A guest for whose disk the cache is `mode` writes: that is flushed on the host write by write,
    or not; and a flush of the guest's is passed on.  How many there were for the writes is added
    to counts.
    """
    guest = bench.guest()
    said = guest.run('cat /sys/block/vda/queue/write_cache').strip()
    check(said == mode, f'the guest has {said} instead of {mode}')
    before = bench.backing.flushes()
    guest.run(f'dd if=/dev/zero of={DISK} bs=4k count={WRITES} oflag=direct 2>/dev/null')
    count = bench.backing.flushes() - before
    # The file system of the host may have some of its own.
    check(count >= WRITES if durable else count < WRITES // 2,
          f'{count} flushes for {WRITES} writes, the guest has {mode}; before: {counts}')
    before = bench.backing.flushes()
    guest.run(f'dd if=/dev/zero of={DISK} bs=4k count=1 oflag=direct conv=fsync 2>/dev/null')
    check(bench.backing.flushes() > before, f'no flush for an fsync, the guest has {mode}')
    counts.append(count)


def write_cache(bench):
    """
    The guest switches the disk's write cache, which is off at first.  Where the door cannot know
    what it was switched to, each write is durable, whatever the guest has been told.
    """
    bench.boot(options=('--config-wce',))
    counts = []

    def switch(*modes):
        for mode in modes:
            bench.guest().run(f'echo {mode} >/sys/block/vda/cache_type')

    def writes(mode, durable):
        _flushes(bench, mode, durable, counts)

    try:
        writes('write through', True)
        switch('write back')
        writes('write back', False)
        switch('write through')
        writes('write through', True)
        switch('write back')
        _replace(bench.door)
        writes('write back', True)
        switch('write through', 'write back')
        writes('write back', False)
        # One that is stopped answers to no bench.guest().
        guest = bench.guest()
        guest.qmp.run('stop')
        guest.qmp.run('cont')
        writes('write back', True)
        switch('write through', 'write back')
        writes('write back', False)
        _move(bench)
        writes('write back', True)
    finally:
        bench.drop()
    return f'{WRITES} writes each, flushes: {counts}'


def vmm_comes_back(bench):
    """SIGKILL to the VMM under load; the next one is served by the same process."""
    pid = bench.door.pid
    _load(bench.guest())
    guest = bench.replace_vmm()
    guest.run(f'disk fill {DISK} {AREA} 9; disk check {DISK} {AREA} 9')
    check(bench.door.alive() and bench.door.pid == pid, 'the door is another one')


# For whoever serves the disk, and for the door.
COMMON = (is_as_said, rings_in_use, both_sides_see_the_same, load, trims, file_system, grows,
          read_only)
DOOR = (has_the_disk_alone, stops_and_goes_on, door_killed_under_load, waits_for_what_is_under_way,
        door_ends_by_sigterm, live_migration, vmm_comes_back)
# What does not depend on the kind of disk: done with one.
FIRMWARE = (boots_by_bios, boots_by_uefi)
ONCE = FIRMWARE + (jail, no_system_calls_by_requests, write_cache, fio_verifies, with_a_card)
CASES = COMMON[:5] + ONCE + DOOR + COMMON[5:]
# Of these, what may differ with packed rings.
PACKED = (rings_in_use, both_sides_see_the_same, load, stops_and_goes_on, door_killed_under_load,
          door_ends_by_sigterm, live_migration)
