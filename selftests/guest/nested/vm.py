# SPDX-License-Identifier: GPL-2.0-only
"""One nested guest: a stock QEMU process with KVM, its monitor and its agent."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time

from . import net
from .line import Line, LineError
from .qmp import Qmp, QmpError

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), '../../..'))
IMAGES = os.path.join(TOP, 'build/guest')
WIRE = os.path.join(IMAGES, 'wire')

_QEMU = 'qemu-system-x86_64'
_OVMF = ('-bios', '/usr/share/ovmf/OVMF.fd')
# Its handlers of interrupts write CR8, at which an emulated processor fails an assertion of the
# emulator when another interrupt waits.  Without KVM's own APIC each such write is KVM's to do.
_OVMF_EMULATED = ('-machine', 'kernel-irqchip=off', '-cpu', 'host,kvm-asyncpf-int=off')


# Kinds of rings, and what asks QEMU for them beside its defaults.
RINGS = {
    'split': {},
    'packed': {'packed': True},
    'split-in-order': {'in_order': True},
    'packed-in-order': {'packed': True, 'in_order': True},
}


def boot_image():
    """The path of a disk that a guest can boot from."""
    return f'{IMAGES}/{kernel_version()}/boot.img'


class GuestError(Exception):
    """The guest could not be made or started."""


def kernel_version():
    """The kernel version that guests run."""
    return subprocess.run(os.path.join(TOP, 'scripts/kver'), check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


def debug_kernel():
    """Whether this machine runs the lab's debug kernel, which looks at each access."""
    return os.uname().release.endswith('debug')


def build_image():
    """Build the guest's initramfs and programs where they are not up to date."""
    done = subprocess.run(('make', '-s', '-C', os.path.join(TOP, 'selftests/guest')),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise GuestError(f'the guest image does not build:\n{done.stdout}')


def qemu_lacks(rings):
    """The properties of a card that these rings need and that QEMU does not have."""
    done = subprocess.run((_QEMU, '-device', 'virtio-net-pci,help'), stdout=subprocess.PIPE,
                          text=True, check=True)
    return [name for name in RINGS[rings] if f' {name}=' not in done.stdout]


def newer_qemu():
    """The words that start the QEMU that the lab has from the backports; () where it has none."""
    home = os.path.join(os.environ.get('SHUNT_CACHE', ''), 'qemu/usr')
    program = f'{home}/bin/qemu-system-x86_64'
    if not os.access(program, os.X_OK):
        return ()
    paths = (f'{home}/share/qemu', f'{home}/share/seabios', '/usr/share/qemu')
    return (program, *(word for path in paths for word in ('-L', path)))


def load_kvm():
    """Have /dev/kvm, loading KVM's modules where need be."""
    if not os.path.exists('/dev/kvm'):
        with open('/proc/cpuinfo', encoding='ascii') as file:
            vendor = 'kvm_amd' if 'svm' in file.read().split() else 'kvm_intel'
        subprocess.run(('modprobe', vendor), check=False)
    if not os.path.exists('/dev/kvm'):
        raise GuestError('no /dev/kvm: this machine has no (nested) virtualization')


def emulated():
    """Whether this host is emulated itself."""
    with open('/proc/cpuinfo', encoding='ascii') as file:
        virtual = 'hypervisor' in file.read().split()
    path = '/sys/devices/system/clocksource/clocksource0/available_clocksource'
    with open(path, encoding='ascii') as file:
        accelerated = 'kvm-clock' in file.read().split()
    return virtual and not accelerated


def default_cpus():
    """
    Processors of a guest: two, but one where this host is emulated itself.  There a second
    one costs more than it does, and now and then one of two has been seen to hang, with the
    stock vhost-net too.
    """
    return 1 if emulated() else 2


class Nic:
    """
    A network card of a guest and the TAP that it is plugged into.  Here the VMM has TAP and
    vhost devices; see door.py for another kind.
    """

    shared = False      # another process needs the guest's memory
    carrier = None      # process that has TAP and vhost devices, where it is not the VMM

    def __init__(self, name, peer, tap, queues=1, bridge=None, address=None, number=0,
                 rings='split'):
        """
        name: of the device in QEMU; peer: who carries the packets (net.PEERS or a path);
        tap: its name; bridge or address: the host's end; number: makes the MAC address;
        rings: see RINGS.
        """
        self.name, self.peer, self.tap, self.queues = name, peer, tap, queues
        self.rings = rings
        self.bridge, self.address = bridge, address
        self.mac = f'52:54:00:73:68:{number:02x}'

    def open(self):
        """Make the TAP and open the vhost device; returns (TAP fds, vhost fds)."""
        taps = net.open_tap(self.tap, self.queues, self.bridge, self.address)
        device = net.peer_device(self.peer)
        try:
            return taps, net.open_vhost(device, self.queues) if device else []
        except BaseException:
            net.close_all(taps)
            raise

    def close(self):
        """Give up what open() has left in this process, when no VMM needs it any more."""

    def complaints(self):
        """What whoever carries the packets has complained about since the last call."""
        return ''

    def before_plug(self, qmp):
        """Tell a running VMM what netdev() will refer to."""

    def after_unplug(self, qmp):
        """Take that back, and close()."""

    def chardev(self):
        """The -chardev properties of what netdev() refers to, if there is one."""

    def by_tool(self):
        """The command `shunt net exec` that opens TAP and device, and starts QEMU with them."""
        command = [os.path.join(TOP, 'build/tools/shunt'), 'net', 'exec', '--tap', self.tap,
                   '--queues', str(self.queues), '--device', net.peer_device(self.peer)]
        if self.bridge:
            command += ['--bridge', self.bridge]
        return command + ['--']

    def netdev(self, taps, vhosts):
        """The -netdev properties for these fds (numbers or names)."""
        props = {'type': 'tap', 'id': f'n-{self.name}', 'fds': ':'.join(map(str, taps)),
                 'vhost': bool(vhosts)}
        if vhosts:
            props['vhostfds'] = ':'.join(map(str, vhosts))
        return props

    def device(self):
        """The -device properties."""
        props = {'driver': 'virtio-net-pci', 'id': self.name, 'netdev': f'n-{self.name}',
                 'mac': self.mac, 'romfile': '', **RINGS[self.rings]}
        if self.queues > 1:
            props.update(mq=True, vectors=2 * self.queues + 2)
        return props


def _option(props):
    """Properties in the syntax of QEMU's command line."""
    words = []
    for key, value in props.items():
        if isinstance(value, bool):
            value = 'on' if value else 'off'
        words.append(value if key in ('type', 'driver') else f'{key}={value}')
    return ','.join(words)


class Guest:
    """
    A guest.  Use as a context manager: whatever happens, QEMU is gone at the end.

    The VMM has its own copies of TAP and vhost descriptors only; this process keeps none.
    """

    def __init__(self, nics, memory=256, cpus=None, qemu_args=(), incoming=False,
                 by_tool=False, shared=False, firmware=None, emulator=(_QEMU,)):
        """
        memory: MiB.  cpus: see default_cpus().  incoming: wait for a migration instead of booting.
        shared: another process needs the guest's memory, also where no card says so.
        firmware: bios or efi, to boot from a disk in qemu_args that is as boot_image().
        by_tool: let `shunt net exec` open the (one) card's TAP and device and start QEMU.
        emulator: the words that start a QEMU.
        """
        self.nics = list(nics)
        self.line = Line()
        self.dir = tempfile.mkdtemp(prefix='shunt-guest-')
        self.console = os.path.join(self.dir, 'console')
        self._memory, self._incoming = memory, incoming
        self.cpus = cpus or default_cpus()
        self._qemu_args, self._by_tool = list(qemu_args), by_tool
        self._firmware, self._emulator = firmware, emulator
        self._shared = shared or any(nic.shared for nic in self.nics)
        self.qemu = None
        self.qmp = None

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.kill()
        self.line.close()
        for nic in self.nics:
            nic.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def pid(self):
        """Process ID of the VMM."""
        return self.qemu.pid

    @property
    def carrier(self):
        """Process that has the TAP and the vhost devices of the first card."""
        return self.nics[0].carrier or self.pid

    def _path(self, name):
        return os.path.join(self.dir, name)

    def _what_to_boot(self):
        if self._firmware:
            extra = _OVMF_EMULATED if emulated() else ()
            return _OVMF + extra if self._firmware == 'efi' else ()
        with open(f'{IMAGES}/words', encoding='ascii') as file:
            words = file.read().strip()
        images = f'{IMAGES}/{kernel_version()}'
        return '-kernel', f'{images}/kernel', '-initrd', f'{images}/initrd.cpio', '-append', words

    def _command(self, nets):
        command = self.nics[0].by_tool() if self._by_tool else []
        command += [
            *self._emulator, '-nodefaults', '-no-user-config', '-display', 'none', '-enable-kvm',
            '-machine', 'pc', '-cpu', os.environ.get('SHUNT_GUEST_CPU', 'host'),
            '-smp', str(self.cpus), '-m', str(self._memory), *self._what_to_boot(),
            '-chardev', f'file,id=console,path={self.console}', '-serial', 'chardev:console',
            '-chardev', f'socket,id=agent,path={self._path("agent")},server=on,wait=off',
            '-device', 'virtio-serial-pci,max_ports=2',
            '-device', 'virtserialport,nr=1,chardev=agent,name=agent',
            '-qmp', f'unix:{self._path("qmp")},server=on,wait=off']
        if self._shared:
            command += ['-object', f'memory-backend-memfd,id=memory,size={self._memory}M,share=on',
                        '-numa', 'node,memdev=memory']
        for nic, fds in nets:
            if nic.chardev():
                command += ['-chardev', _option(nic.chardev())]
            command += ['-netdev', _option(nic.netdev(*fds)), '-device', _option(nic.device())]
        if self._incoming:
            command += ['-incoming', 'defer']
        return command + self._qemu_args

    def start(self):
        """Start QEMU; does not wait for the guest."""
        load_kvm()
        build_image()
        nets = []
        try:
            for nic in self.nics:
                fds = (['%TAPFDS%'], ['%VHOSTFDS%']) if self._by_tool else nic.open()
                nets.append((nic, fds))
            passed = [fd for _, pair in nets for part in pair for fd in part
                      if isinstance(fd, int)]
            with open(self._path('qemu.log'), 'wb') as log:
                self.qemu = subprocess.Popen(self._command(nets), pass_fds=passed, stdout=log,
                                             stderr=log, stdin=subprocess.DEVNULL)
        finally:
            if not self._by_tool:
                for _, (taps, vhosts) in nets:
                    net.close_all(taps + vhosts)
        try:
            self.qmp = Qmp(self._path('qmp'), alive=lambda: self.qemu.poll() is None)
            self.line.connect(self._path('agent'))
        except (QmpError, LineError) as err:
            raise GuestError(f'QEMU does not start: {err}\n{self.log()}') from err

    def boot(self):
        """Start QEMU and wait until the guest's agent is there."""
        self.start()
        try:
            self.line.wait_boot(None)
        except LineError as err:
            raise GuestError(f'{err}\n{self.log()}\n{self.console_tail()}') from err

    def log(self):
        """What QEMU printed."""
        with contextlib.suppress(OSError):
            with open(self._path('qemu.log'), encoding='utf-8', errors='replace') as file:
                return file.read()
        return ''

    def console_text(self):
        """What the guest's kernel has printed."""
        with contextlib.suppress(OSError):
            with open(self.console, encoding='utf-8', errors='replace') as file:
                return file.read()
        return ''

    def console_tail(self, lines=15):
        """The last lines of the guest's console."""
        return '\n'.join(self.console_text().splitlines()[-lines:])

    def run(self, command, timeout=600):
        """Run a command in the guest; returns its output, GuestError when it fails."""
        status, output = self.line.run(command, timeout)
        if status:
            raise GuestError(f'in the guest: {command}: exit status {status}\n{output.strip()}')
        return output

    def set_address(self, address, dev='eth0'):
        """Give an interface of the guest an address (with prefix length) and bring it up."""
        self.run(f'ip address add {address} dev {dev} 2>/dev/null; ip link set {dev} up')

    def plug(self, nic):
        """Hot-plug a card."""
        taps, vhosts = nic.open()
        try:
            nic.before_plug(self.qmp)
            names = {fd: f'{nic.name}-{fd}' for fd in taps + vhosts}
            for fd, name in names.items():
                self.qmp.give_fd(name, fd)
            self.qmp.run('netdev_add', **nic.netdev([names[fd] for fd in taps],
                                                    [names[fd] for fd in vhosts]))
        finally:
            net.close_all(taps + vhosts)
        self.qmp.run('device_add', **nic.device())
        self.nics.append(nic)

    def unplug(self, nic, timeout=300):
        """Hot-unplug a card with the guest's consent, and wait until it is gone."""
        self.qmp.run('device_del', id=nic.name)
        self.qmp.wait_event('DEVICE_DELETED', timeout, device=nic.name)
        self.qmp.run('netdev_del', id=f'n-{nic.name}')
        nic.after_unplug(self.qmp)
        self.nics.remove(nic)

    def reset(self):
        """Reset the machine from outside and wait until it is up again."""
        old = self.line.boot
        self.qmp.run('system_reset')
        self.line.wait_boot(old)

    def reboot(self):
        """Let the guest reboot itself and wait until it is up again."""
        old = self.line.boot
        self.line.start('reboot -f')
        self.line.wait_boot(old)

    def kill(self, sig=signal.SIGKILL):
        """End QEMU by a signal and wait until the process is gone."""
        if self.qmp:
            self.qmp.close()
            self.qmp = None
        if self.qemu and self.qemu.poll() is None:
            self.qemu.send_signal(sig)
            self.qemu.wait()

    def quit(self, timeout=60):
        """Let QEMU end itself, by its monitor."""
        with contextlib.suppress(QmpError):
            self.qmp.run('quit')
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.qemu.wait(timeout)
        self.kill()

    def incoming(self):
        """Make this (incoming) guest listen for a migration; returns its address."""
        uri = f'unix:{self._path("migrate")}'
        self.qmp.run('migrate-incoming', uri=uri)
        return uri

    def migration(self):
        """Information on the migration that goes out of this guest."""
        return self.qmp.run('query-migrate')

    def wait_migration(self, ready, timeout=600):
        """Wait until ready(information) is true; GuestError when the migration fails."""
        end = time.monotonic() + timeout
        while True:
            info = self.migration()
            if ready(info):
                return info
            if info.get('status') in ('failed', 'cancelled') or time.monotonic() > end:
                raise GuestError(f'migration: {info}')
            time.sleep(0.2)

    def move_line(self, destination):
        """After a migration: the serial line goes on at the destination's VMM."""
        # pylint: disable=protected-access
        self.line, destination.line = destination.line, self.line
        self.line.close()
        destination.line.connect(destination._path('agent'))
