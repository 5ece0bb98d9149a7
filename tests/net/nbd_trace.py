# SPDX-License-Identifier: GPL-2.0-or-later
# nbd_trace.py SOCKET SOCKET: the same random operations on two servers, whose
# every answer and whole content must be the same.
import random
import sys

import nbd

SIZE = 256 << 20
SPAN = 8 << 20  # most operations fall here, so that they overlap
seed = random.randrange(1 << 32)
print("trace: seed %d" % seed, flush=True)
rng = random.Random(seed)

handles = []
for path in sys.argv[1:3]:
    h = nbd.NBD()
    h.add_meta_context("base:allocation")
    h.connect_unix(path)
    assert h.get_size() == SIZE
    handles.append(h)
for h in handles:
    for at in range(0, SIZE, 32 << 20):
        h.zero(32 << 20, at)


def both(operation):
    got = [operation(h) for h in handles]
    assert got[0] == got[1], "answers differ"


def payload(length):
    data = bytearray(rng.randbytes(length))
    for at in range(0, length, 4096):
        if rng.random() < 0.3:
            data[at:at + 4096] = bytearray(len(data[at:at + 4096]))
    return data


for step in range(3000):
    offset = rng.randrange(SPAN if rng.random() < 0.9 else SIZE - 300000)
    length = rng.choice([1, 511, 4096, 4097, 65536, rng.randrange(1, 300000)])
    if rng.random() < 0.5:
        offset &= ~4095
    kind = rng.randrange(6)
    if kind < 2:
        data = payload(length)
        flags = rng.choice([0, nbd.CMD_FLAG_FUA])
        both(lambda h: h.pwrite(data, offset, flags))
    elif kind == 2:
        flags = rng.choice([0, nbd.CMD_FLAG_NO_HOLE])
        both(lambda h: h.zero(length, offset, flags))
    elif kind == 3:
        # Trimmed bytes may read as anything, so they are written after it.
        both(lambda h: h.trim(length, offset))
        data = payload(length)
        both(lambda h: h.pwrite(data, offset))
    else:
        flags = rng.choice([0, nbd.CMD_FLAG_DF])
        if not all(h.can_df() for h in handles):
            flags = 0
        both(lambda h: h.pread_structured(length, offset, lambda *_: 0, flags))
for at in range(0, SIZE, 16 << 20):
    both(lambda h: h.pread(16 << 20, at))
for h in handles:
    h.shutdown()
