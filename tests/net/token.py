# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes an invitation: token.py TOKEN FIELD VALUE, where FIELD is home,
addresses, fingerprint or secret (the last two in hex). Its checksum is right
afterwards, so that only what the change means is left to be refused."""

import base64
import struct
import sys

from frames import crc32c


def parse(text):
    raw = text.split(":", 1)[1]
    raw = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
    assert struct.unpack("<I", raw[-4:])[0] == crc32c(raw[:-4])
    n = raw[0]
    home, raw = raw[1:1 + n], raw[1 + n:]
    n = struct.unpack("<H", raw[:2])[0]
    addresses, raw = raw[2:2 + n], raw[2 + n:]
    return {"home": home, "addresses": addresses, "fingerprint": raw[:32],
            "secret": raw[32:48]}


def build(t):
    raw = bytes([len(t["home"])]) + t["home"]
    raw += struct.pack("<H", len(t["addresses"])) + t["addresses"]
    raw += t["fingerprint"] + t["secret"]
    raw += struct.pack("<I", crc32c(raw))
    return "virgo1:" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


token, field, value = sys.argv[1:]
t = parse(token)
t[field] = (bytes.fromhex(value) if field in ("fingerprint", "secret")
            else value.encode())
print(build(t))
