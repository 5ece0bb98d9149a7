# SPDX-License-Identifier: GPL-2.0-or-later
"""Frames that no program of ours sends, against one address (see frames.py).
Prints a line a case; the first that goes wrong ends it. Names of cases may
follow, for those alone."""

import os
import random
import struct
import sys
import time

from frames import (ERROR, EOF, FRAME_MAX, GOAWAY, HELLO, MORE, OK, PING, PONG,
                    REPLY, STATUS, Peer, frame, header, hello, text)

address = sys.argv[1]
pid = int(sys.argv[2])  # of the virgod there
HELLO_SECONDS = 5  # CONN_HELLO_MS


def memory_kib():
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def refused(data, seconds=2, greet=True):
    with Peer(address, greet=greet) as p:
        try:
            p.send(data)
        except OSError:
            return  # it did not even wait for the end
        assert p.closed_within(seconds), "the connection was not closed"


def garbage():
    noise = random.Random(8747)
    for size in (1, 31, 32, 33, 1000, 100000):
        data = noise.randbytes(size)
        if size >= 32:
            refused(data, greet=False)
            refused(data)
        else:  # too short to be judged: ends with the sender, or in time
            with Peer(address) as p:
                p.send(data)


def other_protocols():
    refused(b"GET / HTTP/1.1\r\nHost: alpha\r\n\r\n\r\n", greet=False)
    refused(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", greet=False)
    refused(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 8, greet=False)


def wrong_checksum():
    good = bytearray(frame(PING, struct.pack("<Q", 1)))
    for bit in range(0, 32 * 8, 7):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        refused(bytes(bad))


def oversized():
    refused(header(PING, FRAME_MAX + 1))
    refused(header(PING, 0xFFFFFFFF))
    # Before HELLO much less is taken.
    refused(header(HELLO, 65536), greet=False)


def largest():
    with Peer(address) as p:
        p.send(frame(383, bytes(FRAME_MAX), tag=5))
        kind, _, tag, _ = p.read()
        assert (kind, tag) == (ERROR, 5)
        p.ping()


def cut_off():
    whole = frame(PING, struct.pack("<Q", 1))
    for size in (1, 31, 32, 33, len(whole) - 1):
        with Peer(address) as p:
            p.send(whole[:size])


def another_version():
    refused(frame(PING, struct.pack("<Q", 1), version=2))
    refused(hello(low=2, high=9), greet=False)
    with Peer(address, greet=False) as p:
        p.send(hello(low=0, high=9))
        assert p.read()[0] == HELLO
        p.ping()


def no_greeting():
    refused(frame(PING, struct.pack("<Q", 1)), greet=False)
    refused(frame(STATUS), greet=False)


def unknown_type():
    with Peer(address) as p:
        for kind in (0, 7, 383, 511, 0xFFFF):
            p.send(frame(kind, b"x" * 100, tag=kind + 1))
            got = p.read()
            assert got and (got[0], got[2]) == (ERROR, kind + 1), got
        p.ping()


def unknown_flags():
    with Peer(address) as p:
        p.send(frame(PING, struct.pack("<Q", 3), flags=0xF8, tag=9))
        assert p.read()[0] == PONG


def replies_to_nothing():
    """Answers that nobody asked for are dropped, not answered."""
    with Peer(address) as p:
        for kind in (k for k in range(2, 512) if k != GOAWAY):
            p.send(frame(kind, b"", flags=REPLY | MORE, tag=kind))
            p.send(frame(kind, bytes(64), flags=REPLY | EOF, tag=kind))
        p.ping(tag=1000)


def sent_away():
    """GOAWAY ends a connection, however little it says."""
    for payload in (b"", b"\xff" * 64):
        with Peer(address) as p:
            p.send(frame(GOAWAY, payload))
            assert p.closed_within(5)


def malformed_payloads():
    """Every message type with an empty payload, noise, and absurd lengths."""
    noise = random.Random(47)
    with Peer(address) as p:
        for kind in range(7, 512):
            for payload in (b"", noise.randbytes(50), b"\xff" * 64,
                            text("x") * 3):
                p.send(frame(kind, payload, tag=kind << 8))
        p.ping(tag=3)
    with Peer(address) as p:
        p.ping()


def hello_twice():
    with Peer(address) as p:
        p.send(hello())
        p.send(hello())
        p.ping()


def same_tag_again():
    with Peer(address) as p:
        for _ in range(100):
            p.send(frame(PING, struct.pack("<Q", 99), tag=4))
        for _ in range(100):
            assert p.read()[2] == 4
        for _ in range(3):
            p.send(frame(STATUS, b"", tag=6))
        answers = [p.read() for _ in range(3)]
        assert all(a and a[2] == 6 for a in answers), answers


def byte_by_byte():
    with Peer(address, greet=False) as p:
        for byte in hello() + frame(PING, struct.pack("<Q", 5), tag=8):
            p.send(bytes([byte]))
        assert p.read()[0] == HELLO
        assert p.read()[0] == PONG


def slow_drip():
    """A byte every 200 ms is alive, but does not greet in time."""
    began = time.monotonic()
    with Peer(address, greet=False) as p:
        for byte in hello():
            try:
                p.send(bytes([byte]))
            except OSError:
                break
            if p.closed_within(0.2):
                break
            assert time.monotonic() - began < HELLO_SECONDS + 2, \
                "a greeting may drip for ever"
    assert time.monotonic() - began > 1


def never_reads():
    """A peer that asks and asks and never reads: at most CONN_MAX is queued."""
    before = memory_kib()
    one = frame(PING, struct.pack("<Q", 1)) * 2000
    sent = 0
    with Peer(address) as p:
        p.s.settimeout(1)
        try:
            while sent < 256 << 20:
                sent += p.s.send(one)
        except OSError:
            pass
        grown = memory_kib() - before
    assert grown < 96 << 10, f"{grown} KiB more after {sent >> 20} MiB of PING"


def main():
    cases = [garbage, other_protocols, wrong_checksum, oversized, largest,
             cut_off, another_version, no_greeting, unknown_type,
             unknown_flags, replies_to_nothing, sent_away, malformed_payloads,
             hello_twice, same_tag_again, byte_by_byte, slow_drip, never_reads]
    for case in cases:
        if sys.argv[3:] and case.__name__ not in sys.argv[3:]:
            continue
        began = time.monotonic()
        case()
        with Peer(address) as p:  # the others are still served
            p.ping()
        assert os.path.exists(f"/proc/{pid}"), "virgod ended"
        print(f"    {case.__name__}: {time.monotonic() - began:.1f} s",
              flush=True)


main()
