#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One memory object written by a job on each node that is up, then read here.

    board.py

Each node's job gets the handle on its command line and writes one line of 64 bytes.
"""

import os
import sys

import virgo

LINE = 64
WRITER = """
import platform, sys, virgo
memory = virgo.Memory(sys.argv[1])
memory.set(platform.node().encode().ljust(%d), int(sys.argv[2]) * %d)
""" % (LINE, LINE)

# Where Python finds the module, if not where it was installed.
ENVIRONMENT = {name: os.environ[name] for name in
               ("LD_LIBRARY_PATH", "PATH", "PYTHONPATH") if name in os.environ}


def main():
    names = sorted(node.name for node in virgo.nodes() if node.state == "up")
    with virgo.malloc(LINE * len(names)) as board:
        for place, name in enumerate(names):
            virgo.run(["python3", "-c", WRITER, str(board), str(place)],
                      node=name, env=ENVIRONMENT, check=True)
        for place, name in enumerate(names):
            line = board.get(LINE, place * LINE).decode().strip()
            print(f"{name} wrote {line}")


if __name__ == "__main__":
    try:
        main()
    except virgo.Error as error:
        sys.exit(f"board.py: {error}")
