# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod_fuzz.py SECONDS SEED: gives the running module structured rubbish on every
way into it at once: ioctls, netlink, memcached's protocol, frames from a node and
from programs, and namespaces that end in the middle of all that.

A worker is a process that draws all it does from SEED and its own name. Calls may
fail as they like; what must not happen is seen elsewhere: in the kernel's log, in
what is left when all have ended (finish()), and in a worker that gets stuck."""

import ctypes
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import traceback

from kmod_fuzz_input import *
from kmod_fuzz_memory import Memory
from kmod_kit import *

PORTS = range(11311, 11315)
STEP_SECONDS = 2 # most that one step of a worker waits for anything
STUCK_SECONDS = 120

PAGE = mmap.PAGESIZE


def tried(function, *args):
    """What it gives, or None where the kernel refused."""
    try:
        return function(*args)
    except (OSError, EOFError, BlockingIOError):
        return None


class Fds:
    """The descriptors of a worker, which its threads share and close from under
    each other; descriptors that are not of the fuzzer are never in it."""

    def __init__(self):
        self.fds = []
        self.lock = threading.Lock()

    def add(self, fd):
        if fd is not None and fd >= 0:
            with self.lock:
                self.fds.append(fd)
            if len(self.fds) > 40:
                self.close(0)

    def pick(self, r):
        with self.lock:
            return r.choice(self.fds) if self.fds else -1

    def close(self, at):
        with self.lock:
            fd = self.fds.pop(at % len(self.fds)) if self.fds else -1
        if fd >= 0:
            tried(os.close, fd)


class Ioctls:
    """/dev/virgo and what its ioctls give, by several threads at once."""

    THREADS = 3

    def __init__(self, seed):
        self.fds = Fds()
        # Room for what is copied in and out, before a page that is not there.
        self.area = LIBC.mmap(None, 66 * PAGE, 3, 0x22, -1, 0)
        check(LIBC.munmap(self.area + 65 * PAGE, PAGE))
        self.end = self.area + 65 * PAGE
        self.r = [random.Random(f"{seed}.{i}") for i in range(self.THREADS)]

    def address(self, r, size):
        return r.choice((self.area, self.end - size, self.end - size // 2,
                         0, 1, self.end, 1 << 47, (1 << 64) - PAGE))

    def opened(self, r):
        self.fds.add(tried(os.open, DEVICE, r.choice(
            (os.O_RDONLY, os.O_WRONLY, os.O_RDWR)) | os.O_CLOEXEC |
            r.choice((0, os.O_NONBLOCK, os.O_APPEND))))

    def closed(self, r):
        self.fds.close(r.randrange(1000))

    def copied(self, r):
        self.fds.add(tried(os.dup, self.fds.pick(r)))

    def called(self, r):
        size = r.choice((0, 1, 100, 4096, 65536, 65537, 1 << 31, (1 << 32) - 1))
        room = r.choice((0, 1, 4, 100, 65536, 65537, (1 << 32) - 1))
        known = size <= 65537 and room <= 65537
        data = CALL.pack(
            any_name(r, NODES, 64), any_name(r, FUNCTIONS, 48),
            self.area if known and r.random() < .7 else self.address(r, 100),
            self.area if known and r.random() < .7 else self.address(r, 100),
            size, room, r.choice((1, 5, 50, 300, 0, 3600001, (1 << 32) - 1)),
            r.choice((0, 0, 0, 0, 1, 1 << 31)))
        self.give(r, IOC_CALL, data)

    def give(self, r, request, data):
        buffer = ctypes.create_string_buffer(data, len(data) + PAGE)
        at = ctypes.addressof(buffer) if r.random() < .9 else \
            self.address(r, len(data))
        fd = self.fds.pick(r)
        # Only these give new descriptors.
        given = LIBC.ioctl(fd, ctypes.c_ulong(request), ctypes.c_void_p(at))
        if request in (IOC_ADOPT, IOC_CLONE) and given >= 0:
            self.fds.add(given)

    def adopted(self, r):
        kind = r.randrange(8)
        socks = []
        fd = r.choice((-1, 1 << 30, -(1 << 31)))
        if kind < 3:
            socks = tls_pair(r.choice((0x304, 0x304, 0x304, 0x303)))
            fd = socks[0].fileno()
        elif kind == 3:
            socks = socket.socketpair()
            fd = socks[0].fileno()
        elif kind == 4:
            socks = [socket.socket(r.choice((2, 10)), r.choice((1, 2)))]
            fd = socks[0].fileno()
        elif kind == 5:
            socks = [socket.create_server(("127.0.0.1", 0))]
            fd = socks[0].fileno()
        elif kind == 6:
            fd = self.fds.pick(r)
        if socks and r.random() < .1:
            tried(socks[0].shutdown, r.randrange(3))
        flags = r.choice((0, 0, AGENT, AGENT, AGENT, 2))
        self.give(r, IOC_ADOPT, ADOPT.pack(fd, flags, any_name(r, NODES, 64)))
        if kind == 0:
            # Both ends: what is written to one's descriptors the other's hear.
            self.give(r, IOC_ADOPT, ADOPT.pack(socks[1].fileno(), AGENT,
                                               b"alpha"))
        for sock in socks:
            if r.random() < .3:
                sock.settimeout(.05)
                tried(sock.sendall, any_frames(r))
            sock.close()

    def programmed(self, r):
        size = r.choice((80,) * 6 + (0, 79, 88, 4096, 4097, (1 << 32) - 1))
        self.give(r, IOC_CLONE, CLONE.pack(
            size, r.choice((0, 0, 0, 0, 1)), any_name(r, NODES, 64),
            r.choice((0, 0, 1, 20, (1 << 32) - 1)),
            r.choice((0, 0, 0, 0, 1))) + bytes(PAGE))

    def remembered(self, r):
        """Memory objects: what Memory's stand-in for virgod says to it."""
        request = r.choice((IOC_SET, IOC_GET, IOC_FREE))
        size = r.choice((0, 10, 60 * PAGE, 1 << 40))
        self.give(r, request, MEMORY.pack(
            r.randbytes(16), r.choice((0, 5, 1 << 63)), size,
            self.address(r, 100) if size else 0, self.address(r, 20),
            r.choice((1, 20, 200)), r.choice((0, 20, 1 << 31)),
            r.choice((0, 0, 0, 1)), 0))

    def accepted(self, r):
        """Now and then one is taken away from Memory's, and hears rubbish."""
        fd = LIBC.ioctl(self.fds.pick(r), ctypes.c_ulong(IOC_ACCEPT),
                        ctypes.c_void_p(r.choice((0, 0, 0, 1, self.area))))
        if fd >= 0:
            tried(os.write, fd, any_frames(r))
            os.close(fd)

    def unknown(self, r):
        request = r.choice((IOC_INFO, IOC_CALL, IOC_ADOPT, IOC_CLONE, IOC_MALLOC,
                            IOC_GET, IOC_ACCEPT)) ^ r.choice(
            (0, 1 << r.randrange(32), r.randrange(16), r.randrange(1 << 32)))
        size = r.choice((0, 4, 16, 72, 80, 152, 4096))
        words = [r.choice((0, 1, size, 80, r.randrange(1 << 32)))
                 for _ in range(size // 4)]
        self.give(r, request, struct.pack(f"{len(words)}I", *words) or b"\0")

    def mapped(self, r):
        size = r.choice((1, PAGE, VARS_BYTES, VARS_BYTES + 1, 2 * VARS_BYTES))
        at = LIBC.mmap(None, size, r.choice((1, 1, 1, 0, 2, 3, 4, 5)),
                       r.choice((1, 1, 2)), self.fds.pick(r),
                       r.choice((0, 0, 0, PAGE, VARS_BYTES, 1 << 40)))
        if at in (None, (1 << 64) - 1):
            return
        LIBC.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(size),
                      r.choice((1, 3, 5)))
        if r.random() < .5:
            LIBC.mremap(ctypes.c_void_p(at), ctypes.c_size_t(size),
                        ctypes.c_size_t(size), 0)
        LIBC.munmap(at, size)

    def used(self, r):
        """What files are used for: most of it, these cannot."""
        fd = self.fds.pick(r)
        kind = r.randrange(9)
        if fd < 0:
            return
        if kind == 0:
            poll = select.poll()
            poll.register(fd, r.randrange(1 << 14))
            tried(poll.poll, r.choice((0, 1, 10)))
        elif kind == 1:
            os_fd = tried(os.open, f"/proc/self/fdinfo/{fd}", os.O_RDONLY)
            if os_fd is not None:
                tried(os.read, os_fd, 4096)
                os.close(os_fd)
        elif kind == 2:
            tried(os.set_blocking, fd, False)
            tried(os.read, fd, 100)
        elif kind == 3:
            tried(os.lseek, fd, r.choice((0, -1, 1 << 40)), r.randrange(3))
        elif kind == 4:
            tried(os.ftruncate, fd, 0)
        elif kind == 5:
            tried(os.fsync, fd)
        else:
            tried(os.set_blocking, fd, False)
            tags = tags_of(tried(os.read, fd, 1 << r.randrange(18)) or b"")
            tried(os.write, fd, any_frames(r, tags))

    def one(self, r):
        r.choice((self.opened, self.closed, self.copied, self.called,
                  self.called, self.called, self.adopted, self.adopted,
                  self.programmed, self.programmed, self.remembered,
                  self.remembered, self.accepted, self.unknown, self.mapped,
                  self.used, self.used, self.used))(r)

    def step(self):
        self.opened(self.r[0])

        def several(r):
            for _ in range(20):
                tried(self.one, r)

        threads = [threading.Thread(target=several, args=(r,)) for r in self.r]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(.05)
                # Some wait for ever for what nobody else may take.
                self.accepted(self.r[0])


class Control:
    """The netlink family: good requests, nearly good ones, and rubbish."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.links = []
        self.own = Netlink()

    def renewed(self):
        r = self.r
        if len(self.links) < 3 or r.random() < .05:
            link = Netlink()
            for group in link.groups:
                if r.random() < .5:
                    link.listen(group)
            self.links.append(link)
        if len(self.links) > 4:
            self.links.pop(r.randrange(4)).socket.close()

    def step(self):
        r = self.r
        self.renewed()
        link = r.choice(self.links)
        tried(link.socket.send, any_netlink(r, self.own.family, PORTS))
        # Some are never read, so that their queue gets full.
        if link is not self.links[0]:
            link.socket.setblocking(False)
            while tried(link.socket.recv, 1 << 17):
                pass
        if r.random() < .02:
            tried(self.own.request, CMD_LIMITS_SET, {
                A_LIMIT_HANDLES: 1024, A_LIMIT_CONNECTIONS: 4096,
                A_LIMIT_RULES: 4096, A_LIMIT_CALLS: 256, A_LIMIT_JOBS: 64,
                A_LIMIT_CACHES: 8})
        if r.random() < .02:
            for name in FUNCTIONS:
                tried(self.own.request, CMD_FN_ALLOW,
                      {A_FN_NAME: name.decode(), A_NODE: "*", A_USER: "*"})


def tags_of(data):
    """Those of the whole frames at the beginning of @data."""
    tags = []
    while len(data) >= 32:
        head = HEADER.unpack(data[:28])
        tags.append(head[6])
        data = data[32 + head[4]:]
    return tags


def sent_in_pieces(r, sock, data):
    """At once, byte by byte, or cut somewhere."""
    if len(data) < 300 and r.random() < .3:
        pieces = [data[i:i + 1] for i in range(len(data))]
    else:
        cuts = sorted(r.randrange(len(data) + 1) for _ in range(r.randrange(4)))
        pieces = [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]
    for piece in pieces:
        tried(sock.sendall, piece)


def ended_somehow(r, sock):
    kind = r.randrange(4)
    if kind == 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
    elif kind == 1:
        tried(sock.shutdown, r.randrange(3))
    sock.close()


class Clients:
    """Connections to the caches."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.socks = []
        self.link = Netlink()

    def connect(self):
        port = self.r.choice(PORTS)
        sock = tried(socket.create_connection, ("127.0.0.1", port))
        if sock:
            sock.setblocking(False)
            self.socks.append(sock)
        else:
            tried(self.link.start_cache, port, self.r.choice((0, 8 << 20)),
                  self.r.choice((0, 1024, 1 << 20)),
                  self.r.choice((0, 0, 1, 60)))

    def step(self):
        r = self.r
        if len(self.socks) < 4 or r.random() < .1:
            self.connect()
        if not self.socks:
            return
        sock = r.choice(self.socks)
        sent_in_pieces(r, sock, any_memcached(r))
        if sock is not self.socks[0]:
            while tried(sock.recv, 1 << 16):
                pass
        if len(self.socks) > 12 or r.random() < .1:
            self.socks.remove(sock)
            ended_somehow(r, sock)


class Frames:
    """A node at the other end of a connection, while programs call it."""

    def __init__(self, seed):
        self.r = random.Random(seed)
        self.device, self.link = Device(), Netlink()
        self.heard = 0 # frames of jobs, from descriptors

    def allowed(self):
        """What Control has taken away is given back, mostly."""
        if self.r.random() < .8:
            tried(self.link.request, CMD_LIMITS_SET, {A_LIMIT_JOBS: 64})
            tried(self.link.request, CMD_FN_ALLOW, {
                A_FN_NAME: "virgo.run", A_NODE: "*", A_USER: "*"})

    def call(self, node, size, ms):
        tried(self.device.call, node, self.r.choice(FUNCTIONS).decode(),
              bytes(size), self.r.choice((0, 4, 65536)), ms)

    def say(self, fd):
        """Something of jobs by a descriptor, which waits for nobody."""
        os.set_blocking(fd, False)
        select.select([fd], [], [], .005)
        tags = tags_of(tried(os.read, fd, 1 << 18) or b"")
        self.heard += len(tags)
        for _ in range(self.r.randrange(3)):
            tried(os.write, fd, any_jobs(self.r, tags))

    def ask(self, node):
        """A job's descriptor, which has asked or not."""
        fd = tried(self.device.program, node)
        if fd is not None and self.r.random() < .9:
            tried(os.write, fd, frame(START, order(env=bytes(
                self.r.choice((0, 0, 5000)))), tag=1))
        return fd

    def far_end(self, sock):
        """True answers and lies to what the module asked."""
        for _ in range(self.r.randrange(6)):
            tags = tags_of(tried(sock.recv, 1 << 16) or b"")
            sent_in_pieces(self.r, sock, any_frames(self.r, tags))
        if self.r.random() < .2:
            tried(sock.sendmsg, [self.r.randbytes(self.r.randrange(40))],
                  [(282, 1, struct.pack("B", self.r.randrange(256)))])

    def step(self):
        r = self.r
        self.allowed()
        near, far = tls_pair()
        node = r.choice(("beta", "gamma"))
        handle = tried(self.device.adopt, near, node, r.choice((0, AGENT)))
        near.close()
        both = r.random() < .4
        other = tried(self.device.adopt, far, "alpha", r.choice((0, AGENT))) \
            if both else None
        far.settimeout(.05)
        callers = [threading.Thread(target=self.call, args=(
            node, r.choice((0, 10, 65536)), r.choice((1, 20, 200))))
            for _ in range(r.randrange(4))]
        for caller in callers:
            caller.start()
        fds = [self.ask(node) for _ in range(r.randrange(4))] + [handle, other]
        fds = [fd for fd in fds if fd is not None]
        if other is None:
            self.far_end(far)
            if r.random() < .3:
                ended_somehow(r, far)
        for _ in range(r.randrange(8)):
            if fds:
                self.say(r.choice(fds))
            if fds and r.random() < .2:
                os.close(fds.pop(r.randrange(len(fds))))
        for caller in callers:
            caller.join()
        far.close()
        for fd in fds:
            os.close(fd)


class Namespaces:
    """Whole namespaces that end with everything in them under way; and what
    users make themselves, where there is nothing."""

    def __init__(self, seed):
        self.r = random.Random(seed)

    def inside(self):
        check(LIBC.unshare(0x40000000))
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        r = self.r
        link, device = Netlink(), Device()
        table = device.table()
        for _ in range(r.randrange(30)):
            tried(link.socket.send, any_netlink(r, link.family, PORTS))
        tried(link.start_cache, PORTS[0])
        frames = Frames(r.random())
        for _ in range(r.randrange(3)):
            frames.step()
        near, far = tls_pair()
        tried(device.adopt, near, "beta")
        sock = tried(socket.create_connection, ("127.0.0.1", PORTS[0]))
        if sock:
            for _ in range(r.randrange(5)):
                tried(sock.sendall, any_memcached(r))
        tried(far.sendall, any_frames(r))
        assert len(table) == VARS_BYTES

    def unprivileged(self):
        os.setresuid(65534, 65534, 65534)
        check(LIBC.unshare(0x50000000))
        expect(errno.ENODEV, Device)
        link = Netlink()
        for _ in range(20):
            tried(link.socket.send, any_netlink(self.r, link.family, PORTS))
        expect(errno.ENODEV, link.request, CMD_LIMITS_GET)

    def step(self):
        function = self.r.choice((self.inside, self.inside, self.unprivileged))
        pid = os.fork()
        if not pid:
            try:
                function()
            except BaseException as error:
                print("namespaces:", repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0, function.__name__


WORKERS = (Ioctls, Control, Clients, Frames, Namespaces, Memory)


def work(kind, seed, steps, at, end):
    worker = kind(f"{seed}.{kind.__name__}")
    while time.monotonic() < end:
        worker.step()
        steps[at] += 1
        if kind is Frames:
            steps[-1] = worker.heard


def failed_in_thread(args):
    """A mistake of the fuzzer's own is none of the module's: it is not passed over."""
    traceback.print_exception(args.exc_value)
    os._exit(1)


def start(at, seed, steps, end):
    pid = os.fork()
    if pid:
        return pid
    try:
        threading.excepthook = failed_in_thread
        # Nothing here waits for ever for a peer that does not read or answer.
        socket.setdefaulttimeout(STEP_SECONDS)
        work(WORKERS[at], seed, steps, at, end)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def finish():
    """Every object ends: what clients and descriptors made is gone with them, and
    nothing holds the module."""
    link = Netlink()
    link.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: 4096, A_LIMIT_CACHES: 8})
    while True:
        caches = link.request(CMD_CACHE_GET, dump=True)
        if not caches:
            break
        port = caches[0][A_CACHE_PORT]
        wait_for("its clients are gone",
                 lambda: link.cache(port)[A_CACHE_CONNECTIONS] == 0, 60)
        link.stop_cache(port)
    # It works as ever.
    link.request(CMD_FN_DENY)
    link.start_cache(PORTS[0], size=8 << 20)
    with socket.create_connection(("127.0.0.1", PORTS[0])) as sock:
        sock.sendall(b"set a 0 0 1\r\nx\r\nget a\r\nquit\r\n")
        data = b""
        while more := sock.recv(100):
            data += more
        assert data == b"STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n", data
    link.stop_cache(PORTS[0])
    device = Device()
    assert device.call("", "checksum", b"123456789") == b"\x83\x92\x06\xe3"
    device.close()

    def unheld():
        with open("/sys/module/virgo/refcnt", encoding="ascii") as file:
            return int(file.read()) == 1 # virgo_checksum's

    wait_for("nothing holds the module", unheld, 60)


def run(seconds, seed):
    # Shared with the workers.
    memory = mmap.mmap(-1, 8 * (len(WORKERS) + 1))
    steps = memoryview(memory).cast("Q")
    end = time.monotonic() + seconds
    pids = {start(at, seed, steps, end): at for at in range(len(WORKERS))}
    failed = []
    late = end + STUCK_SECONDS
    while pids:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            name = WORKERS[pids.pop(pid)].__name__
            if status:
                failed.append(f"{name} ended with status {status}")
        elif time.monotonic() > late:
            for pid, at in pids.items():
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/stack") as file:
                        print(WORKERS[at].__name__, file.read(), file=sys.stderr)
                os.kill(pid, signal.SIGKILL)
            failed.append("stuck")
            break
        else:
            time.sleep(.05)
    print("steps:", *(f"{kind.__name__} {count}"
                      for kind, count in zip(WORKERS, steps)),
          f"frames of jobs heard {steps[-1]}", flush=True)
    assert not failed, (f"seed {seed}", failed)
    assert all(steps), f"seed {seed}: a worker did nothing"


if __name__ == "__main__":
    print(f"seed {sys.argv[2]}, {sys.argv[1]} s", flush=True)
    run(float(sys.argv[1]), sys.argv[2])
    finish()
    print("passed: fuzz", flush=True)
