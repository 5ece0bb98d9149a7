#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a local file system does, asked of the folder in argv[1], which must be
writable and empty. Ends with status 0, or with the first thing that differs."""
import ctypes
import errno
import fcntl
import mmap
import os
import stat
import struct
import sys
import time

libc = ctypes.CDLL(None, use_errno=True)
top = sys.argv[1]
os.chdir(top)


def fails(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except OSError as e:
        assert e.errno == code, (call, args, errno.errorcode[e.errno])
        return
    raise AssertionError((call, args, "did not fail"))


def put(name, data=b"x"):
    with open(name, "wb") as f:
        f.write(data)


def get(name):
    with open(name, "rb") as f:
        return f.read()


def test_names():
    os.mkdir("d", 0o750)
    assert stat.S_IMODE(os.stat("d").st_mode) == 0o750
    put("d/a", b"one")
    fails(errno.EEXIST, os.mkdir, "d")
    fails(errno.ENOTEMPTY, os.rmdir, "d")
    fails(errno.ENOTDIR, os.rmdir, "d/a")
    fails(errno.EISDIR, os.unlink, "d")
    fails(errno.ENOENT, os.stat, "d/none")
    fails(errno.ENOTDIR, os.stat, "d/a/b")
    fails(errno.ENAMETOOLONG, put, "n" * 256)
    put("n" * 255)
    put("weird \n\x01\xff name".encode("latin1"))
    os.rename("d/a", "d/b")
    put("d/c", b"two")
    os.rename("d/b", "d/c")
    assert get("d/c") == b"one" and os.listdir("d") == ["c"]
    os.mkdir("d/sub")
    fails(errno.EINVAL, os.rename, "d", "d/sub/d")
    os.symlink("c", "d/l")
    assert os.readlink("d/l") == "c" and get("d/l") == b"one"
    assert os.lstat("d/l").st_size == 1
    fails(errno.ELOOP, os.open, "d/l", os.O_RDONLY | os.O_NOFOLLOW)
    os.link("d/c", "d/h")
    assert os.stat("d/c").st_nlink == 2
    assert os.stat("d/c").st_ino == os.stat("d/h").st_ino
    os.link("d/l", "d/l2", follow_symlinks=False)
    assert os.readlink("d/l2") == "c"
    os.mkfifo("d/fifo", 0o600)
    assert stat.S_ISFIFO(os.stat("d/fifo").st_mode)


def test_rename_flags():
    put("ra", b"a")
    put("rb", b"b")

    def rename2(old, new, flags):
        if libc.renameat2(-100, old, -100, new, flags):
            raise OSError(ctypes.get_errno(), "renameat2")

    fails(errno.EEXIST, rename2, b"ra", b"rb", 1)
    rename2(b"ra", b"rb", 2)
    assert get("ra") == b"b" and get("rb") == b"a"


def test_data():
    put("f", b"0123456789")
    with open("f", "r+b") as f:
        f.seek(5)
        f.write(b"FIVE!")
        f.flush()
        assert get("f") == b"01234FIVE!"
        f.truncate(3)
        assert get("f") == b"012"
        f.truncate(100000)
        assert os.stat("f").st_size == 100000 and get("f")[3:9] == bytes(6)
        os.fsync(f.fileno())
        os.fdatasync(f.fileno())
    put("f", b"short")
    assert get("f") == b"short"
    big = os.urandom(3 * 1024 * 1024 + 17)
    put("big", big)
    assert get("big") == big
    fd = os.open("big", os.O_RDWR)
    os.pwrite(fd, b"HERE", 1 << 20)
    assert os.pread(fd, 4, 1 << 20) == b"HERE"
    m = mmap.mmap(fd, 8192)
    m[4000:4004] = b"MMAP"
    m.flush()
    m.close()
    os.close(fd)
    assert get("big")[4000:4004] == b"MMAP"
    fd = os.open("ap", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, b"one ")
    other = os.open("ap", os.O_WRONLY | os.O_APPEND)
    os.write(other, b"two ")
    os.write(fd, b"three")
    assert get("ap") == b"one two three"
    fails(errno.EEXIST, os.open, "ap", os.O_CREAT | os.O_EXCL)


def test_sparse():
    fd = os.open("sparse", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"x", 10 << 20)
    assert os.stat("sparse").st_blocks * 512 < 1 << 20
    assert os.lseek(fd, 0, os.SEEK_DATA) >= (10 << 20) - 4096
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
    os.posix_fallocate(fd, 0, 1 << 20)
    assert os.stat("sparse").st_blocks * 512 >= 1 << 20
    assert libc.fallocate(fd, 3, ctypes.c_long(0), ctypes.c_long(1 << 20)) == 0
    assert os.lseek(fd, 0, os.SEEK_HOLE) == 0
    out = os.open("copy", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"0123456789", 0)
    assert os.copy_file_range(fd, out, 10, 0, 5) == 10
    assert os.pread(out, 100, 0) == bytes(5) + b"0123456789"


def test_unlinked():
    fd = os.open("gone", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"still here")
    os.unlink("gone")
    assert os.fstat(fd).st_nlink == 0
    assert os.pread(fd, 100, 0) == b"still here"
    os.fchmod(fd, 0o640)
    os.ftruncate(fd, 5)
    assert os.fstat(fd).st_size == 5
    assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o640
    again = os.open("/proc/self/fd/%d" % fd, os.O_RDONLY)
    assert os.read(again, 100) == b"still"
    put("old", b"old")
    fd = os.open("old", os.O_RDONLY)
    put("new", b"new")
    os.rename("new", "old")
    assert os.pread(fd, 9, 0) == b"old" and get("old") == b"new"


def test_removed_directory():
    os.mkdir("removed", 0o750)
    fd = os.open("removed", os.O_RDONLY | os.O_DIRECTORY)
    before = os.fstat(fd)
    os.rmdir("removed")
    for _ in range(2):
        now = os.fstat(fd)
        assert (now.st_nlink, now.st_ino, now.st_mode) == (
            0, before.st_ino, before.st_mode), now
        time.sleep(1.1)  # beyond what the kernel remembers
    assert os.fpathconf(fd, "PC_NAME_MAX") == 255
    assert os.fstatvfs(fd).f_bsize > 0
    fails(errno.ENOENT, os.stat, "removed")
    fails(errno.ENOENT, os.open, "new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.close(fd)


def test_tmpfile():
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o600)
    os.write(fd, b"nameless")
    assert os.fstat(fd).st_nlink == 0
    assert libc.linkat(-100, b"/proc/self/fd/%d" % fd, -100, b"named",
                       0x400) == 0, os.strerror(ctypes.get_errno())
    os.close(fd)
    assert get("named") == b"nameless"


def test_attributes():
    put("at")
    os.chmod("at", 0o4711)
    assert stat.S_IMODE(os.stat("at").st_mode) == 0o4711
    os.utime("at", ns=(1234567890123456789, 987654321987654321))
    s = os.stat("at")
    assert s.st_atime_ns == 1234567890123456789, s
    assert s.st_mtime_ns == 987654321987654321, s
    os.symlink("nowhere", "ln")
    os.utime("ln", ns=(5, 7), follow_symlinks=False)
    assert os.lstat("ln").st_mtime_ns == 7
    before = os.stat("at").st_ctime_ns
    time.sleep(0.02)
    os.chmod("at", 0o600)
    assert os.stat("at").st_ctime_ns > before
    old = os.umask(0o027)
    put("um")
    os.mkdir("umd")
    os.umask(old)
    assert stat.S_IMODE(os.stat("um").st_mode) == 0o640
    assert stat.S_IMODE(os.stat("umd").st_mode) == 0o750
    assert os.statvfs(".").f_namemax == 255


def test_xattr():
    put("xa")
    os.setxattr("xa", "user.one", b"1" * 1000)
    os.setxattr("xa", "user.two", b"")
    assert os.getxattr("xa", "user.one") == b"1" * 1000
    assert sorted(os.listxattr("xa")) == ["user.one", "user.two"]
    fails(errno.EEXIST, os.setxattr, "xa", "user.one", b"", os.XATTR_CREATE)
    fails(errno.ENODATA, os.setxattr, "xa", "user.no", b"", os.XATTR_REPLACE)
    os.removexattr("xa", "user.two")
    fails(errno.ENODATA, os.getxattr, "xa", "user.two")
    fails(errno.ENODATA, os.removexattr, "xa", "user.two")
    if os.getuid():
        fails(errno.EPERM, os.setxattr, "xa", "trusted.x", b"")


def test_acl():
    def acl(*entries):
        return struct.pack("<I", 2) + b"".join(
            struct.pack("<HHI", *e) for e in entries)

    undef = 0xffffffff
    put("ac")
    value = acl((1, 6, undef), (2, 4, os.getuid()), (4, 4, undef),
                (16, 6, undef), (32, 0, undef))
    os.setxattr("ac", "system.posix_acl_access", value)
    assert os.getxattr("ac", "system.posix_acl_access") == value
    assert stat.S_IMODE(os.stat("ac").st_mode) == 0o660
    os.mkdir("acd")
    os.setxattr("acd", "system.posix_acl_default",
                acl((1, 7, undef), (4, 5, undef), (32, 0, undef)))
    put("acd/in")
    assert stat.S_IMODE(os.stat("acd/in").st_mode) == 0o640


def test_listing():
    os.mkdir("many")
    names = {"entry-%04d-%s" % (i, "x" * (i % 90)) for i in range(1500)}
    for n in names:
        put("many/" + n, b"")
    assert set(os.listdir("many")) == names
    seen = {e.name: e.inode() for e in os.scandir("many")}
    assert set(seen) == names
    for n in list(names)[:200]:
        assert os.stat("many/" + n).st_ino == seen[n]
    with os.scandir("many") as it:  # removing while listing skips none
        for e in it:
            os.unlink(e.path)
    assert os.listdir("many") == []
    os.rmdir("many")


def test_locks():
    put("lk", b"0" * 100)
    fd = os.open("lk", os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 0)
    pid = os.fork()
    if pid == 0:
        f2 = os.open("lk", os.O_RDWR)
        try:
            fails(errno.EAGAIN, fcntl.lockf, f2, fcntl.LOCK_EX | fcntl.LOCK_NB,
                  10, 5)
            fcntl.lockf(f2, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 10)
            got = fcntl.fcntl(f2, fcntl.F_GETLK, struct.pack(
                "hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
            kind, _, start, length, holder = struct.unpack("hhqqi4x", got)
            assert kind == fcntl.F_WRLCK and (start, length) == (0, 10), got
            assert holder == os.getppid(), holder
            start = time.monotonic()
            fcntl.lockf(f2, fcntl.LOCK_EX, 10, 0)  # waits for the parent
            assert time.monotonic() - start > 0.2
            os._exit(0)
        except BaseException as e:
            print("child:", repr(e), file=sys.stderr)
            os._exit(1)
    time.sleep(0.4)
    fcntl.lockf(fd, fcntl.LOCK_UN, 10, 0)
    assert os.waitpid(pid, 0)[1] == 0
    fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the child's ended with it
    os.close(os.open("lk", os.O_RDONLY))  # POSIX: any close drops them
    pid = os.fork()
    if pid == 0:
        f2 = os.open("lk", os.O_RDWR)
        try:
            fcntl.lockf(f2, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os._exit(0)
        except OSError:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    a = os.open("lk", os.O_RDWR)
    b = os.open("lk", os.O_RDWR)
    fcntl.flock(a, fcntl.LOCK_EX)
    fails(errno.EAGAIN, fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(a)
    end = time.monotonic() + 5
    while True:  # the kernel releases a moment after close
        try:
            fcntl.flock(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.01)


for name, test in list(globals().items()):
    if name.startswith("test_"):
        try:
            test()
        except BaseException:
            print("failed:", name, file=sys.stderr)
            raise
print("ok")
