# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables of virgo.ko; run by kmod-vars.sh."""

import errno
import fcntl
import mmap
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile

from kmod_kit import *

PARAMETERS = "/sys/module/virgo_pressure/parameters/"


def parameter(name):
    with open(PARAMETERS + name, encoding="ascii") as file:
        return file.read().strip()


def ask_here():
    with open(PARAMETERS + "ask", "w", encoding="ascii") as file:
        file.write("\n")
    return parameter("answer").split()


def in_child(function):
    """Runs it in a process of its own, which may lose rights."""
    pid = os.fork()
    if not pid:
        try:
            function()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, function.__name__


def table_and_netlink(netlink, device):
    table = device.table()
    assert struct.unpack_from("4I", table) == (0x52415656, 1, 8192, 128)
    expect(errno.ENOENT, netlink.get, "a")
    netlink.set("a", -5 % (1 << 64), kind=S64, low=-10, high=10, default=1,
                ttl=5000, unit="ms")
    got = netlink.get("a")
    assert got[A_VALUE] == (1 << 64) - 5 and got[A_UNIT] == "ms", got
    assert got[A_TTL] == 5000 and got[A_CONFIDENCE] == 1000000
    at = table.find(b"a\0", 128) - 56
    assert at % 128 == 0
    assert struct.unpack_from("Q", table, at + 8)[0] == (1 << 64) - 5
    netlink.set("a", 9, kind=S64, low=-10, high=10, ttl=5000)
    assert struct.unpack_from("Q", table, at + 8)[0] == 9
    assert netlink.get("a")[A_UPDATED] > got[A_UPDATED]
    for i in range(500):
        netlink.set(f"many.{i}", i)
    dump = netlink.request(CMD_VAR_GET, dump=True)
    assert len(dump) == 501
    assert {one[A_NAME]: one[A_VALUE] for one in dump}["many.321"] == 321


def refusals(netlink, device):
    expect(errno.ERANGE, netlink.set, "b", 1000001)
    expect(errno.EINVAL, netlink.set, "b", 0, default=1000001)
    expect(errno.EINVAL, netlink.set, "with space", 0)
    expect(errno.EINVAL, netlink.set, "x" * 48, 0)
    expect(errno.ERANGE, netlink.set, "b", 0, kind=5)
    expect(errno.ERANGE, netlink.set, "b", 0, mode=3)
    expect(errno.EINVAL, netlink.request, CMD_VAR_SET, {A_NAME: "b"})
    expect(errno.EINVAL, netlink.request, CMD_VAR_GET, {})
    expect(errno.EINVAL, netlink.request, CMD_VAR_GET, {A_NAME: "a", 200: 1})
    expect(errno.EINVAL, netlink.request, CMD_VAR_GET,
           {A_NAME: "a", A_UPDATED: 1})
    expect(errno.EOPNOTSUPP, netlink.request, 99)
    expect(errno.ENOTTY, fcntl.ioctl, device.fd, 0xBA7F)
    info = bytearray(16)
    fcntl.ioctl(device.fd, IOC_INFO, info)
    # The interface's version, then variables, calls, cache, jobs.
    assert struct.unpack("IIQ", info) == (1, 0, 0b11111)
    for protection in (mmap.PROT_READ | mmap.PROT_WRITE,
                       mmap.PROT_READ | mmap.PROT_EXEC):
        expect(errno.EPERM, mmap.mmap, device.fd, 4096, mmap.MAP_SHARED,
               protection)
    expect(errno.EINVAL, mmap.mmap, device.fd, 4096, mmap.MAP_SHARED,
           mmap.PROT_READ, offset=4096)


def limits(netlink):
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_HANDLES: 0xFFFFFFFF,
                                     A_LIMIT_JOBS: 0})
    got = netlink.request(CMD_LIMITS_GET)[0]
    assert got[A_LIMIT_HANDLES] == 65536 and got[A_LIMIT_JOBS] == 1, got
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_HANDLES: 1024, A_LIMIT_JOBS: 64})


def told(netlink):
    """A listener hears the last of many changes."""
    listener = Netlink()
    listener.listen("vars")
    for i in range(50):
        netlink.set("told", i)
    last = None
    while last != 49:
        assert select.select([listener.socket], [], [], 20)[0], last
        for _, _, payload in listener.receive():
            attrs = listener.plain(listener.parse(payload[4:]))
            if attrs[A_NAME] == "told":
                assert payload[0] == CMD_VAR_CHANGED
                last = attrs[A_VALUE]


def module_reads(netlink):
    """virgo_pressure acts on the variable, and on its default otherwise."""
    assert ask_here()[2] == "0"
    before = int(parameter("changes"))
    netlink.set("pressure.free_ppm", 1000000)
    wait_for("the module is told",
             lambda: int(parameter("changes")) > before)
    assert ask_here()[2] == "1", "the value is acted on"
    netlink.set("pressure.free_ppm", 1000000, mode=SHADOW)
    assert ask_here()[2] == "0", "shadow: the default"
    netlink.set("pressure.free_ppm", 1000000, kind=S64)
    assert ask_here()[2] == "0", "another type: the default"
    netlink.set("pressure.free_ppm", 1000000, high=2000000)
    assert ask_here()[2] == "1"
    netlink.set("pressure.free_ppm", 1000001, high=2000000)
    assert ask_here()[2] == "0", "beyond the reader's limit: the default"
    netlink.set("pressure.free_ppm", 1000000, ttl=1)
    wait_for("it is stale", lambda: ask_here()[2] == "0")


class Client:
    """A client of memcached."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.file = self.socket.makefile("rb")

    def ask(self, command):
        self.socket.sendall(command + b"\r\n")
        return self.file.readline().rstrip()

    def stats(self, of=b""):
        self.socket.sendall(b"stats " + of + b"\r\n")
        rows = {}
        while True:
            words = self.file.readline().split()
            if words[0] == b"END":
                return rows
            rows[words[1]] = words[2]

    def close(self):
        self.file.close()
        self.socket.close()


def hot_share(client):
    """Stores anew what nobody fetches; which part of it is then on the hot list."""
    for i in range(2000):
        assert client.ask(b"set k%d 0 0 1\r\nx" % i) == b"STORED"
    rows = client.stats(b"items")
    hot, all_ = (sum(int(value) for name, value in rows.items()
                     if name.endswith(b":" + what))
                 for what in (b"number_hot", b"number"))
    assert all_ >= 2000, rows
    return hot / all_


def cache_acts_on_variables(netlink):
    """The shares of kmemcache's lists follow a variable, or are memcached's."""
    netlink.start_cache(11311, size=8 << 20)
    client = Client(11311)

    def is_hot(percent):
        return lambda: client.stats(b"settings")[b"hot_lru_pct"] == percent

    assert is_hot(b"20")()
    assert 0.1 < hot_share(client) <= 0.21
    netlink.set("cache.hot_percent", 40, high=100)
    wait_for("the cache acts on it", is_hot(b"40"))
    assert 0.35 < hot_share(client) <= 0.41
    netlink.set("cache.hot_percent", 5, high=100, ttl=1)
    wait_for("one that is stale is not acted on", is_hot(b"20"))
    netlink.set("cache.hot_percent", 5, high=100)
    wait_for("the cache acts on it", is_hot(b"5"))
    assert hot_share(client) < 0.06
    netlink.set("cache.hot_percent", 41, high=100)
    wait_for("one that is too large is not acted on", is_hot(b"20"))
    netlink.set("cache.warm_percent", 13, high=100)
    wait_for("the other one", lambda: client.stats(b"settings")
             [b"warm_lru_pct"] == b"13")
    netlink.set("cache.warm_percent", 13, high=100, mode=OFF)
    wait_for("it is off", lambda: client.stats(b"settings")
             [b"warm_lru_pct"] == b"40")
    client.close()


def connects():
    """A connection that the kernel serves, or None."""
    client = Client(11311)
    try:
        if client.ask(b"mn") == b"MN":
            return client
    except ConnectionError:
        pass
    client.close()
    return None


def connections_act_on_a_variable(netlink):
    netlink.set("kernel.connections", 3)
    clients = []

    def fill():
        client = connects()
        if client:
            clients.append(client)
        return len(clients) == 3

    wait_for("three connections", fill)
    assert not connects() and not connects()
    netlink.set("kernel.connections", 3, mode=SHADOW)
    clients.append(connects())
    assert clients[-1], "in shadow only the limit counts"
    # It can take away from the administrator's limit, not add to it.
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: 4})
    netlink.set("kernel.connections", 100)
    assert not connects()
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: 4096})
    clients.append(connects())
    assert clients[-1]
    for client in clients:
        client.close()
    netlink.stop_cache(11311)


def programs(netlink):
    """virgo var, C and Python see the module's variables, and set them there."""
    build = os.environ["VIRGO_BUILD"]
    folder = tempfile.mkdtemp()
    os.environ["VIRGO_STATE"] = folder

    def run(*words, status=0):
        done = subprocess.run([build + "/cli/virgo", "var", *words],
                              capture_output=True, check=False)
        assert done.returncode == status, (words, done)
        return done.stdout.decode() + done.stderr.decode()

    netlink.set("seen", 5)
    assert run("get", "seen") == "5\n" == run("get", "--kernel", "seen")
    assert "seen" in run("list")
    with subprocess.Popen([build + "/cli/virgo", "var", "watch", "--kernel",
                           "--json", "seen"], stdout=subprocess.PIPE) as watch:
        def told():
            netlink.set("seen", 6)
            return select.select([watch.stdout], [], [], 0)[0]

        wait_for("virgo var watch tells of it", told)
        assert b'"value":6,' in watch.stdout.readline()
        watch.kill()
    run("set", "--kernel", "seen", "7")
    assert netlink.get("seen")[A_VALUE] == 7
    assert not os.path.exists(folder + "/vars")
    # In the file and in the kernel; from then on programs read the file.
    run("set", "--unit", "ms", "both", "8")
    assert netlink.get("both")[A_VALUE] == 8 and \
        netlink.get("both")[A_UNIT] == "ms"
    assert run("get", "both") == "8\n" == run("get", "--kernel", "both")
    assert "no such variable" in run("get", "seen", status=1)
    os.environ["LD_LIBRARY_PATH"] = build + "/lib"
    os.environ["PYTHONPATH"] = os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "../../lib/python")
    subprocess.run([sys.executable, "-B", "-c", "if True:" """
        import virgo
        assert virgo.var("both", 0) == 8
        virgo.var_set("both", 9)
        assert virgo.var("both", 0) == 9
        virgo.set_state("/nowhere")
        assert virgo.var("seen", 0) == 7, "the module's, without a file"
        """], check=True)
    assert netlink.get("both")[A_VALUE] == 9
    os.chmod(folder, 0o755)
    as_user(65534, lambda: run("set", "both", "10", status=1))
    as_user(65534, lambda: run("set", "--kernel", "both", "10", status=1))
    assert as_user(65534, lambda: run("get", "--kernel", "both")) is None
    assert netlink.get("both")[A_VALUE] == 9


def without_rights():
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    netlink = Netlink()
    expect(errno.EPERM, netlink.set, "c", 0)
    expect(errno.EPERM, netlink.request, CMD_LIMITS_SET, {A_LIMIT_JOBS: 1})
    assert netlink.get("a")[A_VALUE] == 9
    assert Device().table()[:4] == b"VVAR"


def own_user_namespace():
    """Root of namespaces of one's own has nothing."""
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    check(LIBC.prctl(4, 1, 0, 0, 0))
    check(LIBC.unshare(0x10000000 | 0x40000000))
    expect(errno.ENODEV, Device)
    netlink = Netlink()
    expect(errno.ENODEV, netlink.get, "a")
    expect(errno.ENODEV, netlink.request, CMD_LIMITS_GET)
    expect(errno.EPERM, netlink.set, "c", 0)


def other_namespace():
    """A namespace has variables of its own; a descriptor outlives it."""
    check(LIBC.unshare(0x40000000))
    netlink = Netlink()
    expect(errno.ENOENT, netlink.get, "a")
    netlink.set("a", 77)
    device = Device()
    table = device.table()
    netlink.socket.close()
    check(LIBC.unshare(0x40000000))
    end = [0]

    def gone():
        try:
            fcntl.ioctl(device.fd, IOC_INFO, bytearray(16))
        except OSError as error:
            end[0] = error.errno
        return end[0]

    wait_for("the namespace ends", gone)
    assert end[0] == errno.ENODEV
    assert table.find(b"a\0", 128) > 0, "what is mapped stays"


netlink, device = Netlink(), Device()
table_and_netlink(netlink, device)
refusals(netlink, device)
limits(netlink)
told(netlink)
module_reads(netlink)
cache_acts_on_variables(netlink)
connections_act_on_a_variable(netlink)
programs(netlink)
in_child(without_rights)
in_child(own_user_namespace)
in_child(other_namespace)
assert netlink.get("a")[A_VALUE] == 9
assert subprocess.run(["rmmod", "virgo"], stderr=subprocess.DEVNULL,
                      check=False).returncode, "in use: it stays"
