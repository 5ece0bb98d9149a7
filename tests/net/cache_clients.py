# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients of the cache that behave in one way each: cache_clients.py WAY PORT."""
import resource
import socket
import sys
import time


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), 20)
    s.settimeout(20)
    return s


def until(s, end):
    got = b""
    while not got.endswith(end):
        more = s.recv(1 << 20)
        assert more, (got[-200:], end)
        got += more
    return got


def through(port):
    s = connect(port)
    s.sendall(b"set tunnelled 0 0 11\r\nthrough-tls\r\n")
    assert until(s, b"\r\n") == b"STORED\r\n"
    value = bytes(i * 7 & 255 for i in range(700000))
    s.sendall(b"set large 0 0 %d\r\n%s\r\n" % (len(value), value))
    assert until(s, b"\r\n") == b"STORED\r\n"
    answer = b"VALUE large 0 %d\r\n%s\r\nEND\r\n" % (len(value), value)
    s.sendall(b"get large\r\n" * 20)
    for _ in range(20):
        got = b""
        while len(got) < len(answer):
            more = s.recv(len(answer) - len(got))
            assert more
            got += more
        assert got == answer
    # What was said before the end of writing is answered.
    s.sendall(b"get tunnelled\r\n")
    s.shutdown(socket.SHUT_WR)
    assert until(s, b"END\r\n").startswith(b"VALUE tunnelled")
    assert s.recv(10) == b""
    many = [connect(port) for _ in range(100)]
    for i, c in enumerate(many):
        c.sendall(b"set m%d 0 0 3\r\nabc\r\nget m%d\r\n" % (i, i))
    for i, c in enumerate(many):
        assert until(c, b"END\r\n").count(b"abc") == 1


def refused(port):
    s = connect(port)
    s.sendall(b"get tunnelled\r\n")
    got = b""
    while more := s.recv(1000):
        got += more
    assert got.startswith(b"SERVER_ERROR beta: ") and b"may not" in got, got


def served(port):
    """A connection that is answered; those of before may take a moment to go."""
    end = time.monotonic() + 20
    while True:
        s = connect(port)
        try:
            s.sendall(b"get none\r\n")
            if until(s, b"\r\n") == b"END\r\n":
                return s
        except ConnectionError:
            pass
        s.close()
        assert time.monotonic() < end
        time.sleep(0.05)


def limited(port):
    """One more than three is told so, and the others go on."""
    three = [served(port) for _ in range(3)]
    fourth = connect(port)
    got = b""
    while more := fourth.recv(1000):
        got += more
    assert got == b"SERVER_ERROR beta: too many connections to its cache\r\n", got
    three.pop().close()
    three.append(served(port))
    for s in three:
        s.sendall(b"get none\r\n")
        assert until(s, b"\r\n") == b"END\r\n"


def resident(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            if line.startswith("Private_Dirty:"):
                return int(line.split()[1]) * 1024
    raise AssertionError("no Private_Dirty")


def idle(port):
    count = 10000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pid = sys.argv[3]
    first = connect(port)
    first.sendall(b"set a 0 0 1\r\na\r\n")
    until(first, b"STORED\r\n")
    before = resident(pid)
    many = []
    for _ in range(count):
        c = connect(port)
        c.sendall(b"get a\r\n")
        many.append(c)
    for c in many:
        until(c, b"END\r\n")
    each = (resident(pid) - before) / count
    print(f"{each:.0f} bytes each")
    assert each <= 1024, each
    many[0].sendall(b"get a\r\n")
    until(many[0], b"END\r\n")


def only_one(s):
    """Whether the server has no other client than this one."""
    s.sendall(b"stats\r\n")
    return b"STAT curr_connections 1\r\n" in until(s, b"END\r\n")


def alone(s):
    end = time.monotonic() + 15
    while not only_one(s):
        assert time.monotonic() < end
        time.sleep(0.05)


def slow(port):
    """One that does not finish its command, one that reads no answers."""
    fine = connect(port)
    alone(fine)
    half = connect(port)
    half.sendall(b"set half 0 0 100\r\nabc")
    deaf = connect(port)
    deaf.sendall(b"set big 0 0 900000\r\n" + bytes(900000) + b"\r\n"
                 + b"get big\r\n" * 30)
    start = time.monotonic()
    assert half.recv(100) == b""
    # To read from the other before it was cut would let it go on.
    alone(fine)
    fine.sendall(b"get half\r\n")
    assert until(fine, b"END\r\n") == b"END\r\n"
    got = 0
    try:
        while more := deaf.recv(1 << 20):
            got += len(more)
    except ConnectionError:
        pass
    assert got < 30 * 900000, got


globals()[sys.argv[1]](int(sys.argv[2]))
