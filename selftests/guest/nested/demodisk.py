# SPDX-License-Identifier: GPL-2.0-only
"""
The demonstration's disks: the same one by QEMU's own virtio-blk, by qemu-storage-daemon and by
shunt-blk, which the guest boots from.
"""

import statistics

from .memdisks import REQUESTS, WINDOW_S, Disks, Kind
from .vm import boot_image

PEERS = {
    'user': "QEMU's virtio-blk",
    'qsd': 'qemu-storage-daemon',
    'shunt': 'shunt-blk',
}
DEPTHS = (1, 16)    # requests at once
_BOOT = 'shunt'


def make():
    """The disks, a context manager; then start() them."""
    return Disks({'user': Kind('vmm'), 'qsd': Kind('qsd'), _BOOT: Kind('shunt')}, boot=_BOOT)


def start(disks):
    """Have something to boot from, and serve them."""
    disks.fill(_BOOT, boot_image())
    disks.serve()


def served(disks):
    """(requests, MiB) that shunt-blk has served."""
    return disks.served(_BOOT)


def go_round(disks, guest, number):
    """One round of all, which begins with another one each time; a dict by (peer, depth)."""
    peers = list(PEERS)
    order = peers[number % len(peers):] + peers[:number % len(peers)]
    return {(peer, depth): disks.window(guest, peer, depth)
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
