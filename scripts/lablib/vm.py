# SPDX-License-Identifier: GPL-2.0-only
"""Runs a command in the host VM.

QEMU boots the kernel with the lab's initramfs. The command's output, its errors
and its exit status come over a virtio-serial port each, on socket pairs that QEMU
inherits. The console is a log file, read only for the kernel's own reports.
"""

import ctypes
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time

from lablib import emulator, initrd, report
from lablib.common import (EXIT_EMULATOR, EXIT_LAB, EXIT_PANIC, EXIT_REPORT, EXIT_TIMEOUT, TOP,
                           LabError, cache_dir, say)

# Directories that init2 hides below something fresh.
_HIDDEN = ("/tmp", "/run", "/dev/shm")
_RUNS_KEPT = 20
_PR_SET_PDEATHSIG = 1


# With --silence: seconds in which a VM boots and the command says its first word.  A processor
# that is booted beside other VMs may be left without a timer.
_BOOT_S = 300

# Seconds between two interrupts that wake an emulated VM.
_BEAT_S = 2


class Options:
    """What a run is to be like; the defaults are those of `lab run`."""

    kernel = None           # a lablib.kernel.Kernel
    cpus = 2
    memory = 4096           # MiB
    icount = False          # virtual time counts instructions
    bring = ()              # with icount: paths that are there, beside the tree
    iommu = False           # an IOMMU with interrupt remapping
    devices = ()            # QEMU -device arguments
    qemu_args = ()          # further QEMU arguments
    append = ()             # words for the kernel's command line
    timeout = 900           # seconds, 0 for none
    silence = 0             # seconds after output without more that are a time-out, 0 for none
    tty = False             # the command gets the caller's terminal
    kvm = False             # accelerate with KVM
    env = None              # environment of the command, beside the standard one
    kmemleak = True         # look for leaks at the end, where the kernel can
    expect_report = False   # a kernel report is no failure (it is shown all the same)


def _die_with_parent():
    """In the child: QEMU must not survive the lab, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setpgrp()


def _new_run_dir():
    """A directory for the logs of this run; the oldest ones go."""
    runs = TOP / "build" / "lab"
    runs.mkdir(parents=True, exist_ok=True)
    done = sorted(p for p in runs.iterdir() if re.match(r"\d{8}-\d{6}-\d+$", p.name))
    for old in done[:-_RUNS_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    run = runs / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run.mkdir()
    last = runs / "last"
    link = runs / f".last-{os.getpid()}"
    link.symlink_to(run.name)
    link.replace(last)
    return run


def _keep_list(cwd):
    """Directories that must stay visible in the VM although a mount hides them."""
    wanted = [str(TOP), str(cwd), str(cache_dir())]
    return sorted({d for d in wanted if d.startswith(tuple(h + "/" for h in _HIDDEN))})


def _command_script(opts, argv, cwd):
    """The shell script that the VM runs: environment, directory, command."""
    env = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root", "USER": "root", "LOGNAME": "root", "SHELL": "/bin/bash",
        "LANG": "C.UTF-8", "TERM": os.environ.get("TERM", "dumb") if opts.tty else "dumb",
        "SHUNT_LAB": "1", "SHUNT_LAB_KERNEL": opts.kernel.kind,
        "SHUNT_CACHE": str(cache_dir()),
    }
    for name, value in os.environ.items():
        if name.startswith("SHUNT_") and name not in env:
            env[name] = value
    env.update(opts.env or {})
    words = " ".join(shlex.quote(f"{k}={v}") for k, v in env.items())
    command = " ".join(shlex.quote(a) for a in argv)
    size = ""
    if opts.tty:
        # The VM's terminal does not know how large this one is.
        here = shutil.get_terminal_size()
        size = f"/run/lab/busybox stty rows {here.lines} cols {here.columns}\n"
    return (f"{size}cd {shlex.quote(str(cwd))} || exit {EXIT_LAB}\n"
            f"exec /run/lab/busybox env -i {words} {command}\n")


def _overlay_archive(opts, argv, cwd):
    """The archive that this run adds to the base image."""
    config = {
        "LAB_ROOT": "initramfs" if opts.icount else "9p",
        "LAB_TTY": int(opts.tty),
        "LAB_MODULES": opts.kernel.modules, "LAB_KMEMLEAK": int(opts.kmemleak),
    }
    cpio = initrd.Cpio()
    cpio.file("/lab/config", "".join(f"{k}={shlex.quote(str(v))}\n" for k, v in config.items()))
    # A root that is all in memory has no fresh /tmp above what the tree brought.
    keep = [] if opts.icount else _keep_list(cwd)
    cpio.file("/lab/keep.list", "".join(f"{d}\n" for d in keep))
    cpio.file("/lab/command", _command_script(opts, argv, cwd))
    return cpio.bytes()


def machine_args(kvm, icount, cpus):
    """QEMU's arguments for the kind of machine: accelerator and processor."""
    if icount:
        return ["-accel", "tcg", "-icount", "shift=0,sleep=off", "-smp", "1",
                "-cpu", "EPYC,+svm,+npt,-rdrand,-rdseed",
                "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]
    if kvm:
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(cpus)]
    return ["-accel", "tcg,thread=multi", "-cpu", "EPYC,+svm,+npt", "-smp", str(cpus)]


def kernel_words(kvm, icount):
    """The kernel's command line that every VM of the lab has."""
    words = ["console=ttyS0", "panic=-1", "oops=panic", "loglevel=7", "no_hash_pointers",
             "mitigations=off", "selinux=0", "apparmor=0", "net.ifnames=0", "nowatchdog",
             "rcupdate.rcu_cpu_stall_timeout=120", "random.trust_cpu=on",
             "unknown_nmi_panic"]
    if icount:
        return words + ["nokaslr"]
    if not kvm:
        # With several processors the kernel distrusts TCG's TSC (which is one for all)
        # and reads the HPET instead: 5 to 20 us a time stamp, under QEMU's big lock.
        # And where the machine is busy, too few ticks may come while it looks whether any do.
        words += ["tsc=reliable", "no_timer_check"]
    return words


class _Run:
    """One boot of the VM and what came out of it."""

    def __init__(self, opts, argv, cwd):
        self.opts = opts
        self.argv = argv
        self.cwd = cwd
        self.dir = _new_run_dir()
        self.status = b""
        self.timed_out = ""     # or why
        self.mute = False       # the command never said a word, which it should have
        self.said = None        # how long the console's log was then
        self.qemu = None
        self._ours = {}

    def _qemu_args(self, theirs):
        opts = self.opts
        archive = self.dir / "initrd.cpio"
        with open(archive, "wb") as out:
            if opts.icount:
                from lablib import closure
                out.write(closure.image(opts.kernel, opts.bring))
            else:
                out.write(initrd.base_image(opts.kernel).read_bytes())
            out.write(_overlay_archive(opts, self.argv, self.cwd))
        args = emulator.command(opts.kvm)
        args += ["-name", "lab", "-nodefaults", "-no-user-config", "-display", "none",
                 "-no-reboot", "-machine", self._machine()]
        if opts.iommu:
            # QEMU wants it before the devices behind it.
            args += ["-device", "intel-iommu,intremap=on,caching-mode=off"]
        args += machine_args(opts.kvm, opts.icount, opts.cpus)
        args += ["-m", str(opts.memory), "-kernel", str(opts.kernel.image),
                 "-initrd", str(archive),
                 "-append", " ".join(kernel_words(opts.kvm, opts.icount) + self._own_words()),
                 "-chardev", f"file,id=con,path={self.dir}/console.log", "-serial", "chardev:con",
                 "-device", "virtio-serial-pci,max_ports=8"]
        if not opts.icount:
            args += ["-virtfs", "local,path=/,mount_tag=root,security_model=none,"
                     "readonly=on,multidevs=remap"]
        for name, sock in theirs.items():
            args += ["-chardev", f"socket,id={name},fd={sock.fileno()}"]
            if name == "monitor":
                args += ["-mon", "chardev=monitor,mode=readline"]
            else:
                args += ["-device", f"virtserialport,chardev={name},name=lab.{name}"]
        if opts.tty:
            args += ["-chardev", "stdio,id=tty,signal=off", "-device", "virtconsole,chardev=tty"]
        for device in opts.devices:
            args += ["-device", device]
        return args + list(opts.qemu_args)

    def _machine(self):
        # KVM's own interrupt controllers know nothing of an emulated remapping.
        split = self.opts.iommu and self.opts.kvm
        return "q35,kernel-irqchip=split" if split else "q35"

    def _own_words(self):
        words = list(self.opts.append)
        if self.opts.iommu:
            words.insert(0, "intel_iommu=on")
        if self.opts.kernel.kind == "debug":
            # Lockdep waits for a grace period for each lock key that goes: 256 times as a TAP
            # of several queues does.
            words.insert(0, "rcupdate.rcu_expedited=1")
        return words

    def _start(self):
        names = ["monitor", "status"] if self.opts.tty else ["monitor", "out", "err", "status"]
        theirs = {}
        for name in names:
            self._ours[name], theirs[name] = socket.socketpair()
        args = self._qemu_args(theirs)
        (self.dir / "command").write_text(shlex.join(args) + "\n")
        with open(self.dir / "qemu.log", "wb") as log:
            try:
                self.qemu = subprocess.Popen(
                    args, stdin=None if self.opts.tty else subprocess.DEVNULL,
                    stdout=None if self.opts.tty else log, stderr=log,
                    pass_fds=[s.fileno() for s in theirs.values()],
                    preexec_fn=None if self.opts.tty else _die_with_parent)
            except FileNotFoundError as error:
                raise LabError(f"{args[0]} is missing; run scripts/deps") from error
        for sock in theirs.values():
            sock.close()
        self._monitor = self._ours.pop("monitor")

    def _say_where_it_hangs(self):
        """Have the kernel say on the console what runs where and what is blocked.

        A processor that takes no interrupts still takes an NMI: the kernel panics, with
        a call trace.
        """
        for command, seconds in ("sendkey alt-sysrq-l", 5), ("sendkey alt-sysrq-w", 5), ("nmi", 30):
            try:
                self._monitor.sendall(command.encode() + b"\n")
                self.qemu.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
            except OSError:
                pass
            return

    def _beat(self):
        """Wake an idle processor by an interrupt that means nothing: a key that does nothing.

        The emulator now and then loses a timer's interrupt of a VM that has guests of its own
        (Documentation/testing.rst); without another interrupt the VM then sleeps for ever.
        """
        try:
            self._monitor.sendall(b"sendkey shift\n")
            while self._monitor.recv(65536, socket.MSG_DONTWAIT):
                pass
        except OSError:
            pass

    def _relay(self):
        """Pass the output on until QEMU has ended or the time is up."""
        opts = self.opts
        socks = {sock: name for name, sock in self._ours.items()}
        began, heard = time.monotonic(), None
        beats = not opts.kvm and not opts.icount
        beat = began
        while socks:
            now = time.monotonic()
            if beats and now >= beat:
                self._beat()
                beat = now + _BEAT_S
            if opts.timeout and now - began >= opts.timeout:
                self.timed_out = f"the command was not done after {opts.timeout} s"
            elif opts.silence and not heard and now - began >= _BOOT_S:
                self.mute = True
                self.timed_out = f"no word of the command after {_BOOT_S} s"
            elif opts.silence and heard and now - heard >= opts.silence:
                self.timed_out = f"the command said nothing more for {opts.silence} s"
            if self.timed_out:
                self.said = len(self.console())
                self._say_where_it_hangs()
                self.qemu.kill()
                return
            for sock in select.select(list(socks), [], [], 1)[0]:
                heard = now
                try:
                    data = sock.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    del socks[sock]
                elif socks[sock] == "status":
                    self.status += data
                else:
                    _write_all(1 if socks[sock] == "out" else 2, data)

    def go(self):
        saved = None
        if self.opts.tty and os.isatty(0):
            saved = termios.tcgetattr(0)
        try:
            self._start()
            self._relay()
            self.qemu.wait()
        finally:
            if self.qemu and self.qemu.poll() is None:
                self.qemu.kill()
                self.qemu.wait()
            if saved:
                termios.tcsetattr(0, termios.TCSADRAIN, saved)
            (self.dir / "initrd.cpio").unlink(missing_ok=True)

    def console(self):
        try:
            return (self.dir / "console.log").read_text(errors="replace")
        except FileNotFoundError:
            return ""


def _write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def _tail(text, count):
    return "\n".join(text.replace("\r", "").rstrip().split("\n")[-count:])


def _emulator_fault(run, log, hang):
    """What the emulator, and not the kernel in it, did wrong; None: nothing."""
    if run.mute:
        return "the VM did not get as far as the command"
    if run.timed_out:
        return None if hang else "the VM does not even take an NMI"
    if run.status.strip():
        return None
    if run.qemu.returncode < 0:
        return f"QEMU was ended by signal {-run.qemu.returncode}"
    if log and not report.ended(log):
        return "the VM ended without a word of its kernel"
    return None


def _verdict(run):
    """The lab's exit status for a finished run; says why when not the command's."""
    log = run.console()
    said = len(log) if run.said is None else run.said
    log, hang = log[:said], log[said:]
    reports = report.find(log)
    reason = report.panic(log)
    where = f"console log: {run.dir}/console.log"
    if reports:
        say(f"the kernel reported trouble ({len(reports)} report(s)); {where}")
        for lines in reports[:3]:
            print("\n".join(lines), file=sys.stderr)
        if len(reports) > 3:
            say(f"{len(reports) - 3} more report(s) in the log")
    fault = None if reports and not run.mute else _emulator_fault(run, log, hang)
    if run.timed_out:
        say(f"time-out: {run.timed_out}; {where}")
        print(_tail(log, 15), hang, sep="\n", file=sys.stderr)
    if fault:
        say(f"the emulator failed: {fault}; {where}")
        print(_tail((run.dir / "qemu.log").read_text(errors="replace"), 15), file=sys.stderr)
        return EXIT_EMULATOR
    if run.timed_out:
        return EXIT_TIMEOUT
    if reason is not None:
        say(f"the kernel panicked: {reason}; {where}")
        return EXIT_PANIC
    status = run.status.strip()
    if not status.isdigit():
        say(f"the VM ended without an exit status (QEMU: {run.qemu.returncode}); {where}")
        print(_tail((run.dir / "qemu.log").read_text(errors="replace"), 15), file=sys.stderr)
        print(_tail(log, 15), file=sys.stderr)
        return EXIT_PANIC if log else EXIT_LAB
    if reports and not run.opts.expect_report:
        return EXIT_REPORT
    return int(status)


def run(opts, argv, cwd=None):
    """Boot the VM, run `argv` in it; the lab's exit status."""
    if os.environ.get("SHUNT_LAB"):
        raise LabError("this is the lab's VM already: run the command itself")
    if os.geteuid() != 0:
        raise LabError("the VM's root is this machine's file tree, so the lab runs as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_LAB))
    this = _Run(opts, argv, pathlib.Path(cwd or os.getcwd()))
    try:
        this.go()
    except KeyboardInterrupt:
        say(f"interrupted; console log: {this.dir}/console.log")
        return 130
    except BrokenPipeError:
        return EXIT_LAB
    return _verdict(this)
