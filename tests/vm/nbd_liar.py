# SPDX-License-Identifier: GPL-2.0-or-later
"""A lender that lies when it is told to: nbd_liar.py IDENTITY MIB ORDER

Serves NBD with TLS on port 10809, any export that is asked for, MIB of memory each,
as the node of the folder IDENTITY. When the file ORDER appears it is removed and the
next answer that fits is a lie of that kind; then "lied KIND" is printed:

	cookie	with a cookie that nobody sent
	stale	with the tag of that request, but of an earlier one
	garbage	bytes that are no reply
	long	to a read, with a page too much
	short	to a read, with half of the data; then nothing more
	twice	one reply twice
"""

import mmap
import os
import socket
import ssl
import struct
import sys
import threading

OPTION, REPLY, EXPORT = 0x49484156454F5054, 0x3E889045565A9, 0
FLAGS = 1 | 4 | 32  # has flags, flush, trim
STARTTLS, GO = 5, 7
READ, WRITE, DISCONNECT, FLUSH, TRIM = range(5)

exports = {}


def receive(s, size):
    data = bytearray()
    while len(data) < size:
        more = s.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return bytes(data)


def option(s):
    magic, what, size = struct.unpack(">QII", receive(s, 16))
    assert magic == OPTION
    return what, receive(s, size)


def answer(s, what, kind, data=b""):
    s.sendall(struct.pack(">QIII", REPLY, what, kind, len(data)) + data)


def negotiate(s):
    s.sendall(b"NBDMAGIC" + struct.pack(">QH", OPTION, 3))
    receive(s, 4)
    what, _ = option(s)
    assert what == STARTTLS
    answer(s, what, 1)
    s = tls.wrap_socket(s, server_side=True)
    what, data = option(s)
    assert what == GO
    name = data[4:4 + struct.unpack(">I", data[:4])[0]]
    if name not in exports:
        exports.clear()
        exports[name] = mmap.mmap(-1, size)
    answer(s, what, 3, struct.pack(">HQH", EXPORT, size, FLAGS))
    answer(s, what, 1)
    return s, exports[name]


def ordered(command):
    """The kind of lie that is to be told to @command, once."""
    if not os.path.exists(order):
        return None
    with open(order) as f:
        kind = f.read().strip()
    if kind in ("long", "short") and command != READ:
        return None
    os.remove(order)
    return kind


def lie(s, kind, cookie, data):
    head = struct.pack(">II", 0x67446698, 0)
    number = int.from_bytes(cookie, "big")
    out = {
        "cookie": head + (number ^ (1 << 64) - 1).to_bytes(8, "big") + data,
        "stale": head + (number ^ 1 << 40).to_bytes(8, "big") + data,
        "garbage": os.urandom(16) + data,
        "long": head + cookie + data + bytes(4096),
        "short": head + cookie + data[:len(data) // 2],
        "twice": 2 * (head + cookie + data),
    }[kind]
    s.sendall(out)
    print("lied", kind, flush=True)
    while kind == "short":
        receive(s, 1)  # until it is cut


def serve(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s, store = negotiate(s)
    while True:
        magic, _, command, cookie, at, length = struct.unpack(
            ">IHH8sQI", receive(s, 28))
        assert magic == 0x25609513
        data = b""
        if command == WRITE:
            store[at:at + length] = receive(s, length)
        elif command == READ:
            data = store[at:at + length]
        elif command == DISCONNECT:
            return
        kind = ordered(command)
        if kind:
            lie(s, kind, cookie, data)
        else:
            s.sendall(struct.pack(">II", 0x67446698, 0) + cookie + data)


def connection(s):
    try:
        serve(s)
    except (OSError, ConnectionError) as e:
        print("a connection ended:", e, flush=True)
    finally:
        s.close()


identity, size, order = sys.argv[1], int(sys.argv[2]) << 20, sys.argv[3]
tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
tls.minimum_version = ssl.TLSVersion.TLSv1_3
tls.num_tickets = 0  # the kernel takes only data
tls.load_cert_chain(identity + "/node.crt", identity + "/node.key")
listener = socket.create_server(("0.0.0.0", 10809))
while True:
    threading.Thread(target=connection, args=(listener.accept()[0],),
                     daemon=True).start()
