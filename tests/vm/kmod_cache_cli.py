# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the kernel's cache, of a port to it or of virgod's in its place:
kmod_cache_cli.py WAY PORT [...]; run by kmod-cache-cli.sh."""

import os
import re
import socket
import sys

ROUNDS = 40 # of each client


def connect(port):
    s = socket.create_connection(("127.0.0.1", port))
    s.settimeout(60)
    return s


def receive(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        assert more, (data[-200:], size)
        data += more
    return data


def ask(s, request, answer):
    s.sendall(request)
    got = receive(s, len(answer))
    assert got == answer, (request[:60], got[:80])


def until_end(s):
    data = b""
    while more := s.recv(1 << 16):
        data += more
    return data


def stock(port):
    """pymemcache's."""
    from pymemcache.client.base import Client

    client = Client(("127.0.0.1", port), timeout=60)
    assert client.set("a", b"abc", noreply=False)
    assert client.get_many(["a", "b"]) == {"a": b"abc"}
    assert client.set("n", b"41", noreply=False)
    assert client.incr("n", 1) == 42
    assert client.delete("n", noreply=False) and client.get("n") is None
    client.close()


def value(number, size):
    return bytes((number + i) & 255 for i in range(251)) * (size // 251)


def through(port):
    """Sixteen at once, whose requests do not wait for answers; among them one that
    does not read for as long as the others need."""
    long = value(1, 1 << 20)
    deaf = connect(port)
    ask(deaf, b"set long 0 0 %d\r\n%b\r\n" % (len(long), long), b"STORED\r\n")
    many = 3
    deaf.sendall(b"get long\r\n" * many)
    clients = [connect(port) for _ in range(16)]
    for number, s in enumerate(clients):
        for i in range(ROUNDS):
            v = value(number + i, 2510)
            s.sendall(b"set c%d 0 0 %d\r\n%b\r\nget c%d\r\n" %
                      (number, len(v), v, number))
    for number, s in enumerate(clients):
        for i in range(ROUNDS):
            v = value(number + i, 2510)
            want = b"STORED\r\nVALUE c%d 0 %d\r\n%b\r\nEND\r\n" % (
                number, len(v), v)
            assert receive(s, len(want)) == want, (number, i)
    want = b"VALUE long 0 %d\r\n%b\r\nEND\r\n" % (len(long), long)
    for _ in range(many):
        assert receive(deaf, len(want)) == want
    # What was said before the end of sending is answered, however long.
    deaf.sendall(b"get long\r\n" * many)
    deaf.shutdown(socket.SHUT_WR)
    assert until_end(deaf) == want * many
    ask(clients[0], b"quit\r\n", b"")
    assert until_end(clients.pop(0)) == b""
    for s in clients:
        ask(s, b"get none\r\n", b"END\r\n")


def leave(port):
    """Within a command, and within answers that nobody reads any more."""
    for request in (b"set half 0 0 1000\r\nabc", b"get long\r\n" * 10):
        s = connect(port)
        s.sendall(request)
        s.close()


def refused(port):
    s = connect(port)
    s.sendall(b"get greeting\r\n")
    got = until_end(s)
    assert got.startswith(b"SERVER_ERROR beta: ") and b"may not" in got, got


def shut(port):
    s = connect(port)
    got = until_end(s)
    assert got == b"SERVER_ERROR not allowed here\r\n", got


def has(port, key, wanted):
    s = connect(port)
    s.sendall(b"get %b\r\nquit\r\n" % key.encode())
    got = until_end(s)
    assert re.search(rb"\r\n%b\r\n" % wanted.encode(), got), got


def crowd(port, most):
    """As many as may, then one too many."""
    clients = [connect(port) for _ in range(int(most))]
    for s in clients:
        ask(s, b"get none\r\n", b"END\r\n")
    got = until_end(connect(port))
    assert got == b"ERROR Too many open connections\r\n", got


def shares(port, hot, warm):
    """Fails while the cache goes by others."""
    s = connect(port)
    s.sendall(b"stats settings\r\nquit\r\n")
    got = until_end(s)
    assert b"hot_lru_pct %b\r\n" % hot.encode() in got, got
    assert b"warm_lru_pct %b\r\n" % warm.encode() in got, got


globals()[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
