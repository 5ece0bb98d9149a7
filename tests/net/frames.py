# SPDX-License-Identifier: GPL-2.0-or-later
"""VIRGO frames by hand, for tests that speak to virgod as no program of ours
would. An address is the path of a unix socket, or "HOST:PORT:IDENTITY" for TLS
with the certificate in folder IDENTITY (none when it is empty)."""

import socket
import ssl
import struct
import time

MAGIC = b"VRGO"
HELLO, ERROR, OK, PING, PONG, GOAWAY = 1, 2, 3, 4, 5, 6
STATUS = 32
FRAME_MAX = (1 << 20) + (64 << 10)
REPLY, MORE, EOF = 1, 2, 4

_table = []
for _n in range(256):
    for _ in range(8):
        _n = _n >> 1 ^ (0x82F63B78 if _n & 1 else 0)
    _table.append(_n)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def header(kind, length, flags=0, stream=0, tag=1, credit=0, version=1):
    head = struct.pack("<4sBBHIIQI", MAGIC, version, flags, kind, length,
                       stream, tag, credit)
    return head + struct.pack("<I", crc32c(head))


def frame(kind, payload=b"", **fields):
    return header(kind, len(payload), **fields) + payload


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data


def hello(low=1, high=1):
    return frame(HELLO, struct.pack("<HHQI", low, high, 0, FRAME_MAX) +
                 text("") + text(bytes(16)) + struct.pack("<Q", 1) +
                 text("a test"), tag=0)


def dial(address, alpn="virgo/1", timeout=10):
    """A connected stream, through the TLS handshake."""
    if address.startswith("/"):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(address)
        return s
    host, port, identity = address.rsplit(":", 2)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    if identity:
        context.load_cert_chain(identity + "/node.crt", identity + "/node.key")
    raw = socket.create_connection((host, int(port)), timeout)
    return context.wrap_socket(raw)


class Peer:
    """One side of a conversation."""

    def __init__(self, address, greet=True, **options):
        self.s = dial(address, **options)
        self.buffer = b""
        if greet:
            self.send(hello())
            kind = self.read()[0]
            assert kind == HELLO, f"greeted with message {kind}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()

    def send(self, data):
        self.s.sendall(data)

    def _fill(self, size):
        while len(self.buffer) < size:
            try:
                data = self.s.recv(65536)
            except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as e:
                if isinstance(e, ssl.SSLError) and "timed out" in str(e):
                    raise
                data = b""
            if not data:
                return False
            self.buffer += data
        return True

    def read(self, heartbeats=False):
        """(kind, flags, tag, payload), or None at the end. The other side's
        own heartbeats are answered and left out, unless asked for."""
        while True:
            if not self._fill(32):
                return None
            head = self.buffer[:32]
            assert head[:4] == MAGIC and crc32c(head[:28]) == \
                struct.unpack("<I", head[28:])[0], "virgod sent a bad header"
            _, flags, kind, length, _, tag = struct.unpack("<BBHIIQ", head[4:24])
            if not self._fill(32 + length):
                return None
            payload = self.buffer[32:32 + length]
            self.buffer = self.buffer[32 + length:]
            if kind == PING and not heartbeats:
                self.send(frame(PONG, payload, flags=REPLY, tag=tag))
                continue
            return kind, flags, tag, payload

    def closed_within(self, seconds):
        """True when the other side ends the connection in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.s.settimeout(max(0.01, end - time.monotonic()))
            try:
                if not self.s.recv(65536):
                    return True
            except (socket.timeout, TimeoutError):
                return False
            except (ConnectionError, ssl.SSLError, OSError):
                return True
        return False

    def ping(self, tag=7):
        """Asserts that the connection answers."""
        self.send(frame(PING, struct.pack("<Q", 99), tag=tag))
        while True:
            got = self.read()
            assert got, "the connection ended instead of answering PING"
            if got[0] == PONG and got[2] == tag:
                assert got[3] == struct.pack("<Q", 99), "PONG with another stamp"
                return
