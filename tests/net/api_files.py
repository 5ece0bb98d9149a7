# SPDX-License-Identifier: GPL-2.0-or-later
"""What api-files.sh checks of files in the Python module, as a user on alpha."""

import errno
import os
import stat
import sys
import time

import virgo

user = sys.argv[1]
home = f"beta:/of-{user}-"


def raises(kind, function, *arguments, **options):
    try:
        function(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def texts():
    with virgo.open(home + "text", "w") as file:
        file.write("one\ntwo\n")
    with virgo.open(home + "text") as file:
        assert list(file) == ["one\n", "two\n"]
    with virgo.open(home + "text", "a") as file:
        file.write("three\n")
    with virgo.open(home + "text", "rb") as file:
        assert file.read() == b"one\ntwo\nthree\n"
    raises(FileExistsError, virgo.open, home + "text", "x")
    raises(FileNotFoundError, virgo.open, home + "missing")
    raises(NotADirectoryError, virgo.open, home + "text/under", "w")
    raises(IsADirectoryError, virgo.open, "beta:/")
    raises(ValueError, virgo.open, home + "text", "rw")
    error = raises(OSError, virgo.open, "/etc/passwd")
    assert error.errno == errno.EINVAL and "volume:/path" in error.remedy


def positions():
    with virgo.open(home + "data", "w+b", buffering=0) as file:
        assert file.write(bytes(range(256)) * 12000) == 3072000
        assert file.tell() == 3072000 and file.seek(-6, os.SEEK_END) == 3071994
        assert file.read(10) == b"\xfa\xfb\xfc\xfd\xfe\xff"
        assert file.read(10) == b""
        assert file.pwrite(b"xyz", 1) == 3 and file.pread(5, 0) == b"\0xyz\4"
        assert file.tell() == 3072000
        file.truncate(2)
        file.sync()
        assert file.seek(0) == 0 and file.readall() == b"\0x"
        raises(OSError, file.seek, -1)
    raises(ValueError, file.tell)
    with virgo.File(home + "data") as file:
        assert raises(OSError, file.write, b"x").errno == errno.EBADF
    with virgo.File(home + "data", os.O_RDWR | os.O_APPEND) as file:
        file.write(b"end")
        assert file.tell() == 5


def links():
    base = f"/var/lib/virgo/export/of-{user}-"
    virgo.run(["ln", "-sfn", f"of-{user}-text", base + "near"], node="beta",
              check=True)
    virgo.run(["ln", "-sfn", f"/virgo/beta/of-{user}-text", base + "far"],
              node="beta", check=True)
    virgo.run(["ln", "-sfn", "/etc/passwd", base + "out"], node="beta", check=True)
    virgo.run(["ln", "-sfn", f"of-{user}-loop", base + "loop"], node="beta",
              check=True)
    for name in "near", "far":
        with virgo.open(home + name) as file:
            assert file.readline() == "one\n"
    assert raises(OSError, virgo.open, home + "out").errno == errno.EXDEV
    assert raises(OSError, virgo.open, home + "loop").errno == errno.ELOOP
    error = raises(OSError, virgo.File, home + "near", os.O_RDONLY | os.O_NOFOLLOW)
    assert error.errno == errno.ELOOP
    with virgo.open(f"beta:/../.././of-{user}-text") as file:
        assert file.readline() == "one\n"


def ownership():
    old = os.umask(0o027)
    with virgo.open(home + "mode", "w"):
        pass
    os.umask(old)
    path = f"/var/lib/virgo/export/of-{user}-mode"
    done = virgo.run(["stat", "-c", "%U %a", path], node="beta",
                     capture_output=True, text=True)
    assert done.stdout == f"{user} 640\n", done


def many():
    files = [virgo.open(home + "text") for _ in range(100)]
    assert {file.readline() for file in files} == {"one\n"}
    for file in files:
        file.close()


def listings():
    virgo.run(["mkdir", "-p", f"/var/lib/virgo/export/of-{user}-dir/sub"],
              node="beta", check=True)
    names = {f"file{i:04}" for i in range(700)}  # several pages
    virgo.run(["sh", "-c", f"cd /var/lib/virgo/export/of-{user}-dir && "
               "seq -f file%04g 0 699 | xargs touch && printf 12345 > file0000 &&"
               " ln -sfn file0000 link"], node="beta", check=True)
    entries = {e.name: e for e in virgo.scandir(home + "dir")}
    assert set(entries) == names | {"sub", "link"}, len(entries)
    assert (entries["sub"].type, entries["link"].type,
            entries["file0001"].type) == ("d", "l", "-")
    assert entries["file0000"].stat.st_size == 5
    assert set(virgo.listdir(home + "dir/sub/..")) == set(entries)
    assert virgo.listdir(home + "dir/sub/") == []
    raises(NotADirectoryError, virgo.listdir, home + "text")
    raises(FileNotFoundError, virgo.listdir, home + "missing")
    assert f"of-{user}-text" in virgo.listdir("/virgo/beta")


def attributes():
    st = virgo.stat(home + "dir/file0000")
    assert stat.S_ISREG(st.st_mode) and st.st_size == 5 and st.st_nlink == 1
    link = home + "dir/link"
    assert virgo.stat(link).st_ino == st.st_ino
    assert stat.S_ISLNK(virgo.stat(link, follow_symlinks=False).st_mode)
    assert stat.S_ISDIR(virgo.stat("beta:/").st_mode)
    assert abs(virgo.stat(home + "dir").st_mtime - time.time()) < 3600
    raises(FileNotFoundError, virgo.stat, home + "missing")
    with virgo.File(home + "dir/file0000", os.O_RDWR) as file:
        file.truncate(7)
        assert file.stat().st_size == 7 and file.stat().st_ino == st.st_ino
    if user == "bob":
        raises(PermissionError, virgo.listdir, "beta:/of-ann")
        raises(PermissionError, virgo.stat, "beta:/of-ann/blob")


texts()
positions()
links()
ownership()
many()
listings()
attributes()
