# SPDX-License-Identifier: GPL-2.0-or-later
"""Starts COUNT jobs on NODE over one connection, has all wait, then end; see
jobs-thousand.sh. Arguments: COUNT, NODE, process ids of the virgods to measure."""
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from frames import EOF, Peer, frame, text  # noqa: E402

START, STARTED, DATA, CREDIT, EXIT = 64, 65, 66, 67, 70
MOST_KIB = 64


def resident(pid):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def start(where, argv):
    items = b"".join(text(text(a)) for a in argv)
    return (text(where) + text("") + struct.pack("<I", 0) + text(items) +
            text(b"") + text("") + text("") +
            struct.pack("<HHH", 0, 0, 0xFFFF) + struct.pack("<QQII", 0, 0, 0, 0) +
            text(b"") + struct.pack("<I", 65536))


count = int(sys.argv[1])
node = sys.argv[2]
virgods = sys.argv[3:5]
begin = [resident(p) for p in virgods]
with Peer("/var/lib/virgo/run/virgod.sock", timeout=120) as p:
    began = time.monotonic()
    for i in range(count):
        # Each says its number, then waits for the end of its input.
        p.send(frame(START, start(node, [
            "sh", "-c", f"echo {i}; read -r x; exit {i % 200}"]), tag=i + 1))
    running, said = set(), {}
    while len(running) < count or len(said) < count:
        kind, flags, tag, payload = p.read()
        if kind == STARTED:
            running.add(tag)
        elif kind == DATA:
            said[tag] = said.get(tag, b"") + payload
        elif kind == EXIT or kind == 2:
            sys.exit(f"job {tag} ended early: {kind} {payload!r}")
    took = time.monotonic() - began
    now = [resident(p) for p in virgods]
    for i in range(count):
        if said[i + 1] != b"%d\n" % i:
            sys.exit(f"job {i} said {said[i + 1]!r}")
        p.send(frame(DATA, b"", flags=EOF, tag=i + 1))
    ended = 0
    while ended < count:
        kind, flags, tag, payload = p.read()
        if kind != EXIT:
            continue
        reason, status = struct.unpack_from("<Bi", payload)
        if (reason, status) != (0, (tag - 1) % 200):
            sys.exit(f"job {tag - 1}: reason {reason}, status {status}")
        ended += 1
each = [max(0, b - a) / count for a, b in zip(begin, now)]
print(f"    {count} jobs ran at once after {took:.2f} s; virgod grew by "
      f"{each[0]:.1f} KiB a job here, {each[1]:.1f} KiB there")
if max(each) > MOST_KIB:
    sys.exit("that is more than 64 KiB")
