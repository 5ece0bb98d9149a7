# SPDX-License-Identifier: GPL-2.0-or-later
"""Borrows memory as a node would: memory_peer.py HOST IDENTITY COMMAND...

	query [BOOT]            free=BYTES pool=BYTES leaving=0|1 addresses=... why=...
	lease NAME BYTES [PURPOSE [BOOT]]
	                        export=... generation=N bytes=N addresses=...
	release NAME [GENERATION]
	                        ok
	leases                  a line a lease: NAME GENERATION BYTES PURPOSE
	                        stays|leaving

BOOT is the boot_id that the borrower says its kernel has; "-" for this machine's.
A refusal is printed as "error: CODE WHAT. Try: REMEDY", with status 1."""

import struct
import sys

from frames import ERROR, OK, Peer, frame, text

QUERY, OFFER, LEASE, LEASED, RELEASE, LEASES, LIST = range(384, 391)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, kind):
        size = struct.calcsize("<" + kind)
        value = struct.unpack_from("<" + kind, self.data, self.at)[0]
        self.at += size
        return value

    def bytes(self):
        size = self.number("I")
        self.at += size
        return self.data[self.at - size:self.at]

    def text(self):
        return self.bytes().decode()


def call(kind, payload=b""):
    peer.send(frame(kind, payload, tag=5))
    while True:
        got = peer.read()
        assert got, "the connection ended"
        if got[2] == 5:
            break
    r = Reader(got[3])
    if got[0] == ERROR:
        print(f"error: {r.number('i')} ", end="")
        r.text()
        print(f"{r.text()}. Try: {r.text()}")
        sys.exit(1)
    return got[0], r


def boot(said):
    if said != ["-"]:
        return text(said[0]) if said else b""
    with open("/proc/sys/kernel/random/boot_id") as f:
        return text(f.read().strip())


host, identity, command, *args = sys.argv[1:]
peer = Peer(f"{host}:8747:{identity}")
if command == "query":
    kind, r = call(QUERY, text("swap") + boot(args))
    assert kind == OFFER
    free, pool, lent, held, reserve = (r.number("Q") for _ in range(5))
    leaving, addresses, tls, why = (r.number("B"), r.text(), r.number("B"),
                                    r.text())
    print(f"free={free} pool={pool} leaving={leaving} addresses={addresses} "
          f"why={why}")
elif command == "lease":
    kind, r = call(LEASE, text(args[0]) + struct.pack("<Q", int(args[1])) +
                   text(args[2] if len(args) > 2 else "swap") +
                   boot(args[3:]))
    assert kind == LEASED
    name, generation, size, export, addresses = (
        r.text(), r.number("Q"), r.number("Q"), r.text(), r.text())
    print(f"export={export} generation={generation} bytes={size} "
          f"addresses={addresses}")
elif command == "release":
    kind, r = call(RELEASE, text(args[0]) +
                   struct.pack("<Q", int(args[1]) if len(args) > 1 else 0))
    assert kind == OK
    print("ok")
elif command == "leases":
    kind, r = call(LEASES)
    assert kind == LIST
    r.number("B")
    rows = Reader(r.bytes())
    while rows.at < len(rows.data):
        row = Reader(rows.bytes())
        name, generation, size, export, purpose = (
            row.text(), row.number("Q"), row.number("Q"), row.text(),
            row.text())
        row.text(), row.text()  # borrower and stem: ours
        row.at += 8 + 8 + 8 + 4
        print(name, generation, size, purpose,
              "leaving" if row.number("B") else "stays")
