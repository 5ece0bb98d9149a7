# SPDX-License-Identifier: GPL-2.0-or-later
"""Changes files below a mount that may be killed at any moment, and looks what
became of them. files_killed.py work FOLDER LOG: each change is written to LOG once
it was acknowledged (what is written to files: once it was synced). When the mount
is killed every further call must end with ENOTCONN or ECONNABORTED, and the
status is 3. files_killed.py check FOLDER LOG, on the server: all of LOG is there."""

import errno
import os
import sys

GONE = errno.ENOTCONN, errno.ECONNABORTED
what, root, log_path = sys.argv[1:4]


def work(log):
    def done(text):
        log.write(text + "\n")

    os.mkdir(f"{root}/d")
    done("dir d")
    journal = os.open(f"{root}/d/journal", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        for i in range(2):
            os.write(journal, f"{i}\n".encode())
            os.fsync(journal)
            done(f"line {i}")
        with open(f"{root}/d/made", "wb") as f:
            f.write(b"m" * 100000)
            f.flush()
            os.fsync(f.fileno())
        done("file made")
        os.rename(f"{root}/d/made", f"{root}/d/renamed")
        done("renamed")
        os.unlink(f"{root}/d/renamed")
        done("unlinked")
    except OSError:
        # The kernel may have the answers to the first two itself, for a second.
        calls = (lambda: os.pread(journal, 1, 0), lambda: os.stat(root),
                 lambda: os.listdir(root), lambda: os.fsync(journal),
                 lambda: open(f"{root}/d/other", "w"))
        for i, call in enumerate(calls):
            try:
                call()
            except OSError as e:
                assert e.errno in GONE, e
            else:
                assert i < 2, f"call {i} succeeds on a dead mount"
        raise
    finally:
        try:
            os.close(journal)
        except OSError as e:
            assert e.errno in GONE, e


def check(lines):
    names = set(os.listdir(f"{root}/d")) if "dir d" in lines else set()
    told = [line for line in lines if line.startswith("line ")]
    if told:
        with open(f"{root}/d/journal") as f:
            have = f.read().split()
        want = [line.split()[1] for line in told]
        assert have[:len(want)] == want and len(have) <= len(want) + 1, have
    # Of what comes after the last line nothing is known but that it is whole.
    if lines and lines[-1] == "file made":
        assert len({"made", "renamed"} & names) == 1, names
    if lines and lines[-1] == "renamed":
        assert "made" not in names, names
    if "unlinked" in lines:
        assert not {"made", "renamed"} & names, names
    for name in {"made", "renamed"} & names:
        size = os.stat(f"{root}/d/{name}").st_size
        assert size == 100000 or "file made" not in lines, size


if what == "check":
    with open(log_path) as f:
        check(f.read().splitlines())
    sys.exit(0)
try:
    with open(log_path, "w", buffering=1) as out:
        work(out)
except OSError as e:
    if e.errno not in GONE:
        raise
    sys.exit(3)
