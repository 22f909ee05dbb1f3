# SPDX-License-Identifier: GPL-2.0-only
"""The host's end of the guest's network: bridge, TAPs, vhost devices, counters."""

import contextlib
import fcntl
import os
import struct
import subprocess

TUNSETIFF = 0x400454ca
IFF_TAP = 0x0002
IFF_NO_PI = 0x1000
IFF_VNET_HDR = 0x4000
IFF_MULTI_QUEUE = 0x0100

# Who carries the packets: name, the vhost device (None: QEMU itself), in words.
PEERS = {
    'user': (None, "QEMU's own virtio-net"),
    'stock': ('/dev/vhost-net', 'stock vhost-net'),
    'shunt': ('/dev/shunt-net', 'shunt-net'),
    'door': ('/dev/shunt-net', 'shunt-net, by vhost-user'),
    'door-stock': ('/dev/vhost-net', 'stock vhost-net, by vhost-user'),
}
DOORS = ('door', 'door-stock')


def peer_device(peer):
    """The vhost device of a peer: a name of PEERS, or a path."""
    return PEERS[peer][0] if peer in PEERS else peer


def ip(*args):
    """Run ip(8); raises CalledProcessError."""
    subprocess.run(('ip',) + args, check=True, stdin=subprocess.DEVNULL)


def quiet_ipv6(dev):
    """Have a link of the host send nothing by itself."""
    with contextlib.suppress(OSError):
        with open(f'/proc/sys/net/ipv6/conf/{dev}/disable_ipv6', 'w', encoding='ascii') as file:
            file.write('1')


def make_bridge(name, address):
    """
    Make a bridge that has this address (with prefix length).  Its MAC address is its own: else
    it is a port's, and another one when a TAP has gone and come back.
    """
    ip('link', 'add', name, 'address', '02:73:68:75:6e:74', 'type', 'bridge', 'stp_state', '0',
       'forward_delay', '0', 'mcast_snooping', '0')
    quiet_ipv6(name)
    ip('address', 'add', address, 'dev', name)
    ip('link', 'set', name, 'up')


def remove_link(name):
    """Remove a link if it is there."""
    if os.path.exists(f'/sys/class/net/{name}'):
        subprocess.run(('ip', 'link', 'del', name), check=False, stderr=subprocess.DEVNULL)


def open_tap(name, queues, bridge=None, address=None):
    """
    Make a TAP with this many queues, up, on a bridge or with an address of its own.
    Returns its file descriptors; it goes when the last copy of them is closed.
    """
    fds = []
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    try:
        for _ in range(queues):
            fd = os.open('/dev/net/tun', os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
            fds.append(fd)
            fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), flags))
        quiet_ipv6(name)
        if bridge:
            ip('link', 'set', name, 'master', bridge)
        if address:
            ip('address', 'add', address, 'dev', name)
        ip('link', 'set', name, 'up')
    except BaseException:
        close_all(fds)
        raise
    return fds


def open_vhost(device, count):
    """Open a vhost device count times; returns the file descriptors."""
    return [os.open(device, os.O_RDWR | os.O_CLOEXEC) for _ in range(count)]


def close_all(fds):
    """Close file descriptors."""
    for fd in fds:
        os.close(fd)


def counters(dev):
    """All counters of a network device of the host, by name."""
    base = f'/sys/class/net/{dev}/statistics'
    result = {}
    for name in os.listdir(base):
        with open(f'{base}/{name}', encoding='ascii') as file:
            result[name] = int(file.read())
    return result


def shunt_fdinfo(pid):
    """The fdinfo fields of each shunt device that a process has open, a dict each."""
    found = []
    for fd in os.listdir(f'/proc/{pid}/fdinfo'):
        try:
            with open(f'/proc/{pid}/fdinfo/{fd}', encoding='ascii') as file:
                text = file.read()
        except OSError:
            continue
        if 'shunt-device:' in text:
            rows = (row.split(':', 1) for row in text.splitlines() if ':' in row)
            found.append({key.strip(): value.strip() for key, value in rows})
    return found
