# SPDX-License-Identifier: GPL-2.0-or-later
"""Callers of memory objects, and a stand-in for virgod that answers them rightly,
wrongly, late or not at all."""

import ctypes
import os
import random
import select
import socket
import struct
import threading

from kmod_fuzz_input import any_frames, any_number
from kmod_kit import *

MIB = 1 << 20
HELLO, ERROR, OK = 1, 2, 3
ASK_MALLOC, MALLOCED, ASK_SET, ASK_GET, DATA_IS, ASK_FREE = range(288, 294)


def hello(r):
    versions = (1, 1) if r.random() < .95 else (r.randrange(4), r.randrange(4))
    return frame(HELLO, struct.pack("<HHQI", *versions, 0, MIB) + text("alpha") +
                 text(b"") + struct.pack("<Q", 1) + text("0.1.0") +
                 bytes(r.choice((0, 0, 0, 600))))


def failure(r):
    code = r.choice((-errno.ESTALE, -errno.EACCES, 0, 5, -512, -4096, -(1 << 31)))
    words = r.choice((b"object", b"w" * 300, b"w" * 1100))
    return struct.pack("<i", code) + text(words) + text("what") + text("")


def right_answer(kind, payload):
    if kind == ASK_MALLOC:
        return MALLOCED, text(os.urandom(16))
    if kind == ASK_GET:
        return DATA_IS, text(bytes(min(struct.unpack("<I", payload[-4:])[0], MIB)))
    return OK, b""


def answer(r, kind, tag, payload):
    """To a request: what is right, most of the time."""
    which = r.randrange(20)
    kind, payload = right_answer(kind, payload)
    if which == 0:
        kind, payload = ERROR, failure(r)
    elif which == 1:
        kind = r.choice((OK, ERROR, MALLOCED, DATA_IS, HELLO, r.randrange(1 << 16)))
    elif which == 2:
        payload = payload[:r.randrange(len(payload) + 1)]
    elif which == 3:
        payload += bytes(r.randrange(1, 200))
    elif which == 4:
        tag = r.choice((tag + 1, tag - 1, r.randrange(1 << 64)))
    elif which == 5:
        return any_frames(r, (tag,))
    elif which == 6:
        return b""
    length = any_number(r, 32) if which == 7 else None
    data = frame(kind, payload, tag, 0 if which == 8 else REPLY, length)
    return data * 2 if which == 9 else data


class Served:
    """A connection, as virgod has it."""

    def __init__(self, r, fd):
        self.r, self.sock = r, socket.socket(fileno=fd)
        self.sock.settimeout(.2)
        self.data, self.owed = b"", []
        self.owed.append(hello(r))

    def fileno(self):
        return self.sock.fileno()

    def requests(self):
        """Those that have come whole."""
        while len(self.data) >= 32:
            head = HEADER.unpack(self.data[:28])
            assert head[0] == 0x4F475256 and head[4] <= 2 * MIB, head
            if len(self.data) < 32 + head[4]:
                return
            payload, self.data = self.data[32:32 + head[4]], self.data[32 + head[4]:]
            if head[3] != HELLO:
                yield head[3], head[6], payload

    def step(self):
        """False: it has ended, or ends now."""
        r = self.r
        try:
            more = self.sock.recv(1 << 20)
            self.data += more
            self.owed += [answer(r, *request) for request in self.requests()]
            if r.random() < .1:
                r.shuffle(self.owed)
            while self.owed and r.random() < .98:
                self.sock.sendall(self.owed.pop(0))
            return bool(more) and r.random() < .99
        except OSError:
            return False


class Memory:
    """Callers in threads and whoever serves them, in one process."""

    CALLERS = 3

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.link, self.device = Netlink(), Device()
        self.link.listen("peers")
        self.link.socket.setblocking(False)
        self.handles = [os.urandom(16)]
        self.served = []
        # What callers read and write, before a page that is not there.
        self.area = LIBC.mmap(None, 4 * MIB + mmap.PAGESIZE, 3, 0x22, -1, 0)
        self.end = self.area + 4 * MIB
        check(LIBC.munmap(self.end, mmap.PAGESIZE))

    def ask(self, r, device):
        ms = r.choice((0, 1, 20, 200, 3600000, 3600001))
        if r.random() < .2:
            handle = device.malloc(any_number(r, 64), r.randrange(100), ms)
            self.handles = self.handles[-5:] + [handle]
            return
        request = r.choice((IOC_SET, IOC_GET, IOC_GET, IOC_FREE))
        size = r.choice((0, 1, 100, MIB - 1, MIB + 1, 3 * MIB)) \
            if request != IOC_FREE or r.random() < .1 else 0
        at = self.area if size else 0
        if r.random() < .15:
            at = r.choice((0, 1, self.end - size // 2, 1 << 47, (1 << 64) - 4096))
            size = r.choice((size, MIB, 1 << 62, (1 << 64) - 1))
        words = ctypes.create_string_buffer(64)
        check(LIBC.ioctl(device.fd, ctypes.c_ulong(request),
                         ctypes.create_string_buffer(MEMORY.pack(
                             r.choice(self.handles), any_number(r, 64)
                             if r.random() < .3 else r.randrange(2 * MIB), size, at,
                             ctypes.addressof(words), ms, r.choice((0, 10, 64)),
                             int(r.random() < .02), 0))))

    def call(self, seed, shared):
        r = random.Random(seed)
        for _ in range(10):
            device = shared if r.random() < .5 else Device()
            try:
                self.ask(r, device)
            except OSError:
                pass
            if device is not shared:
                device.close()

    def serve(self):
        while True:
            try:
                fd = check(LIBC.ioctl(self.device.fd, ctypes.c_ulong(IOC_ACCEPT),
                                      ctypes.c_void_p(0)))
            except OSError:
                break
            self.served.append(Served(self.r, fd))
        try:
            self.link.socket.recv(1 << 17)
        except OSError:
            pass
        ready, _, _ = select.select(self.served, [], [], .01)
        for one in ready:
            if not one.step():
                self.served.remove(one)
                one.sock.close()

    def step(self):
        shared = Device()
        callers = [threading.Thread(target=self.call, args=(
            self.r.random(), shared)) for _ in range(self.CALLERS)]
        for caller in callers:
            caller.start()
        end = time.monotonic() + 20
        while any(caller.is_alive() for caller in callers):
            self.serve()
            # Some answers never come: who waits for ever waits for the end.
            if time.monotonic() > end or self.r.random() < .02:
                for one in self.served:
                    one.sock.close()
                self.served.clear()
        shared.close()
