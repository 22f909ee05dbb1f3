#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tests what the lab takes for a kernel report, on samples of kernel logs.

Prints KTAP. The samples are first lines as kernels print them; a line that is
not a report must not be taken for one.
"""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "../../scripts"))

from lablib import report  # noqa: E402

REPORTS = """\
[   12.345678] ------------[ cut here ]------------
[   12.345678] WARNING: CPU: 1 PID: 812 at drivers/vhost/vhost.c:715 vhost_dev_cleanup+0x1/0x2
[   12.345678] WARNING: possible circular locking dependency detected
[   12.345678][  T812] WARNING: suspicious RCU usage
[   12.345678] WARNING: inconsistent lock state
[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000000
[   12.345678] BUG: KASAN: slab-out-of-bounds in trouble_init+0x1/0x2 [trouble]
[   12.345678] BUG: sleeping function called from invalid context at mm/slab.h:274
[   12.345678] BUG: scheduling while atomic: insmod/94/0x00000002
[   12.345678] BUG: Bad page state in process test  pfn:12345
[   12.345678] kernel BUG at mm/slub.c:435!
[   12.345678] Oops: 0002 [#1] PREEMPT SMP KASAN
[   12.345678] general protection fault, probably for non-canonical address 0xdffffc0000000000
[   12.345678] UBSAN: shift-out-of-bounds in drivers/x.c:1:2
[   12.345678] INFO: task vhost-812:813 blocked for more than 120 seconds.
[   12.345678] INFO: trying to register non-static key.
[   12.345678] rcu: INFO: rcu_preempt self-detected stall on CPU
[   12.345678] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:
[   12.345678] watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [test:1]
[   12.345678] unreferenced object 0xffff888012345678 (size 1024):
[   12.345678] kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)
[   12.345678] refcount_t: underflow; use-after-free.
[   12.345678] list_del corruption. prev->next should be ffff8880, but was ffff8881
[   12.345678] ODEBUG: free active (active state 0) object type: timer_list hint: x+0x0/0x10
[   12.345678] shunt: page allocation failure: order:9, mode:0xcc0(GFP_KERNEL)
[   12.345678] Kernel panic - not syncing: sysrq triggered crash
[   12.345678] unregister_netdevice: waiting for tap0 to become free. Usage count = 2
"""

HARMLESS = """\
[    0.000000] Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12 BUG)
[    0.012345] [Firmware Bug]: TSC doesn't count with P0 frequency!
[    1.000000] traps: test[812] general protection fault ip:401136 sp:7ffc error:0 in test
[    1.000000] test[812]: segfault at 0 ip 0000000000401136 sp 00007ffc error 6
[    1.000000] device tap0 entered promiscuous mode
[    1.000000] rcu: Hierarchical RCU implementation.
[    1.000000] lockdep: fixing up alternatives.
[    1.000000] kmemleak: Kernel memory leak detector initialized (mem pool available: 15741)
[    1.000000] Lock dependency validator: Copyright (c) 2006 Red Hat, Inc., Ingo Molnar
[    1.000000] shunt: warning: this is not a report
WARNING: not from the kernel: no time stamp
"""


def main():
    cases = [(line, True) for line in REPORTS.splitlines()]
    cases += [(line, False) for line in HARMLESS.splitlines()]
    failed = 0
    print("TAP version 13")
    print(f"1..{len(cases) + 3}")
    number = 0
    for number, (line, wanted) in enumerate(cases, 1):
        found = bool(report.find(f"[    0.000000] before\n{line}\n[   99.000000] after\n"))
        failed += found != wanted
        what = "a report" if wanted else "no report"
        print(f"{'ok' if found == wanted else 'not ok'} {number} {what}: {line[:70]}")

    splat = ("[    1.0] WARNING: CPU: 0 PID: 1 at x\n[    1.0] BUG: inside it\n"
             "[    1.0] ---[ end trace 0000000000000000 ]---\n[    2.0] BUG: another\n")
    good = len(report.find(splat.replace("1.0", "1.000000").replace("2.0", "2.000000"))) == 2
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number + 1} a report ends at its end of trace")
    two = ["=" * 80, "UBSAN: shift-out-of-bounds in x", "Call Trace:", "=" * 80, "other",
           "=" * 66, "BUG: KASAN: slab-out-of-bounds in y", "Call Trace:",
           "kmemleak: 1 new suspected memory leaks", "unreferenced object 0xff (size 8):"]
    good = len(report.find("".join(f"[    1.000000] {line}\n" for line in two))) == 4
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number + 2} reports in a row are told apart")
    good = report.panic(REPORTS) == "sysrq triggered crash" and report.panic(HARMLESS) is None
    failed += not good
    print(f"{'ok' if good else 'not ok'} {number + 3} the reason of a panic is found")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
