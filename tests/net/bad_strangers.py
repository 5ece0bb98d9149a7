# SPDX-License-Identifier: GPL-2.0-or-later
"""What someone without a certificate of the cloud can do to port 8747: nothing.
Not one byte of service comes back, virgod neither ends nor grows."""

import os
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import time

from frames import HELLO, Peer, dial, frame, hello

host, pid = sys.argv[1], int(sys.argv[2])
PORT = 8747
HELLO_SECONDS = 5  # CONN_HELLO_MS


def memory_kib():
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise AssertionError("no VmRSS")


def raw():
    return socket.create_connection((host, PORT), 10)


def ended(s, seconds):
    """Everything that came, and whether the other side ended it in time."""
    got = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        s.settimeout(max(0.01, end - time.monotonic()))
        try:
            data = s.recv(65536)
        except (socket.timeout, TimeoutError):
            break
        except OSError:
            return got, True
        if not data:
            return got, True
        got += data
    return got, False


def garbage_instead_of_tls():
    noise = random.Random(1)
    for data in (noise.randbytes(5000), b"GET / HTTP/1.0\r\n\r\n",
                 hello(), b"\x16\x03\x01\xff\xff" + bytes(70000),
                 b"\x80" * 100):
        with raw() as s:
            try:
                s.sendall(data)
            except OSError:
                pass
            got, over = ended(s, HELLO_SECONDS + 2)
            assert over, f"still open after {data[:10]!r}"
            assert b"VRGO" not in got


def silence():
    began = time.monotonic()
    with raw() as s:
        _, over = ended(s, HELLO_SECONDS + 2)
    assert over, "a silent connection stays open"
    assert time.monotonic() - began > 1


def handshake_byte_by_byte():
    """A client hello at a byte every 100 ms does not hold a place."""
    out = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = context.wrap_bio(ssl.MemoryBIO(), out)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    with raw() as s:
        began = time.monotonic()
        for byte in out.read():
            try:
                s.sendall(bytes([byte]))
            except OSError:
                break
            if ended(s, 0.1)[1]:
                break
            assert time.monotonic() - began < HELLO_SECONDS + 2, \
                "a handshake may drip for ever"


def serves(alpn, identity=""):
    """True when a byte of the protocol comes back."""
    try:
        with Peer(f"{host}:{PORT}:{identity}", greet=False, alpn=alpn) as p:
            p.send(hello())
            got = p.read()
            return got is not None and got[0] == HELLO
    except (ssl.SSLError, ConnectionError):
        return False


def no_certificate():
    for alpn in ("virgo/1", "virgo-k/1", "h2", None):
        assert not serves(alpn), f"{alpn} without a certificate"


def certificate_of_another():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days",
             "2", "-subj", "/CN=alpha", "-keyout", folder + "/node.key", "-out",
             folder + "/node.crt"], check=True, capture_output=True)
        for alpn in ("virgo/1", "virgo-k/1"):
            assert not serves(alpn, folder), f"{alpn} with a foreign certificate"


def old_tls():
    for version in ("-tls1_2", "-tls1_1"):
        done = subprocess.run(
            ["openssl", "s_client", "-connect", f"{host}:{PORT}", version,
             "-alpn", "virgo/1"], input=b"", capture_output=True, timeout=20)
        assert b"Cipher is (NONE)" in done.stdout, version


def joiner_asks_for_more():
    """The joining class answers nothing but JOIN."""
    with Peer(f"{host}:{PORT}:", alpn="virgo-join/1") as p:
        for kind in list(range(18, 50)) + [64, 71, 75, 130]:
            p.send(frame(kind, b"", tag=kind))
            got = p.read()
            assert got and got[0] == 2 and got[2] == kind, (kind, got)


def half_open():
    """10,000 connections that say nothing: others are served meanwhile."""
    before = memory_kib()
    held = []
    began = time.monotonic()
    for _ in range(10000):
        s = socket.socket()
        s.setblocking(False)
        try:
            s.connect((host, PORT))
        except BlockingIOError:
            pass
        held.append(s)
        if len(held) % 1000 == 0:
            one = time.monotonic()
            dial(f"{host}:{PORT}:/var/lib/virgo/identity").close()
            took = time.monotonic() - one
            assert took < HELLO_SECONDS, f"a handshake took {took:.1f} s"
    grown = memory_kib() - before
    for s in held:
        s.close()
    print(f"    10,000 half-open in {time.monotonic() - began:.1f} s, "
          f"{grown} KiB more")
    assert grown < 256 << 10, f"{grown} KiB more"


def main():
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000))
    for case in (garbage_instead_of_tls, silence, handshake_byte_by_byte,
                 no_certificate, certificate_of_another, old_tls,
                 joiner_asks_for_more, half_open):
        began = time.monotonic()
        case()
        dial(f"{host}:{PORT}:/var/lib/virgo/identity").close()
        assert os.path.exists(f"/proc/{pid}"), "virgod ended"
        print(f"    {case.__name__}: {time.monotonic() - began:.1f} s",
              flush=True)


main()
