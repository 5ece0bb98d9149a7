# SPDX-License-Identifier: GPL-2.0-or-later
"""One open file over the events of api-files.sh; says by files where it is."""

import pathlib
import sys
import time

import virgo


def reached(step):
    pathlib.Path(f"{sys.argv[1]}.{step}").touch()


def until_it(works, limit=60):
    end = time.monotonic() + limit
    while True:
        started = time.monotonic()
        try:
            file.pread(3, 0)
            if works:
                return
        except OSError as error:
            assert time.monotonic() - started < 20, "it took too long to fail"
            if not works:
                return error
        assert time.monotonic() < end, "too late"
        time.sleep(0.05)


file = virgo.File("beta:/blob")
until_it(works=True)
reached(1)
until_it(works=False)
reached(2)
until_it(works=True)
reached(3)
until_it(works=False)
