# SPDX-License-Identifier: GPL-2.0-only
"""
The cases of `shunt net serve`: those of any device, and what is special to a process beside
the VMM: its jail, and that either of the two may go and come back.
"""

import os
import signal

from . import cases, net
from .bench import TAPS
from .cases import moved, until
from .door import Door, forbidden_fds
from .front import PLAYS, Front, FrontError
from .ktap import Skip, check

KILLS = 3       # of the door, under traffic
AGAIN_S = 150   # until traffic has come back: TCP waits longer and longer


def jail(bench):
    """While it serves, the door has no privilege and a filter, and little is open."""
    guest = bench.guest()
    status = guest.nics[0].door.status()
    for key in ('Uid', 'Gid'):
        check(all(int(number) > 0 for number in status[key].split()), f'{key}: {status[key]}')
    wanted = {'Groups': '', 'CapInh': '0' * 16, 'CapPrm': '0' * 16, 'CapEff': '0' * 16,
              'CapAmb': '0' * 16, 'NoNewPrivs': '1', 'Seccomp': '2'}
    found = {key: status[key] for key in wanted}
    check(found == wanted, f'/proc/PID/status: {found}')
    # What the kernel gives a process that is not dumpable.
    owner = os.stat(f'/proc/{guest.carrier}/environ').st_uid
    check(owner == 0, f'/proc/PID is of user {owner}: it can be traced')
    # The jail's user has no privilege to lock memory: the limit was raised before.
    maps = {device[f'vq{ring}-map'] for device in net.shunt_fdinfo(guest.carrier)
            for ring in (0, 1)}
    check(maps == ({'pinned'} if bench.by_shunt else set()), f'fdinfo: {maps}')
    more = forbidden_fds(guest.carrier)
    check(not more, f'open files: {more}')
    return ', '.join(f'{key} {status[key]}' for key in ('Uid', 'CapEff', 'Seccomp'))


def vmm_comes_back(bench):
    """SIGKILL to the VMM under traffic; the next one is served by the same process and TAP."""
    guest = bench.guest()
    nic = guest.nics[0]
    pid = nic.door.pid
    bench.traffic(streams=2)
    before = net.counters(TAPS[0])
    until(lambda: moved(before, 50), 'no traffic')
    guest.kill(signal.SIGKILL)
    guest.nics.remove(nic)
    said = nic.complaints()
    check(not said, f'the door says: {said}')
    with open(f'/sys/class/net/{TAPS[0]}/ifindex', encoding='ascii') as file:
        index = file.read()
    guest = bench.boot(nic)
    bench.transfer()
    with open(f'/sys/class/net/{TAPS[0]}/ifindex', encoding='ascii') as file:
        check(index == file.read(), 'the TAP is another one')
    check(nic.door.alive() and guest.carrier == pid, 'the door is another one')


def _need_split(bench):
    """What follows is not to be had with packed rings: see vhost-user.rst."""
    if bench.rings.startswith('packed'):
        raise Skip('QEMU does not know where a packed ring was left by a door that has gone')


def door_killed_under_traffic(bench):
    """SIGKILL to the door, again and again; TCP of the guest goes on when it is there again."""
    _need_split(bench)
    guest = bench.guest()
    door = guest.nics[0].door
    job = bench.traffic(streams=2)
    until(lambda start=net.counters(TAPS[0]): moved(start, 50), 'no traffic')
    for _ in range(KILLS):
        check(door.end(signal.SIGKILL) == -signal.SIGKILL, 'it was gone before')
        until(lambda: not os.path.exists(f'/sys/class/net/{TAPS[0]}'), 'the TAP is still there')
        door.start()
        _wait_again()
    output = bench.stop_traffic(job)
    bench.transfer()
    return output


def _wait_again():
    """Wait for traffic over a TAP that is new."""
    before = net.counters(TAPS[0])
    until(lambda: moved(before, 50), 'no traffic after the door was started again', AGAIN_S)


def door_ends_by_sigterm(bench):
    """SIGTERM under traffic: exit status 0, no word, no TAP; and it can be started again."""
    _need_split(bench)
    guest = bench.guest()
    door = guest.nics[0].door
    job = bench.traffic()
    until(lambda start=net.counters(TAPS[0]): moved(start, 50), 'no traffic')
    status = door.end()
    said = door.said()
    check(status == 0 and not said, f'exit status {status}: {said}')
    check(not os.path.exists(f'/sys/class/net/{TAPS[0]}'), 'the TAP is still there')
    door.start()
    _wait_again()
    bench.stop_traffic(job)


def hostile_front_ends(bench):
    """Front ends that break the rules, with real rings behind; then a guest is served as ever."""
    door = Door('shunt-gtap9', net.peer_device(bench.peer))
    try:
        door.start()
        pid = door.pid
        for play, word in PLAYS:
            with Front(door.path) as front:
                play(front)
                front.wait_end()
            until(lambda: _answers(door), f'{play.__name__}: the next front end is not served', 60)
            said = door.said()
            check(word in said if word else not said,
                  f'{play.__name__}: "{word}" is not said, but: {said}')
        check(door.alive() and door.pid == pid, 'the door is gone')
        with Front(door.path) as front:
            slots, most = front.slots(), _regions(bench)
            check(slots == most, f'{slots} memory regions, where the device takes {most}')
    finally:
        door.close()
    return f'{len(PLAYS)} of them'


def _regions(bench):
    """Memory regions that the vhost device takes."""
    module = 'shunt' if bench.by_shunt else 'vhost'
    with open(f'/sys/module/{module}/parameters/max_mem_regions', encoding='ascii') as file:
        return int(file.read())


def _answers(door):
    """Whether the door is there for the next front end."""
    with Front(door.path) as front:
        try:
            return front.features() != 0
        except FrontError:
            return False


def _shared(*names):
    return tuple(case for case in cases.CASES if case.__name__ in names)


# Some of those of any device are done where the VMM has it, and here when they are asked for.
CASES = (hostile_front_ends, door_killed_under_traffic, door_ends_by_sigterm, jail) + \
    _shared('rings_in_use', 'ping', 'tcp_both_ways', 'two_queue_pairs', 'stop_and_cont',
            'no_exits_in_steady_state', 'unplug_and_plug', 'reset_by_the_vmm') + \
    (vmm_comes_back, cases.live_migration)
MORE = _shared('udp_of_all_sizes', 'pktgen_of_the_host', 'pktgen_of_the_guest',
               'reboot_by_the_guest')
