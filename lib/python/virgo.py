# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several Linux machines used as one, from Python: libvirgo(3) over ctypes.

    import virgo

    print([node.name for node in virgo.nodes()])
    done = virgo.run(["uname", "-m"], node="beta", capture_output=True, text=True)
    print(done.stdout)

    with virgo.Job(["sort"], node="beta") as job:
        job.stdin.write(b"b\\na\\n")
        job.stdin.close()
        print(job.stdout.read())

    with virgo.open("beta:/notes.txt", "w") as file:
        file.write("a file of beta's volume, without a mount\n")

    with virgo.malloc(1 << 20) as memory:
        memory.set(b"seen by my programs on every node", offset=4096)
        print(str(memory), virgo.Memory(str(memory)).get(33, offset=4096))

Whatever fails raises virgo.Error, an OSError (FileNotFoundError and so on where
errno says so) whose text says what failed, where, and what to try. A thread that
waits in one of these calls lets the others run.
"""

import collections
import ctypes
import errno
import io
import os
import select
import signal
import subprocess
import sys

__all__ = ["Entry", "Error", "Job", "JobRow", "Memory", "Node", "Result",
           "Stat", "attach", "call", "choose", "jobs", "kill", "listdir",
           "malloc", "nodes", "open", "run", "scandir", "set_state", "stat",
           "var", "var_set", "var_wait", "vars", "version"]

STDIN, STDOUT, STDERR = 0, 1, 2

# Flags of virgo_clone_args, bits of virgo_job_ready(), reasons of virgo_result.
_PTY, _DETACH, _NONBLOCK, _NO_STDIN, _NO_STDOUT, _NO_STDERR, _UMASK = (
    1 << bit for bit in range(7))
READY_STDIN, READY_STDOUT, READY_STDERR, READY_EXIT = 1, 2, 4, 8
REASONS = ("exited", "signaled", "timed out", "out of memory", "not found",
           "not executable", "lost")
_PIECE = 64 << 10
_CALL_MAX = 64 << 10


class _CloneArgs(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("timeout_ms", ctypes.c_uint64),
                ("memory_bytes", ctypes.c_uint64),
                ("cpu_ppm", ctypes.c_uint32), ("pids", ctypes.c_uint32),
                ("node", ctypes.c_char_p), ("policy", ctypes.c_char_p),
                ("argv", ctypes.POINTER(ctypes.c_char_p)),
                ("env", ctypes.POINTER(ctypes.c_char_p)),
                ("cwd", ctypes.c_char_p), ("term", ctypes.c_char_p),
                ("rows", ctypes.c_uint16), ("cols", ctypes.c_uint16),
                ("umask", ctypes.c_uint32)]


class _JobInfo(ctypes.Structure):
    _fields_ = [("job", ctypes.c_uint64), ("pid", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32), ("node", ctypes.c_char * 64)]


class _Result(ctypes.Structure):
    _fields_ = [("job", ctypes.c_uint64), ("user_us", ctypes.c_uint64),
                ("system_us", ctypes.c_uint64),
                ("max_rss_bytes", ctypes.c_uint64), ("status", ctypes.c_int32),
                ("signal", ctypes.c_int32), ("reason", ctypes.c_uint32),
                ("reserved", ctypes.c_uint32), ("node", ctypes.c_char * 64),
                ("why", ctypes.c_char * 192)]


class _Node(ctypes.Structure):
    _fields_ = [("memory_bytes", ctypes.c_uint64),
                ("memory_free_bytes", ctypes.c_uint64),
                ("cpus", ctypes.c_uint32), ("idle_ppm", ctypes.c_uint32),
                ("load1_milli", ctypes.c_uint32),
                ("round_trip_us", ctypes.c_uint32), ("jobs", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("name", ctypes.c_char * 64),
                ("state", ctypes.c_char * 16), ("address", ctypes.c_char * 64),
                ("version", ctypes.c_char * 32)]


class _Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint8 * 16)]


class _MallocInfo(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint64), ("lease_ms", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("extents", ctypes.c_uint32),
                ("nodes", ctypes.c_uint32), ("maker", ctypes.c_char * 64)]


class _Var(ctypes.Structure):
    _fields_ = [("value", ctypes.c_uint64), ("min", ctypes.c_uint64),
                ("max", ctypes.c_uint64), ("default", ctypes.c_uint64),
                ("updated_ns", ctypes.c_uint64), ("ttl_ms", ctypes.c_uint32),
                ("confidence_ppm", ctypes.c_uint32), ("type", ctypes.c_uint32),
                ("mode", ctypes.c_uint32), ("name", ctypes.c_char * 48),
                ("unit", ctypes.c_char * 8), ("producer", ctypes.c_char * 16)]


class _VarWant(ctypes.Structure):
    _fields_ = [("min", ctypes.c_uint64), ("max", ctypes.c_uint64),
                ("fallback", ctypes.c_uint64), ("type", ctypes.c_uint32),
                ("max_age_ms", ctypes.c_uint32)]


class _JobRow(ctypes.Structure):
    _fields_ = [("job", ctypes.c_uint64), ("started_s", ctypes.c_uint64),
                ("status", ctypes.c_int32), ("pid", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("reserved", ctypes.c_uint32),
                ("node", ctypes.c_char * 64), ("user", ctypes.c_char * 64),
                ("from_", ctypes.c_char * 64), ("command", ctypes.c_char * 256)]


class _Stat(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("size", ctypes.c_uint64),
                ("blocks", ctypes.c_uint64), ("atime_s", ctypes.c_int64),
                ("mtime_s", ctypes.c_int64), ("ctime_s", ctypes.c_int64),
                ("atime_ns", ctypes.c_uint32), ("mtime_ns", ctypes.c_uint32),
                ("ctime_ns", ctypes.c_uint32), ("mode", ctypes.c_uint32),
                ("nlink", ctypes.c_uint32), ("uid", ctypes.c_uint32),
                ("gid", ctypes.c_uint32), ("reserved", ctypes.c_uint32)]


class _Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("type", ctypes.c_uint32),
                ("flags", ctypes.c_uint32), ("stat", _Stat),
                ("name", ctypes.c_char * 256)]


class _Failure(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("object", ctypes.c_char_p),
                ("what", ctypes.c_char_p), ("remedy", ctypes.c_char_p)]


def _load():
    lib = ctypes.CDLL("libvirgo.so.0", use_errno=True)
    text, size, big = ctypes.c_char_p, ctypes.c_size_t, ctypes.c_ssize_t
    number, any_, u64 = ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64
    handle = ctypes.POINTER(_Handle)
    table = {
        "virgo_last_failure": (ctypes.POINTER(_Failure),),
        "virgo_version": (text,),
        "virgo_set_state": (number, text),
        "virgo_clone": (number, ctypes.POINTER(_CloneArgs), size),
        "virgo_attach": (number, text, u64, u64),
        "virgo_job_info": (number, number, ctypes.POINTER(_JobInfo), size),
        "virgo_job_read": (big, number, number, any_, size),
        "virgo_job_write": (big, number, any_, size),
        "virgo_job_eof": (number, number),
        "virgo_job_signal": (number, number, number),
        "virgo_job_resize": (number, number, ctypes.c_uint, ctypes.c_uint),
        "virgo_job_ready": (number, number),
        "virgo_job_wait": (number, number, ctypes.POINTER(_Result), size,
                           number),
        "virgo_job_kill": (number, text, u64, number),
        "virgo_nodes": (big, ctypes.POINTER(_Node), size, size),
        "virgo_choose": (number, text, text, any_, size),
        "virgo_vars": (big, any_, size, size),
        "virgo_var_get": (number, text, ctypes.POINTER(_VarWant), size,
                          ctypes.POINTER(u64)),
        "virgo_var_set": (number, ctypes.POINTER(_Var), size),
        "virgo_var_wait": (number, ctypes.POINTER(u64), number),
        "virgo_call": (big, text, text, any_, size, any_, size, ctypes.c_uint),
        "virgo_jobs": (big, text, ctypes.POINTER(_JobRow), size, size),
        "virgo_stat": (number, text, number, ctypes.POINTER(_Stat), size),
        "virgo_fstat": (number, number, ctypes.POINTER(_Stat), size),
        "virgo_opendir": (number, text),
        "virgo_readdir": (number, number, ctypes.POINTER(_Dirent), size),
        "virgo_open": (number, text, number, ctypes.c_uint),
        "virgo_read": (big, number, any_, size),
        "virgo_write": (big, number, any_, size),
        "virgo_pread": (big, number, any_, size, ctypes.c_int64),
        "virgo_pwrite": (big, number, any_, size, ctypes.c_int64),
        "virgo_lseek": (ctypes.c_int64, number, ctypes.c_int64, number),
        "virgo_fsync": (number, number),
        "virgo_ftruncate": (number, number, ctypes.c_int64),
        "virgo_close": (number, number),
        "virgo_malloc": (number, u64, ctypes.c_uint32, handle),
        "virgo_get": (big, handle, any_, size, u64),
        "virgo_set": (big, handle, any_, size, u64),
        "virgo_free": (number, handle),
        "virgo_malloc_info": (number, handle, ctypes.POINTER(_MallocInfo), size),
        "virgo_handle_print": (None, handle, text),
        "virgo_handle_parse": (number, text, handle),
    }
    for name, (result, *arguments) in table.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


_lib = _load()


class Error(OSError):
    """What failed: .object, .what, .remedy, and errno as of any OSError."""

    object = what = remedy = ""


# OSError(ENOENT) would make a FileNotFoundError; ours is both.
_classes = {code: type("Error", (Error, kind), {}) for kind, codes in {
    FileNotFoundError: [errno.ENOENT],
    FileExistsError: [errno.EEXIST],
    IsADirectoryError: [errno.EISDIR],
    NotADirectoryError: [errno.ENOTDIR],
    PermissionError: [errno.EACCES, errno.EPERM],
    ProcessLookupError: [errno.ESRCH],
    BrokenPipeError: [errno.EPIPE],
    BlockingIOError: [errno.EAGAIN],
    TimeoutError: [errno.ETIMEDOUT],
    ConnectionResetError: [errno.ECONNRESET],
    ConnectionRefusedError: [errno.ECONNREFUSED],
}.items() for code in codes}


def _raise():
    failure = _lib.virgo_last_failure().contents
    parts = [os.fsdecode(part) for part in
             (failure.object, failure.what, failure.remedy)]
    text = ": ".join(part for part in parts[:2] if part)
    if parts[2]:
        text += ". Try: " + parts[2]
    error = _classes.get(failure.code, Error)(failure.code, text)
    error.object, error.what, error.remedy = parts
    raise error


def _call(function, *arguments):
    """Calls until no signal interrupts; Python's handlers run in between."""
    while True:
        result = function(*arguments)
        if result >= 0:
            return result
        if ctypes.get_errno() != errno.EINTR:
            _raise()


def _bytes(value):
    return None if value is None else os.fsencode(value)


def _strings(values):
    if values is None:
        return None
    encoded = [os.fsencode(value) for value in values]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


def _view(data):
    """The address and length of any bytes-like object, without a copy."""
    view = memoryview(data).cast("B")
    if view.readonly:
        kept = bytes(view)
        return ctypes.cast(ctypes.c_char_p(kept), ctypes.c_void_p), len(kept), kept
    kept = (ctypes.c_char * len(view)).from_buffer(view)
    return ctypes.cast(kept, ctypes.c_void_p), len(view), kept


def version():
    """The version of the library, such as "0.1.0"."""
    return _lib.virgo_version().decode()


def set_state(folder):
    """Talk to the virgod with this state folder; None: the default one."""
    _call(_lib.virgo_set_state, _bytes(folder))


Node = collections.namedtuple("Node", (
    "name", "state", "address", "version", "cpus", "idle", "load1",
    "memory_bytes", "memory_free_bytes", "round_trip_us", "jobs", "is_self",
    "is_home"))


def nodes():
    """The nodes of the cloud as this one sees them, a list of Node."""
    count = 16
    while True:
        found = (_Node * count)()
        have = _call(_lib.virgo_nodes, found, count, ctypes.sizeof(_Node))
        if have <= count:
            break
        count = have
    return [Node(n.name.decode(), n.state.decode(), n.address.decode(),
                 n.version.decode(), n.cpus, n.idle_ppm / 1e6,
                 n.load1_milli / 1e3, n.memory_bytes, n.memory_free_bytes,
                 n.round_trip_us, n.jobs, bool(n.flags & 1), bool(n.flags & 2))
            for n in found[:have]]


def choose(policy=None, candidates=None):
    """The name of the node where a job should run now."""
    name = ctypes.create_string_buffer(64)
    if candidates is not None:
        candidates = ",".join(candidates)
    _call(_lib.virgo_choose, _bytes(policy), _bytes(candidates), name, 64)
    return name.value.decode()


def call(node, name, argument=b"", timeout=10, size=_CALL_MAX):
    """Calls a function of a kernel module of a node (None: this one).

    Gives its result, which is at most size bytes long; waits timeout seconds.
    """
    address, length, kept = _view(argument)
    result = ctypes.create_string_buffer(size)
    have = _call(_lib.virgo_call, _bytes(node), _bytes(name), address, length,
                 result, size, max(int(timeout * 1000), 1))
    del kept
    return result.raw[:have]


_VAR_TYPES = ("s64", "u64", "fixed", "bool")
_VAR_MODES = ("off", "shadow", "on")
_VAR_LIMITS = {"s64": (-1 << 63, (1 << 63) - 1), "u64": (0, (1 << 64) - 1),
               "fixed": (-1 << 63, (1 << 63) - 1), "bool": (0, 1)}

Var = collections.namedtuple("Var", (
    "name", "value", "unit", "min", "max", "default", "type", "mode",
    "confidence", "ttl", "updated_ns", "producer"))


def _encode(kind, value, otherwise):
    if value is None:
        return otherwise % (1 << 64)
    return int(value * (1 << 32) if kind == "fixed" else value) % (1 << 64)


def _decode(kind, value):
    if kind in ("s64", "fixed") and value >> 63:
        value -= 1 << 64
    return {"fixed": value / (1 << 32), "bool": bool(value)}.get(kind, value)


def _text(value, size):
    value = os.fsencode(value)
    if len(value) >= size:
        raise ValueError(f"longer than {size - 1} bytes: {value!r}")
    return value


def var(name, fallback, kind="u64", min=None, max=None, max_age=0):
    """What to act on for a variable: its value, or fallback unless it is known,
    switched on, of this kind ("s64", "u64", "fixed", "bool"), fresh and within limits.
    """
    low, high = _VAR_LIMITS[kind]
    want = _VarWant(_encode(kind, min, low), _encode(kind, max, high), 0,
                    _VAR_TYPES.index(kind) + 1, int(max_age * 1000))
    value = ctypes.c_uint64()
    if _lib.virgo_var_get(_bytes(name), want, ctypes.sizeof(want), value):
        return fallback
    return _decode(kind, value.value)


def vars():
    """All variables of this machine, a list of Var."""
    count = 64
    while True:
        found = (_Var * count)()
        have = _call(_lib.virgo_vars, found, count, ctypes.sizeof(_Var))
        if have <= count:
            break
        count = have
    result = []
    for v in found[:have]:
        kind = _VAR_TYPES[v.type - 1]
        result.append(Var(
            v.name.decode(), _decode(kind, v.value), v.unit.decode(),
            _decode(kind, v.min), _decode(kind, v.max),
            _decode(kind, v.default), kind, _VAR_MODES[v.mode],
            v.confidence_ppm / 1e6, v.ttl_ms / 1000, v.updated_ns,
            v.producer.decode()))
    return result


def var_set(name, value, kind="u64", min=None, max=None, default=None, unit="",
            mode="on", ttl=0, confidence=1, producer="python"):
    """Makes or replaces a variable; for root. Without limits any value will do, and
    without a default the first value is it.
    """
    low, high = _VAR_LIMITS[kind]
    encoded = _encode(kind, value, 0)
    v = _Var(encoded, _encode(kind, min, low), _encode(kind, max, high),
             _encode(kind, default, encoded), 0, int(ttl * 1000),
             int(confidence * 1e6), _VAR_TYPES.index(kind) + 1,
             _VAR_MODES.index(mode), _text(name, 48), _text(unit, 8),
             _text(producer, 16))
    _call(_lib.virgo_var_set, v, ctypes.sizeof(v))


def var_wait(since=0, timeout=None):
    """Waits until a variable was set after since, a Var's updated_ns; gives the
    time of the last one. Raises TimeoutError.
    """
    at = ctypes.c_uint64(since)
    _call(_lib.virgo_var_wait, at, -1 if timeout is None else int(timeout * 1000))
    return at.value


def kill(node, number, sig=signal.SIGKILL):
    """Signals the job with that number on a node."""
    _call(_lib.virgo_job_kill, _bytes(node), number, sig)


Result = collections.namedtuple("Result", (
    "status", "signal", "reason", "why", "node", "job", "user_us", "system_us",
    "max_rss_bytes"))


class _Output(io.RawIOBase):
    def __init__(self, job, stream):
        self._job, self._stream = job, stream

    def readable(self):
        return True

    def fileno(self):
        return self._job.fileno()

    def readinto(self, buffer):
        return self._job._readinto(self._stream, buffer)


class _Input(io.RawIOBase):
    def __init__(self, job):
        self._job = job

    def writable(self):
        return True

    def fileno(self):
        return self._job.fileno()

    def write(self, data):
        return self._job.write(data)

    def close(self):
        if not self.closed and self._job._fd >= 0:
            self._job.close_stdin()
        super().close()


class Job:
    """A program that runs on a node.

    stdin, stdout and stderr are binary files; fileno() is a descriptor that
    select, poll and asyncio report as readable when there is output, the end, or
    room for input that could not be taken. With blocking=False nothing waits:
    write() gives None and reads give None where a pipe's would. Leaving the
    context, or close(), ends the program unless it is detached.
    """

    def __init__(self, argv, *, node=None, policy=None, env=None, cwd=None,
                 timeout=None, memory=0, cpu=0, pids=0, pty=False, term=None,
                 rows=0, cols=0, umask=None, detach=False, blocking=True,
                 stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE):
        self._fd = -1
        args = _CloneArgs()
        for wanted, flag in ((pty, _PTY), (detach, _DETACH),
                             (not blocking, _NONBLOCK),
                             (stdin is subprocess.DEVNULL, _NO_STDIN),
                             (stdout is subprocess.DEVNULL, _NO_STDOUT),
                             (stderr is subprocess.DEVNULL, _NO_STDERR),
                             (umask is not None, _UMASK)):
            args.flags |= flag if wanted else 0
        if isinstance(argv, (str, bytes, os.PathLike)):
            argv = [argv]
        args.argv = _strings(argv)
        args.env = _strings(None if env is None else [
            os.fsencode(name) + b"=" + os.fsencode(value)
            for name, value in env.items()])
        args.node, args.policy = _bytes(node), _bytes(policy)
        args.cwd, args.term = _bytes(cwd), _bytes(term)
        args.timeout_ms = int((timeout or 0) * 1000)
        args.memory_bytes, args.cpu_ppm = memory, int(cpu * 1e6)
        args.pids, args.rows, args.cols = pids, rows, cols
        args.umask = umask or 0
        self.args = argv
        self._open(_call(_lib.virgo_clone, args, ctypes.sizeof(args)))

    def _open(self, fd):
        self._fd = fd
        self.returncode = None
        self.result = None
        self.stdin = _Input(self)
        self.stdout = io.BufferedReader(_Output(self, STDOUT))
        self.stderr = io.BufferedReader(_Output(self, STDERR))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        self.close()

    def close(self):
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            _lib.virgo_close(fd)

    def fileno(self):
        if self._fd < 0:
            raise ValueError("the job is closed")
        return self._fd

    def _info(self):
        info = _JobInfo()
        _call(_lib.virgo_job_info, self.fileno(), info, ctypes.sizeof(info))
        return info

    @property
    def node(self):
        return self._info().node.decode()

    @property
    def number(self):
        return self._info().job

    @property
    def pid(self):
        """Its process number there."""
        return self._info().pid

    def _readinto(self, stream, buffer):
        address, length, kept = _view(buffer)
        try:
            return _call(_lib.virgo_job_read, self.fileno(), stream, address,
                         length)
        except BlockingIOError:
            return None
        finally:
            del kept

    def read(self, size=-1, stream=STDOUT):
        """Bytes of an output: all until its end, or what is there, up to size."""
        file = self.stderr if stream == STDERR else self.stdout
        return file.read() if size is None or size < 0 else file.read1(size)

    def write(self, data):
        """Writes to its stdin; gives the number of bytes taken."""
        address, length, kept = _view(data)
        try:
            return _call(_lib.virgo_job_write, self.fileno(), address, length)
        except BlockingIOError:
            return None
        finally:
            del kept

    def close_stdin(self):
        _call(_lib.virgo_job_eof, self.fileno())

    def send_signal(self, sig):
        _call(_lib.virgo_job_signal, self.fileno(), sig)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def resize(self, rows, cols):
        _call(_lib.virgo_job_resize, self.fileno(), rows, cols)

    def ready(self):
        """What would not wait: a set of READY_ bits."""
        return _call(_lib.virgo_job_ready, self.fileno())

    def wait(self, timeout=None):
        """Waits for the end; gives the exit status, or minus the signal's number.

        Raises TimeoutError. Details are in .result afterwards.
        """
        r = _Result()
        limit = -1 if timeout is None else max(int(timeout * 1000), 1)
        _call(_lib.virgo_job_wait, self.fileno(), r, ctypes.sizeof(r), limit)
        return self._ended(r)

    def _ended(self, r):
        self.result = Result(r.status, r.signal, REASONS[r.reason],
                             os.fsdecode(r.why), r.node.decode(), r.job,
                             r.user_us, r.system_us, r.max_rss_bytes)
        self.returncode = -r.signal if r.signal else r.status
        return self.returncode

    def poll(self):
        """The same without waiting; None while it runs."""
        r = _Result()
        try:
            _call(_lib.virgo_job_wait, self.fileno(), r, ctypes.sizeof(r), 0)
        except BlockingIOError:
            return None
        return self._ended(r)

    def _pump(self, data, sinks):
        """Feeds data, gives both outputs to sinks as they come, until the end."""
        view = memoryview(data).cast("B")
        waiter = select.poll()
        waiter.register(self.fileno(), select.POLLIN)
        files = {STDOUT: self.stdout, STDERR: self.stderr}
        fed = False
        while True:
            ready = self.ready()
            if ready & READY_STDIN and view:
                try:
                    view = view[self.write(view[:_PIECE]) or 0:]
                except BrokenPipeError:
                    view = view[:0]
            if not view and not fed:
                self.close_stdin()
                fed = True
            for stream, file in files.items():
                if ready & 1 << stream:
                    sinks[stream](file.read1(_PIECE))
            if ready == READY_EXIT:
                return
            if not ready & (READY_STDOUT | READY_STDERR | READY_EXIT) and not (
                    view and ready & READY_STDIN):
                waiter.poll()

    def communicate(self, input=None):
        """Feeds input, gives (stdout, stderr) when the program has ended."""
        out, err = [], []
        self._pump(input or b"", {STDOUT: out.append, STDERR: err.append})
        self.wait()
        return b"".join(out), b"".join(err)


def attach(node, number):
    """Follows the output of a detached job from its start."""
    job = Job.__new__(Job)
    job._fd = -1
    job.args = None
    job._open(_call(_lib.virgo_attach, _bytes(node), number, 0))
    return job


def _to(file):
    def write(data):
        file.write(data)
        file.flush()

    return write


def run(argv, *, input=None, capture_output=False, check=False, text=None,
        encoding=None, errors=None, **options):
    """Runs a program on a node and waits for it, as subprocess.run() does here.

    Options are those of Job. Without capture_output its outputs go to ours.
    Gives a subprocess.CompletedProcess.
    """
    text = text or encoding or errors
    encoding, errors = encoding or "utf-8", errors or "strict"
    if text and input is not None:
        input = input.encode(encoding, errors)
    with Job(argv, **options) as job:
        if capture_output:
            out, err = job.communicate(input)
            if text:
                out, err = (data.decode(encoding, errors) for data in (out, err))
        else:
            out = err = None
            sys.stdout.flush()
            job._pump(input or b"", {STDOUT: _to(sys.stdout.buffer),
                                     STDERR: _to(sys.stderr.buffer)})
            job.wait()
        done = subprocess.CompletedProcess(job.args, job.returncode, out, err)
    if check:
        done.check_returncode()
    return done


JobRow = collections.namedtuple(
    "JobRow", "node job user from_node started pid status detached command")
JobRow.__doc__ = "One of jobs(); status is None while it runs."

Stat = collections.namedtuple(
    "Stat", "st_mode st_ino st_nlink st_uid st_gid st_size st_blocks"
    " st_atime st_mtime st_ctime")
Stat.__doc__ = "As os.stat_result, with the owner's numbers of the volume's node."

Entry = collections.namedtuple("Entry", "name type ino stat")
Entry.__doc__ = """One of scandir(): type is a letter as ls shows it, stat a Stat or
None where the user may not see it."""


def jobs(node=None):
    """Your jobs on a node (this one), running or not yet waited for."""
    count = 16
    while True:
        rows = (_JobRow * count)()
        have = _call(_lib.virgo_jobs, _bytes(node), rows, count,
                     ctypes.sizeof(_JobRow))
        if have <= count:
            break
        count = have
    return [JobRow(row.node.decode(), row.job, os.fsdecode(row.user),
                   row.from_.decode(), row.started_s, row.pid,
                   row.status if row.flags & 2 else None, bool(row.flags & 1),
                   os.fsdecode(row.command)) for row in rows[:have]]


def _to_stat(st):
    return Stat(st.mode, st.ino, st.nlink, st.uid, st.gid, st.size, st.blocks,
                *(seconds + ns / 1e9 for seconds, ns in (
                    (st.atime_s, st.atime_ns), (st.mtime_s, st.mtime_ns),
                    (st.ctime_s, st.ctime_ns))))


def stat(path, *, follow_symlinks=True):
    """What os.stat() says, of "volume:/path"; the volume needs not be mounted."""
    st = _Stat()
    flags = 0 if follow_symlinks else 0x100  # AT_SYMLINK_NOFOLLOW
    _call(_lib.virgo_stat, os.fsencode(path), flags, st, ctypes.sizeof(st))
    return _to_stat(st)


def scandir(path):
    """Entries of a directory of a volume, as they come."""
    fd = _call(_lib.virgo_opendir, os.fsencode(path))
    try:
        entry = _Dirent()
        while _call(_lib.virgo_readdir, fd, entry, ctypes.sizeof(entry)):
            yield Entry(os.fsdecode(entry.name),
                        {1: "p", 2: "c", 4: "d", 6: "b", 8: "-", 10: "l",
                         12: "s"}.get(entry.type, "?"), entry.ino,
                        _to_stat(entry.stat) if entry.flags & 1 else None)
    finally:
        _call(_lib.virgo_close, fd)


def listdir(path):
    """Names in a directory of a volume."""
    return [entry.name for entry in scandir(path)]


class File(io.RawIOBase):
    """An open file of a volume, unbuffered; open() gives buffered ones."""

    def __init__(self, path, flags=os.O_RDONLY, mode=0o666):
        self._fd = -1
        self._flags = flags & os.O_ACCMODE
        self.name = path
        self._fd = _call(_lib.virgo_open, os.fsencode(path), flags, mode)

    def close(self):
        super().close()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            _call(_lib.virgo_close, fd)

    def _open_fd(self):
        if self._fd < 0:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self):
        return self._flags != os.O_WRONLY

    def writable(self):
        return self._flags != os.O_RDONLY

    def seekable(self):
        return True

    def readinto(self, buffer):
        address, length, kept = _view(buffer)
        try:
            return _call(_lib.virgo_read, self._open_fd(), address, length)
        finally:
            del kept

    def write(self, data):
        address, length, kept = _view(data)
        try:
            return _call(_lib.virgo_write, self._open_fd(), address, length)
        finally:
            del kept

    def pread(self, size, offset):
        """Bytes at an offset; the position stays."""
        buffer = ctypes.create_string_buffer(size)
        have = _call(_lib.virgo_pread, self._open_fd(), buffer, size, offset)
        return buffer.raw[:have]

    def pwrite(self, data, offset):
        address, length, kept = _view(data)
        try:
            return _call(_lib.virgo_pwrite, self._open_fd(), address, length,
                         offset)
        finally:
            del kept

    def seek(self, offset, whence=io.SEEK_SET):
        return _call(_lib.virgo_lseek, self._open_fd(), offset, whence)

    def tell(self):
        return self.seek(0, io.SEEK_CUR)

    def truncate(self, size=None):
        size = self.tell() if size is None else size
        _call(_lib.virgo_ftruncate, self._open_fd(), size)
        return size

    def stat(self):
        """Its attributes now, as stat() gives them."""
        st = _Stat()
        _call(_lib.virgo_fstat, self._open_fd(), st, ctypes.sizeof(st))
        return _to_stat(st)

    def sync(self):
        """Makes what was written durable, as os.fsync()."""
        _call(_lib.virgo_fsync, self._open_fd())


def open(path, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
    """Opens "volume:/path" or "/virgo/volume/path" as the built-in open() would.

    The volume needs not be mounted.
    """
    kinds = set(mode)
    if len(kinds) != len(mode) or kinds - set("rwxabt+") or \
            len(kinds & set("rwxa")) != 1 or {"b", "t"} <= kinds:
        raise ValueError(f"invalid mode: {mode!r}")
    flags = {"r": 0, "w": os.O_CREAT | os.O_TRUNC, "x": os.O_CREAT | os.O_EXCL,
             "a": os.O_CREAT | os.O_APPEND}[(kinds & set("rwxa")).pop()]
    flags |= os.O_RDWR if "+" in kinds else \
        os.O_RDONLY if "r" in kinds else os.O_WRONLY
    if buffering == 0 and "b" not in kinds:
        raise ValueError("text cannot be unbuffered")
    raw = File(path, flags)
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else _PIECE
    if "+" in kinds:
        file = io.BufferedRandom(raw, size)
    elif "r" in kinds:
        file = io.BufferedReader(raw, size)
    else:
        file = io.BufferedWriter(raw, size)
    if "b" in kinds:
        return file
    return io.TextIOWrapper(file, encoding, errors, newline, buffering == 1)


class Memory:
    """A memory object by its handle, as str() of one gives it on any node.

    Leaving a with block frees the object.
    """

    def __init__(self, handle):
        self._handle = _Handle()
        _call(_lib.virgo_handle_parse, _bytes(handle), self._handle)

    def __str__(self):
        text = ctypes.create_string_buffer(33)
        _lib.virgo_handle_print(self._handle, text)
        return text.value.decode()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.free()

    def _info(self):
        info = _MallocInfo()
        _call(_lib.virgo_malloc_info, self._handle, info, ctypes.sizeof(info))
        return info

    def __len__(self):
        return self._info().size

    @property
    def maker(self):
        """The node that made it."""
        return self._info().maker.decode()

    @property
    def lease(self):
        """Seconds that it outlives its program and its last use."""
        return self._info().lease_ms / 1000

    @property
    def held(self):
        """Whether the program that made it lives."""
        return bool(self._info().flags & 1)

    @property
    def lost(self):
        """Whether a node with a part of it was lost."""
        return bool(self._info().flags & 2)

    def get(self, size=None, offset=0):
        """Bytes of it; without a size all from the offset on."""
        if size is None:
            size = max(len(self) - offset, 0)
        data = ctypes.create_string_buffer(size)
        _call(_lib.virgo_get, self._handle, data, size, offset)
        return data.raw

    def set(self, data, offset=0):
        address, length, kept = _view(data)
        try:
            _call(_lib.virgo_set, self._handle, address, length, offset)
        finally:
            del kept

    def free(self):
        _call(_lib.virgo_free, self._handle)


def malloc(size, lease=0):
    """Makes a memory object of size zero bytes; see virgo_malloc(3).

    It lives as long as this program, then until unused for lease seconds (60).
    """
    memory = Memory.__new__(Memory)
    memory._handle = _Handle()
    _call(_lib.virgo_malloc, size, int(lease * 1000), memory._handle)
    return memory
