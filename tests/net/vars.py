# SPDX-License-Identifier: GPL-2.0-or-later
"""vars.py STATE: variables from Python, as root; run by vars.sh. Writers are killed
at any moment, and one leaves a record half written: nobody reads half a value."""

import mmap
import os
import random
import signal
import struct
import sys
import time

import virgo

STATE = sys.argv[1]
virgo.set_state(STATE)


def plain():
    virgo.var_set("py.rate", -1.5, kind="fixed", min=-2, max=2, unit="x/s",
                  producer="vars.py")
    virgo.var_set("py.count", 7, ttl=3600)
    assert virgo.var("py.rate", 9.0, kind="fixed") == -1.5
    assert virgo.var("py.count", 0) == 7
    assert virgo.var("py.count", 0, kind="s64") == 0
    assert virgo.var("py.count", 1, max=6) == 1
    assert virgo.var("py.none", "mine") == "mine"
    one = {v.name: v for v in virgo.vars()}["py.rate"]
    assert (one.value, one.unit, one.producer, one.type) == \
        (-1.5, "x/s", "vars.py", "fixed"), one
    for bad, error in (({"name": "a b", "value": 1}, OSError),
                       ({"name": "n" * 48, "value": 1}, ValueError),
                       ({"name": "n", "value": 3, "max": 2}, OSError),
                       ({"name": "n", "value": 1, "unit": "eight ch"},
                        ValueError)):
        try:
            virgo.var_set(**bad)
        except error:
            pass
        else:
            raise AssertionError(bad)


def waiting():
    since = virgo.var_wait()
    try:
        virgo.var_wait(since, timeout=0.05)
    except TimeoutError:
        pass
    else:
        raise AssertionError("nothing was set")
    pid = os.fork()
    if not pid:
        # Only the parent uses what libvirgo had open before.
        os.execv(sys.executable, [
            sys.executable, "-c", "import virgo; virgo.set_state(%r); "
            "virgo.var_set('py.count', 8)" % STATE])
    assert virgo.var_wait(since, timeout=60) > since
    assert os.waitpid(pid, 0)[1] == 0
    assert virgo.var("py.count", 0) == 8


def whole(v):
    return v.value == v.min == v.max == v.default and \
        v.confidence == v.value % 1000 / 1000


def write_for_ever():
    i = 0
    while True:
        i += 1
        virgo.var_set("py.whole", i, min=i, max=i, default=i,
                      confidence=i % 1000 / 1000)


def killed_writers():
    reads = 0
    for _ in range(60):
        pid = os.fork()
        if not pid:
            virgo.set_state(STATE)
            try:
                write_for_ever()
            finally:
                os._exit(1)
        end = time.monotonic() + random.uniform(0.002, 0.05)
        while time.monotonic() < end:
            for v in virgo.vars():
                if v.name == "py.whole":
                    assert whole(v), v
                    reads += 1
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert reads > 60, reads


def half_written():
    """As a writer leaves it that died between two words."""
    virgo.var_set("py.half", 1)
    with open(STATE + "/vars", "r+b") as file, \
            mmap.mmap(file.fileno(), 0) as table:
        at = table.find(b"py.half\0") - 56
        sequence = struct.unpack_from("I", table, at)[0]
        struct.pack_into("I", table, at, sequence | 1)
        struct.pack_into("Q", table, at + 8, 0xDEAD)
        assert virgo.var("py.half", 5) == 5
        assert "py.half" not in [v.name for v in virgo.vars()]
        assert virgo.var("py.count", 0) == 8
        # The next writer clears it away, whatever that sets.
        virgo.var_set("py.count", 9)
        assert virgo.var("py.half", 5) == 5
        virgo.var_set("py.half", 6)
        assert virgo.var("py.half", 5) == 6


for test in (plain, waiting, killed_writers, half_written):
    test()
    print("passed:", test.__name__, flush=True)
