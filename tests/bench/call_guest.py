# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts what a call costs, caller and called together, in a guest whose clock is its
instructions (tests/vm/guest --icount):

    call_guest.py FOLDER ROUND [WAY...]

makes two nodes, alpha and beta, as network namespaces with a cable, joined by a
connection that the module was handed over, and has alpha call an echo of beta in each
way, the first of which changes with ROUND: "case WAY CALLS" before each, then what
call_measure.h tells. FOLDER has the programs, certificate and key."""

import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "vm"))
from kmod_kit import (A_FN_NAME, A_NODE, CMD_FN_ALLOW, Netlink,  # noqa: E402
                      adopter, enter, tls_across)

ADDRESS = "10.9.9.2"
ECHO = "/sys/module/virgo_echo/parameters/"
WARM = 500
COUNT = 3000
WAYS = ("module", "virgo", "cache", "ktls", "grpc", "tirpc", "http")
TLS = ("grpc", "http")


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def cable():
    for node in ("alpha", "beta"):
        ip("netns", "add", node)
        ip("-n", node, "link", "set", "lo", "up")
    ip("link", "add", "veth0", "netns", "alpha", "type", "veth",
       "peer", "veth0", "netns", "beta")
    for node, address in (("alpha", "10.9.9.1"), ("beta", ADDRESS)):
        ip("-n", node, "address", "add", address + "/24", "dev", "veth0")
        ip("-n", node, "link", "set", "veth0", "up")


def machine():
    """Nanoseconds idled, context switches."""
    with open("/proc/stat", encoding="ascii") as file:
        rows = dict(line.split(maxsplit=1) for line in file)
    return (int(rows["cpu"].split()[3]) * 1e9 / os.sysconf("SC_CLK_TCK"),
            int(rows["ctxt"]))


def measure(count):
    with open(ECHO + "measure", "w", encoding="ascii") as file:
        file.write(f"beta {count}\n")


def module():
    """From kernel to kernel: virgo_echo calls by itself."""
    enter("alpha")
    measure(WARM)
    print("begin", flush=True)
    before = machine()
    measure(COUNT)
    after = machine()
    with open(ECHO + "took", encoding="ascii") as file:
        mean, p50, p99 = map(int, file.read().split())
    print(mean, p50, p99, (after[1] - before[1]) / COUNT,
          100 * (after[0] - before[0]) / (mean * COUNT), flush=True)


def program(folder, way, port):
    if way in ("virgo", "cache"):
        subprocess.run([f"{folder}/call_virgo",
                        "cache" if way == "cache" else "echo", "beta",
                        str(COUNT)], check=True,
                       preexec_fn=lambda: enter("alpha"))
        return
    path = f"{folder}/call_{way}"
    cert = [folder + "/cert"] if way in TLS else []
    key = [folder + "/key"] if way in TLS else []
    server = subprocess.Popen([path, "serve", str(port), *cert, *key],
                              stdout=subprocess.PIPE,
                              preexec_fn=lambda: enter("beta"))
    assert server.stdout.readline() == b"ready\n", way
    subprocess.run([path, ADDRESS, str(port), str(COUNT), *cert], check=True,
                   preexec_fn=lambda: enter("alpha"))
    server.kill()
    server.wait()


def one(folder, way, port):
    """In a process of its own, for it goes into a namespace."""
    print("case", way, COUNT, flush=True)
    pid = os.fork()
    if not pid:
        try:
            if way == "module":
                module()
            else:
                program(folder, way, port)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, way


def serve():
    """The echo and a cache with one item, for alpha."""
    netlink = Netlink()
    for name in ("echo", "virgo.cache.get"):
        netlink.request(CMD_FN_ALLOW, {A_FN_NAME: name, A_NODE: "alpha"})
    netlink.start_cache(11311)
    with socket.create_connection(("127.0.0.1", 11311)) as sock:
        sock.sendall(b"set k 0 0 64\r\n" + b"x" * 64 + b"\r\n")
        assert sock.recv(8) == b"STORED\r\n"


def main():
    folder = sys.argv[1]
    ways = sys.argv[3:] or list(WAYS)
    turn = int(sys.argv[2]) % len(ways)
    cable()
    near, far = tls_across("alpha", "beta", ADDRESS)
    adopter("alpha", "beta", near)
    adopter("beta", "alpha", far, serve)
    near.close()
    far.close()
    for number, way in enumerate(ways[turn:] + ways[:turn]):
        one(folder, way, 9000 + number)


main()
