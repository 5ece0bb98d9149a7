# SPDX-License-Identifier: GPL-2.0-or-later
# nbd_control.py SOCKET LINE: sends LINE to virgo-nbd and prints its answer.
import socket
import sys

s = socket.socket(socket.AF_UNIX)
s.settimeout(120)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() + b"\n")
for line in s.makefile():
    print(line, end="")
    if line.split()[0] in ("ok", "error"):
        break
