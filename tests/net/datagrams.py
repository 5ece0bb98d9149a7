# SPDX-License-Identifier: GPL-2.0-or-later
"""Membership datagrams from somebody who has no key.

    datagrams.py garbage TARGET         anything but genuine ones to TARGET:8747
    datagrams.py replay TARGET SECONDS  what this machine hears within SECONDS
                                        on port 8747 (as root), changed and as
                                        it was, to TARGET:8747

Fails when anything at all is answered."""

import random
import socket
import struct
import sys
import time

PORT = 8747


def silent(s, seconds=0.5):
    s.settimeout(seconds)
    try:
        data, source = s.recvfrom(2048)
    except (socket.timeout, TimeoutError):
        return
    sys.exit(f"{len(data)} bytes came back from {source}")


def garbage(target, s):
    draw = random.Random(1)
    for length in [0, 1, 3, 4, 12, 27, 28, 43, 44, 45, 60, 100, 1195, 1196,
                   1197, 1472, 2000, 65000]:
        for _ in range(20):
            s.sendto(draw.randbytes(length), (target, PORT))
    # A header that looks right: key 1, some sender, life, counter.
    for key in 0, 1, 2, 0xFFFFFFFF:
        for counter in 0, 1, 2**64 - 1:
            head = struct.pack("<IQQQ", key, draw.getrandbits(64),
                               draw.getrandbits(64), counter)
            s.sendto(head + draw.randbytes(80), (target, PORT))
    silent(s)


def heard(seconds):
    """Payloads of datagrams to our port, as they came over the wire."""
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    raw.settimeout(0.2)
    end, out = time.monotonic() + seconds, []
    while time.monotonic() < end:
        try:
            data, address = raw.recvfrom(2048)
        except (socket.timeout, TimeoutError):
            continue
        if address[1] == 0x0800:
            data = data[(data[0] & 15) * 4:] if data[9] == 17 else b""
        elif address[1] == 0x86DD:
            data = data[40:] if data[6] == 17 else b""
        else:
            continue
        if len(data) > 8 and struct.unpack(">H", data[2:4])[0] == PORT:
            out.append(data[8:])
    return out


def replay(target, seconds, s):
    datagrams = heard(float(seconds))
    assert len(datagrams) > 5, f"heard only {len(datagrams)}"
    draw = random.Random(2)
    for data in datagrams:
        s.sendto(data, (target, PORT))
        changed = bytearray(data)
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        s.sendto(bytes(changed), (target, PORT))
        s.sendto(data[:-1], (target, PORT))
    silent(s)


def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if sys.argv[1] == "garbage":
        garbage(sys.argv[2], s)
    else:
        replay(sys.argv[2], sys.argv[3], s)


main()
