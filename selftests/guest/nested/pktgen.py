# SPDX-License-Identifier: GPL-2.0-only
"""Packets of the kernel's own generator, on the host or in a guest."""

import re
import subprocess

from .vm import GuestError


def script(dev, count, size, dst_mac, dst_ip, queues=1):
    """Shell commands: pktgen thread 0 sends count packets of size bytes; its report."""
    config = [f'count {count}', f'pkt_size {size}', 'delay 0', 'clone_skb 0',
              f'dst_mac {dst_mac}', f'dst {dst_ip}', 'udp_dst_min 9', 'udp_dst_max 9',
              'queue_map_min 0', f'queue_map_max {queues - 1}']
    rows = ['P=/proc/net/pktgen', 'echo rem_device_all >$P/kpktgend_0',
            f'echo "add_device {dev}" >$P/kpktgend_0']
    rows += [f'echo "{row}" >$P/{dev}' for row in config]
    rows += ['echo start >$P/pgctrl', f'cat $P/{dev}', 'echo rem_device_all >$P/kpktgend_0']
    return ' && '.join(rows)


def result(text):
    """Packets sent, errors, and seconds, from the generator's report."""
    sofar = re.search(r'pkts-sofar: (\d+)\s+errors: (\d+)', text)
    spent = re.search(r'Result: OK: (\d+)\(', text)
    if not sofar or not spent:
        raise GuestError(f'pktgen did not run: {text.strip()}')
    return int(sofar[1]), int(sofar[2]), int(spent[1]) / 1e6


def on_host(*args, **kwargs):
    """Run script(...) on this machine; returns (sent, errors, seconds)."""
    subprocess.run(('modprobe', '-q', 'pktgen'), check=False)
    done = subprocess.run(('sh', '-c', script(*args, **kwargs)), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    return result(done.stdout)


def in_guest(guest, *args, **kwargs):
    """Run script(...) in a guest; returns (sent, errors, seconds)."""
    return result(guest.line.run(script(*args, **kwargs))[1])
