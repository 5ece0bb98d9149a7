# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod_unload.py ROUNDS: each round loads virgo.ko, has a process do all it can
with it, kills that in the middle of its work and unloads the module at once."""

import signal
import subprocess
import sys
import threading
import traceback

from kmod_kit import *

MODULES = ["virgo", "virgo_checksum"] # every other round without the sample


def has_sample():
    return os.path.exists("/sys/module/virgo_checksum")


def variables(steps):
    link = Netlink()
    while True:
        link.set(f"v.{steps[0] % 100}", steps[0] % 1000)
        steps[0] += 1


def calls(steps):
    device = Device()
    item = struct.pack("<HBBII", 11311, 1, 0, 0, 0) + b"b" + bytes(5000)
    own = ("virgo.cache.set", item)
    name, argument = ("checksum", bytes(5000)) if has_sample() else own
    while True:
        device.call("beta", name, argument)
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


def ask(steps):
    """Jobs, each with a little output; some end by their descriptor's close."""
    device = Device()
    while True:
        fd = device.program("beta")
        os.write(fd, frame(START, order()))
        while steps[3] % 7 < 6 and HEADER.unpack(
                read_frame(fd))[3] not in (EXIT, ERROR):
            pass
        os.close(fd)
        steps[3] += 1


def serve(agent):
    """Answers orders; that a job is cancelled it passes over."""
    while True:
        head = HEADER.unpack(read_frame(agent))
        if head[3] != START:
            continue
        for kind, payload, flags in ((DATA, bytes(3000), REPLY | MORE),
                                     (EXIT, exit_of(), REPLY)):
            os.write(agent, frame(kind, payload, tag=head[6], flags=flags,
                                  stream=int(kind == DATA)))


def read_frame(fd):
    """Its header; the payload is dropped."""
    data = read_exactly(fd, 32)[:28]
    read_exactly(fd, HEADER.unpack(data)[4])
    return data


def read_exactly(fd, size):
    data = b""
    while len(data) < size:
        more = os.read(fd, size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def adopt_both(device):
    """A connection to beta, which is us under another name, and who serves there."""
    near, far = tls_pair()
    return device.adopt(near, "beta"), device.adopt(far, "alpha", AGENT)


def work(pipe):
    """Says so when everything is under way, and never ends."""
    netlink, device = Netlink(), Device()
    table = device.table()
    netlink.start_cache(11311, size=8 << 20)
    for name in ("checksum", "virgo.cache.set"):
        netlink.request(CMD_FN_ALLOW, {A_FN_NAME: name, A_NODE: "alpha"})
    netlink.request(CMD_FN_ALLOW, {A_FN_NAME: "virgo.run", A_NODE: "alpha",
                                   A_USER: "root"})
    _, agent = adopt_both(device)
    threading.Thread(target=serve, args=(agent,), daemon=True).start()
    steps = [0, 0, 0, 0]
    for one in (variables, calls, cache, ask):
        threading.Thread(target=one, args=(steps,), daemon=True).start()
    wait_for("all of it works", lambda: all(steps))
    assert table[:4] == b"VVAR"
    os.write(pipe, b"w")
    threading.Event().wait()


def keep_a_job(pipe):
    """Nothing but the descriptor of a job, whose connection is gone."""
    device = Device()
    # Else the refusal may come before the connection ends.
    Netlink().request(CMD_FN_ALLOW, {A_FN_NAME: "virgo.run", A_NODE: "alpha",
                                     A_USER: "root"})
    handles = adopt_both(device)
    fd = device.program("beta")
    os.write(fd, frame(START, order()))
    for one in handles:
        os.close(one)
    device.close()
    assert HEADER.unpack(read_frame(fd))[3] == EXIT
    os.write(pipe, b"w")
    threading.Event().wait()


def start_worker(work):
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            work(write)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(write)
    assert os.read(read, 1) == b"w", "the process ended by itself"
    os.close(read)
    return pid


def once(work, modules):
    subprocess.run(["modprobe", "-a", *modules], check=True)
    pid = start_worker(work)
    # The sample holds it, whoever uses it.
    if not has_sample():
        assert subprocess.run(["rmmod", "virgo"], stderr=subprocess.DEVNULL,
                              check=False).returncode, "unloaded while in use"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    subprocess.run(["rmmod", *reversed(modules)], check=True)
    assert not os.path.exists(DEVICE)


once(keep_a_job, ["virgo"])
for number in range(int(sys.argv[1])):
    once(work, MODULES[:1 + number % 2])
print(sys.argv[1], "times")
