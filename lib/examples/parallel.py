#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a command on every node that is up, at once, and prints what each says.

    parallel.py COMMAND [ARGUMENT...]
"""

import selectors
import sys

import virgo


def main(argv):
    output = {}
    with selectors.DefaultSelector() as loop:
        for node in virgo.nodes():
            if node.state != "up":
                continue
            job = virgo.Job(argv, node=node.name, blocking=False)
            output[node.name] = b""
            loop.register(job, selectors.EVENT_READ, node.name)
        while loop.get_map():
            for key, _ in loop.select():
                job, name = key.fileobj, key.data
                ready = job.ready()
                if ready & virgo.READY_STDOUT:
                    output[name] += job.stdout.read1() or b""
                if ready & virgo.READY_STDERR:
                    sys.stderr.buffer.write(job.stderr.read1() or b"")
                if ready == virgo.READY_EXIT:
                    job.wait()
                    loop.unregister(job)
                    job.close()
    for name in sorted(output):
        print(f"{name}: {output[name].decode(errors='replace').strip()}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:] or ["hostname"])
    except virgo.Error as error:
        sys.exit(f"parallel.py: {error}")
