# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod_line.py EXAMPLE: the line of node beta, which is another end of a connection
on this machine; run by kmod-line.sh."""

import errno
import os
import subprocess
import sys
import threading

import virgo
from kmod_kit import *

PARAMETERS = "/sys/module/virgo_line/parameters/"
EXAMPLE = sys.argv[1]
WATCHERS_MAX = 8


def link(up):
    subprocess.run(["ip", "link", "set", "line0", "up" if up else "down"],
                   check=True)


def state(answer):
    return answer[0], int.from_bytes(answer[1:], "little")


def get():
    return state(virgo.call("beta", "line.get"))


def example(*words):
    return subprocess.run([EXAMPLE, "beta", *words], capture_output=True,
                          check=True).stdout.decode()


def read_and_set():
    assert get()[0] == 0
    link(True)
    assert get()[0] == 1 and example("get") == "1\n"
    assert state(virgo.call("beta", "line.set", b"\0"))[0] == 0
    assert get()[0] == 0
    with open("/sys/class/net/line0/flags", encoding="ascii") as file:
        assert not int(file.read(), 16) & 1, "the device itself is down"
    assert example("set", "1") == "1\n" and get()[0] == 1
    with open("/sys/class/net/line0/flags", encoding="ascii") as file:
        assert int(file.read(), 16) & 1
    for bad in (b"", b"\2", b"\0\0"):
        expect(errno.E2BIG if len(bad) > 1 else errno.EINVAL, virgo.call, "beta",
               "line.set", bad)
    expect(errno.EINVAL, virgo.call, "beta", "line.watch", b"123")


def watched():
    """Whoever waits hears of the change; who has not seen the last one at once."""
    value, seen = get()
    with subprocess.Popen([EXAMPLE, "beta", "watch", "2"],
                          stdout=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"%d\n" % value
        answers = []
        thread = threading.Thread(target=lambda: answers.append(state(virgo.call(
            "beta", "line.watch", seen.to_bytes(4, "little"), timeout=60))))
        thread.start()
        link(not value)
        thread.join(60)
        assert answers == [(1 - value, seen + 1)], answers
        assert program.stdout.readline() == b"%d\n" % (1 - value)
        link(value)
        assert program.stdout.readline() == b"%d\n" % value
        assert program.wait(60) == 0
    assert state(virgo.call("beta", "line.watch", seen.to_bytes(4, "little"))) \
        == (value, seen + 2)
    # Nothing happens until the time is over: what it is now, or that.
    try:
        assert state(virgo.call("beta", "line.watch", (seen + 2).to_bytes(
            4, "little"), timeout=0.2)) == (value, seen + 2)
    except TimeoutError:
        pass


def watchers_are_bounded():
    """The one too many is refused, and the line can still be read."""
    seen = get()[1].to_bytes(4, "little")
    threads = []
    refused = []

    def watch():
        try:
            virgo.call("beta", "line.watch", seen, timeout=60)
        except OSError as error:
            refused.append(error.errno)

    for _ in range(WATCHERS_MAX + 3):
        threads.append(threading.Thread(target=watch))
        threads[-1].start()
    wait_for("three are refused", lambda: len(refused) == 3)
    assert refused == [errno.EBUSY] * 3
    link(not get()[0])
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(refused) == 3


def followed():
    with open(PARAMETERS + "followed", encoding="ascii") as file:
        return file.read().strip()


def follow(node):
    with open(PARAMETERS + "follow", "w", encoding="ascii") as file:
        file.write(node + "\n")


def a_module_follows():
    assert followed() == "nobody is followed"
    follow("gone")
    wait_for("no connection", lambda: followed() ==
             f"error {-errno.EHOSTDOWN}")
    follow("beta")
    for _ in range(3):
        link(not get()[0])
        want = "%d %d" % get()
        wait_for("the module has heard", lambda: followed() == want)
    follow("")
    before = followed()
    link(not get()[0])
    assert followed() == before


netlink, device = Netlink(), Device()
near, far = tls_pair()
ends = device.adopt(near, "beta"), device.adopt(far, "alpha")
near.close()
far.close()
for name in ("line.get", "line.set", "line.watch"):
    expect(errno.EACCES, virgo.call, "beta", name)
    netlink.request(CMD_FN_ALLOW, {A_FN_NAME: name, A_NODE: "alpha"})
for test in (read_and_set, watched, watchers_are_bounded, a_module_follows):
    test()
    print("passed:", test.__name__, flush=True)
print("reading it from C:", example("time", "2000"), end="")
for fd in ends:
    os.close(fd)
