#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Random operations, each done in two folders: argv[1] on a local disk, argv[2]
(and, in turn, argv[3]: the same folder by another way) on a volume. Result,
errno, and in the end every file must be the same. argv[4]: seed, argv[5]: count."""
import errno
import os
import random
import stat
import sys

local, *remote = sys.argv[1:4]
seed, count = int(sys.argv[4]), int(sys.argv[5])
dice = random.Random(seed)
NAMES = ["a", "b", "c", "d/a", "d/b", "d/e/a", "d", "d/e", "s"]
files = {}  # number -> (local descriptor, remote descriptor)


def name():
    return dice.choice(NAMES)


def data():
    return dice.randbytes(dice.choice([0, 1, 100, 4096, 5000, 70000]))


def result(call, *args, **kwargs):
    try:
        return call(*args, **kwargs)
    except OSError as e:
        return errno.errorcode[e.errno]


def both(make):
    """Does make(folder, side) on both sides and compares."""
    side = dice.choice(remote)
    one = make(local, 0)
    two = make(side, 1)
    assert one == two, (one, two)
    return one


def look(path):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    out = [oct(s.st_mode), s.st_uid, s.st_gid]
    if kind != stat.S_IFDIR:
        out += [s.st_size, s.st_nlink]
    return out


def op_open():
    n, flags = name(), dice.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR]) | \
        dice.choice([0, os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_TRUNC,
                     os.O_CREAT | os.O_APPEND])
    side = dice.choice(remote)
    fds = [result(os.open, f"{d}/{n}", flags | os.O_NOFOLLOW, 0o640)
           for d in (local, side)]
    if isinstance(fds[0], str) or isinstance(fds[1], str):
        assert fds[0] == fds[1], (n, flags, fds)
        return f"open {n} {flags:o} {fds[0]}"
    files[len(files) + dice.randrange(10**9)] = fds
    return f"open {n} {flags:o}"


def with_file(call):
    if not files:
        return "no file"
    fds = files[dice.choice(list(files))]
    one, two = result(call, fds[0]), result(call, fds[1])
    assert one == two, (one if not isinstance(one, bytes) else len(one),
                        two if not isinstance(two, bytes) else len(two))
    return f"{one if not isinstance(one, bytes) else len(one)}"


def op_write():
    what, at = data(), dice.randrange(100000)
    return "pwrite " + with_file(lambda fd: os.pwrite(fd, what, at))


def op_read():
    size, at = dice.choice([1, 100, 5000, 200000]), dice.randrange(100000)
    return "pread " + with_file(lambda fd: os.pread(fd, size, at))


def op_truncate():
    size = dice.randrange(150000)
    return "ftruncate " + with_file(lambda fd: os.ftruncate(fd, size))


def op_fstat():
    return "fstat " + with_file(
        lambda fd: (os.fstat(fd).st_size, os.fstat(fd).st_nlink))


def op_seek():
    at = dice.randrange(100000)
    return "seek " + with_file(lambda fd: os.lseek(fd, at, os.SEEK_SET))


def op_close():
    if files:
        for fd in files.pop(dice.choice(list(files))):
            os.close(fd)
    return "close"


def path_op(call, *more):
    n = name()
    return f"{call.__name__} {n} {more} " + str(
        both(lambda d, _: result(call, f"{d}/{n}", *more)))


def two_paths(call):
    a, b = name(), name()
    return f"{call.__name__} {a} {b} " + str(
        both(lambda d, _: result(call, f"{d}/{a}", f"{d}/{b}")))


def op_all_of_it():
    def read(d, _):
        n = [result(open, f"{d}/{x}", "rb") for x in names]
        out = [f if isinstance(f, str) else f.read() for f in n]
        for f in n:
            if not isinstance(f, str):
                f.close()
        return out
    names = dice.sample(NAMES, 2)
    both(read)
    return "read " + " ".join(names)


OPS = [
    (10, op_open), (10, op_write), (10, op_read), (4, op_truncate),
    (4, op_fstat), (2, op_seek), (6, op_close), (6, op_all_of_it),
    (4, lambda: path_op(look)), (3, lambda: path_op(os.unlink)),
    (2, lambda: path_op(os.rmdir)), (4, lambda: path_op(os.mkdir)),
    (3, lambda: path_op(os.chmod, dice.choice([0o600, 0o755, 0o444]))),
    (3, lambda: path_op(os.truncate, dice.randrange(100000))),
    (2, lambda: path_op(os.readlink)),
    (2, lambda: path_op(lambda p: sorted(os.listdir(p)))),
    (3, lambda: path_op(lambda p: os.utime(p, ns=(5, 7)))),
    (5, lambda: two_paths(os.rename)), (4, lambda: two_paths(os.link)),
    (2, lambda: path_op(lambda p: os.symlink("a", p))),
]
weights = [w for w, _ in OPS]


def tree(top):
    out = {}
    for folder, folders, names in os.walk(top):
        for n in folders + names:
            path = os.path.join(folder, n)
            entry = look(path)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as f:
                    entry.append(f.read())
            out[os.path.relpath(path, top)] = entry
    return out


log = []
try:
    for i in range(count):
        log.append(dice.choices(OPS, weights)[0][1]())
        if len(files) > 20:
            op_close()
    for fds in files.values():
        for fd in fds:
            os.close(fd)
    assert tree(local) == tree(remote[0]), "the trees differ"
except AssertionError:
    print(f"seed {seed}, after {len(log)} operations, the last ones:",
          *log[-12:], sep="\n  ", file=sys.stderr)
    raise
print("ok")
