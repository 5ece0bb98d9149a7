# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts what a request costs, server and client together, in a guest whose clock
is its instructions (tests/vm/guest --icount):

    cache_guest.py LOAD ours|theirs

prints, beginning with that side, "case SIDE ID REQUESTS" before each run of LOAD
(cache_load.c) and lets that print its own lines; LOAD's instructions to store the
keys are not in it. The module virgo is loaded."""

import os
import resource
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "vm"))
from kmod_kit import Netlink, wait_for  # noqa: E402

PORTS = {"ours": "11311", "theirs": "11211"}
BYTES = 128 << 20
CASES = (
    ("get.p1", "get", 1, 3000, 100, 1000, 1),
    ("get.p16", "get", 16, 16000, 100, 1000, 1),
    ("mg.p16", "mg", 16, 32000, 100, 1000, 1),
    ("set1k.p1", "set", 1, 3000, 1024, 1000, 1),
    ("set1k.p16", "set", 16, 16000, 1024, 1000, 1),
    ("grow.items", "get", 16, 32000, 100, 200000, 1),
    ("grow.connections", "get", 1, 3000, 100, 1000, 1000),
)


def answers(port):
    return subprocess.run(
        ["bash", "-c", f": < /dev/tcp/127.0.0.1/{port}"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0


def side(load, who):
    port = PORTS[who]
    server = None
    if who == "ours":
        Netlink().start_cache(int(port), BYTES)
    else:
        server = subprocess.Popen(
            ["memcached", "-u", "root", "-t", "1", "-m", str(BYTES >> 20),
             "-c", "4096", "-l", "127.0.0.1", "-p", port, "-U", "0"])
    wait_for(who, lambda: answers(port), 1e6)
    for case, op, depth, count, size, keys, connections in CASES:
        print("case", who, case, count, flush=True)
        subprocess.run([load, port, op, str(depth), str(count), str(size),
                        str(keys), str(connections)], check=True)
    if server:
        server.terminate()
        server.wait()
    else:
        Netlink().stop_cache(int(port))


resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
first = sys.argv[2]
side(sys.argv[1], first)
side(sys.argv[1], "theirs" if first == "ours" else "ours")
