# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod_unload.py ROUNDS: each round loads virgo.ko, has a process do all it can
with it, kills that in the middle of its work and unloads the module at once."""

import signal
import subprocess
import sys
import threading

from kmod_kit import *

MODULES = ["virgo", "virgo_checksum"]


def variables(steps):
    link = Netlink()
    while True:
        link.set(f"v.{steps[0] % 100}", steps[0] % 1000)
        steps[0] += 1


def calls(steps):
    device = Device()
    while True:
        device.call("beta", "checksum", bytes(5000))
        steps[1] += 1


def cache(steps):
    sock = socket.create_connection(("127.0.0.1", 11311))
    while True:
        sock.sendall(b"set a 0 0 5000\r\n" + bytes(5000) +
                     b"\r\n" + b"get a\r\n" * 20)
        left = 8 + 20 * (16 + 5000 + 7)
        while left:
            left -= len(sock.recv(left))
        steps[2] += 1


def work(pipe):
    """Says so when everything is under way, and never ends."""
    netlink, device = Netlink(), Device()
    table = device.table()
    netlink.start_cache(11311, size=8 << 20)
    netlink.request(CMD_FN_ALLOW, {A_FN_NAME: "checksum", A_NODE: "alpha"})
    near, far = tls_pair()
    device.adopt(near, "beta")
    device.adopt(far, "alpha")
    steps = [0, 0, 0]
    for one in (variables, calls, cache):
        threading.Thread(target=one, args=(steps,), daemon=True).start()
    wait_for("all of it works", lambda: all(steps))
    assert table[:4] == b"VVAR"
    os.write(pipe, b"w")
    threading.Event().wait()


def start_worker():
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            work(write)
        finally:
            os._exit(1)
    os.close(write)
    assert os.read(read, 1) == b"w", "the process ended by itself"
    os.close(read)
    return pid


for _ in range(int(sys.argv[1])):
    subprocess.run(["modprobe", "-a", *MODULES], check=True)
    pid = start_worker()
    assert subprocess.run(["rmmod", "virgo"], stderr=subprocess.DEVNULL,
                          check=False).returncode, "unloaded while in use"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    subprocess.run(["rmmod", *reversed(MODULES)], check=True)
    assert not os.path.exists(DEVICE)
print(sys.argv[1], "times")
