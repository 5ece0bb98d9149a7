# SPDX-License-Identifier: GPL-2.0-or-later
"""Asks this machine's virgod for the jobs of user NAME here, whoever runs this:
local_name.py SOCKET NAME. Prints the bytes of the list."""

import sys

from frames import Peer, frame, text

JOB_LIST, JOBS = 71, 72
with Peer(sys.argv[1]) as p:
    p.send(frame(JOB_LIST, text("") + text(sys.argv[2]), tag=5))
    got = p.read()
    while got and got[2] != 5:
        got = p.read()
    assert got and got[0] == JOBS, got
    print(len(got[3]) - 4)
