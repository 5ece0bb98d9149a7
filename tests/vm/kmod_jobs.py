# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs over adopted connections; run by kmod-jobs.sh, which has no virgod: this
plays the program that asks, the agent that answers, and hostile ones of both."""

import errno
import os
import select
import signal
import struct
import subprocess
import threading

from kmod_kit import *

WINDOW = 128 << 10
LOST = 6


class End:
    """A descriptor that frames are read from and written to."""

    def __init__(self, fd):
        self.fd = fd

    def ready(self, seconds=0):
        return bool(select.select([self.fd], [], [], seconds)[0])

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            assert self.ready(20), "nothing to read"
            more = os.read(self.fd, size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def read(self):
        """(type, tag, stream, flags, credit, payload)"""
        head = HEADER.unpack(self.read_exactly(32)[:28])
        return (head[3], head[6], head[5], head[2], head[7],
                self.read_exactly(head[4]))

    def expect(self, kind, payload=None, **fields):
        got = dict(zip(("kind", "tag", "stream", "flags", "credit", "payload"),
                       self.read()))
        assert got["kind"] == kind, (got, kind)
        assert payload is None or got["payload"] == payload, (got, payload)
        for name, value in fields.items():
            assert got[name] == value, (got, name, value)
        return got

    def write(self, kind, payload=b"", **fields):
        data = frame(kind, payload, **fields)
        while data:
            data = data[os.write(self.fd, data):]

    def close(self):
        os.close(self.fd)


class Pair:
    """The module calls the far end beta; who asks from there is alpha."""

    def __init__(self, agent=AGENT):
        near, far = tls_pair()
        self.near = End(device.adopt(near, "beta", AGENT))
        self.agent = End(device.adopt(far, "alpha", agent))
        near.close()
        far.close()

    def ask(self, tag=77, **how):
        one = End(device.program("beta"))
        one.write(START, order(**how), tag=tag)
        return one

    def running(self, **how):
        one = self.ask(**how)
        got = self.agent.expect(START)
        return one, got["tag"]

    def close(self):
        self.near.close()
        self.agent.close()
        wait_for("no connection", lambda: not connected_to("beta"))


def connected_to(node):
    try:
        os.close(device.program(node))
    except OSError as error:
        assert error.errno == errno.EHOSTDOWN, error
        return False
    return True


def rules():
    pair = Pair()
    one = pair.ask()
    got = one.expect(ERROR, tag=77, flags=REPLY)
    assert struct.unpack_from("<i", got["payload"])[0] == -errno.EACCES
    assert os.read(one.fd, 1) == b""
    one.close()
    for node, user in (("beta", "*"), ("alpha", "ann"), ("*", "bob")):
        allow(node, user)
        one = pair.ask()
        one.expect(ERROR)
        one.close()
        allow(node, user, deny=True)
    allow("alpha", "root")
    # Whatever the program says about itself, the module says who asks.
    one = pair.ask(user="bob", node="gamma", argv=(b"echo", b"x"))
    got = pair.agent.expect(START, order("root", "beta", (b"echo", b"x")))
    pair.agent.write(EXIT, exit_of(3), tag=got["tag"], flags=REPLY)
    one.expect(EXIT, exit_of(3), tag=77, flags=REPLY)
    assert os.read(one.fd, 1) == b""
    one.write(SIGNAL, struct.pack("<I", 1))  # too late, and no error
    one.close()
    pair.close()
    expect(errno.EHOSTDOWN, device.program, "beta")
    # A connection whose holder serves nothing has no jobs, and answers that.
    pair = Pair(agent=0)
    one = pair.ask()
    got = one.expect(ERROR)
    assert struct.unpack_from("<i", got["payload"])[0] == -errno.EOPNOTSUPP
    expect(errno.EINVAL, os.read, pair.agent.fd, 1)
    expect(errno.EINVAL, os.write, pair.agent.fd, b"x")
    one.close()
    pair.close()


def allow(node, user, deny=False):
    netlink.request(CMD_FN_DENY if deny else CMD_FN_ALLOW,
                    {A_FN_NAME: "virgo.run", A_NODE: node, A_USER: user})


def asking():
    pair = Pair()
    for wrong in ({"flags": 1}, {"reserved": 1}, {"size": 79}, {"size": 0},
                  {"wait_ms": 3600001}, {"size": 88, "more": bytes(8),
                                         "flags": 2}):
        expect(errno.EINVAL, device.program, "beta", **wrong)
    expect(errno.EINVAL, device.program, "")
    expect(errno.EINVAL, device.program, "b" * 64)
    expect(errno.E2BIG, device.program, "beta", size=88, more=b"\1" + bytes(7))
    expect(errno.E2BIG, device.program, "beta", size=1 << 20)
    os.close(device.program("beta", size=88, more=bytes(8)))
    expect(errno.EHOSTDOWN, device.program, "gamma", wait_ms=1)
    netlink.request(CMD_NODE_SET, {A_NODE: "here"})
    expect(errno.EDESTADDRREQ, device.program, "here")
    expect(errno.EINVAL, device.adopt, pair.near.fd, "x", 2)

    def without_a_name():
        expect(errno.EPERM, device.program, "beta")

    def as_ann():
        one = pair.ask()
        one.expect(EXIT)

    as_user(4711, without_a_name)
    netlink.request(CMD_CALLER_ALLOW, {A_UID: 4711, A_USER: "ann"})
    allow("alpha", "ann")
    answer = threading.Thread(target=lambda: pair.agent.write(
        EXIT, exit_of(), flags=REPLY,
        tag=pair.agent.expect(START, order("ann", "beta"))["tag"]))
    answer.start()
    as_user(4711, as_ann)
    answer.join()
    netlink.request(CMD_CALLER_DENY, {A_UID: 4711})
    # As many as the limit says.
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_JOBS: 2})
    first, second = pair.ask(), pair.ask()
    expect(errno.EBUSY, device.program, "beta")
    first.close()
    third = pair.ask()
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_JOBS: 64})
    second.close()
    third.close()
    # What is no order, or comes before it.
    one = End(device.program("beta"))
    expect(errno.ENOTCONN, os.read, one.fd, 1)
    for kind, payload, code in ((SIGNAL, struct.pack("<I", 9), errno.EINVAL),
                                (START, b"", errno.EINVAL),
                                (START, order(window=8 << 20), errno.EINVAL),
                                (START, order(env=bytes(WINDOW - len(order()))),
                                 errno.E2BIG),
                                (START, bytes(WINDOW + 1), errno.EMSGSIZE)):
        expect(code, one.write, kind, payload)
    expect(errno.EPROTO, os.write, one.fd, bytes(32))
    one.write(START, order())
    expect(errno.EINVAL, one.write, START, order())
    expect(errno.EINVAL, one.write, EXIT, exit_of())
    expect(errno.EINVAL, one.write, STARTED)
    expect(errno.EINVAL, one.write, DATA, b"x")  # nothing was allowed yet
    expect(errno.EINVAL, one.write, DATA, b"x", stream=1)
    expect(errno.EINVAL, one.write, DATA, b"", stream=3)
    expect(errno.EINVAL, one.write, CREDIT, stream=0, credit=1)
    expect(errno.EINVAL, one.write, CREDIT, stream=3, credit=1)
    expect(errno.EINVAL, one.write, CREDIT, stream=1, credit=1 << 31)
    one.close()
    pair.close()


def streams():
    pair = Pair()
    one, tag = pair.running()
    agent = pair.agent
    # Both directions of a cat of 3 MB, each side only as far as it may.
    agent.write(STARTED, struct.pack("<QI", 5, 6) + text("beta"), tag=tag,
                flags=REPLY | MORE, credit=256 << 10)
    got = one.expect(STARTED, tag=77, flags=REPLY | MORE, credit=WINDOW)
    data = os.urandom(3 << 20)
    back = bytearray()

    def cat():
        room, waits, end = 65536, b"", False
        while True:
            if waits and room:
                part = waits[:min(room, 10000)]
                waits = waits[len(part):]
                room -= len(part)
                agent.write(DATA, part, tag=tag, stream=1, flags=REPLY | MORE)
                agent.write(CREDIT, tag=tag, stream=0, credit=len(part),
                            flags=REPLY | MORE)
                continue
            if end and not waits:
                agent.write(DATA, tag=tag, stream=1, flags=REPLY | MORE | EOF)
                agent.write(EXIT, exit_of(9), tag=tag, flags=REPLY)
                return
            kind, got_tag, stream, flags, credit, payload = agent.read()
            assert got_tag == tag
            if kind == CREDIT:
                assert stream == 1
                room += credit
            else:
                assert (kind, stream) == (DATA, 0), kind
                waits += payload
                assert len(waits) <= 256 << 10
                end = bool(flags & EOF)

    thread = threading.Thread(target=cat)
    thread.start()
    room, sent = WINDOW, 0
    while True:
        if room and sent < len(data):
            part = data[sent:sent + min(room, 30000)]
            sent += len(part)
            room -= len(part)
            one.write(DATA, part, tag=77, stream=0,
                      flags=EOF if sent == len(data) else 0)
            continue
        kind, got_tag, stream, flags, credit, payload = one.read()
        assert got_tag == 77 and flags & REPLY
        if kind == CREDIT:
            assert stream == 0
            room += credit
        elif kind == DATA:
            assert stream == 1
            back += payload
            if payload:
                one.write(CREDIT, tag=77, stream=1, credit=len(payload))
        else:
            assert (kind, payload) == (EXIT, exit_of(9)), kind
            break
    thread.join()
    assert bytes(back) == data
    one.close()
    # A reader that rests stops who writes: more than he allowed is not taken.
    one, tag = pair.running()
    agent.write(DATA, bytes(65536), tag=tag, stream=2, flags=REPLY | MORE)
    one.write(DATA, stream=1, flags=EOF)  # its reader is gone
    agent.expect(DATA, b"", tag=tag, stream=1, flags=EOF)
    # What has ended waits until it was read, in order.
    agent.write(EXIT, exit_of(1), tag=tag, flags=REPLY)
    got = b""
    while len(got) < 65536:
        got += one.expect(DATA, stream=2)["payload"]
    one.expect(EXIT, exit_of(1))
    one.close()
    pair.close()


def signals():
    pair = Pair()
    one, tag = pair.running()
    for number in (15, 2, 15, 64):
        one.write(SIGNAL, struct.pack("<I", number), tag=77)
    one.write(WINCH, struct.pack("<HH", 1, 2))
    one.write(WINCH, struct.pack("<HH", 30, 90))
    wait_for("all of it", pair.agent.ready)
    got = [pair.agent.read() for _ in range(2)]
    while got[-1][0] != WINCH or got[-1][5] != struct.pack("<HH", 30, 90):
        got.append(pair.agent.read())
    numbers = [struct.unpack("<I", one[5])[0] for one in got
               if one[0] == SIGNAL]
    assert sorted(set(numbers)) == [2, 15, 64], got
    assert all(one[1] == tag for one in got)
    # Whoever asked is killed, and with him goes the program.
    pid = os.fork()
    if not pid:
        pair.ask()
        signal.pause()
    other = pair.agent.expect(START)["tag"]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pair.agent.expect(CANCEL, tag=other)
    pair.agent.write(EXIT, exit_of(), tag=other, flags=REPLY)  # too late
    one.write(CANCEL)
    pair.agent.expect(CANCEL, tag=tag)
    one.close()
    # What was cancelled before the agent read of it never was.
    pair.ask().close()
    # Answered after all that was said before.
    expect(errno.EACCES, device.call, "beta", "none")
    one = pair.ask(argv=(b"second",))
    pair.agent.expect(START, order("root", "beta", (b"second",)))
    one.close()
    pair.close()


def lost_agents():
    pair = Pair()
    ones = [pair.running()[0] for _ in range(5)]
    waiting = End(device.program("beta"))
    pair.agent.close()
    for one in ones:
        got = one.expect(EXIT, tag=77, flags=REPLY)
        reason, status = struct.unpack_from("<Bi", got["payload"])
        assert (reason, status) == (LOST, 255) and b"virgod" in got["payload"]
        assert os.read(one.fd, 1) == b""
        one.close()
    expect(errno.EPIPE, waiting.write, START, order())
    waiting.close()
    pair.near.close()


def outsider():
    """A peer that says what it likes: its socket, and our agent for it."""
    near, far = tls_pair()
    agent = End(device.adopt(near, "alpha", AGENT))
    near.close()
    return far, agent


def hostile(what, *data):
    far, agent = outsider()
    far.settimeout(20)
    try:
        for one in data:
            far.sendall(one)
        while far.recv(65536):
            pass
    except OSError as error:
        assert error.errno in (errno.ECONNRESET, errno.EPIPE), (what, error)
    agent.close()
    far.close()
    print("cut off:", what, flush=True)


def hostile_peers():
    start = frame(START, order("root", window=100), tag=1)
    hostile("a tag twice", start, start)
    wait_for("the kernel's log says why", lambda: "the connection to alpha is "
             "cut: its frames break the rules" in subprocess.run(
                 ["dmesg"], capture_output=True, check=True).stdout.decode())
    hostile("a window too large", frame(START, order("root", window=4 << 20)))
    for what, kind, payload, fields in (
            ("data beyond what was allowed", DATA, b"x", {}),
            ("data against its direction", DATA, b"x", {"stream": 1}),
            ("a fourth stream", DATA, b"", {"stream": 3}),
            ("a credit too large", CREDIT, b"", {"stream": 1,
                                                 "credit": 0xFFFFFFFF}),
            ("credit of the wrong side", CREDIT, b"", {"credit": 1}),
            ("a credit with bytes", CREDIT, b"x", {"stream": 1, "credit": 1}),
            ("signal 0", SIGNAL, struct.pack("<I", 0), {}),
            ("signal 65", SIGNAL, struct.pack("<I", 65), {}),
            ("a signal cut off", SIGNAL, b"\1", {}),
            ("half a size", WINCH, b"\1\0", {}),
            ("an answer to nobody", STARTED, b"", {})):
        hostile(what, start, frame(kind, payload, tag=1, **fields))
    many = [frame(CREDIT, tag=1, stream=1, credit=1 << 20)] * 3
    hostile("credit without end", start, *many)
    # Refused, but the connection lives.
    far, agent = outsider()
    for data, code in ((frame(START, b"x" * 40, tag=2), errno.EBADMSG),
                       (frame(START, order(""), tag=2), errno.EACCES),
                       (frame(START, order("*"), tag=2), errno.EACCES),
                       (frame(START, order("u" * 64), tag=2), errno.EACCES),
                       (frame(START, order("bob"), tag=2), errno.EACCES),
                       (frame(START, order("root", env=bytes(WINDOW)), tag=2),
                        errno.E2BIG)):
        far.sendall(data)
        head = HEADER.unpack(receive_exactly(far, 32)[:28])
        payload = receive_exactly(far, head[4])
        assert (head[3], head[6]) == (ERROR, 2)
        assert struct.unpack_from("<i", payload)[0] == -code, (payload, code)
    # Frames of jobs that are not there, and answers nobody asked for.
    for kind in (DATA, CREDIT, SIGNAL, CANCEL):
        far.sendall(frame(kind, tag=9, stream=1, credit=5))
    for kind in (STARTED, EXIT, DATA, CREDIT):
        far.sendall(frame(kind, tag=9, flags=REPLY))
    # A flood of frames that cost nothing does not pile up.
    far.sendall(start)
    for _ in range(5000):
        far.sendall(frame(SIGNAL, struct.pack("<I", 10), tag=1) +
                    frame(WINCH, struct.pack("<HH", 1, 1), tag=1) +
                    frame(CREDIT, tag=1, stream=1, credit=1))
    far.sendall(frame(PING, bytes(8), tag=5))
    assert HEADER.unpack(receive_exactly(far, 32)[:28])[3] == PONG
    kinds = [agent.read()[0] for _ in range(4)]
    assert kinds == [START, SIGNAL, WINCH, CREDIT] and not agent.ready(), kinds
    # What an agent must not say.
    for kind, payload, fields in (
            (START, order("root"), {}), (DATA, bytes(5101), {"stream": 1}),
            (DATA, b"x", {"stream": 0}), (SIGNAL, struct.pack("<I", 1), {}),
            (CREDIT, b"", {"stream": 1, "credit": 1})):
        expect(errno.EINVAL, agent.write, kind, payload, tag=1,
               flags=REPLY | MORE, **fields)
    agent.write(DATA, bytes(5100), tag=1, stream=1, flags=REPLY | MORE)
    agent.write(EXIT, exit_of(), tag=1, flags=REPLY)
    far.close()
    assert agent.ready(20)
    expect_end(agent)
    agent.close()


def expect_end(end):
    assert os.read(end.fd, 1) == b""


def slow_peers():
    """Who takes nothing stops who writes, until he takes it."""
    near, far = tls_pair()
    # So little is on the way that most of it waits in the module.
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 << 10)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 << 10)
    agent = End(device.adopt(near, "alpha", AGENT))
    near.close()
    far.sendall(frame(START, order("root", window=2 << 20), tag=1))
    agent.expect(START)
    os.set_blocking(agent.fd, False)
    piece = frame(DATA, bytes(60000), tag=1, stream=1, flags=REPLY | MORE)
    written = 0
    # What TCP still takes makes room once more, until it takes nothing.
    while select.select([], [agent.fd], [], .5)[1]:
        try:
            assert os.write(agent.fd, piece) == len(piece)
        except BlockingIOError:
            continue
        written += 1
        assert written < 34, "nothing stops it"
    received = 0
    while received < written * len(piece):
        received += len(far.recv(1 << 20))
    assert select.select([], [agent.fd], [], 20)[1]
    agent.close()
    far.close()


netlink, device = Netlink(), Device()
for test in (rules, asking, streams, signals, lost_agents, hostile_peers,
             slow_peers):
    test()
    print("passed:", test.__name__, flush=True)
