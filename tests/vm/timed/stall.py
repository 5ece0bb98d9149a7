# SPDX-License-Identifier: GPL-2.0-or-later
"""stall.py DEVICE MIB: reads and writes blocks of 4 KiB drawn at random on a block
device, one at a time and past the page cache, and compares what it reads with what it
wrote. It prints "begun" when it may be asked. SIGUSR1: prints the longest that one took since it last did so; SIGTERM: ends."""

import mmap
import os
import random
import signal
import sys
import time

BLOCK = 4096


def main():
    fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
    blocks = int(sys.argv[2]) * 256
    buffer = mmap.mmap(-1, BLOCK)
    written = {}
    state = {"longest": 0.0, "count": 0, "end": False}

    def tell(number, frame):
        print(f"longest {state['longest'] * 1000:.1f} ms of {state['count']}",
              flush=True)
        state.update(longest=0.0, count=0)

    signal.signal(signal.SIGUSR1, tell)
    signal.signal(signal.SIGTERM, lambda *_: state.update(end=True))
    print("begun", flush=True)
    r = random.Random(1)
    while not state["end"]:
        at = r.randrange(blocks)
        write = at not in written or r.random() < .5
        if write:
            written[at] = r.randbytes(16)
            buffer[:] = written[at] * (BLOCK // 16)
        begun = time.monotonic()
        done = (os.pwritev if write else os.preadv)(fd, [buffer], at * BLOCK)
        took = time.monotonic() - begun
        assert done == BLOCK
        assert write or buffer[:] == written[at] * (BLOCK // 16), f"block {at}"
        state["count"] += 1
        state["longest"] = max(state["longest"], took)
    print("done", flush=True)


main()
