# SPDX-License-Identifier: GPL-2.0-or-later
"""Does a node serve whoever has this identity? is_served.py HOST IDENTITY
[hold]: status 0 when a request was answered, 1 when not even a greeting came.
With hold it says "held" and stays, answering heartbeats, until the other side
ends the connection, and then says "closed"."""

import ssl
import struct
import sys
import time

from frames import PING, Peer, frame

host, identity = sys.argv[1:3]
try:
    peer = Peer(f"{host}:8747:{identity}")
except (AssertionError, TypeError, OSError, ssl.SSLError) as e:
    print("refused:", e)
    sys.exit(1)
peer.ping()
if "hold" in sys.argv:
    print("held", flush=True)
    peer.s.settimeout(60)
    count = 0
    try:
        while peer.read(heartbeats=True):
            peer.send(frame(PING, struct.pack("<Q", count), tag=9))
            count += 1
            time.sleep(0.2)
    except OSError:
        pass
    print("closed", flush=True)
