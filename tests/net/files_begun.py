# SPDX-License-Identifier: GPL-2.0-or-later
"""Every change that must not happen twice, in a new folder below the one given,
while its server is killed under it: none may fail, and the folder must be as if
nothing had been."""

import os
import sys

root = sys.argv[1] + "/d"
os.mkdir(root)
os.chdir(root)
os.mkdir("dir")
os.mkdir("gone")
os.rmdir("gone")
os.symlink("target", "symlink")
os.mknod("fifo", 0o010600)
for name in "one", "two":
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    os.write(fd, name.encode())
    os.close(fd)
os.rename("one", "renamed")
os.rename("two", "dir/moved")
os.link("renamed", "linked")
os.link("renamed", "again")
os.unlink("again")
os.setxattr("dir", "user.a", b"value", os.XATTR_CREATE)
os.setxattr("dir", "user.b", b"value", os.XATTR_CREATE)
os.removexattr("dir", "user.b")
log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
for i in range(3):
    os.write(log, b"line\n")
os.close(log)

assert sorted(os.listdir()) == ["dir", "fifo", "linked", "log", "renamed",
                                "symlink"], os.listdir()
assert os.listdir("dir") == ["moved"], os.listdir("dir")
assert os.readlink("symlink") == "target"
assert os.listxattr("dir") == ["user.a"], os.listxattr("dir")
assert os.stat("renamed").st_nlink == 2
for name, want in (("renamed", "one"), ("dir/moved", "two"), ("log", "line\n" * 3)):
    with open(name) as f:
        assert f.read() == want, name
