# SPDX-License-Identifier: GPL-2.0-only
"""
A vhost-user front end without a guest, to misbehave with.

Each of PLAYS is one connection, and a part of the line that the door says then; '' where it
says nothing, because the connection ended by itself.
"""

import array
import contextlib
import mmap
import os
import select
import socket
import struct
import time

SIZE = 1 << 20          # of the memory: at 0 for the guest, at USER for the front end
USER = 0x7f0000000000
NUM = 64                # descriptors of a ring
DESC, AVAIL, USED = 0, 4096, 8192
RING_BYTES = 16384      # between two rings
FRAME = 65536           # where the buffers lie

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL = 12, 13
SET_PROTOCOL_FEATURES, GET_MAX_MEM_SLOTS = 16, 36
CONFIGURE_MEM_SLOTS = 15
VERSION_1 = 1 << 32


class FrontError(Exception):
    """The door has ended the connection."""


class Front:
    """One connection."""

    def __init__(self, path):
        self._stack = contextlib.ExitStack()
        self._socket = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        self._socket.settimeout(30)
        self._socket.connect(path)
        self.file = self.memory = None
        self.kicks = []

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self._stack.close()

    def send_raw(self, data, fds=()):
        """Send bytes, and files with them."""
        extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendmsg([data], extra)

    def send(self, request, body=b'', fds=()):
        """Send one message."""
        self.send_raw(struct.pack('=III', request, 1, len(body)) + body, fds)

    def features(self):
        """Ask for the features, and see by the answer that all before was accepted."""
        return self._ask(GET_FEATURES)

    def slots(self):
        """Ask how many memory regions the device takes."""
        self.send(SET_PROTOCOL_FEATURES, struct.pack('=Q', 1 << CONFIGURE_MEM_SLOTS))
        return self._ask(GET_MAX_MEM_SLOTS)

    def _ask(self, request):
        self.send(request)
        answer = b''
        while len(answer) < 20:
            try:
                part = self._socket.recv(20 - len(answer))
            except ConnectionResetError:
                part = b''
            if not part:
                raise FrontError('the connection was ended')
            answer += part
        return struct.unpack('=IIIQ', answer)[3]

    def wait_end(self):
        """End this side, and wait until the door has ended its own."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while self._socket.recv(4096):
                pass

    def begin(self, features=VERSION_1):
        """Own the device and give it memory."""
        self.file = os.memfd_create('front')
        self._stack.callback(os.close, self.file)
        os.ftruncate(self.file, SIZE)
        self.memory = self._stack.enter_context(mmap.mmap(self.file, SIZE))
        self.features()
        self.send(SET_FEATURES, struct.pack('=Q', features))
        self.send(SET_OWNER)
        self.give_memory(SIZE)

    def give_memory(self, size):
        """Say that the memory has this size."""
        self.send(SET_MEM_TABLE, struct.pack('=IIQQQQ', 1, 0, 0, size, USER, 0), [self.file])

    def eventfd(self):
        """A new one, which lasts as long as this."""
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._stack.callback(os.close, fd)
        return fd

    def ring(self, number, desc=None):
        """Describe a ring, fill it with buffers of 2 KiB each, and start it."""
        base = number * RING_BYTES
        for i in range(NUM):
            struct.pack_into('=QIHH', self.memory, base + DESC + 16 * i,
                             FRAME + (number * NUM + i) * 2048, 1514, 0 if number % 2 else 2, 0)
            struct.pack_into('=H', self.memory, base + AVAIL + 4 + 2 * i, i)
        struct.pack_into('=H', self.memory, base + AVAIL + 2, NUM)
        desc = USER + base + DESC if desc is None else desc
        kick = self.eventfd()
        self.kicks.append(kick)
        self.send(SET_VRING_NUM, struct.pack('=II', number, NUM))
        self.send(SET_VRING_BASE, struct.pack('=II', number, 0))
        self.send(SET_VRING_ADDR, struct.pack('=IIQQQQ', number, 0, desc, USER + base + USED,
                                              USER + base + AVAIL, 0))
        self.send(SET_VRING_CALL, struct.pack('=Q', number), [self.eventfd()])
        self.send(SET_VRING_KICK, struct.pack('=Q', number), [kick])

    def used(self, number):
        """The index of a ring's used part."""
        return struct.unpack_from('=H', self.memory, number * RING_BYTES + USED + 2)[0]

    def kick(self):
        """Have the device look at all rings."""
        for fd in self.kicks:
            os.eventfd_write(fd, 1)


def sends_frames(front):
    """Not hostile at all: the proof that the rings of the others would work."""
    front.begin()
    front.ring(0)
    front.ring(1)
    front.kick()
    end = time.monotonic() + 60
    while front.used(1) != NUM:
        if time.monotonic() > end:
            raise FrontError(f'{front.used(1)} of {NUM} frames were taken')
        select.select([], [], [], 0.02)


def says_nonsense(front):
    """Bytes that are no message."""
    front.send_raw(b'\xff' * 64)


def stops_in_the_middle(front):
    """Half a header."""
    front.send_raw(b'\x01\x00\x00\x00\x01')


def brings_many_files(front):
    """More than a message can have."""
    front.begin()
    front.send_raw(struct.pack('=III', GET_FEATURES, 1, 0), front.kicks + [front.eventfd()] * 33)


def wants_other_features(front):
    """One that was not offered."""
    front.features()
    front.send(SET_FEATURES, struct.pack('=Q', VERSION_1 | 1 << 63))


def has_too_little_memory(front):
    """A file that is shorter than it says."""
    front.begin()
    front.give_memory(2 * SIZE)


def has_rings_elsewhere(front):
    """A descriptor table that reaches beyond the memory."""
    front.begin()
    front.ring(0, desc=USER + SIZE - 16)


def kicks_by_a_file(front):
    """Something else than an eventfd, for a ring that runs."""
    sends_frames(front)
    front.send(SET_VRING_KICK, struct.pack('=Q', 1), [front.file])


def takes_its_memory_away(front):
    """A table without the rings that run."""
    sends_frames(front)
    front.give_memory(4096)


def truncates_its_memory(front):
    """The file ends under rings that run; the index of a ring to be started cannot be read."""
    sends_frames(front)
    os.ftruncate(front.file, 0)
    front.kick()
    front.features()
    front.send(GET_VRING_BASE, struct.pack('=II', 1, 0))
    front.send(SET_VRING_KICK, struct.pack('=Q', 1), [front.eventfd()])


def spoils_a_ring(front):
    """An available index that has run away: the kernel's to find out, and no end to it all."""
    sends_frames(front)
    struct.pack_into('=H', front.memory, RING_BYTES + AVAIL + 2, NUM + 1000)
    front.kick()
    front.features()


PLAYS = (
    (sends_frames, ''),
    (says_nonsense, 'has a body of'),
    (stops_in_the_middle, 'ended within a message'),
    (brings_many_files, 'more descriptors than a message can have'),
    (wants_other_features, 'were not offered'),
    (has_too_little_memory, 'is too small'),
    (has_rings_elsewhere, 'not in one piece'),
    (kicks_by_a_file, 'Invalid argument'),
    (takes_its_memory_away, 'not in one piece'),
    (truncates_its_memory, 'cannot be read'),
    (spoils_a_ring, ''),
)
