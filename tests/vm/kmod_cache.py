# SPDX-License-Identifier: GPL-2.0-or-later
"""kmemcache under stock clients and under bad ones; run by kmod-cache.sh."""

import errno
import os
import re
import select
import socket
import struct
import subprocess
import sys
import threading

from kmod_kit import *

PORT = 11311


def connect(port=PORT):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(60)
    return sock


def receive(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def ask(sock, request, answer):
    sock.sendall(request)
    got = receive(sock, len(answer))
    assert got == answer, (request[:60], got[:80])


def until_end(sock):
    data = b""
    while True:
        try:
            more = sock.recv(65536)
        except ConnectionResetError:
            return data
        if not more:
            return data
        data += more


def stock_client():
    """Every case of libmemcached's conformance test, text and binary."""
    run = subprocess.run(["memccapable", "-h", "127.0.0.1", "-p", str(PORT)],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         text=True, timeout=200, check=False)
    passed = len(re.findall(r"\[pass\]", run.stdout))
    assert "All tests passed" in run.stdout and passed >= 50, run.stdout


def commands():
    sock = connect()
    ask(sock, b"set a 5 0 3\r\nabc\r\n", b"STORED\r\n")
    ask(sock, b"get a b\r\n", b"VALUE a 5 3\r\nabc\r\nEND\r\n")
    ask(sock, b"mg a v t\r\n", b"VA 3 t-1\r\nabc\r\n")
    ask(sock, b"set n 0 0 1\r\n1\r\nincr n 41\r\n", b"STORED\r\n42\r\n")
    ask(sock, b"nonsense\r\n", b"ERROR\r\n")
    # Every byte by itself, then many commands in one piece.
    for byte in b"get a\r\n":
        sock.sendall(bytes([byte]))
    assert receive(sock, 23) == b"VALUE a 5 3\r\nabc\r\nEND\r\n"
    ask(sock, b"get a\r\n" * 3000, b"VALUE a 5 3\r\nabc\r\nEND\r\n" * 3000)
    # As long as a value may be, and longer.
    large = os.urandom(1000000)
    ask(sock, b"set large 0 0 1000000\r\n" + large + b"\r\n", b"STORED\r\n")
    ask(sock, b"get large\r\n",
        b"VALUE large 0 1000000\r\n" + large + b"\r\nEND\r\n")
    ask(sock, b"set large 0 0 2000000\r\n" + bytes(2000000) + b"\r\n",
        b"SERVER_ERROR object too large for cache\r\n")
    ask(sock, b"get large\r\n", b"END\r\n")
    ask(sock, b"set brief 0 1 1\r\nx\r\n", b"STORED\r\n")

    def expired():
        sock.sendall(b"mn\r\nmg brief\r\nmn\r\n")
        answer = b""
        while answer.count(b"MN\r\n") < 2:
            answer += sock.recv(100)
        return b"EN\r\n" in answer

    wait_for("it expires", expired)
    sock.sendall(b"quit\r\n")
    assert until_end(sock) == b""
    sock.close()


def said_all_at_once():
    """A client that ends its side is answered first, however long that takes, and
    whether or not it was accepted before; of half a command nothing is left."""
    value = os.urandom(900000)
    sock = connect()
    ask(sock, b"set big 0 0 900000\r\n" + value + b"\r\n", b"STORED\r\n")
    sock.close()
    want = b"VALUE big 0 900000\r\n" + value + b"\r\nEND\r\n"
    for many, rest in ((1, b""), (20, b"set half 0 0 4\r\nquit")):
        sock = connect()
        sock.sendall(b"get big\r\n" * many + rest)
        sock.shutdown(socket.SHUT_WR)
        assert until_end(sock) == want * many
        sock.close()
    for number in range(200):
        sock = connect()
        sock.sendall(b"set n%d 0 0 1 noreply\r\nx\r\n" % number)
        sock.close()
    sock = connect()

    def all_stored():
        sock.sendall(b"".join(b"mg n%d\r\n" % i for i in range(200)))
        return receive(sock, 800) == b"HD\r\n" * 200

    wait_for("what those who are gone have set", all_stored)
    ask(sock, b"mg half\r\n", b"EN\r\n")
    sock.close()


def nobody_reads():
    """Answers wait for a client that does not read, within bounds; others go on."""
    value = os.urandom(900000)
    sock, other = connect(), connect()
    ask(sock, b"set big 0 0 900000\r\n" + value + b"\r\n", b"STORED\r\n")
    many = 200
    sock.sendall(b"get big\r\n" * many)
    for _ in range(20):
        ask(other, b"get none\r\n", b"END\r\n")
    with open("/proc/meminfo", encoding="ascii") as file:
        free = int(re.search(r"MemFree: *(\d+)", file.read())[1])
    assert free > 100 << 10, f"{free} KiB free while {many} answers wait"
    want = b"VALUE big 0 900000\r\n" + value + b"\r\nEND\r\n"
    for _ in range(many):
        assert receive(sock, len(want)) == want
    sock.close()
    other.close()


def bad_clients():
    for request in (b"get " + b"k" * 100000, b"\x80" + bytes(23),
                    b"\x80\x01\xff\xff" + b"\xff" * 20, b"\0" * 5000,
                    b"set a 0 0 99999999999999999999\r\n",
                    b"set a 0 0 -1\r\n", b"get " + b"k " * 100000 + b"\r\n",
                    b"GET / HTTP/1.1\r\n\r\n", os.urandom(100000)):
        sock = connect()
        try:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        until_end(sock)
        sock.close()
    # In the middle of a value, of a line and of an answer: gone, or reset.
    for request in (b"set a 0 0 1000\r\nabc", b"set a 0 0", b"get big\r\n" * 50):
        for linger in (None, struct.pack("ii", 1, 0)):
            sock = connect()
            sock.sendall(request)
            if linger:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            sock.close()
    sock = connect()
    ask(sock, b"get none\r\n", b"END\r\n")
    sock.close()


def many_connections():
    socks = [connect() for _ in range(500)]
    for sock in socks:
        sock.sendall(b"get none\r\n")
    for sock in socks:
        assert receive(sock, 5) == b"END\r\n"
    assert netlink.cache(PORT)[A_CACHE_CONNECTIONS] == 500
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: 500})
    sock = connect()
    assert until_end(sock) == b"", "one too many is closed"
    sock.close()
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: 4096})
    for sock in socks:
        sock.close()
    wait_for("they are gone",
             lambda: netlink.cache(PORT)[A_CACHE_CONNECTIONS] == 0)


def budget():
    """More than fits is stored; memory stays in its bounds and can be taken."""
    sock = connect()
    value = bytes(10000)
    for start in range(0, 10000, 100):
        sock.sendall(b"".join(b"set key%d 0 0 10000 noreply\r\n%b\r\n" %
                              (i, value) for i in range(start, start + 100)))
    ask(sock, b"mn\r\n", b"MN\r\n")
    state = netlink.cache(PORT)
    assert state[A_CACHE_BYTES] == 16 << 20
    assert 8 << 20 < state[A_CACHE_HELD] <= 16 << 20, state
    assert 800 < state[A_CACHE_ITEMS] < 1700, state
    ask(sock, b"mg key9999 s\r\n", b"HD s10000\r\n")
    ask(sock, b"mg key1\r\n", b"EN\r\n")

    def taken():
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("2")
        return netlink.cache(PORT)[A_CACHE_HELD] < 4 << 20

    wait_for("the kernel takes memory back", taken)
    ask(sock, b"set again 0 0 2\r\nok\r\nget again\r\n",
        b"STORED\r\nVALUE again 0 2\r\nok\r\nEND\r\n")
    sock.close()


def threads():
    wrong = []

    def worker(number):
        sock = connect()
        for i in range(300):
            value = b"%d.%d" % (number, i)
            request = b"set t%d 0 0 %d\r\n%b\r\nget t%d\r\n" % (
                number, len(value), value, number)
            answer = b"STORED\r\nVALUE t%d 0 %d\r\n%b\r\nEND\r\n" % (
                number, len(value), value)
            sock.sendall(request)
            if receive(sock, len(answer)) != answer:
                wrong.append(value)
        sock.close()

    workers = [threading.Thread(target=worker, args=(i,)) for i in range(8)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert not wrong, wrong


def control():
    expect(errno.EADDRINUSE, netlink.start_cache, PORT)
    expect(errno.EINVAL, netlink.request, CMD_CACHE_START, {})
    expect(errno.ERANGE, netlink.start_cache, 0)
    expect(errno.ENOENT, netlink.stop_cache, PORT + 1)
    with socket.create_server(("127.0.0.1", PORT + 1)):
        expect(errno.EADDRINUSE, netlink.start_cache, PORT + 1)
    netlink.start_cache(PORT + 1, size=1, value=1 << 31, idle=1)
    state = netlink.cache(PORT + 1)
    assert state[A_CACHE_BYTES] == 8 << 20 and state[A_CACHE_VALUE] == 4 << 20
    sock = socket.create_connection(("127.0.0.1", PORT + 1))
    assert until_end(sock) == b"", "idle for too long"
    sock.close()
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CACHES: 2})
    expect(errno.EUSERS, netlink.start_cache, PORT + 2)
    netlink.stop_cache(PORT + 1)
    expect(errno.ECONNREFUSED, socket.create_connection,
           ("127.0.0.1", PORT + 1))
    pid = os.fork()
    if not pid:
        os.setresuid(65534, 65534, 65534)
        try:
            expect(errno.EPERM, Netlink().start_cache, PORT + 1)
        except AssertionError as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def terms():
    """What its connections may do is changed while it serves them."""
    port = PORT + 1
    netlink.start_cache(port, size=8 << 20)
    expect(errno.ENOENT, netlink.set_cache, port + 1)
    expect(errno.EINVAL, netlink.set_cache, port, hot=50, warm=31)
    expect(errno.EINVAL, netlink.set_cache, port, warm=61)
    expect(errno.EINVAL, netlink.request, CMD_CACHE_SET, {A_CACHE_HOT: 1})
    netlink.set_cache(port, clients=3, hot=50, warm=30)
    state = netlink.cache(port)
    assert (state[A_CACHE_CLIENTS], state[A_CACHE_HOT],
            state[A_CACHE_WARM]) == (3, 50, 30), state
    quiet, half, deaf = socks = [connect(port) for _ in range(3)]
    for sock in socks:
        ask(sock, b"get none\r\n", b"END\r\n")
    with connect(port) as sock:
        assert until_end(sock) == b"ERROR Too many open connections\r\n"
    ask(deaf, b"set big 0 0 900000\r\n" + bytes(900000) + b"\r\n",
        b"STORED\r\n")
    deaf.sendall(b"get big\r\n" * 50)
    half.sendall(b"set a 0 0 1000\r\nabc")
    wait_for("what the deaf one asked for is under way",
             lambda: select.select([deaf], [], [], 0)[0])
    netlink.set_cache(port, stall=1)
    assert until_end(half) == b"", "in the middle of a command for too long"
    wait_for("the deaf one is cut",
             lambda: netlink.cache(port)[A_CACHE_CONNECTIONS] == 1)
    ask(quiet, b"get none\r\n", b"END\r\n")
    netlink.set_cache(port, idle=1)
    assert until_end(quiet) == b"", "idle for too long"
    for sock in socks:
        sock.close()
    netlink.stop_cache(port)


def stopped_under_load():
    """Clients of a cache that is stopped, or whose namespace ends, are cut."""
    for _ in range(10):
        socks = [connect() for _ in range(10)]
        for sock in socks:
            sock.sendall(b"set a 0 0 3\r\nabc\r\n" + b"get a\r\n" * 2000 +
                         b"set b 0 0 900000\r\nabc")
        netlink.stop_cache(PORT)
        for sock in socks:
            until_end(sock)
            sock.close()
        netlink.start_cache(PORT, size=16 << 20)
    for _ in range(10):
        pid = os.fork()
        if not pid:
            check(LIBC.unshare(0x40000000))
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            Netlink().start_cache(PORT)
            for _ in range(5):
                connect().sendall(b"set a 0 0 3\r\nabc\r\n" +
                                  b"get a\r\n" * 2000)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0


netlink = Netlink()
netlink.start_cache(PORT, size=16 << 20)
for test in (commands, stock_client, said_all_at_once, nobody_reads, bad_clients,
             many_connections, budget, threads, control, terms, stopped_under_load):
    test()
    print("passed:", test.__name__, flush=True)
