# SPDX-License-Identifier: GPL-2.0-or-later
"""ask_choice.py SOCKET POLICY CANDIDATES TIMES: asks a virgod which node should
run a job and prints a line for each time: "NAME", or "none: WHY"; with TIMES 0
one line a candidate, best first: "NAME: WHY"."""

import struct
import sys

from frames import ERROR, Peer, frame, text

CHOOSE, CHOSEN = 34, 35


def take_text(data):
    length = struct.unpack_from("<I", data)[0]
    return data[4:4 + length].decode(), data[4 + length:]


def candidates(payload):
    """(name, why) of each, best first."""
    rows = payload[4:4 + struct.unpack_from("<I", payload)[0]]
    while rows:
        length = struct.unpack_from("<I", rows)[0]
        row, rows = rows[4:4 + length], rows[4 + length:]
        name, row = take_text(row)
        score, in_flight, service_us, idle_ppm = struct.unpack_from("<QIQI", row)
        yield name, take_text(row[24:])[0]


def main():
    path, policy, names, times = sys.argv[1:]
    with Peer(path) as virgod:
        for tag in range(1, max(int(times), 1) + 1):
            virgod.send(frame(CHOOSE, text(policy) + struct.pack("<I", 1) +
                              text(names), tag=tag))
            kind, _, got, payload = virgod.read()
            assert got == tag
            if kind == ERROR:
                what = take_text(take_text(payload[4:])[1])[0]
                print("none:", what)
                continue
            assert kind == CHOSEN, kind
            ranked = list(candidates(payload))
            if int(times):
                print(ranked[0][0])
            else:
                for name, why in ranked:
                    print(f"{name}: {why}")


main()
