# SPDX-License-Identifier: GPL-2.0-or-later
"""What api-jobs.sh checks of the Python module, as a user on alpha:

	api_jobs.py FILE [CHECK...]     all of them, or these
"""

import gc
import os
import selectors
import signal
import subprocess
import sys
import threading
import time

import virgo


def raises(kind, function, *arguments, **options):
    try:
        function(*arguments, **options)
    except kind as error:
        return error
    raise AssertionError(f"no {kind}")


def running():
    done = virgo.run(["hostname"], node="beta", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "beta\n", ""), done
    done = virgo.run(["sh", "-c", "cat; echo $A >&2; kill -9 $$"], node="gamma",
                     env={"A": "x y"}, input="in", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-9, "in", "x y\n"), done
    error = raises(subprocess.CalledProcessError, virgo.run, ["false"],
                   node="beta", check=True)
    assert error.returncode == 1
    error = raises(FileNotFoundError, virgo.run, ["no-such-program"], node="beta")
    assert isinstance(error, virgo.Error) and "--bcast" in error.remedy
    assert "no-such-program" in str(error)
    raises(virgo.Error, virgo.run, ["true"], node="delta")
    virgo.run(["sh", "-c", "exit 3"], node="beta", stdout=subprocess.DEVNULL)


def streaming(path):
    with open(path, "rb") as file:
        blob = file.read()
    with virgo.Job(["cat"], node="beta") as job:
        assert job.node == "beta" and job.number > 0 and job.pid > 1
        assert job.poll() is None
        assert job.write(blob) == len(blob)  # all before the first read
        job.close_stdin()
        assert job.stdout.read() == blob
        assert job.wait() == 0
        assert job.result.reason == "exited" and job.result.node == "beta"
        raises(BrokenPipeError, job.write, b"x")
    out, err = virgo.Job(["sh", "-c", "tee /proc/self/fd/2"],
                         node="beta").communicate(blob)
    assert out == blob and err == blob
    with virgo.Job(["cat"], node="beta") as job:
        writer = threading.Thread(target=lambda: (job.write(blob),
                                                  job.close_stdin()))
        writer.start()
        time.sleep(0.1)  # the reader is late: nothing may be lost
        assert job.stdout.read() == blob
        writer.join()
    raises(ValueError, job.read)


def signals():
    with virgo.Job(["sleep", "1000"], node="beta") as job:
        raises(TimeoutError, job.wait, 0.1)
        job.terminate()
        assert job.wait(60) == -signal.SIGTERM
    with virgo.Job(["sleep", "1000"], node="beta", timeout=0.2) as job:
        assert job.wait(60) == 124 and job.result.reason == "timed out"
    # Ctrl-C: the handler runs while the call waits.
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    with virgo.Job(["sleep", "1000"], node="beta") as job:
        def interrupted():
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            job.stdout.read()

        raises(KeyboardInterrupt, interrupted)
        assert job.poll() is None


def closing():
    """One thread closes what another waits for."""
    job = virgo.Job(["sh", "-c", "echo; exec sleep 4713"], node="beta")
    assert job.stdout.readline() == b"\n"
    reader = threading.Thread(target=raises, args=((OSError, ValueError),
                                                   job.stdout.read))
    reader.start()
    time.sleep(0.1)  # it waits, most likely; it must not matter
    job.close()
    reader.join(60)
    assert not reader.is_alive()


def terminal():
    with virgo.Job(["sh", "-c", "stty size; read x; stty size"], node="beta",
                   pty=True, term="vt100", rows=33, cols=77) as job:
        assert job.stdout.readline() == b"33 77\r\n"
        job.resize(44, 88)
        job.write(b"go\n")
        assert job.stdout.read().endswith(b"44 88\r\n")
        assert job.wait() == 0


def event_loop():
    jobs = [virgo.Job(["sh", "-c", f"sleep 0.{i}; echo {i}"], node=node,
                      blocking=False)
            for i, node in enumerate(("alpha", "beta", "gamma"))]
    assert jobs[0].stdout.read(1) in (None, b"", b"0")
    got = {}
    loop = selectors.DefaultSelector()
    for job in jobs:
        loop.register(job, selectors.EVENT_READ)
    while loop.get_map():
        for key, _ in loop.select(60):
            job, ready = key.fileobj, key.fileobj.ready()
            if ready & virgo.READY_STDOUT:
                got[job] = got.get(job, b"") + (job.stdout.read1() or b"")
            if ready & virgo.READY_STDERR:
                job.stderr.read1()
            if ready == virgo.READY_EXIT:
                assert job.wait() == 0
                loop.unregister(job)
    assert [got[job] for job in jobs[1:]] == [b"1\n", b"2\n"]


def detached():
    with virgo.Job(["sh", "-c", "echo kept; exec sleep 1000"], node="beta",
                   detach=True) as job:
        number = job.number
    with virgo.attach("beta", number) as job:
        assert job.stdout.readline() == b"kept\n"
        virgo.kill("beta", number, signal.SIGTERM)
        rows = {row.job: row for row in virgo.jobs("beta")}
        row = rows[number]
        assert row.detached and row.node == "beta" and row.from_node == "alpha", row
        assert row.user == "ann" and row.command, row
        assert job.wait(60) == -signal.SIGTERM
    assert virgo.jobs() == []
    raises(virgo.Error, virgo.jobs, "no-such-node")
    raises(ProcessLookupError, virgo.kill, "beta", number + 1000)


def cloud():
    nodes = {node.name: node for node in virgo.nodes()}
    assert sorted(nodes) == ["alpha", "beta", "gamma"], nodes
    assert nodes["alpha"].is_self and nodes["alpha"].is_home
    assert nodes["beta"].state == "up" and nodes["beta"].cpus > 0
    assert virgo.choose(candidates=["gamma"]) == "gamma"
    assert virgo.choose("random") in nodes
    raises(virgo.Error, virgo.choose, "no-such-policy")


def nothing_left_open():
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        virgo.run(["true"], node="beta", capture_output=True)
    assert len(os.listdir("/proc/self/fd")) == before


CHECKS = (running, streaming, signals, closing, terminal, event_loop, detached, cloud,
          nothing_left_open)
for check in CHECKS:
    if check.__name__ in (sys.argv[2:] or (one.__name__ for one in CHECKS)):
        check(*sys.argv[1:2] if check is streaming else ())

