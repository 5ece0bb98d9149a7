# SPDX-License-Identifier: GPL-2.0-or-later
# nbd_bad.py HOST PORT CASE...: what no client should send to virgo-nbd.
import os
import random
import socket
import struct
import sys

HOST, PORT = sys.argv[1], int(sys.argv[2])
OPTION = b"IHAVEOPT"
REQUEST = 0x25609513
READ, WRITE, DISC, TRIM = 0, 1, 2, 4


def dial():
    s = socket.create_connection((HOST, PORT), timeout=120)
    return s


def exactly(s, count):
    data = b""
    while len(data) < count:
        part = s.recv(count - len(data))
        assert part, "the server hung up"
        data += part
    return data


def closed(s):
    """Reads until the server hangs up, which it must."""
    try:
        while s.recv(65536):
            pass
    except ConnectionResetError:
        pass
    s.close()


def option(number, data=b""):
    return OPTION + struct.pack(">II", number, len(data)) + data


def reply(s):
    head = exactly(s, 20)
    kind, length = struct.unpack(">II", head[12:])
    return kind, exactly(s, length)


def go():
    """A connection in transmission, by EXPORT_NAME; its export's size."""
    s = dial()
    exactly(s, 18)
    s.sendall(struct.pack(">I", 3) + option(1))
    return s, struct.unpack(">Q", exactly(s, 10)[:8])[0]


def request(command, offset, length, cookie=1, flags=0):
    return struct.pack(">IHHQQI", REQUEST, flags, command, cookie, offset,
                       length)


def error(s, cookie=1):
    magic, code, got = struct.unpack(">IIQ", exactly(s, 16))
    assert magic == 0x67446698 and got == cookie
    return code


def garbage():
    rng = random.Random(1)
    for n in range(100):
        s = dial()
        s.sendall(rng.randbytes(rng.randrange(1, 2000)))
        s.shutdown(socket.SHUT_WR)
        closed(s)
        s, _ = go()
        s.sendall(bytes(4) + rng.randbytes(100))
        closed(s)


def torn():
    """Whole conversations, cut off at every byte."""
    talk = (struct.pack(">I", 3) + option(8) +
            option(7, struct.pack(">IH", 0, 0)) + request(WRITE, 0, 64) +
            bytes(64) + request(READ, 0, 64))
    for cut in range(len(talk)):
        s = dial()
        s.sendall(talk[:cut])
        s.shutdown(socket.SHUT_WR)
        closed(s)


def wrong():
    s, size = go()
    for command, offset, length, flags, code in (
            (READ, size, 1, 0, 22), (READ, size - 1, 2, 0, 22),
            (READ, (1 << 64) - 1, 10, 0, 22), (READ, 0, 1 << 31, 0, 22),
            (TRIM, size - 1, 2, 0, 22), (77, 0, 1, 0, 22),
            (READ, 0, 1, 1 << 12, 22), (6, size - 1, 2, 0, 28),
            (7, 0, 4096, 0, 22)):
        s.sendall(request(command, offset, length, 5, flags))
        assert error(s, 5) == code, (command, offset, length)
    s.sendall(request(WRITE, size - 3, 4) + b"abcd")
    assert error(s) == 28
    s.sendall(request(WRITE, 0, 48 << 20) + bytes(48 << 20))
    assert error(s) == 22
    s.sendall(request(WRITE, 0, 32 << 20))
    s.sendall(b"x" * (32 << 20))
    assert error(s) == 0
    s.sendall(request(WRITE, 32 << 20, 4) + b"abcd")
    assert error(s) == 28, "beyond the quota"
    s.sendall(request(TRIM, 0, size))
    assert error(s) == 0
    s.sendall(request(WRITE, 32 << 20, 4) + b"abcd")
    assert error(s) == 0
    s.sendall(request(READ, (32 << 20) - 1, 6))
    assert error(s) == 0 and exactly(s, 6) == b"\0abcd\0"
    s.sendall(request(READ, 12345, 7) * 1000)
    for _ in range(1000):
        assert error(s) == 0 and exactly(s, 7) == bytes(7)
    s.sendall(request(DISC, 0, 0))
    closed(s)


def huge():
    """Options whose lengths promise more than will come."""
    for number in range(0, 12):
        s = dial()
        exactly(s, 18)
        s.sendall(struct.pack(">I", 3) +
                  OPTION + struct.pack(">II", number, 0xffffffff) + bytes(50000))
        s.shutdown(socket.SHUT_WR)
        closed(s)
    s = dial()
    exactly(s, 18)
    s.sendall(struct.pack(">I", 3) + option(7, bytes(20000)) +
              option(7, struct.pack(">I", 0xfffffff0) + bytes(8)) + option(2))
    assert reply(s)[0] == 0x80000009
    assert reply(s)[0] == 0x80000003
    assert reply(s)[0] == 1
    closed(s)


def leave():
    """Clients that go while answers or data are on their way."""
    for n in range(50):
        s, _ = go()
        s.sendall(request(READ, 0, 1 << 20) * 20)
        s.close()
        s, _ = go()
        s.sendall(request(WRITE, 0, 1 << 20) + bytes(1000 * n))
        s.close()


def many():
    ends = [go() for _ in range(200)]
    for n, (s, _) in enumerate(ends):
        s.sendall(request(WRITE, n * 4096, 4096) + bytes([n]) * 4096)
    for s, _ in ends:
        assert error(s) == 0
    for n, (s, _) in enumerate(ends):
        s.sendall(request(READ, (199 - n) * 4096, 4096))
    for n, (s, _) in enumerate(ends):
        assert error(s) == 0
        assert exactly(s, 4096) == bytes([199 - n]) * 4096
        s.close()


def slow_reader():
    """Who does not read its answers holds up only itself."""
    lazy, _ = go()
    lazy.setblocking(False)
    sent = 0
    try:
        while sent < 10000:
            lazy.send(request(READ, 0, 1 << 20, sent))
            sent += 1
    except BlockingIOError:
        pass
    other, _ = go()
    for n in range(100):
        other.sendall(request(READ, 0, 4096))
        assert error(other) == 0
        exactly(other, 4096)
    lazy.setblocking(True)
    for n in range(20):
        assert error(lazy, n) == 0
        exactly(lazy, 1 << 20)
    lazy.close()
    other.close()


def too_many():
    ends = [go() for _ in range(3)]
    s = dial()
    closed(s)
    for end, _ in ends:
        end.close()
    for _ in range(100):
        try:
            go()[0].close()
            return
        except (AssertionError, ConnectionResetError):
            pass
    raise AssertionError("nobody is let in any more")


def injected():
    """What comes in the clear together with STARTTLS must not be obeyed."""
    s = dial()
    exactly(s, 18)
    s.sendall(struct.pack(">I", 3) + option(5) + option(3))
    try:
        assert reply(s)[0] == 1
    except ConnectionResetError:
        pass
    closed(s)
    s = dial()
    exactly(s, 18)
    s.sendall(struct.pack(">I", 3) + option(3) + option(8))
    assert reply(s)[0] == 0x80000005
    assert reply(s)[0] == 0x80000005
    s.close()


def control(path):
    for data in (b"\n", b" \n", b"x" * 600, b"add a 4096\nremove a\nlist",
                 os.urandom(300) + b"\n", b"list \0\n", b"quota -1\n",
                 b"quota 99999999999999999999\n", b"a b c d e f g h\n"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(120)
        s.connect(path)
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        closed(s)


for case in sys.argv[3:]:
    print("nbd_bad: " + case, flush=True)
    name, _, value = case.partition("=")
    globals()[name](*([value] if value else []))
