# SPDX-License-Identifier: GPL-2.0-only
"""Cases of a guest whose card and disk are virtio functions, by `shunt pci serve`."""

import os
import signal
import subprocess

from . import cases, net, vm
from .bench import QUEUES, amount, host_run
from .door import SHUNT
from .front import SIZE, Front
from .function import FunctionDoor
from .ktap import check

DISK = '/dev/vda'
DISK_MIB = amount(8)
USED = 'was used before, and a function can begin at the start only'
_PROGRAM = os.path.join(vm.IMAGES, 'disk')


def _own():
    return os.environ['SHUNT_VFIO_DISK_OWN']


def _disk(bench, seed):
    """Fill the disk in the guest and see it on the host, and the other way round."""
    guest = bench.guest()
    guest.run(f'disk fill {DISK} {DISK_MIB} {seed}; disk check {DISK} {DISK_MIB} {seed}')
    host_run(_PROGRAM, 'check', _own(), str(DISK_MIB), str(seed))
    host_run(_PROGRAM, 'fill', _own(), str(DISK_MIB), str(seed + 1))
    guest.run(f'disk check {DISK} {DISK_MIB} {seed + 1}')


def blocks(bench):
    """What the guest writes is on the function's disk, and what is there the guest reads."""
    _disk(bench, 7)


def is_refused(door):
    """Whether a door has said so of a ring, and nothing else."""
    said = door.said().strip().splitlines()
    check(all(USED in line for line in said), f'the door said: {said}')
    return bool(said)


def _after_reset(bench, seed):
    """The machine is reset; its card and disk are there again, and the doors have no complaint."""
    guest = bench.guest()
    guest.reset()
    bench.settle(guest)
    bench.transfer()
    _disk(bench, seed)
    for door in bench.doors():
        said = door.said()
        check(not said, f'after the reset a door said: {said}')


def reset_by_the_vmm(bench):
    """The machine is reset under traffic; card and disk are there again afterwards."""
    bench.traffic()
    _after_reset(bench, 11)


def reboot_by_the_guest(bench):
    """The guest reboots itself; card and disk are there again afterwards."""
    guest = bench.guest()
    before = len(guest.log())
    guest.reboot()
    bench.settle(guest)
    bench.transfer()
    _disk(bench, 13)
    return guest.log()[before:].strip() or 'QEMU said nothing'


def no_exits_and_no_continuing(bench):
    """
    Under traffic neither the VMM nor the door does anything.  After stop and cont, which are part
    of that, the doors say that the function cannot go on; it does after a reset.
    """
    text = cases.no_exits_in_steady_state(bench)
    for door in bench.doors():
        cases.until(lambda door=door: is_refused(door), 'no door says that it cannot go on', 60)
    _after_reset(bench, 17)
    return text


def doors_killed_under_traffic(bench):
    """SIGKILL to the doors: the functions are free at once, and served again after a reset."""
    guest = bench.guest()
    bench.traffic(streams=2)
    for door, node in zip(bench.doors(), bench.nodes):
        check(door.end(signal.SIGKILL) == -signal.SIGKILL, 'it was gone before')
        os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC))
        door.start()
    for door in bench.doors():
        cases.until(lambda door=door: is_refused(door), 'a ring goes on in the middle', 120)
    check(guest.qmp.run('query-status')['status'] == 'running', 'the guest does not run')
    _after_reset(bench, 19)


def doors_end_by_sigterm(bench):
    """SIGTERM under traffic: exit status 0 and no word; the functions are free at once."""
    bench.guest()
    bench.traffic()
    for door, node in zip(bench.doors(), bench.nodes):
        status = door.end()
        said = door.said()
        check(status == 0 and not said, f'exit status {status}: {said}')
        os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC))
        door.start()
    for door in bench.doors():
        cases.until(lambda door=door: is_refused(door), 'a ring goes on in the middle', 120)
    _after_reset(bench, 23)


def has_the_function_alone(bench):
    """Another process that wants the function is told that it is taken."""
    bench.guest()
    node = bench.nodes[1]
    done = subprocess.run((SHUNT, 'pci', 'serve', os.path.basename(node), '--socket-path',
                           bench.doors()[1].path + '-other'), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    check(done.returncode == 216 and 'is open in another process' in done.stdout,
          f'exit status {done.returncode}: {done.stdout}')


def pins_no_more_than_it_may(bench):
    """A front end whose memory is more than --memory says is told so; another one is served."""
    bench.drop()
    own, node = bench.disk_door, bench.nodes[1]
    check(own.end() == 0, 'the door ended badly')
    door = FunctionDoor(node, '--memory', '1M')
    try:
        door.start()
        for size, words in ((2 * SIZE, 'RLIMIT_MEMLOCK'), (SIZE // 2 + 512, 'whole pages')):
            with Front(door.path) as front:
                front.begin()
                front.features()
                os.ftruncate(front.file, 2 * SIZE)
                front.give_memory(size)
                front.wait_end()
            # It is said before the next one is served, who may have as much as there is.
            with Front(door.path) as front:
                front.begin()
                front.features()
            said = door.said()
            check(words in said and len(said.splitlines()) == 1, f'the door said: {said}')
    finally:
        door.close()
    own.start()


def two_queue_pairs(bench):
    """A card of two pairs uses both, since the kernel tells the function how many are enabled."""
    guest = bench.boot(bench.nic(queues=QUEUES))
    text = cases.two_queue_pairs(bench)
    pairs = net.shunt_fdinfo(guest.carrier)[0]['shunt-pairs']
    check(pairs == str(QUEUES), f'the function uses {pairs} pairs')
    guest.reset()
    bench.settle(guest)
    bench.transfer()
    bench.drop()
    return text


CASES = (cases.ping, cases.tcp_both_ways, blocks, reset_by_the_vmm, reboot_by_the_guest,
         no_exits_and_no_continuing, doors_killed_under_traffic, doors_end_by_sigterm,
         has_the_function_alone, pins_no_more_than_it_may, two_queue_pairs)
