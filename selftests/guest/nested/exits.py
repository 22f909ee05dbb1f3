# SPDX-License-Identifier: GPL-2.0-only
"""
What a running VMM costs: exits to its userspace, its system calls, its CPU time.

Three sources, all of them the kernel's:

- the tracepoint kvm:kvm_userspace_exit, which KVM passes each time that KVM_RUN
  returns to the VMM - counted exactly, by a perf counter on each thread of the VMM
  (counting mode: no trace is written, so the measurement does not disturb);
- the tracepoint raw_syscalls:sys_enter, in the same way: every other entry of the
  VMM's threads into the kernel, so every wake-up of its main loop;
- KVM's own statistics in /sys/kernel/debug/kvm, of all exits and of those by reason.
"""

import ctypes
import glob
import os
import struct
import subprocess

_PERF_EVENT_OPEN = 298          # x86-64
_PERF_TYPE_TRACEPOINT = 2
_PERF_ATTR_SIZE = 112

_libc = ctypes.CDLL(None, use_errno=True)


class NoCounter(Exception):
    """This kernel cannot count the event."""


def _mount(kind, path):
    if not os.path.ismount(path):
        subprocess.run(('mount', '-t', kind, kind, path), check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _event_id(event):
    _mount('tracefs', '/sys/kernel/tracing')
    try:
        with open(f'/sys/kernel/tracing/events/{event}/id', encoding='ascii') as file:
            return int(file.read())
    except OSError as err:
        raise NoCounter(f'no tracepoint {event}: {err.strerror}') from err


def _open_counter(event_id, tid):
    attr = bytearray(_PERF_ATTR_SIZE)
    struct.pack_into('=IIQ', attr, 0, _PERF_TYPE_TRACEPOINT, _PERF_ATTR_SIZE, event_id)
    fd = _libc.syscall(_PERF_EVENT_OPEN, (ctypes.c_char * len(attr)).from_buffer(attr),
                       tid, -1, -1, 8)   # 8: close on exec
    if fd < 0:
        err = ctypes.get_errno()
        raise NoCounter(f'perf_event_open: {os.strerror(err)}')
    return fd


class EventCount:
    """Counts one tracepoint over all threads that a process has now."""

    def __init__(self, event, pid):
        """event: 'group/name'.  Raises NoCounter."""
        number = _event_id(event)
        self._fds = []
        try:
            for tid in os.listdir(f'/proc/{pid}/task'):
                self._fds.append(_open_counter(number, int(tid)))
        except BaseException:
            self.close()
            raise

    def read(self):
        """Events since the start."""
        return sum(struct.unpack('=Q', os.read(fd, 8))[0] for fd in self._fds)

    def close(self):
        """Stop counting."""
        for fd in self._fds:
            os.close(fd)
        self._fds = []


def kvm_stats(pid):
    """KVM's statistics of the VM of a process, by name ({} where they are not to be had)."""
    _mount('debugfs', '/sys/kernel/debug')
    result = {}
    for path in glob.glob(f'/sys/kernel/debug/kvm/{pid}-*/*'):
        if not os.path.isfile(path):
            continue
        try:
            with open(path, encoding='ascii') as file:
                result[os.path.basename(path)] = int(file.read())
        except (OSError, ValueError):
            continue
    return result


def cpu_seconds(pid):
    """CPU time of a process with all of its threads, in user mode and in the kernel."""
    with open(f'/proc/{pid}/stat', encoding='ascii') as file:
        fields = file.read().rsplit(')', 1)[1].split()
    tick = os.sysconf('SC_CLK_TCK')
    return int(fields[11]) / tick, int(fields[12]) / tick


class VmmCost:
    """All of the above over a stretch of time: start, do the work, stop()."""

    def __init__(self, pid):
        self._pid = pid
        self._counts = {}
        self.missing = {}       # what cannot be counted here, and why
        for key, event in (('userspace_exits', 'kvm/kvm_userspace_exit'),
                           ('syscalls', 'raw_syscalls/sys_enter')):
            try:
                self._counts[key] = EventCount(event, pid)
            except NoCounter as err:
                self.missing[key] = str(err)
        self._kvm = kvm_stats(pid)
        self._before = {key: count.read() for key, count in self._counts.items()}

    def stop(self):
        """
        End of the stretch.  Returns a dict: userspace_exits, syscalls (those other than the
        KVM_RUN of a vCPU that had an exit), kvm (differences of KVM's statistics).
        """
        result = {key: count.read() - self._before[key] for key, count in self._counts.items()}
        if len(result) == 2:
            result['syscalls'] = max(0, result['syscalls'] - result['userspace_exits'])
        after = kvm_stats(self._pid)
        result['kvm'] = {key: after[key] - self._kvm[key] for key in after if key in self._kvm}
        for count in self._counts.values():
            count.close()
        return result
