# SPDX-License-Identifier: GPL-2.0-only
"""What is measured: the runs, the peers, and the tables of the report."""

import collections

# A run is one boot of the lab (or a stretch on this machine), whose figures can be compared.
#   name     what --only chooses from, and raw.csv has
#   about    for people
#   command  the measurement program
#   icount   in the lab with virtual time; else with guests, in the lab or on this machine
#   seconds  what it takes where the lab is emulated: quick, full (None: not part of quick)
#   lab      further options of the lab's
#   brings   with icount: patterns of files that the root in memory needs beside what all have
Run = collections.namedtuple("Run", "name about command icount seconds lab brings",
                             defaults=((), ()))

_COST, _WALL = "selftests/bench/cost", "selftests/bench/wall"

# Two virtio functions behind an IOMMU, at the ends of one wire: 0000:00:08.0 and 0000:00:09.0. They
# answer 20 us of virtual time after a kick, not when the emulator's other threads come round to
# it: so that figures repeat.
_FUNCTIONS = ["--iommu"]
for _number in (8, 9):
    _FUNCTIONS += ["--qemu-arg=-netdev", f"--qemu-arg=hubport,id=wire{_number},hubid=0", "--device",
                   f"virtio-net-pci,netdev=wire{_number},addr={_number},romfile=,packed=on,"
                   "iommu_platform=on,disable-legacy=on,page-per-vq=on,ioeventfd=off,tx=timer,"
                   "x-txtimer=20000"]

# What starts a guest: firmware, the ROM that starts a kernel that is an ELF file, and the images.
_GUEST = ("/usr/share/seabios/bios-256k.bin", "/usr/share/qemu/kvmvapic.bin",
          "/usr/share/qemu/pvh.bin", "build/guest/words", "build/guest/*/kernel",
          "build/guest/*/initrd.cpio")

RUNS = (
    Run("cost.net", "instructions of a packet", (_COST, "net"), True, (70, 110)),
    Run("cost.vfio", "instructions of a packet of virtio hardware", (_COST, "vfio"), True, (80, 80),
        tuple(_FUNCTIONS)),
    Run("cost.disk", "instructions of a request", (_COST, "disk"), True, (90, 180)),
    Run("cost.guest", "instructions of a guest's request, in all", ("selftests/bench/guestcost",),
        True, (None, 150), brings=_GUEST),
    Run("wall.net", "a guest's packets", (_WALL, "net"), False, (220, 600)),
    Run("wall.net2", "the same with two queues", (_WALL, "net2"), False, (None, 300)),
    Run("wall.disk", "a guest's disk", (_WALL, "disk"), False, (300, 900)),
    Run("wall.disk2", "the same with two queues and processors", (_WALL, "disk2"), False,
        (None, 600)),
    Run("wall.dpdk", "DPDK's vhost-user", (_WALL, "dpdk"), False, (None, 300)),
)

PEERS = {
    "qemu": "QEMU's virtio-net, in userspace",
    "stock": "stock vhost-net",
    "stock-user": "stock vhost-net behind shunt net serve",
    "dpdk": "DPDK testpmd's vhost-user",
    "bare-uring": "bare device, io_uring",
    "bare-aio": "bare device, native aio",
    "bare": "bare device, by fio on the host",
    "qemu-uring": "QEMU virtio-blk, iothread, io_uring",
    "qemu-native": "QEMU virtio-blk, iothread, native aio",
    "qemu10-uring": "QEMU 10 virtio-blk, iothread, io_uring",
    "qemu10-native": "QEMU 10 virtio-blk, iothread, native aio",
    "qemu10-vqmap": "QEMU 10 virtio-blk, iothread-vq-mapping",
    "qsd-uring": "qemu-storage-daemon, io_uring",
    "qsd-native": "qemu-storage-daemon, native aio",
    "shunt-split": "shunt, split rings",
    "shunt-packed": "shunt, packed rings",
    "shunt-split-in-order": "shunt, split rings, in order",
    "shunt-packed-in-order": "shunt, packed rings, in order",
    "shunt-user": "shunt by vhost-user, split",
    "shunt-user-packed": "shunt by vhost-user, packed",
    "shunt-file": "shunt-blk on a file",
    "shunt-vfio-split": "function, split rings, kicked by eventfd",
    "shunt-vfio-packed": "function, packed rings, kicked by eventfd",
    "shunt-vfio-split-mapped": "function, split rings, doorbell mapped",
    "shunt-vfio-packed-mapped": "function, packed rings, doorbell mapped",
}

# Peers that another is held against, by name: of several the best one in that kind of work counts.
_REFERENCE_NAMES = {
    "stock": "stock vhost-net",
    "qemu": "QEMU's virtio-net",
    "QEMU": "the best of QEMU's",
    "bare": "the bare device",
}
REFERENCES = {
    "stock": ("stock",),
    "qemu": ("qemu",),
    "QEMU": ("qemu-uring", "qemu-native", "qemu10-uring", "qemu10-native", "qemu10-vqmap",
             "qsd-uring", "qsd-native"),
    "bare": ("bare", "bare-uring", "bare-aio"),
}

# A table of the report, with its plot.
#   prefix      of the names of its figures; what follows is the kind of work
#   title, text for people
#   references  of REFERENCES, the first is the plot's
#   targets     by reference: (kind of work, largest ratio of the cheapest of ours) …
#   parts       what the table of parts is, for people
Table = collections.namedtuple("Table", "prefix kind title text references targets parts",
                               defaults=("""Shares by sampling, times the figures above: rough. What
runs with interrupts off (most of a wake-up, and null_blk's copying of data) is seen where they are
on again: interrupts-off.""",))

_NET_COST = """Instructions that the host executes for each packet between a guest's ring and a
TAP, less is better. <i>tx</i> is from the guest, <i>rx</i> to the guest; then the bytes of a frame,
and how many there are when the back end begins. A lone packet (x1) includes waking the back
end."""
_VFIO_COST = """Instructions that the host executes for each packet that a virtio function carries,
beside vhost devices with a TAP, by the same driver, less is better: the kick, all that runs until
the last packet is used, and an interrupt for each batch as far as the call eventfd. That is more
than is counted above, where nobody asks for interrupts. A function leaves nothing but kick and
interrupt; with a mapped doorbell, the kick takes nothing either."""
_DISK_COST = """Instructions that the host executes for each request of 4 KiB, between a guest's
ring and the disk, the disk included, less is better. The disk is null_blk, in memory, which ends
requests as they are submitted. x1 and x32 is how many requests there are when the back end
begins; one alone includes waking it. Iothreads do not poll: that would cost more."""
_GUEST_COST = """Instructions of everything for each read of 4 KiB that a KVM guest makes, one at a
time, less is better: the guest's own, KVM's, the VMM's, those of whoever serves the disk, and the
disk's, which is as above. What an exit costs the processor is no instruction, and not in it."""
_GUEST_NET_COST = """The same for each ping of the guest's, 56 bytes, and the answer of the host to
it, one at a time: two packets, and what the network stack of both does with them."""
_GUEST_PARTS = """By tracepoints, what they take themselves taken off: of guest, inside the guest;
userspace, of the VMM and the daemon; its-exits, the rest of what the thread of the guest's
processor does in the kernel, KVM's work and interrupts of the host included; kernel-for-VMM, the
kernel for all other threads of the VMM and of the daemon; worker, threads of shunt or vhost."""

TABLES = (
    Table("net.cost.", "cost", "A packet", _NET_COST, ("stock", "qemu"),
          {"stock": (("tx64x32", 0.70), ("rx64x32", 0.70))}),
    Table("vfio.cost.", "cost", "A packet, by virtio hardware", _VFIO_COST, ("stock",), {}),
    Table("disk.cost.", "cost", "A request of a disk", _DISK_COST, ("QEMU", "bare"),
          {"QEMU": (("read4kx1", 0.75), ("read4kx32", 0.60)),
           "bare": (("read4kx1", 1.25), ("read4kx32", 1.25))}),
    Table("disk.cost.file.", "cost", "A request of a disk that is a file",
          "The same, where the disk is a file on ext4, on the same device.", ("QEMU", "bare"), {}),
    Table("disk.cost.nodata.", "cost", "A request of a disk that moves no data",
          """The same of a null_blk that keeps nothing: what is left is who asks. The bare device
          is cheap here, and whatever comes between shows.""", ("QEMU", "bare"), {}),
    Table("guest.cost.", "cost", "A guest's request, in all", _GUEST_COST, ("QEMU",), {},
          _GUEST_PARTS),
    Table("guest.net.cost.", "cost", "A guest's echo, in all", _GUEST_NET_COST, ("stock", "qemu"),
          {}, _GUEST_PARTS),
    Table("net.wall.", "wall", "A guest's network",
          """One guest with a card for each peer: the same work over each in turns, several
          rounds. tcp: a stream to or from the guest. pps: packets of the kernel's own generator,
          of 64 or 1,500 bytes. A host with one processor, as the emulated one has, turns from a
          guest that sends to a worker in the kernel and back for each packet; QEMU's main loop
          has to wait until there are several.""", ("qemu", "stock"), {}),
    Table("net.wall2.", "wall", "A guest's network, two queue pairs", "The same.",
          ("qemu", "stock"), {}),
    Table("net.dpdk.", "wall", "DPDK beside others",
          """DPDK's testpmd between a vhost-user socket and a TAP. It polls all the time, also where
          there is one processor, for which it then competes with the guest. It is stopped while it
          is another's turn.""",
          ("qemu", "stock"), {}),
    Table("net.rtt.", "wall", "How long an echo takes",
          "UDP, 64 bytes, from the guest to the host and back. Percentiles within a round.",
          ("qemu", "stock"), {}),
    Table("net.exits.", "exact", "How often the VMM is entered for a packet",
          """Of TCP both ways. vcpu: exits of its virtual CPUs to userspace. calls: all system
          calls besides, of the VMM or whoever serves.""", ("qemu",), {}),
    Table("disk.wall.", "wall", "A guest's disk",
          """One guest with a disk for each peer, fio in the guest (bare: on the host). rand: 4 KiB
          at random, seq: 128 KiB in sequence; qd is how many at a time.""",
          ("QEMU", "bare"), {}),
    Table("disk.wall2.", "wall", "A guest's disk, two queues", "The same.", ("QEMU", "bare"), {}),
    Table("disk.latency.", "wall", "How long a read of 4 KiB takes", "One at a time.",
          ("QEMU", "bare"), {}),
    Table("disk.exits.", "exact", "How often the VMM is entered for a request",
          """Random reads. vcpu: exits of its virtual CPUs to userspace. calls: all system calls
          besides, of the VMM or whoever serves.""", ("QEMU",), {}),
)

# Units of which less is better.
LESS = ("instructions", "us", "exits", "calls")

# References that --check leaves out: how often QEMU's main loop turns for a lone frame depends on
# when it comes.
NOT_CHECKED = ("qemu",)


def peer(name):
    """A peer in words."""
    return PEERS.get(name, name)


def reference(name):
    """A reference in words."""
    return _REFERENCE_NAMES[name]
