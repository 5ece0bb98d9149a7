# SPDX-License-Identifier: GPL-2.0-or-later
"""What idle connections and chosen keys cost kmemcache; by kmod-cache-many.sh."""

import re
import resource
import socket
import subprocess
import sys
import time

from kmod_kit import *

PORT = 11311
OTHER = PORT + 1
CONNECTIONS = 10000
CONNECTION_BYTES = 1024 # at most, beside the socket
KEYS = 100000
ZEROS = 10 # bits: chains that are 1,024 times as long, were the seed 0
RATIO = 3 # with seed 0 it is 9.5
BATCH = 500
ROUNDS = 300

# What belongs to a socket of the kernel, and to one that nobody has accepted.
SOCKET_SLABS = {"sock_inode_cache", "request_sock_TCP"}


def memory():
    """Bytes of the kernel in slabs but those of sockets, and outside of slabs."""
    slabs = 0
    with open("/proc/slabinfo", encoding="ascii") as file:
        for line in list(file)[2:]:
            name, active, _, size = line.split()[:4]
            if name not in SOCKET_SLABS:
                slabs += int(active) * int(size)
    with open("/proc/meminfo", encoding="ascii") as file:
        info = {name: int(size) << 10 for name, size in
                re.findall(r"^(\w+): +(\d+) kB$", file.read(), re.M)}
    outside = info["MemTotal"] - sum(info[name] for name in (
        "MemFree", "Slab", "AnonPages", "Cached", "Buffers", "PageTables",
        "KernelStack"))
    return slabs, outside


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(60)
    return sock


def idle_connections():
    """Against as many to a listener that does not accept, which cost sockets only:
    the clients' ends, and all that a connection of TCP needs, are the same."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 * CONNECTIONS,) * 2)
    with open("/proc/sys/net/core/somaxconn", "w", encoding="ascii") as file:
        file.write(str(CONNECTIONS))
    listener = socket.create_server(("127.0.0.1", OTHER),
                                    backlog=CONNECTIONS)
    netlink.request(CMD_LIMITS_SET, {A_LIMIT_CONNECTIONS: CONNECTIONS + 100})
    netlink.start_cache(PORT, size=16 << 20)
    # What the first ones need that others do not is there then.
    socks = [connect(PORT) for _ in range(100)]
    before = memory()
    for _ in range(CONNECTIONS):
        sock = connect(PORT)
        sock.sendall(b"mn\r\n")
        assert sock.recv(10) == b"MN\r\n"
        socks.append(sock)
    assert netlink.cache(PORT)[A_CACHE_CONNECTIONS] == CONNECTIONS + 100
    ours = memory()
    socks += [connect(OTHER) for _ in range(CONNECTIONS)]
    plain = memory()
    slabs, outside = [(two - one - (three - two)) / CONNECTIONS
                      for one, two, three in zip(before, ours, plain)]
    print(f"an idle connection: {slabs:.0f} bytes in slabs, {outside:.0f} "
          f"outside, beside its socket", flush=True)
    assert slabs > 100, "it does not count what it is to count"
    assert slabs + max(outside, 0) <= CONNECTION_BYTES
    for sock in socks:
        sock.close()
    listener.close()
    wait_for("they are gone",
             lambda: not netlink.cache(PORT)[A_CACHE_CONNECTIONS], 60)
    netlink.stop_cache(PORT)


def stored(port, keys):
    """A cache that has them all; gives a connection to it."""
    netlink.start_cache(port, size=32 << 20)
    sock = connect(port)
    for start in range(0, KEYS, 1000):
        sock.sendall(b"".join(b"set %b 0 0 1 noreply\r\nx\r\n" % key
                              for key in keys[start:start + 1000]))
    sock.sendall(b"mn\r\n")
    assert sock.recv(10) == b"MN\r\n"
    assert netlink.cache(port)[A_CACHE_ITEMS] == KEYS
    return sock


def seconds(sock, request):
    """The time that they take which have no value to give."""
    start = time.monotonic()
    sock.sendall(request)
    assert sock.recv(10) == b"MN\r\n"
    return time.monotonic() - start


def chosen_keys():
    """Of many short batches some are not disturbed, whatever else the machine does:
    the quickest ones are compared, until they are near enough."""
    chosen = subprocess.run([sys.argv[1], str(KEYS), str(ZEROS)], check=True,
                            stdout=subprocess.PIPE, timeout=200).stdout.split()
    plain = [b"p%d" % (i << ZEROS) for i in range(KEYS)]
    best = []
    batches = []
    for port, keys in ((PORT, chosen), (OTHER, plain)):
        sock = stored(port, keys)
        best.append(float("inf"))
        batches.append((sock, b"".join(
            b"touch %b 0 noreply\r\n" % key
            for key in keys[::KEYS // BATCH]) + b"mn\r\n"))
    for count in range(ROUNDS):
        for i, (sock, request) in enumerate(batches):
            best[i] = min(best[i], seconds(sock, request))
        if best[0] <= RATIO * best[1] and count >= 20:
            break
    for (sock, _), port in zip(batches, (PORT, OTHER)):
        sock.close()
        netlink.stop_cache(port)
    print(f"a key chosen to collide takes {best[0] / best[1]:.2f} of another's "
          f"time", flush=True)
    assert best[0] <= RATIO * best[1]


netlink = Netlink()
for test in (idle_connections, chosen_keys):
    test()
    print("passed:", test.__name__, flush=True)
