# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scenarios of virgo.ko share: its device, its netlink family, and pairs
of sockets with TLS by the kernel, whose keys need no handshake."""

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                      ctypes.c_int, ctypes.c_int, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
DEVICE = "/dev/virgo"

# uapi/linux/virgo.h
IOC_INFO = 0x8010BA00
(CMD_VAR_SET, CMD_VAR_GET, CMD_VAR_CHANGED, CMD_LIMITS_SET, CMD_LIMITS_GET,
 CMD_FN_ALLOW, CMD_FN_DENY, CMD_CACHE_START, CMD_CACHE_STOP, CMD_CACHE_GET,
 CMD_CALLER_ALLOW, CMD_CALLER_DENY, CMD_NODE_SET, CMD_PEER_WANTED,
 CMD_PEER_FAILED, CMD_CALLER_WAITS, CMD_CACHE_SET) = range(1, 18)
(A_PAD, A_NAME, A_UNIT, A_PRODUCER, A_TYPE, A_MODE, A_VALUE, A_MIN, A_MAX,
 A_DEFAULT, A_UPDATED, A_TTL, A_CONFIDENCE, A_LIMIT_HANDLES,
 A_LIMIT_CONNECTIONS, A_LIMIT_RULES, A_LIMIT_CALLS, A_LIMIT_JOBS, A_FN_NAME,
 A_NODE, A_LIMIT_CACHES, A_CACHE_PORT, A_CACHE_BYTES, A_CACHE_VALUE,
 A_CACHE_IDLE, A_CACHE_HELD, A_CACHE_ITEMS, A_CACHE_CONNECTIONS, A_USER,
 A_UID, A_CACHE_STALL, A_CACHE_CLIENTS, A_CACHE_HOT,
 A_CACHE_WARM) = range(1, 35)
U64 = {A_VALUE, A_MIN, A_MAX, A_DEFAULT, A_UPDATED, A_CACHE_BYTES}
TEXT = {A_NAME, A_UNIT, A_PRODUCER, A_FN_NAME, A_NODE, A_USER}
VARS_BYTES = 1 << 20
S64, UNSIGNED, FIXED, BOOL = 1, 2, 3, 4
OFF, SHADOW, ON = 0, 1, 2

CALL = struct.Struct("64s48sQQIIII")
ADOPT = struct.Struct("iI64s")
CLONE = struct.Struct("II64sII")
IOC_CLONE = 0x4004BA03
MALLOC = struct.Struct("16sQQIIII")
MEMORY = struct.Struct("16sQQQQIIII")
IOC_MALLOC = 0xC0000000 | MALLOC.size << 16 | 0xBA04
IOC_SET, IOC_GET, IOC_FREE = (0x40000000 | MEMORY.size << 16 | 0xBA05 + i
                              for i in range(3))
IOC_ACCEPT = 0xBA08
IOC_CALL = 0xC0000000 | CALL.size << 16 | 0xBA02
HEADER = struct.Struct("<IBBHIIQI")
IOC_ADOPT = 0x40000000 | ADOPT.size << 16 | 0xBA01
AGENT = 1 # an adopter's flag

# core/frame.h, core/messages.h, core/msg_job.h
REPLY, MORE, EOF = 1, 2, 4
ERROR, PING, PONG = 2, 4, 5
START, STARTED, DATA, CREDIT, SIGNAL, WINCH, EXIT = range(64, 71)
CANCEL = 76


def check(result):
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def expect(code, function, *args, **kwargs):
    """The call must fail with this errno."""
    try:
        result = function(*args, **kwargs)
    except OSError as error:
        assert error.errno == code, (errno.errorcode[code], error)
    else:
        raise AssertionError(f"gave {result!r}, not {errno.errorcode[code]}")


def wait_for(what, condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


def enter(namespace):
    """This process goes into a network namespace made by ip(8)."""
    with open(f"/run/netns/{namespace}", "rb") as file:
        check(LIBC.setns(file.fileno(), 0x40000000))


class Netlink:
    """The generic netlink family "virgo" of the namespace we are in."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self.socket.bind((0, 0))
        self.sequence = 0
        self.groups = {}
        self.family = 16
        for _, attrs in self.request_raw(3, 2, [(2, b"virgo\0")], version=1):
            self.family = struct.unpack("H", attrs[1])[0]
            for group in self.parse(attrs[7]).values():
                one = self.parse(group)
                self.groups[one[1].rstrip(b"\0").decode()] = struct.unpack(
                    "I", one[2])[0]

    @staticmethod
    def parse(data):
        attrs = {}
        while len(data) >= 4:
            size, kind = struct.unpack_from("HH", data)
            attrs[kind & 0x3FFF] = data[4:size]
            data = data[(size + 3) & ~3:]
        return attrs

    def request_raw(self, command, flags, attrs, version=1):
        body = b""
        for kind, value in attrs:
            body += struct.pack("HH", 4 + len(value), kind) + value
            body += bytes(-len(body) % 4)
        self.sequence += 1
        self.socket.send(struct.pack("IHHII", 20 + len(body), self.family,
                                     1 | flags | 4, self.sequence, 0) +
                         struct.pack("BBH", command, version, 0) + body)
        replies = []
        while True:
            for kind, sequence, payload in self.receive():
                if sequence != self.sequence:
                    continue
                if kind == 2 or kind == 3:
                    code = -struct.unpack_from("i", payload)[0]
                    if code:
                        raise OSError(code, os.strerror(code))
                    return replies
                replies.append((payload[0], self.parse(payload[4:])))

    def receive(self):
        data = self.socket.recv(1 << 17)
        messages = []
        while data:
            size, kind, _, sequence, _ = struct.unpack_from("IHHII", data)
            messages.append((kind, sequence, data[16:size]))
            data = data[(size + 3) & ~3:]
        return messages

    def request(self, command, attrs=(), dump=False):
        """Attributes and answers as {number: int or str}."""
        packed = []
        for kind, value in dict(attrs).items():
            if isinstance(value, bytes):
                packed.append((kind, value))
            elif kind in TEXT:
                packed.append((kind, value.encode() + b"\0"))
            elif kind in U64:
                packed.append((kind, struct.pack("Q", value % (1 << 64))))
            elif kind in (A_TYPE, A_MODE):
                packed.append((kind, struct.pack("B", value)))
            elif kind == A_CACHE_PORT:
                packed.append((kind, struct.pack("H", value)))
            else:
                packed.append((kind, struct.pack("I", value)))
        return [self.plain(attrs) for _, attrs in self.request_raw(
            command, 0x300 if dump else 0, packed)]

    @staticmethod
    def plain(attrs):
        return {kind: value.rstrip(b"\0").decode() if kind in TEXT else
                int.from_bytes(value, "little")
                for kind, value in attrs.items() if kind != A_PAD}

    def listen(self, group):
        self.socket.setsockopt(270, 1, self.groups[group])

    def set(self, name, value, kind=UNSIGNED, mode=ON, low=0, high=1000000,
            default=0, ttl=0, **more):
        self.request(CMD_VAR_SET, {
            A_NAME: name, A_UNIT: more.get("unit", "ppm"),
            A_PRODUCER: "test", A_TYPE: kind, A_MODE: mode, A_VALUE: value,
            A_MIN: low, A_MAX: high, A_DEFAULT: default, A_TTL: ttl,
            A_CONFIDENCE: 1000000})

    def start_cache(self, port, size=0, value=0, idle=0):
        self.request(CMD_CACHE_START, {A_CACHE_PORT: port, A_CACHE_BYTES: size,
                                       A_CACHE_VALUE: value, A_CACHE_IDLE: idle})

    def set_cache(self, port, **terms):
        """clients=2 for A_CACHE_CLIENTS: 2; what is not named gets its default."""
        self.request(CMD_CACHE_SET, {A_CACHE_PORT: port, **{
            globals()[f"A_CACHE_{name.upper()}"]: value
            for name, value in terms.items()}})

    def stop_cache(self, port):
        self.request(CMD_CACHE_STOP, {A_CACHE_PORT: port})

    def cache(self, port):
        return next(one for one in self.request(CMD_CACHE_GET, dump=True)
                    if one[A_CACHE_PORT] == port)

    def get(self, name):
        return self.request(CMD_VAR_GET, {A_NAME: name})[0]


def as_user(uid, function, *args):
    """Runs it in a process of that user, without any right."""
    pid = os.fork()
    if not pid:
        try:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            function(*args)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, function.__name__


class Device:
    """/dev/virgo of the namespace we are in."""

    def __init__(self):
        self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)

    def close(self):
        os.close(self.fd)

    def table(self):
        return mmap.mmap(self.fd, VARS_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)

    def program(self, node, flags=0, wait_ms=0, size=80, more=b"", reserved=0):
        """A descriptor for a program there."""
        return self.ioctl(IOC_CLONE, CLONE.pack(size, flags, node.encode(),
                                                wait_ms, reserved) + more)

    def adopt(self, sock, node, flags=0):
        return self.ioctl(IOC_ADOPT, ADOPT.pack(
            sock if isinstance(sock, int) else sock.fileno(), flags,
            node.encode()))

    def ioctl(self, request, data):
        buffer = ctypes.create_string_buffer(data, len(data))
        return check(LIBC.ioctl(self.fd, ctypes.c_ulong(request), buffer))

    def call(self, node, name, argument=b"", size=65536, ms=10000, flags=0):
        arg = ctypes.create_string_buffer(argument, len(argument) + 1)
        result = ctypes.create_string_buffer(size + 1)
        request = CALL.pack(node.encode(), name.encode(),
                            ctypes.addressof(arg), ctypes.addressof(result),
                            len(argument), size, ms, flags)
        got = self.ioctl(IOC_CALL, request)
        return result.raw[:got]


    def malloc(self, size, lease_ms=0, ms=20000, flags=0):
        words = ctypes.create_string_buffer(1024)
        buffer = ctypes.create_string_buffer(MALLOC.pack(
            bytes(16), size, ctypes.addressof(words), lease_ms, ms, 1024,
            flags), MALLOC.size)
        self.done(IOC_MALLOC, buffer, words)
        return buffer.raw[:16]

    def memory(self, request, handle, data=None, offset=0, ms=20000, flags=0,
               reserved=0):
        """SET, GET or FREE; @data is a buffer of ctypes."""
        words = ctypes.create_string_buffer(1024)
        self.done(request, ctypes.create_string_buffer(MEMORY.pack(
            handle, offset, len(data) if data else 0,
            ctypes.addressof(data) if data else 0, ctypes.addressof(words), ms,
            1024, flags, reserved), MEMORY.size), words)

    def done(self, request, buffer, words):
        """An error has virgod's words, if there are any."""
        try:
            check(LIBC.ioctl(self.fd, ctypes.c_ulong(request), buffer))
        except OSError as error:
            error.words = words.raw
            raise

    def set(self, handle, data, offset=0, **more):
        self.memory(IOC_SET, handle, ctypes.create_string_buffer(
            data, len(data)), offset, **more)

    def get(self, handle, size, offset=0, **more):
        data = ctypes.create_string_buffer(size)
        self.memory(IOC_GET, handle, data, offset, **more)
        return data.raw

    def free(self, handle, **more):
        self.memory(IOC_FREE, handle, **more)


def enable_tls(sock, send, receive, version=0x0304):
    """TLS of the kernel with these keys, which are 28 bytes: salt, vector, key."""
    sock.setsockopt(socket.IPPROTO_TCP, 31, b"tls\0")
    for way, keys in ((1, send), (2, receive)):
        if keys:
            sock.setsockopt(282, way, struct.pack("HH", version, 51) +
                            keys[4:12] + keys[12:28] + keys[:4] + bytes(8))


def connected(listener, address):
    client = socket.create_connection(address)
    server, _ = listener.accept()
    for sock in (client, server):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client, server


def tls_pair(version=0x0304):
    """Two ends of a connection over the loopback of this namespace."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client, server = connected(listener, listener.getsockname())
    there, back = os.urandom(28), os.urandom(28)
    enable_tls(client, there, back, version)
    enable_tls(server, back, there, version)
    return client, server


def tls_across(near, far, address):
    """Two ends of a connection from one network namespace to an address of another."""
    pipes = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    keys = os.urandom(28), os.urandom(28)
    pid = os.fork()
    if not pid:
        enter(far)
        with socket.create_server((address, 8747)) as listener:
            pipes[1].send(b"l")
            sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        enable_tls(sock, *keys)
        socket.send_fds(pipes[1], [b"s"], [sock.fileno()])
        os._exit(0)
    assert pipes[0].recv(1) == b"l"
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    enter(near)
    client = socket.create_connection((address, 8747))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    enable_tls(client, keys[1], keys[0])
    check(LIBC.setns(here, 0))
    os.close(here)
    server = socket.socket(fileno=socket.recv_fds(pipes[0], 1, 1)[1][0])
    assert os.waitpid(pid, 0)[1] == 0
    for pipe in pipes:
        pipe.close()
    return client, server


def adopter(namespace, peer, sock, then=lambda: None):
    """A stand-in for virgod in @namespace: hands @sock over as that of the node @peer,
    then stops itself."""
    pid = os.fork()
    if not pid:
        enter(namespace)
        Device().adopt(sock, peer)
        then()
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(1)
    assert os.WIFSTOPPED(os.waitpid(pid, os.WUNTRACED)[1])
    return pid


def crc32c_of_byte(crc):
    for _ in range(8):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


CRC32C = [crc32c_of_byte(byte) for byte in range(256)]


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


def frame(kind, payload=b"", tag=0, flags=0, length=None, stream=0, credit=0):
    """core/frame.h"""
    head = HEADER.pack(0x4F475256, 1, flags, kind,
                       len(payload) if length is None else length, stream, tag,
                       credit)
    return head + struct.pack("<I", crc32c(head)) + payload


def receive_exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(value)) + value


def order(user="", node="", argv=(b"true",), window=65536, env=b""):
    words = b"".join(text(text(word)) for word in argv)
    return (text(node) + text(user) + struct.pack("<I", 0) + text(words) +
            text(env) + text("") + text("") +
            struct.pack("<HHHQQII", 24, 80, 0o22, 0, 0, 0, 0) + text(b"") +
            struct.pack("<I", window))


def exit_of(status=0, reason=0):
    return struct.pack("<BiQQQ", reason, status, 1, 2, 3) + text("") + text("")
