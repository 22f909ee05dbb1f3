# SPDX-License-Identifier: GPL-2.0-only
"""
The cases: what a guest must be able to do over a vhost-net device.

Each is a function of a Bench; it raises when something is not as it must be, and may return
a line to note.  Order matters only for the time it takes: a case that ends the guest comes
before one that needs a fresh one anyway.  No case depends on how long something takes.
"""

import os
import signal
import subprocess
import time

from . import exits, net, pktgen
from .bench import BRIDGE, GUEST, HOLD_PORT, HOST, PORT, QUEUES, TAPS, WIRE, amount, host_run, \
    numbers, vhost_users
from .ktap import Again, Skip, check
from .vm import TOP, Guest, GuestError, LineError

SMALL = 60              # bytes of a small packet
PKTGEN = amount(5000)   # packets of a pktgen run
UDP_SIZES = amount(128) # how many sizes there are up to the largest
HOLD_MIB = 1            # data that waits in the guest during a migration
MEM_MIB = amount(48)    # memory that is watched during a migration
RING_PACKED = 34        # bits of the feature word
IN_ORDER = 35


def _is_vhost(bench):
    return net.peer_device(bench.peer) is not None


def rings_in_use(bench):
    """Guest and device agreed on the rings that were asked for."""
    guest = bench.guest()
    packed = bench.rings.startswith('packed')
    in_order = bench.rings.endswith('in-order')
    bits = guest.run('cat /sys/class/net/eth0/device/features').strip()
    text = f'features of the guest: {bits}'
    check(bits[RING_PACKED] == str(int(packed)), text)
    if bench.by_shunt:
        layouts = {device[f'vq{ring}-layout'] for device in net.shunt_fdinfo(guest.carrier)
                   for ring in (0, 1)}
        check(layouts == {'packed' if packed else 'split'}, f'fdinfo: {layouts}')
    if in_order and bits[IN_ORDER] == '0':
        raise Skip("the guest's driver does not know IN_ORDER")
    check(bits[IN_ORDER] == str(int(in_order)), text)


def ping(bench):
    """Echo requests from both sides, small and large; none may get lost."""
    guest = bench.guest()
    notes = []
    for size in (56, 1400, 9000):
        notes.append(guest.run(f'wire ping {HOST} {size} 10'))
        notes.append(host_run(WIRE, 'ping', GUEST, str(size), '10'))
    return ''.join(notes)


def tcp_both_ways(bench):
    """Checked transfers both ways at once, opened by either side."""
    bench.transfer(16)


def two_queue_pairs(bench):
    """Traffic of several flows, from each processor, uses both queue pairs in both directions."""
    guest = bench.guest()
    before = numbers(guest.run('wire stats eth0'))
    jobs = [guest.line.start(f'exec taskset {1 << cpu % guest.cpus} '
                             f'wire tcp {HOST} {PORT} both {amount(3)} 0 4') for cpu in range(2)]
    for job in jobs:
        if job.wait():
            raise GuestError(f'{job.command}: {job.output}')
    after = numbers(guest.run('wire stats eth0'))
    moved = {f'{way}{queue}': after[f'{way}_queue_{queue}_packets'] -
             before[f'{way}_queue_{queue}_packets']
             for way in ('rx', 'tx') for queue in range(QUEUES)}
    check(all(moved.values()), f'a queue carried nothing: {moved}')
    if bench.by_shunt:
        devices = net.shunt_fdinfo(guest.carrier)
        check(len(devices) == QUEUES, f'{len(devices)} shunt devices in fdinfo')
        for device in devices:
            for ring in (0, 1):
                check(device[f'vq{ring}-state'] == 'running' and
                      int(device[f'vq{ring}-packets']) > 0, f'fdinfo: {device}')
    return f'packets by queue: {moved}'


def udp_of_all_sizes(bench):
    """Every size up to a bit more than one packet, then in steps to the largest."""
    step = 65507 // UDP_SIZES
    guest = bench.guest()
    one = guest.run(f'wire udp {HOST} {PORT} 1 1600 1')
    two = guest.run(f'wire udp {HOST} {PORT} 1601 65507 {step}')
    three = host_run(WIRE, 'udp', GUEST, str(PORT), '1400', '65507', str(4 * step))
    return ' '.join((one + two + three).split('\n'))


def stop_and_cont(bench):
    """The VMM stops and continues the guest under traffic."""
    guest = bench.guest()
    job = bench.traffic(streams=2)
    for _ in range(3):
        before = net.counters(TAPS[0])
        until(lambda: moved(before, 20), 'no traffic after cont')
        guest.qmp.run('stop')
        time.sleep(0.5)
        guest.qmp.run('cont')
    before = net.counters(TAPS[0])
    until(lambda: moved(before, 20), 'no traffic after the last cont')
    return bench.stop_traffic(job)


def moved(before, packets, tap=TAPS[0]):
    """Whether as many packets have passed the TAP each way since its counters were `before`."""
    now = net.counters(tap)
    return min(now[k] - before[k] for k in ('rx_packets', 'tx_packets')) >= packets


def until(ready, complaint, timeout=600):
    """Wait until ready(); Failed with this text when it takes too long."""
    end = time.monotonic() + timeout
    while not ready():
        check(time.monotonic() < end, complaint)
        time.sleep(0.1)


def no_exits_in_steady_state(bench):
    """Under traffic the VMM's userspace is neither entered by exits nor woken up."""
    if not _is_vhost(bench):
        raise Skip('the VMM itself carries the packets')
    guest = bench.guest()
    job = bench.traffic(streams=2)
    until(lambda start=net.counters(TAPS[0]): moved(start, 100), 'no traffic')
    cost = exits.VmmCost(guest.pid)
    door = _door_calls(guest)
    before = net.counters(TAPS[0])
    until(lambda: moved(before, amount(2000)), 'no traffic')
    after = net.counters(TAPS[0])
    spent = cost.stop()
    calls = door.read() if door else 0
    bench.stop_traffic(job)
    if cost.missing:
        raise Skip(f'this kernel cannot count them: {cost.missing}')
    packets = sum(after[k] - before[k] for k in ('rx_packets', 'tx_packets'))
    text = (f"{packets} packets, {spent['userspace_exits']} exits to userspace, "
            f"{spent['syscalls']} system calls, {spent['kvm'].get('exits')} exits in all")
    check(f"{spent['userspace_exits'] / packets:.2f}" == '0.00', text)
    check(f"{spent['syscalls'] / packets:.2f}" == '0.00', text)
    if door:
        text += f', {calls} system calls of the door'
        check(calls == 0, text)
        # That they are counted at all: this does take some.
        guest.qmp.run('stop')
        guest.qmp.run('cont')
        check(door.read() > 0, 'no system call of the door was counted while the VMM stopped')
        door.close()
    return text


def _door_calls(guest):
    """Counts the system calls of the process beside the VMM, if there is one; exact."""
    if guest.carrier == guest.pid:
        return None
    try:
        return exits.EventCount('raw_syscalls/sys_enter', guest.carrier)
    except exits.NoCounter as err:
        raise Skip(f'this kernel cannot count system calls: {err}') from err


def pktgen_of_the_host(bench):
    """The kernel's generator sends to the TAP; the guest counts what the TAP delivered."""
    guest = bench.guest()
    guest_before, tap_before = bench.quiet(guest)
    sent, errors, _ = pktgen.on_host(TAPS[0], PKTGEN, SMALL, bench.nic().mac, GUEST)
    guest_after, tap_after = bench.quiet(guest)
    got = guest_after['rx_packets'] - guest_before['rx_packets'] + \
        guest_after['rx_dropped'] - guest_before['rx_dropped']
    delivered = tap_after['tx_packets'] - tap_before['tx_packets']
    dropped = tap_after['tx_dropped'] - tap_before['tx_dropped']
    text = f'sent {sent}, errors {errors}, delivered {delivered}, dropped {dropped}, got {got}'
    # An ARP request of the host may come in between.
    others = delivered + dropped - sent - errors
    check(sent == PKTGEN and 0 <= others <= 10 and got == delivered > 0, text)
    return text


def pktgen_of_the_guest(bench):
    """The generator in the guest sends to the host; the TAP counts every packet."""
    guest = bench.guest()
    with open(f'/sys/class/net/{BRIDGE}/address', encoding='ascii') as file:
        mac = file.read().strip()
    guest_before, tap_before = bench.quiet(guest)
    sent, errors, _ = pktgen.in_guest(guest, 'eth0', PKTGEN, SMALL, mac, HOST)
    guest_after, tap_after = bench.quiet(guest)
    left = guest_after['tx_packets'] - guest_before['tx_packets']
    came = tap_after['rx_packets'] - tap_before['rx_packets']
    text = f'sent {sent}, errors {errors}, left the guest {left}, came to the TAP {came}'
    check(sent == PKTGEN and left == came >= PKTGEN, text)
    check(tap_after['rx_dropped'] == tap_before['rx_dropped'], text)
    return text


def unplug_and_plug(bench):
    """The card is taken out under traffic, leaves nothing, and another one is put in."""
    guest = bench.guest()
    guest.line.start(f'exec ping -q -i 0.02 {HOST}')
    guest.line.run(f'wire tcp {HOST} {PORT} both 1 0 1')
    guest.unplug(guest.nics[0])
    check(vhost_users(guest.pid) == 0, 'the VMM still has descriptors of the TAP or of vhost')
    until(lambda: not os.path.exists(f'/sys/class/net/{TAPS[0]}'), 'the TAP is still there')
    guest.run('test ! -e /sys/class/net/eth0')
    guest.plug(bench.nic())
    guest.run('for i in $(seq 300); do test -e /sys/class/net/eth0 && exit; sleep 0.2; done; '
              'exit 1')
    guest.set_address(f'{GUEST}/24')
    guest.run(f'wire queues eth0 {QUEUES}; killall ping; true')
    bench.transfer()


def reset_by_the_vmm(bench):
    """The machine is reset under traffic; the network is there again afterwards."""
    bench.traffic()
    guest = bench.guest()
    guest.reset()
    bench.settle(guest)
    bench.transfer()


def reboot_by_the_guest(bench):
    """The guest reboots itself; the network is there again afterwards."""
    guest = bench.guest()
    guest.reboot()
    bench.settle(guest)
    bench.transfer()


def live_migration(bench):
    """
    A guest moves to another VMM under traffic.  Right afterwards: the transfer that ran all
    the time, memory that the guest's processors rewrote, and data that the network device
    alone wrote, which is there only if the dirty log works.

    That data waits unread in a socket.  So that its pages are not sent anyway, because the
    guest wrote to them too (it clears a page before it becomes a receive buffer), the traffic
    rests while all that the guest has written is sent; then the data goes into buffers that
    lie ready in the ring, and that only the log can tell to be sent once more.
    """
    source = bench.guest()
    traffic = bench.traffic()
    mem = source.line.start(f'exec wire mem {MEM_MIB}')
    mem.wait_output('ready')
    hold = source.line.start(f'exec wire hold {HOLD_PORT}')
    hold.wait_output('ready')
    target = Guest([bench.nic(TAPS[1])], incoming=True)
    with target:
        target.start()
        source.qmp.run('migrate-set-parameters', max_bandwidth=24 << 20, downtime_limit=1)
        source.qmp.run('migrate', uri=target.incoming())
        _wait_passes(source, 2)
        # All memory has been sent once.  From here on so slowly (less than a page in the
        # time limit of 1 ms) that it cannot come to its end before it is let to, unless the
        # guest gets no time to write to its memory.
        source.qmp.run('migrate-set-parameters', max_bandwidth=2 << 20)
        traffic.kill(signal.SIGSTOP)
        source.line.hello()
        _wait_passes(source, source.migration()['ram']['dirty-sync-count'] + 2)
        # pylint: disable=consider-using-with
        pusher = subprocess.Popen((WIRE, 'tcp', GUEST, str(HOLD_PORT), 'up', str(HOLD_MIB), '0',
                                   '1'), stdout=subprocess.PIPE, text=True)
        try:
            def held():
                _under_way(source.migration())
                try:
                    return _held(source) >= HOLD_MIB << 20
                except LineError:
                    # It may have ended meanwhile.
                    _under_way(source.migration())
                    raise

            until(held, 'the guest does not take the data')
            traffic.kill(signal.SIGCONT)
            source.line.hello()
            source.qmp.run('migrate-set-parameters', max_bandwidth=0, downtime_limit=20000)
            info = source.wait_migration(lambda info: info['status'] == 'completed')
            source.move_line(target)
            bench.drop()
            bench.adopt(target)
            target.line.hello()
            before = net.counters(TAPS[1])
            until(lambda: net.counters(TAPS[1])['tx_packets'] > before['tx_packets'] + 20,
                   'no traffic after the migration')
            for job in (hold, mem):
                job.kill(signal.SIGUSR1)
            for job in (hold, mem):
                check(job.wait() == 0, f'{job.command}: {job.output}')
            bench.stop_traffic(traffic)
            output = pusher.communicate(timeout=300)[0]
            check(pusher.returncode == 0, f'data for the hold: {output}')
            return (f"{hold.output.split('ok ')[-1].strip()} held, "
                    f"{mem.output.split('ok ')[-1].strip()}, "
                    f"{info['ram']['dirty-sync-count']} passes over memory")
        except LineError as err:
            raise GuestError(f'{err}\n{bench.diagnose()}') from err
        finally:
            pusher.kill()
            pusher.wait()
            bench.drop()


def _wait_passes(guest, count):
    info = guest.wait_migration(
        lambda info: info.get('ram', {}).get('dirty-sync-count', 0) >= count or
        info.get('status') == 'completed')
    _under_way(info)


def _under_way(info):
    if info['status'] != 'active':
        raise Again(f'the migration ended early: {info}')


def _held(guest):
    """Bytes that wait in the socket of `wire hold`."""
    port = f':{HOLD_PORT:04X} '
    for row in guest.run('cat /proc/net/tcp', 120).splitlines():
        if port in row:
            fields = row.split()
            if fields[1].endswith(port.strip()) and fields[3] != '0A':
                return int(fields[4].split(':')[1], 16)
    return 0


def kill_under_traffic(bench):
    """SIGKILL to the VMM under traffic leaves nothing: TAP, descriptors, module references."""
    guest = bench.guest()
    bench.traffic(streams=2)
    before = net.counters(TAPS[0])
    until(lambda: moved(before, 50), 'no traffic')
    guest.kill(signal.SIGKILL)
    until(lambda: not os.path.exists(f'/sys/class/net/{TAPS[0]}'), 'the TAP is still there')
    module = {'stock': 'vhost_net', 'shunt': 'shunt_net'}.get(bench.peer)
    path = f'/sys/module/{module}/refcnt'
    if os.path.exists(path):
        until(lambda: _number(path) == 0, f'{module} is still referenced')
    bench.drop()
    guest = bench.guest(by_tool=bench.peer == 'shunt')      # on a TAP of the same name
    bench.transfer()
    if bench.peer == 'shunt':
        shown = host_run(f'{TOP}/build/tools/shunt', 'net', 'show', '-j')
        check(TAPS[0] in shown or str(guest.pid) in shown, f'shunt net show: {shown}')
        return 'the next guest was started by `shunt net exec`'
    return None


def _number(path):
    with open(path, encoding='ascii') as file:
        return int(file.read())


def unload_and_load(bench):
    """After all this the modules can be unloaded, and loaded again."""
    if bench.peer != 'shunt':
        raise Skip('only of the modules of this tree')
    bench.drop()
    host_run(f'{TOP}/scripts/load', '--unload')
    check(not os.path.exists('/dev/shunt-net'), '/dev/shunt-net is still there')
    host_run(f'{TOP}/scripts/load')
    check(os.path.exists('/dev/shunt-net'), '/dev/shunt-net is not there')


CASES = (rings_in_use, ping, tcp_both_ways, two_queue_pairs, udp_of_all_sizes, stop_and_cont,
         no_exits_in_steady_state, pktgen_of_the_host, pktgen_of_the_guest, unplug_and_plug,
         reset_by_the_vmm, kill_under_traffic, reboot_by_the_guest, live_migration,
         unload_and_load)
