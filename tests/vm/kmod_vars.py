# SPDX-License-Identifier: GPL-2.0-or-later
"""Variables of virgo.ko; run by kmod-vars.sh."""

import errno
import fcntl
import mmap
import os
import select
import struct
import subprocess
import sys

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
    assert struct.unpack("IIQ", info) == (1, 0, 7)
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
in_child(without_rights)
in_child(own_user_namespace)
in_child(other_namespace)
assert netlink.get("a")[A_VALUE] == 9
assert subprocess.run(["rmmod", "virgo"], stderr=subprocess.DEVNULL,
                      check=False).returncode, "in use: it stays"
