# SPDX-License-Identifier: GPL-2.0-or-later
"""What whoever stole a node's identity asks a node for beyond its rights:
stolen_node.py HOST IDENTITY WHAT. Prints "refused: " and what was said, or
"done"; for "renew" the certificate that came. Greets in beta's name."""

import struct
import subprocess
import sys

from frames import ERROR, FRAME_MAX, HELLO, Peer, frame, text

(RENEW, RENEWED, INVITE, NODE_CHANGE, VOLUME_CHANGE, VOLUME_LIST, PROMOTE,
 FILE_ATTACH, RELOAD) = (18, 19, 22, 24, 25, 26, 41, 128, 36)

host, identity, what = sys.argv[1:4]


def request(name):
    """A signing request for @name with a key of its own."""
    return subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
         "-keyout", "/dev/null", "-outform", "DER"],
        check=True, capture_output=True).stdout


ASK = {
    "invite": lambda: (INVITE, text("") + struct.pack("<I", 0)),
    "remove": lambda: (NODE_CHANGE, text("beta") + text("remove")),
    "drain": lambda: (NODE_CHANGE, text("beta") + text("drain")),
    "volume": lambda: (VOLUME_CHANGE, text("remove") + text("beta") +
                       text("beta") + text("") + text("")),
    "promote": lambda: (PROMOTE, text("gamma") + struct.pack("<QQ", 9, 9 << 40) +
                        text("") + text("")),
    "reload": lambda: (RELOAD, b""),
    "renew": lambda: (RENEW, text(request("beta"))),
    "attach": lambda: (FILE_ATTACH, text("betas")),
}

with Peer(f"{host}:8747:{identity}", greet=False) as p:
    p.send(frame(HELLO, struct.pack("<HHQI", 1, 1, 0, FRAME_MAX) +
                 text("beta") + text(bytes(16)) + struct.pack("<Q", 1) +
                 text("a thief"), tag=0))
    assert p.read()[0] == HELLO
    kind, payload = ASK[what]()
    p.send(frame(kind, payload, tag=5))
    got = p.read()
    while got and got[2] != 5:
        got = p.read()
    if not got:
        print("refused: the connection was closed")
    elif got[0] == ERROR:
        print("refused:", got[3][4:].decode(errors="replace")
              .replace("\0", " ").strip())
    elif got[0] == RENEWED:
        n = struct.unpack("<I", got[3][:4])[0]
        print(got[3][4:4 + n].decode(), end="")
    else:
        print("done")
