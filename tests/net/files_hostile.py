#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A node of the cloud that speaks the file protocol as no client of ours would.
Arguments: HOST:PORT:IDENTITY, a volume it may use, one it may not, and another it
may use. The volumes hold what files-hostile.sh put there."""

import os
import struct
import sys

from frames import ERROR, FRAME_MAX, HELLO, OK, Peer, frame, text

FILE_NAME, FILE_CHANGED = 131, 180

(ATTACH, ATTACHED, CRED, LOOKUP, ENTRY, GETATTR, ATTR, MKDIR, UNLINK, RENAME,
 OPEN, OPENED, CREATE, RELEASE, READ, WRITE, READDIR, SYMLINK, LINK) = (
    128, 129, 130, 134, 135, 136, 137, 142, 144, 146, 148, 149, 150, 153, 154,
    155, 161, 143, 147)
ENOENT, EBADF, EACCES, EINVAL, ESTALE, EXDEV, ENOTCONN, ENAMETOOLONG, EPERM = (
    2, 9, 13, 22, 116, 18, 107, 36, 1)

address, mine, shut, other = sys.argv[1:5]
tag = 1


class Session:
    def __init__(self):
        self.peer = Peer(address, greet=False)
        self.peer.send(frame(HELLO, struct.pack("<HHQI", 1, 1, 0, FRAME_MAX) +
                             text("") + text(os.urandom(16)) +
                             struct.pack("<Q", 1) + text("a test"), tag=0))
        assert self.peer.read()[0] == HELLO

    def ask(self, kind, payload, again=0):
        """Type and payload of the answer; of an error, its errno."""
        global tag
        if not again:
            tag += 1
        self.peer.send(frame(kind, payload, tag=again or tag))
        while True:
            got, _, of, answer = self.peer.read()
            if of == (again or tag) and got not in (FILE_NAME, FILE_CHANGED):
                break
        if got == ERROR:
            return ERROR, -struct.unpack_from("<i", answer)[0]
        return got, answer

    def attach(self, name):
        kind, got = self.ask(ATTACH, text(name))
        assert kind == ATTACHED, (kind, got)
        n = struct.unpack_from("<I", got)[0]
        return got[4:4 + n]

    def cred(self, who, user):
        self.peer.send(frame(CRED, struct.pack("<I", who) + text(user) +
                             text("") + struct.pack("<II", 0, 0) + text(""),
                             tag=0))

    def lookup(self, handle, name, who=0):
        kind, got = self.ask(LOOKUP, struct.pack("<I", who) + text(handle) +
                             text(name))
        if kind == ERROR:
            return got
        n = struct.unpack_from("<I", got)[0]
        return got[4:4 + n]

    def getattr(self, handle, who=0):
        return self.ask(GETATTR, struct.pack("<I", who) + text(handle) +
                        struct.pack("<Q", 0))


def same(got, want):
    assert got == want, (got, want)


s = Session()

# Nothing without a volume, and no volume that is not ours.
same(s.ask(GETATTR, struct.pack("<I", 0) + text(bytes(40)) +
           struct.pack("<Q", 0)), (ERROR, ENOTCONN))
same(s.ask(ATTACH, text(shut)), (ERROR, EACCES))
same(s.ask(ATTACH, text("none")), (ERROR, ENOENT))
same(s.ask(ATTACH, text("../" + mine))[0], ERROR)

root = s.attach(mine)
s.cred(0, "nobody")
handle = s.lookup(root, "file")
assert isinstance(handle, bytes), handle
same(s.getattr(handle)[0], ATTR)

# Who did not say who they are may do nothing.
same(s.getattr(handle, who=7), (ERROR, EPERM))
same(s.getattr(handle, who=1 << 31), (ERROR, EPERM))

# Forged: any bit of a handle changed, cut, longer, made up.
for at in range(len(handle)):
    forged = bytearray(handle)
    forged[at] ^= 1 << at % 8
    same(s.getattr(bytes(forged)), (ERROR, ESTALE))
for forged in (b"", handle[:-1], handle + b"\0", bytes(len(handle)),
               os.urandom(len(handle)), os.urandom(4000), handle[:20]):
    same(s.getattr(forged), (ERROR, ESTALE))

# Crossed: two volumes' handles in one operation, halves of two handles.
elsewhere = s.attach(other)
far = s.lookup(elsewhere, "file")
same(s.ask(RENAME, struct.pack("<I", 0) + text(root) + text("file") +
           text(elsewhere) + text("stolen") + struct.pack("<I", 0)),
     (ERROR, EXDEV))
same(s.ask(LINK, struct.pack("<I", 0) + text(far) + struct.pack("<Q", 0) +
           text(root) + text("stolen")), (ERROR, EXDEV))
same(s.getattr(handle[:-16] + far[-16:]), (ERROR, ESTALE))
same(s.getattr(far[:8] + handle[8:]), (ERROR, ESTALE))

# Names that are more than one component, or none.
for name in ("..", ".", "", "a/b", "/etc/passwd", "../etc", "dir/../../x",
             "with\0nul", "/"):
    same(s.lookup(root, name), EINVAL)
    for kind in MKDIR, CREATE:
        body = struct.pack("<I", 0) + text(root) + text(name)
        body += struct.pack("<III", 2, 0o777, 0)
        same(s.ask(kind, body), (ERROR, EINVAL))
    same(s.ask(UNLINK, struct.pack("<I", 0) + text(root) + text(name)),
         (ERROR, EINVAL))
same(s.lookup(root, "x" * 256), ENAMETOOLONG)

# A symbolic link is never followed over there.
same(s.ask(SYMLINK, struct.pack("<I", 0) + text(root) + text("escape") +
           text("/etc"))[0], ENTRY)
link = s.lookup(root, "escape")
same(s.lookup(link, "passwd"), 20)
same(s.ask(OPEN, struct.pack("<I", 0) + text(link) + struct.pack("<II", 1, 0) +
           text("") + text(""))[0], ERROR)

# Open files are the session's own; numbers made up lead nowhere.
kind, got = s.ask(OPEN, struct.pack("<I", 0) + text(handle) +
                  struct.pack("<II", 1, 0) + text("") + text(""))
same(kind, OPENED)
number = struct.unpack_from("<Q", got)[0]
same(s.ask(READ, struct.pack("<QQI", number, 0, 10))[0], 140)
same(s.ask(READ, struct.pack("<QQI", number, 0, 1 << 30)), (ERROR, EINVAL))
same(s.ask(READ, struct.pack("<QQI", number, 1 << 63, 10)), (ERROR, EINVAL))
for wrong in (0, 1, number + 1, number + (1 << 32), (1 << 64) - 1):
    same(s.ask(READ, struct.pack("<QQI", wrong, 0, 10)), (ERROR, EBADF))
thief = Session()
thief.attach(mine)
thief.cred(0, "nobody")
same(thief.ask(READ, struct.pack("<QQI", number, 0, 10)), (ERROR, EBADF))
# Opened for reading it cannot be written.
same(s.ask(WRITE, struct.pack("<QQI", number, 0, 0) + text("x")),
     (ERROR, EBADF))

# A handle of one session is good in another, for it is the volume's; but not
# without the volume.
same(thief.getattr(handle)[0], ATTR)
stranger = Session()
stranger.attach(other)
stranger.cred(0, "nobody")
same(stranger.getattr(handle), (ERROR, ESTALE))

# Replayed: the second time the answer is the first one's, and nothing happens.
body = struct.pack("<I", 0) + text(root) + text("made")
first = s.ask(MKDIR, body + struct.pack("<II", 0o755, 0))
same(first[0], ENTRY)
made = tag
same(s.ask(MKDIR, body + struct.pack("<II", 0o755, 0), again=made), first)
same(s.ask(145, body), (OK, b""))
same(s.ask(MKDIR, body + struct.pack("<II", 0o755, 0), again=made), first)
same(s.lookup(root, "made"), ENOENT)

# Garbage in every message.
for kind in range(128, 180):
    for junk in (b"", b"\xff" * 3, b"\xff" * 64, os.urandom(200), bytes(300)):
        if kind in (CRED, 131, 175):
            continue
        got = s.ask(kind, junk)
        assert got[0] in (ERROR, OK), (kind, got)
same(s.getattr(handle)[0], ATTR)
print("ok")
