#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Holds files open over what a scenario does to their server. Argument: a
folder. Prints a line when ready, then obeys lines on standard input: each is a
number and the name of a check below, whose result is printed behind the number."""
import errno
import fcntl
import os
import sys

os.chdir(sys.argv[1])


def put(name, data):
    with open(name, "wb") as f:
        f.write(data)


put("reading", b"r" * 200000)
put("locked", b"0" * 10)
put("flocked", b"0" * 10)
reading = os.open("reading", os.O_RDONLY)
writing = os.open("writing", os.O_RDWR | os.O_CREAT)
locked = os.open("locked", os.O_RDWR)
flocked = os.open("flocked", os.O_RDWR)
unlinked = os.open("unlinked", os.O_RDWR | os.O_CREAT)
os.write(unlinked, b"nameless")
os.unlink("unlinked")
fcntl.lockf(locked, fcntl.LOCK_EX, 5, 0)
fcntl.flock(flocked, fcntl.LOCK_EX)
os.write(writing, b"before ")


def io():
    assert os.pread(reading, 1000, 150000) == b"r" * 1000
    os.lseek(writing, 0, os.SEEK_END)
    os.write(writing, b"after ")
    os.fsync(writing)
    size = os.fstat(writing).st_size
    assert os.pread(writing, 100, 0)[:7] == b"before " and size >= 13
    return "ok"


def nameless():
    try:
        return os.pread(unlinked, 100, 0).decode()
    except OSError as e:
        return errno.errorcode[e.errno]


def try_locks():
    """In another process: are the locks still held?"""
    out = []
    pid = os.fork()
    if pid == 0:
        for name, lock in ("locked", fcntl.lockf), ("flocked", fcntl.flock):
            fd = os.open(name, os.O_RDWR)
            try:
                lock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                out.append("free")
            except OSError:
                out.append("held")
        os.write(pipe[1], " ".join(out).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return os.read(pipe[0], 100).decode()


def stat():
    try:
        os.stat("reading-" + str(os.getpid()))
        return "found"
    except OSError as e:
        return errno.errorcode[e.errno]


pipe = os.pipe()
print("ready", flush=True)
for line in sys.stdin:
    number, check = line.split()
    try:
        result = globals()[check]()
    except OSError as e:
        result = errno.errorcode[e.errno]
    print(number, result, flush=True)
