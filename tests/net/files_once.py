#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks a server for changes under fixed tags, in two lives of that server.
Arguments: first or again, HOST:PORT:IDENTITY, a volume. "first" makes the changes;
"again" comes back as the same session to a server that was killed meanwhile and
asks the same: each must be answered as it was, and nothing happen twice."""

import os
import struct
import sys

from frames import ERROR, FRAME_MAX, HELLO, OK, Peer, frame, text

(NAME, CHANGED, ATTACH, ATTACHED, CRED, LOOKUP, ENTRY, MKDIR, UNLINK, RENAME,
 OPEN, OPENED, CREATE, CREATED, WRITE, WRITTEN, READ, DATA) = (
    131, 180, 128, 129, 130, 134, 135, 142, 144, 146, 148, 149, 150, 151, 155,
    156, 154, 140)
READ_FLAG, WRITE_FLAG, APPEND, EXCLUSIVE = 1, 2, 4, 16
ANSWERS, RESUMED = 1 << 4, 1 << 3
ENOENT, EEXIST = 2, 17
WHO = struct.pack("<I", 0)

life, address, volume = sys.argv[1:4]
peer = Peer(address, greet=False)
peer.send(frame(HELLO, struct.pack("<HHQI", 1, 1, 0, FRAME_MAX) + text("") +
                text(b"0123456789abcdef") + struct.pack("<Q", 1) +
                text("a test"), tag=0))
assert peer.read()[0] == HELLO


def ask(tag, kind, payload):
    peer.send(frame(kind, payload, tag=tag))
    while True:
        got, _, of, answer = peer.read()
        if of == tag and got not in (NAME, CHANGED):
            break
    if got == ERROR:
        return ERROR, -struct.unpack_from("<i", answer)[0]
    return got, answer


def same(got, want):
    assert got == want, (got, want)


def first_field(payload):
    n = struct.unpack_from("<I", payload)[0]
    return payload[4:4 + n]


# Attaching goes ahead with a tag higher than all before, as mount.virgo's does.
kind, attached = ask(1 if life == "first" else 1000, ATTACH, text(volume))
same(kind, ATTACHED)
root = first_field(attached)
at = 4 + len(root)
for _ in range(2): # attributes, id
    at += 4 + struct.unpack_from("<I", attached, at)[0]
flags = struct.unpack_from("<I", attached, at + 4)[0]
same(flags & (ANSWERS | RESUMED), ANSWERS if life == "again" else 0)
peer.send(frame(CRED, WHO + text("nobody") + text("") +
                struct.pack("<II", 65534, 65534) + text(""), tag=0))


def mkdir(tag, name):
    return ask(tag, MKDIR, WHO + text(root) + text(name) +
               struct.pack("<II", 0o755, 0o22))


def unlink(tag, name):
    return ask(tag, UNLINK, WHO + text(root) + text(name))


def create(tag, name, mode):
    return ask(tag, CREATE, WHO + text(root) + text(name) +
               struct.pack("<III", READ_FLAG | WRITE_FLAG | EXCLUSIVE, mode, 0))


def write(tag, file, data):
    return ask(tag, WRITE, struct.pack("<QQI", file, 0, 0) + text(data))


same(mkdir(10, "made")[0], ENTRY)
same(mkdir(11, "there"), (ERROR, EEXIST))
same(unlink(12, "gone"), (OK, b""))
same(unlink(13, "none"), (ERROR, ENOENT))
same(ask(14, RENAME, WHO + text(root) + text("old") + text(root) +
         text("new") + struct.pack("<I", 0)), (OK, b""))
# A file that may not be opened by its mode, but by who has just made it.
kind, got = create(15, "created", 0)
same(kind, CREATED)
file = struct.unpack_from("<Q", got)[0]
same(write(16, file, b"into")[0], WRITTEN)
same(ask(17, READ, struct.pack("<QQI", file, 0, 100))[1][4:], b"into")
kind, got = ask(18, LOOKUP, WHO + text(root) + text("append"))
same(kind, ENTRY)
kind, got = ask(19 if life == "first" else 1001, OPEN,
                WHO + text(first_field(got)) +
                struct.pack("<II", WRITE_FLAG | APPEND, 0) + text("") + text(""))
same(kind, OPENED)
same(write(20, struct.unpack_from("<Q", got)[0], b"line\n"),
     (WRITTEN, struct.pack("<I", 5) + attached[at + 8:at + 16]))
if life == "again": # never asked before: done now
    same(mkdir(30, "later")[0], ENTRY)
    same(mkdir(1002, "made"), (ERROR, EEXIST))
print("ok", flush=True)
os._exit(0)
