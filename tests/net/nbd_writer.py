# SPDX-License-Identifier: GPL-2.0-or-later
# nbd_writer.py URI FILE [check]: writes numbered pages from 64 MiB on until
# the server is gone; FILE gets the number of those that were answered. With check, reads them back.
import sys

import nbd

BASE = 64 << 20
PAGES = 4096


def page(n):
    return bytearray((b"%08d" % n) * 512)


h = nbd.NBD()
h.connect_uri(sys.argv[1])
if sys.argv[3:] == ["check"]:
    count = int(open(sys.argv[2]).read())
    for n in range(max(0, count - PAGES), count):
        assert h.pread(4096, BASE + n % PAGES * 4096) in (page(n),
                                                          page(n + PAGES))
    print("%d answered writes are there" % count)
    sys.exit()
count = 0
try:
    while True:
        h.pwrite(page(count), BASE + count % PAGES * 4096)
        count += 1
        if count % 500 == 0:
            with open(sys.argv[2], "w") as out:
                out.write(str(count))
except nbd.Error:
    with open(sys.argv[2], "w") as out:
        out.write(str(count))
