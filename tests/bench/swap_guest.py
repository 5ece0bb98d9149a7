# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts what swapping over the network costs, the program that swaps, both ends and
the kernel together, in a guest whose clock is its instructions (tests/vm/guest
--icount):

    swap_guest.py VIRGO_NBD HOG TURN

Every server in turn, the first by TURN: swap on it over loopback TCP, one connection,
4 KiB blocks, no I/O scheduler; then HOG (tests/vm/hog.c) with twice as much as its
cgroup has memory, which checks every page. Prints "begin", then "SERVER SECONDS IDLE%"
of that. The servers are not in that cgroup. nvme is the kernel's own NVMe over TCP,
target and host, of a RAM disk."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import time

MIB, LIMIT, PASSES = 64, 32 << 20, 2
BYTES = 128 << 20
NQN = "nqn.2026-11.virgo:bench"
CGROUP = pathlib.Path("/sys/fs/cgroup/hog")
TARGET = pathlib.Path("/sys/kernel/config/nvmet")


def run(*command, **kwargs):
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **kwargs)


def wait_for(what, condition):
    end = time.monotonic() + 1e5
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def answers(port):
    return subprocess.run(
        ["bash", "-c", f": < /dev/tcp/127.0.0.1/{port}"], check=False,
        stderr=subprocess.DEVNULL).returncode == 0


class Nbd:
    """A server in user space; the kernel's nbd driver borrows from it."""

    def __init__(self, port, command, export=""):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(command[0], lambda: answers(port))
        run("nbd-client", "-N", export, "-b", "4096", "127.0.0.1", str(port),
            "/dev/nbd0", stderr=subprocess.DEVNULL)
        self.disk, self.queues = "/dev/nbd0", "nbd0"
        size = pathlib.Path("/sys/block/nbd0/size")
        wait_for("size", lambda: size.read_text() == f"{BYTES // 512}\n")

    def end(self):
        run("nbd-client", "-d", self.disk)
        wait_for("end", lambda: not os.path.exists("/sys/block/nbd0/pid"))
        self.process.terminate()
        self.process.wait()


def ours():
    return Nbd(10809, [sys.argv[1], "--size", str(BYTES), "--listen",
                       "127.0.0.1:10809"], "memory")


def nbdkit():
    return Nbd(10810, ["nbdkit", "-f", "-p", "10810", "memory", str(BYTES)])


class NbdServer(Nbd):
    def __init__(self):
        os.makedirs("/tmp/pool", exist_ok=True)
        run("mount", "-t", "tmpfs", "pool", "/tmp/pool")
        run("truncate", "-s", str(BYTES), "/tmp/pool/a")
        pathlib.Path("/tmp/pool/conf").write_text(
            "[generic]\nport = 10811\nallowlist = true\n"
            "[memory]\nexportname = /tmp/pool/a\n", encoding="ascii")
        # It goes to the background by itself, or serves only one client.
        super().__init__(10811, ["nbd-server", "-C", "/tmp/pool/conf",
                                 "-p", "/tmp/pool/pid"], "memory")

    def end(self):
        pid = int(pathlib.Path("/tmp/pool/pid").read_text(encoding="ascii"))
        super().end()
        os.kill(pid, signal.SIGTERM)
        wait_for("nbd-server", lambda: not os.path.exists(f"/proc/{pid}"))
        run("umount", "/tmp/pool")


class Nvme:
    def __init__(self):
        run("modprobe", "brd", "rd_nr=1", f"rd_size={BYTES >> 10}")
        run("modprobe", "-a", "nvmet-tcp", "nvme-tcp")
        if not TARGET.exists():
            run("mount", "-t", "configfs", "config", "/sys/kernel/config")
        self.subsystem = TARGET / "subsystems" / NQN
        self.space = self.subsystem / "namespaces/1"
        self.port = TARGET / "ports/1"
        self.subsystem.mkdir()
        (self.subsystem / "attr_allow_any_host").write_text("1")
        self.space.mkdir()
        (self.space / "device_path").write_text("/dev/ram0")
        (self.space / "enable").write_text("1")
        self.port.mkdir()
        for name, value in (("adrfam", "ipv4"), ("trtype", "tcp"),
                            ("traddr", "127.0.0.1"), ("trsvcid", "4420")):
            (self.port / f"addr_{name}").write_text(value)
        self.link = self.port / "subsystems" / NQN
        self.link.symlink_to(self.subsystem)
        with open("/dev/nvme-fabrics", "r+b", buffering=0) as fabrics:
            fabrics.write(f"transport=tcp,traddr=127.0.0.1,trsvcid=4420,"
                          f"nqn={NQN},nr_io_queues=1".encode())
            self.name = re.search(rb"instance=(\d+)", fabrics.read(100))[1].decode()
        self.disk = f"/dev/nvme{self.name}n1"
        # That has no queue itself, its path has.
        self.queues = f"nvme{self.name}c*n1"
        wait_for(self.disk, lambda: os.path.exists(self.disk))

    def end(self):
        pathlib.Path(f"/sys/class/nvme/nvme{self.name}/delete_controller") \
            .write_text("1")
        self.link.unlink()
        self.port.rmdir()
        (self.space / "enable").write_text("0")
        self.space.rmdir()
        self.subsystem.rmdir()
        run("blockdev", "--flushbufs", "/dev/ram0")


def idle_s():
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[4]) / os.sysconf("SC_CLK_TCK")


def into_cgroup():
    (CGROUP / "cgroup.procs").write_text(str(os.getpid()))


def measure(name, serve):
    server = serve()
    for queue in pathlib.Path("/sys/block").glob(server.queues):
        (queue / "queue/scheduler").write_text("none", encoding="ascii")
    run("mkswap", server.disk, stderr=subprocess.DEVNULL)
    run("swapon", server.disk)
    print("begin", flush=True)
    idle, began = idle_s(), time.monotonic()
    run(sys.argv[2], str(MIB), str(PASSES), "1", "0", preexec_fn=into_cgroup)
    took = time.monotonic() - began
    idle = idle_s() - idle
    run("swapoff", server.disk)
    server.end()
    print(name, f"{took:.4f} {100 * idle / took:.1f}", flush=True)


CGROUP.mkdir()
(CGROUP / "memory.max").write_text(str(LIMIT))
SERVERS = [("ours", ours), ("nbdkit", nbdkit), ("nbd-server", NbdServer),
           ("nvme", Nvme)]
for at in range(len(SERVERS)):
    measure(*SERVERS[(int(sys.argv[3]) + at) % len(SERVERS)])
