# SPDX-License-Identifier: GPL-2.0-or-later
"""Kernel functions over adopted connections; run by kmod-calls.sh."""

import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading

from kmod_kit import *

PARAMETERS = "/sys/module/virgo_pressure/parameters/"
ECHO = "/sys/module/virgo_echo/parameters/"
HELLO, ERROR, OK, PING, PONG, GOAWAY, CALLS, CALLED = 1, 2, 3, 4, 5, 6, 256, 257
REPLY = 1


def call_frame(name, argument=b"", tag=1, ms=10000, most=65536):
    return frame(CALLS, struct.pack("<I", len(name)) + name.encode() +
                 struct.pack("<III", ms, most, len(argument)) + argument, tag)


class Adopted:
    """A pair on this machine: the module calls one end "beta", the other "alpha"."""

    def __init__(self, both=True):
        self.near, self.far = tls_pair()
        self.near_fd = device.adopt(self.near, "beta")
        self.far_fd = device.adopt(self.far, "alpha") if both else -1
        self.near.close()
        if both:
            self.far.close()

    def ended(self, fd):
        return select.select([fd], [], [], 20)[0] == [fd]

    def close(self):
        os.close(self.near_fd)
        if self.far_fd >= 0:
            assert self.ended(self.far_fd)
            os.close(self.far_fd)
        else:
            self.far.close()


def receive_frame(sock):
    head = HEADER.unpack(receive_exactly(sock, 32)[:28])
    return head[3], head[2], head[6], receive_exactly(sock, head[4])


def calls():
    pair = Adopted()
    expect(errno.EACCES, device.call, "beta", "checksum", b"abc")
    netlink.request(CMD_FN_ALLOW, {A_FN_NAME: "checksum", A_NODE: "beta"})
    expect(errno.EACCES, device.call, "beta", "checksum", b"abc")
    netlink.request(CMD_FN_ALLOW, {A_FN_NAME: "checksum", A_NODE: "alpha"})
    for size in (0, 1, 1000, 16384, 16385, 65536):
        data = os.urandom(size)
        assert device.call("beta", "checksum", data) == \
            struct.pack("<I", crc32c(data)), size
        assert device.call("", "checksum", data) == \
            struct.pack("<I", crc32c(data))
    expect(errno.EACCES, device.call, "beta", "pressure")
    netlink.request(CMD_FN_ALLOW, {A_FN_NAME: "nothing", A_NODE: "alpha"})
    expect(errno.ENOENT, device.call, "beta", "nothing")
    expect(errno.ENOENT, device.call, "", "nothing")
    expect(errno.EMSGSIZE, device.call, "beta", "checksum", size=3)
    expect(errno.E2BIG, device.call, "beta", "checksum", bytes(65537))
    expect(errno.E2BIG, device.call, "beta", "checksum", size=65537)
    expect(errno.EHOSTDOWN, device.call, "gamma", "checksum")
    expect(errno.EINVAL, device.call, "beta", "checksum", ms=0)
    expect(errno.EINVAL, device.call, "beta", "checksum", flags=1)
    expect(errno.EINVAL, device.call, "beta", "")
    expect(errno.EINVAL, device.call, "b" * 64, "checksum")
    expect(errno.EFAULT, device.ioctl, IOC_CALL,
           CALL.pack(b"beta", b"checksum", 1, 1, 10, 10, 1000, 0))
    netlink.request(CMD_FN_DENY, {A_FN_NAME: "checksum", A_NODE: "alpha"})
    expect(errno.ENOENT, netlink.request, CMD_FN_DENY,
           {A_FN_NAME: "checksum", A_NODE: "alpha"})
    expect(errno.EACCES, device.call, "beta", "checksum")
    netlink.request(CMD_FN_ALLOW, {A_FN_NAME: "checksum", A_NODE: "alpha"})
    pair.close()
    expect(errno.EHOSTDOWN, device.call, "beta", "checksum")


def allow(name, node, user=None, deny=False):
    rule = {A_FN_NAME: name, A_NODE: node}
    if user is not None:
        rule[A_USER] = user
    netlink.request(CMD_FN_DENY if deny else CMD_FN_ALLOW, rule)


def users():
    """An ordinary user calls what rules on both sides allow him, and no more."""
    want = struct.pack("<I", crc32c(b"abc"))
    ann, bob = 65533, 65534

    def gets(node):
        assert device.call(node, "checksum", b"abc") == want

    def fails(code, node):
        expect(code, device.call, node, "checksum", b"abc")

    netlink.request(CMD_FN_DENY)
    pair = Adopted()
    as_user(ann, fails, errno.EPERM, "beta")
    netlink.request(CMD_CALLER_ALLOW, {A_UID: ann, A_USER: "ann"})
    as_user(ann, fails, errno.EACCES, "beta")
    allow("checksum", "alpha")
    gets("beta")
    as_user(ann, fails, errno.EACCES, "beta")
    allow("checksum", "alpha", "ann")
    as_user(ann, gets, "beta")
    as_user(bob, fails, errno.EPERM, "beta")
    netlink.request(CMD_CALLER_ALLOW, {A_UID: bob, A_USER: "bob"})
    as_user(bob, fails, errno.EACCES, "beta")
    allow("checksum", "alpha", "*")
    as_user(bob, gets, "beta")
    allow("checksum", "alpha", "*", deny=True)
    as_user(bob, fails, errno.EACCES, "beta")
    allow("checksum", "*", "bob")
    as_user(bob, gets, "beta")
    # Any other node is not this one.
    as_user(bob, fails, errno.EACCES, "")
    allow("checksum", "", "bob")
    as_user(bob, gets, "")
    as_user(ann, fails, errno.EACCES, "")
    # This node by its name.
    expect(errno.EHOSTDOWN, device.call, "gamma", "checksum")
    netlink.request(CMD_NODE_SET, {A_NODE: "gamma"})
    gets("gamma")
    as_user(bob, gets, "gamma")
    netlink.request(CMD_CALLER_DENY, {A_UID: bob})
    as_user(bob, fails, errno.EPERM, "beta")
    as_user(ann, gets, "beta")
    netlink.request(CMD_CALLER_DENY)
    as_user(ann, fails, errno.EPERM, "beta")
    netlink.request(CMD_FN_DENY)
    fails(errno.EACCES, "beta")
    # Names that would be more than they say.
    expect(errno.EINVAL, allow, "checksum", "")
    expect(errno.EINVAL, allow, "checksum", "alpha", "a b")
    expect(errno.EINVAL, netlink.request, CMD_CALLER_ALLOW,
           {A_UID: ann, A_USER: "*"})
    expect(errno.EINVAL, netlink.request, CMD_NODE_SET, {A_NODE: "*"})
    expect(errno.ENOENT, netlink.request, CMD_CALLER_DENY, {A_UID: bob})
    for request in (CMD_CALLER_ALLOW, CMD_CALLER_DENY, CMD_NODE_SET,
                    CMD_FN_DENY):
        as_user(ann, expect, errno.EPERM, Netlink().request, request)
    pair.close()
    # What the node says of its user is believed, but not that he is everybody.
    pair = Adopted(both=False)
    for user, code in ((b"ann", 0), (b"", errno.EACCES), (b"*", errno.EACCES),
                       (b"x" * 64, errno.EACCES), (b"a\0", errno.EACCES)):
        allow("checksum", "beta", "ann")
        pair.far.sendall(frame(CALLS, call_frame("checksum", b"abc")[32:] +
                               struct.pack("<I", len(user)) + user, 5))
        kind, _, _, payload = receive_frame(pair.far)
        assert kind == (ERROR if code else CALLED), (user, payload)
    netlink.request(CMD_FN_DENY)
    pair.close()


def programs():
    """The command, C and Python call the same function."""
    pair = Adopted()
    allow("checksum", "alpha")
    want = struct.pack("<I", crc32c(b"123456789"))
    virgo = [os.environ["VIRGO_BUILD"] + "/cli/virgo", "call"]

    def run(*args, data=b"", status=0):
        done = subprocess.run([*virgo, *args], input=data, capture_output=True,
                              check=False)
        assert done.returncode == status, (args, done)
        return done.stdout if status == 0 else done.stderr

    assert run("beta", "checksum", "123456789") == want
    assert run(".", "checksum", "-", data=b"123456789") == want
    assert run("--hex", "beta", "checksum", "123456789") == \
        want.hex().encode() + b"\n"
    assert run("--hex-argument", "beta", "checksum", "31 32333435363738 39") == \
        want
    data = os.urandom(65536)
    assert run("beta", "checksum", "-", data=data) == \
        struct.pack("<I", crc32c(data))
    assert run("beta", "checksum", "a", "b") == struct.pack("<I", crc32c(b"a b"))
    assert run("beta", "checksum") == struct.pack("<I", crc32c(b""))
    for words, status, text in (
            (("beta", "checksum", "-"), 1, b"at most 64 KiB"),
            (("gone", "checksum"), 1, b"checksum on gone: the kernel has no"),
            (("beta", "pressure"), 1, b"not allowed to call it. Try: "),
            ((".", "nothing"), 1, b"nothing: no such function there. Try: "),
            (("beta",), 2, b"name a node and a function"),
            (("--timeout", "2h", "beta", "checksum"), 2, b""),
            (("--hex-argument", "beta", "checksum", "123"), 2, b"digits")):
        assert text in run(*words, data=bytes(65537), status=status), words
    library = os.environ["VIRGO_BUILD"] + "/lib"
    os.environ["LD_LIBRARY_PATH"] = library
    os.environ["PYTHONPATH"] = os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "../../lib/python")
    subprocess.run([sys.executable, "-B", "-c", """if True:
        import virgo
        assert virgo.call("beta", "checksum", b"123456789").hex() == "%s"
        assert virgo.call(None, "checksum", b"123456789").hex() == "%s"
        try:
            virgo.call("beta", "pressure")
        except PermissionError as error:
            assert "not allowed" in error.what and error.remedy
        else:
            raise AssertionError("it was allowed")
        try:
            virgo.call("beta", "checksum", size=3)
        except OSError as error:
            assert "longer than there is room" in error.what
        """ % (want.hex(), want.hex())], check=True)
    called = subprocess.run([os.environ["VIRGO_BUILD"] +
                             "/lib/examples/example-checksum", "beta"],
                            input=b"123456789", capture_output=True, check=True)
    assert called.stdout == b"e3069283\n", called
    allow("checksum", "alpha", deny=True)
    pair.close()


def caches():
    """virgo.cache.get and .set, as the kernels speak them, good and bad."""
    pair = Adopted()

    def get(key, port=0, size=65536, node="beta"):
        return device.call(node, "virgo.cache.get",
                           struct.pack("<H", port) + key, size)

    def put(key, value, port=0, flags=0, ttl=0):
        return device.call("beta", "virgo.cache.set", struct.pack(
            "<HBBII", port, len(key), 0, flags, ttl) + key + value)

    expect(errno.EACCES, get, b"a")
    allow("virgo.cache.get", "alpha")
    expect(errno.ENODEV, get, b"a")
    netlink.start_cache(11312, size=8 << 20)
    netlink.start_cache(11313, size=8 << 20)
    expect(errno.ENOENT, get, b"a")
    expect(errno.EACCES, put, b"a", b"1")
    allow("virgo.cache.set", "alpha")
    assert put(b"a", b"one", flags=7) == b""
    assert get(b"a") == b"\7\0\0\0one" == get(b"a", port=11312)
    expect(errno.ENOENT, get, b"a", port=11313)
    expect(errno.ENODEV, get, b"a", port=11314)
    value = os.urandom(65536 - 512)
    assert put(b"k" * 250, value, port=11313) == b""
    assert get(b"k" * 250, port=11313) == bytes(4) + value
    expect(errno.EMSGSIZE, get, b"k" * 250, port=11313, size=1000)
    with socket.create_connection(("127.0.0.1", 11312)) as client:
        client.sendall(b"get a\r\nset b 9 0 3\r\ntwo\r\n"
                       b"set long 0 0 100000\r\n" + bytes(100000) + b"\r\n")
        want = b"VALUE a 7 3\r\none\r\nEND\r\nSTORED\r\nSTORED\r\n"
        assert receive_exactly(client, len(want)) == want
        assert get(b"b") == b"\x09\0\0\0two"
        expect(errno.EMSGSIZE, get, b"long")
        assert put(b"a", b"x", ttl=1) == b""
        wait_for("it expires", lambda: gone(get, b"a"))
    for key in (b"", b"a b", b"\x7f", b"k" * 251):
        expect(errno.E2BIG if len(key) > 250 else errno.EINVAL, get, key)
    for key in (b"", b"a\n"):
        expect(errno.EINVAL, put, key, b"v")
    for argument in (b"", b"\0", bytes(11), b"\0\0\1\1" + bytes(9),
                     b"\0\0\2\0" + bytes(8) + b"k"):
        expect(errno.EBADMSG, device.call, "beta", "virgo.cache.set", argument)
    expect(errno.EBADMSG, device.call, "beta", "virgo.cache.get", b"\0")
    expect(errno.EMSGSIZE, get, b"b", size=3)
    # Starting and stopping while it is used.
    end = threading.Event()

    def use():
        while not end.is_set():
            for function in (lambda: put(b"u", bytes(1000), port=11313),
                             lambda: get(b"u", port=11313)):
                try:
                    function()
                except OSError as error:
                    assert error.errno in (errno.ENODEV, errno.ENOENT), error

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        netlink.stop_cache(11313)
        netlink.start_cache(11313, size=8 << 20)
    end.set()
    for thread in threads:
        thread.join()
    for port in (11312, 11313):
        netlink.stop_cache(port)
    netlink.request(CMD_FN_DENY)
    pair.close()


def gone(get, key):
    try:
        get(key)
    except FileNotFoundError:
        return True
    return False


def many_at_once():
    pair = Adopted()
    allow("checksum", "alpha")
    wrong = []

    def worker():
        for _ in range(40):
            data = os.urandom(3000)
            if device.call("beta", "checksum", data) != \
                    struct.pack("<I", crc32c(data)):
                wrong.append(data)

    threads = [threading.Thread(target=worker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    pair.close()


def adoption_is_refused():
    client, server = tls_pair()
    expect(errno.EINVAL, device.adopt, client, "beta", flags=2)
    expect(errno.EINVAL, device.adopt, client, "")
    expect(errno.EINVAL, device.adopt, client, "b" * 64)
    expect(errno.EBADF, device.adopt, 999, "beta")
    expect(errno.ENOTSOCK, device.adopt, device.fd, "beta")
    fd = device.adopt(client, "beta")
    expect(errno.EBUSY, device.adopt, client, "gamma")
    os.close(fd)
    for sock in (client, server):
        sock.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        expect(errno.EOPNOTSUPP, device.adopt, sock, "beta")
    with socket.socket(socket.AF_UNIX) as sock:
        expect(errno.EOPNOTSUPP, device.adopt, sock, "beta")
    with socket.socket() as sock:
        expect(errno.EOPNOTSUPP, device.adopt, sock, "beta")
    client, server = tls_pair(version=0x0303)
    expect(errno.EOPNOTSUPP, device.adopt, client, "beta")
    client.close()
    server.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client, server = connected(listener, listener.getsockname())
    expect(errno.EOPNOTSUPP, device.adopt, client, "beta")
    enable_tls(client, os.urandom(28), None)
    expect(errno.EOPNOTSUPP, device.adopt, client, "beta")
    client.close()
    server.close()
    client, server = tls_pair()
    pid = os.fork()
    if not pid:
        os.setresuid(65534, 65534, 65534)
        try:
            expect(errno.EPERM, device.adopt, client, "beta")
            expect(errno.EPERM, device.call, "", "checksum")
        except AssertionError as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    pid = os.fork()
    if not pid:
        enter("alpha")
        try:
            expect(errno.EXDEV, Device().adopt, client, "beta")
        except AssertionError as error:
            print(error, file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    client.shutdown(socket.SHUT_RDWR)
    expect(errno.ENOTCONN, device.adopt, client, "beta")
    client.close()
    server.close()


def hostile(what, data, lives=False, record=None):
    """Sends it to the module as node beta and says how it went on."""
    pair = Adopted(both=False)
    sock = pair.far
    sock.settimeout(20)
    if record is None:
        sock.sendall(data)
    else:
        sock.sendmsg([data], [(282, 1, struct.pack("B", record))])
    if lives:
        sock.sendall(frame(PING, b"12345678", tag=77))
        while True:
            kind, flags, tag, payload = receive_frame(sock)
            if kind == PONG:
                break
        assert (flags, tag, payload) == (REPLY, 77, b"12345678"), what
    else:
        assert pair.ended(pair.near_fd), what
    pair.close()


def hostile_peers():
    for what, data in (
            ("no frame", b"GET / HTTP/1.0\r\n\r\n" + bytes(40)),
            ("wrong checksum", frame(PING, bytes(8))[:28] + bytes(12)),
            ("a huge length", frame(CALLS, length=0xFFFFFFFF)),
            ("more than the largest frame", frame(CALLS, length=1 << 21)),
            ("more than a call", frame(CALLS, length=1 << 20)),
            ("good bye", frame(GOAWAY, bytes(8)))):
        hostile(what, data)
    for what, data in (
            ("an unknown message", frame(999, b"what")),
            ("a message for virgod", frame(HELLO, bytes(50))),
            ("an answer to nobody", frame(CALLED, bytes(4), 5, REPLY)),
            ("an error of nobody", frame(ERROR, bytes(4), 5, REPLY)),
            ("a call that is cut off", frame(CALLS, b"\xff\xff\xff\xff")),
            ("an empty call", frame(CALLS)),
            ("a name that is too long", call_frame("x" * 60000)),
            ("a name with a NUL", call_frame("check\0sum")),
            ("a function not allowed", call_frame("pressure")),
            ("a short question", frame(PING, b"1"))):
        hostile(what, data, lives=True)
    hostile("an alert", b"\x01\x00", record=21)
    hostile("a new key", b"\x18\x00\x00\x01\x00", record=22)


def slowly_and_all_at_once():
    """A function that has a queue, and one that is run at once."""
    for name, result in (("checksum", struct.pack("<I", crc32c(b"drip"))),
                         ("echo", b"drip")):
        allow(name, "beta")
        pair = Adopted(both=False)
        drip_and_flood(pair.far, name, struct.pack("<I", len(result)) + result)
        pair.close()


def drip_and_flood(sock, name, want):
    for byte in call_frame(name, b"drip", tag=3):
        sock.sendall(bytes([byte]))
    assert receive_frame(sock) == (CALLED, REPLY, 3, want)
    # Nobody reads: what is queued is bounded, and then all of it is there.
    many = 20000
    sent = threading.Thread(target=lambda: sock.sendall(b"".join(
        call_frame(name, b"drip", tag=i) for i in range(many))))
    sent.start()
    seen = set()
    busy = 0
    for _ in range(many):
        kind, _, tag, payload = receive_frame(sock)
        seen.add(tag)
        if kind == ERROR:
            busy += 1
            assert struct.unpack_from("<i", payload)[0] == -errno.EBUSY
        else:
            assert payload == want
    sent.join()
    assert len(seen) == many and busy < many, busy


def ends_in_every_way():
    """The far end dies while a call waits: it is told so."""
    for how in ("close", "reset", "half", "near"):
        pair = Adopted(both=False)
        result = []

        def caller():
            try:
                device.call("beta", "slow", ms=60000)
            except OSError as error:
                result.append(error.errno)

        thread = threading.Thread(target=caller)
        thread.start()
        assert receive_frame(pair.far)[0] == CALLS
        if how == "reset":
            pair.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                struct.pack("ii", 1, 0))
        if how in ("close", "reset"):
            pair.far.close()
        elif how == "half":
            pair.far.shutdown(socket.SHUT_WR)
        else:
            os.close(pair.near_fd)
        thread.join(20)
        assert result == [errno.ECONNRESET], (how, result)
        if how != "near":
            assert pair.ended(pair.near_fd)
            os.close(pair.near_fd)
        pair.far.close()
    pair = Adopted(both=False)
    expect(errno.ETIMEDOUT, device.call, "beta", "slow", ms=50)
    # The answer comes late and is dropped.
    tag = receive_frame(pair.far)[2]
    pair.far.sendall(frame(CALLED, bytes(4), tag, REPLY))
    pair.far.sendall(frame(PING, bytes(8), 9))
    assert receive_frame(pair.far)[0] == PONG
    # A killed caller does not wait.
    pid = os.fork()
    if not pid:
        device.call("beta", "slow", ms=3600000)
        os._exit(0)
    assert receive_frame(pair.far)[0] == CALLS
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    # Answers that lie.
    for payload, code in ((struct.pack("<I", 100) + bytes(100), errno.EMSGSIZE),
                          (b"\xff\xff\xff\x7f", errno.EBADMSG)):
        thread = threading.Thread(
            target=expect, args=(code, device.call, "beta", "slow", b"", 10))
        thread.start()
        tag = receive_frame(pair.far)[2]
        pair.far.sendall(frame(CALLED, payload, tag, REPLY))
        thread.join(20)
        assert not thread.is_alive()
    pair.close()


def adopted_alone(pairs):
    """Whether the module has room for a pair: what ended before gives its up later."""
    near, far = tls_pair()
    fds = []
    try:
        for sock, node in ((near, "beta"), (far, "alpha")):
            fds.append(device.adopt(sock, node))
    except OSError as error:
        if error.errno != errno.EUSERS:
            raise
        for fd in fds:
            os.close(fd)
        return False
    finally:
        near.close()
        far.close()
    pairs.append(fds)
    return True


def connection_limit():
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: 2})
    pairs = []
    wait_for("room for two connections", lambda: adopted_alone(pairs))
    client, server = tls_pair()
    expect(errno.EUSERS, device.adopt, client, "beta")
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: 4096})
    os.close(device.adopt(client, "beta"))
    client.close()
    server.close()
    for fd in pairs[0]:
        os.close(fd)


def beta_allows():
    there = Netlink()
    for name in ("pressure", "echo", "virgo.cache.get", "virgo.cache.set"):
        there.request(CMD_FN_ALLOW, {A_FN_NAME: name, A_NODE: "alpha"})
    there.start_cache(11311, size=8 << 20)


def echo_often(node, count):
    """What virgo_echo tells of as many calls."""
    with open(ECHO + "measure", "w", encoding="ascii") as file:
        file.write(f"{node} {count}\n")
    with open(ECHO + "took", encoding="ascii") as file:
        return file.read().split()


def across_namespaces():
    """A module of alpha asks one of beta; both programs are stopped."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    client, server = tls_across("alpha", "beta", "10.9.9.2")
    pids = [adopter("alpha", "beta", client),
            adopter("beta", "alpha", server, beta_allows)]
    client.close()
    server.close()
    enter("alpha")
    with open(PARAMETERS + "ask", "w", encoding="ascii") as file:
        file.write("beta\n")
    check(LIBC.setns(here, 0))
    with open(PARAMETERS + "answer", encoding="ascii") as file:
        answer = file.read().split()
    assert len(answer) == 3 and 0 < int(answer[0]) < int(answer[1]), answer
    enter("alpha")
    mean, p50, p99 = map(int, echo_often("beta", 200))
    assert 0 < p50 <= p99 and mean > 0
    for wrong in (("beta", 0), ("beta", 1000001), ("beta", "")):
        expect(errno.EINVAL, echo_often, *wrong)
    check(LIBC.setns(here, 0))
    # And beta's cache, where an ordinary client finds what the module put.
    enter("alpha")
    with open(PARAMETERS + "keep", "w", encoding="ascii") as file:
        file.write("beta\n")
    check(LIBC.setns(here, 0))
    with open(PARAMETERS + "answer", encoding="ascii") as file:
        answer = file.read().strip()
    with open(PARAMETERS + "kept", encoding="ascii") as file:
        assert file.read().strip() == answer
    enter("beta")
    with socket.create_connection(("127.0.0.1", 11311)) as client:
        client.sendall(b"get pressure\r\n")
        want = f"VALUE pressure 0 {len(answer)}\r\n{answer}\r\nEND\r\n"
        assert receive_exactly(client, len(want)) == want.encode()
    check(LIBC.setns(here, 0))
    # Not the other way: beta was not allowed anything.
    enter("beta")
    with open(PARAMETERS + "ask", "w", encoding="ascii") as file:
        file.write("alpha\n")
    assert echo_often("alpha", 9) == ["error", str(-errno.EACCES)]
    check(LIBC.setns(here, 0))
    with open(PARAMETERS + "answer", encoding="ascii") as file:
        assert file.read().split() == ["error", str(-errno.EACCES)]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


netlink, device = Netlink(), Device()
for test in (calls, users, programs, caches, many_at_once, adoption_is_refused, hostile_peers,
             slowly_and_all_at_once, ends_in_every_way, connection_limit,
             across_namespaces):
    test()
    print("passed:", test.__name__, flush=True)
