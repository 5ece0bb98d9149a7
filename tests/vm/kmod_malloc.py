# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod_malloc.py CHECK...: memory objects by ioctls of /dev/virgo, on a node whose
virgod serves them. A check that has a process number in its name wants it as
CHECK=NUMBER."""

import threading

from kmod_kit import *

MIB = 1 << 20
PAGE = mmap.PAGESIZE
WAITING_MAX = 512 # kmod/local.c


def ranges():
    """Every offset and length that meets an edge of an extent."""
    device = Device()
    size = 3 * MIB + 777
    handle = device.malloc(size)
    assert device.get(handle, size) == bytes(size)
    data = os.urandom(size)
    device.set(handle, data)
    assert device.get(handle, size) == data
    edges = [at + d for at in (0, MIB, 2 * MIB, size) for d in (-1, 0, 1)]
    for start in edges:
        for end in edges:
            if start < 0 or end <= start:
                continue
            if end > size:
                expect(errno.ERANGE, device.get, handle, end - start, start)
            else:
                assert device.get(handle, end - start, start) == data[start:end]
    device.set(handle, b"x" * (MIB + 2), MIB - 1)
    data = data[:MIB - 1] + b"x" * (MIB + 2) + data[2 * MIB + 1:]
    assert device.get(handle, size) == data
    expect(errno.ERANGE, device.set, handle, bytes(2 * MIB), 2 * MIB)
    assert device.get(handle, size) == data
    device.memory(IOC_GET, handle) # of nothing
    device.free(handle)
    expect(errno.ESTALE, device.free, handle)
    expect(errno.ESTALE, device.get, handle, 1)


def refused():
    """What is wrong is refused before virgod hears of it."""
    device = Device()
    handle = device.malloc(100)
    expect(errno.EINVAL, device.malloc, 100, flags=1)
    expect(errno.EINVAL, device.malloc, 100, ms=3600001)
    expect(errno.EINVAL, device.malloc, 0)
    expect(errno.EINVAL, device.malloc, 1 << 40)
    for request in IOC_SET, IOC_GET, IOC_FREE:
        for wrong in {"flags": 1}, {"reserved": 1}, {"ms": 3600001}:
            expect(errno.EINVAL, device.memory, request, handle, **wrong)
    expect(errno.ERANGE, device.get, handle, 5, (1 << 64) - 2)
    expect(errno.EINVAL, device.memory, IOC_FREE, handle, None, 1)
    for request in IOC_MALLOC, IOC_SET, IOC_GET, IOC_FREE:
        for address in 0, 1, (1 << 64) - 8:
            assert LIBC.ioctl(device.fd, ctypes.c_ulong(request),
                              ctypes.c_void_p(address)) < 0
            assert ctypes.get_errno() == errno.EFAULT
    assert device.get(handle, 100) == bytes(100)
    device.free(handle)


def told():
    """A failure has virgod's own words, or as much as there is room for."""
    device = Device()
    for room in 1024, 10, 0:
        words = ctypes.create_string_buffer(b"\xff" * 1024, 1024)
        request = ctypes.create_string_buffer(MEMORY.pack(
            bytes(16), 0, 0, 0, ctypes.addressof(words), 0, room, 0, 0))
        expect(errno.ESTALE, lambda: check(LIBC.ioctl(
            device.fd, ctypes.c_ulong(IOC_FREE), request)))
        said = words.raw.rstrip(b"\xff")
        assert len(said) <= room, (room, said)
        if room:
            assert said[:4] == struct.pack("<i", -errno.ESTALE), said
        if room == 1024:
            assert b"not in the cloud any more" in said, said


def faults():
    """Memory that is not there in the middle of a range: EFAULT, and the file is
    good for more."""
    device = Device()
    handle = device.malloc(3 * MIB)
    data = os.urandom(3 * MIB)
    device.set(handle, data)
    size = 2 * MIB
    area = LIBC.mmap(None, size + PAGE, 3, 0x22, -1, 0)
    check(LIBC.munmap(area + size - PAGE, 2 * PAGE))
    for request in IOC_GET, IOC_SET, IOC_GET:
        for address in area, 8, (1 << 47) - PAGE, (1 << 64) - 2 * size:
            words = ctypes.create_string_buffer(16)
            wrong = ctypes.create_string_buffer(MEMORY.pack(
                handle, 0, size, address, ctypes.addressof(words), 20000, 16, 0,
                0))
            expect(errno.EFAULT, lambda: check(LIBC.ioctl(
                device.fd, ctypes.c_ulong(request), wrong)))
    assert device.get(handle, MIB, 2 * MIB) == data[2 * MIB:]
    device.free(handle)


def together():
    """Threads on one file, and each with one of its own."""
    shared = Device()
    handle = shared.malloc(8 * MIB)
    wrong = []

    def work(device, at):
        for i in range(20):
            data = bytes([at * 20 + i]) * (MIB // 2 + 1)
            device.set(handle, data, at * MIB)
            if device.get(handle, len(data), at * MIB) != data:
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(
        shared if at % 2 else Device(), at)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong
    shared.free(handle)


def passed_on():
    """An open file is of whoever used it first."""
    device = Device()
    handle = device.malloc(10)
    as_user(4711, lambda: expect(errno.EPERM, device.get, handle, 10))
    as_user(4711, lambda: expect(errno.EPERM, device.malloc, 10))
    assert device.get(handle, 10) == bytes(10)
    device.free(handle)
    other = Device()
    as_user(4711, lambda: expect(errno.EPERM, other.ioctl, IOC_ACCEPT, b"\0"))
    expect(errno.EINVAL, other.ioctl, IOC_ACCEPT, b"\0") # its address
    expect(errno.EAGAIN, lambda: check(LIBC.ioctl(
        other.fd, ctypes.c_ulong(IOC_ACCEPT), ctypes.c_void_p(0))))


def while_stopped(pid):
    """virgod does not answer: a deadline is kept, and who is killed goes."""
    device, other = Device(), Device()
    handle = device.malloc(4 * MIB)
    held = other.malloc(10)
    os.kill(pid, signal.SIGSTOP)
    try:
        for asked in (lambda: other.get(held, 10, ms=300),
                      lambda: other.malloc(10, ms=300), # connects anew
                      lambda: device.set(handle, bytes(4 * MIB), ms=300)):
            begun = time.monotonic()
            expect(errno.ETIMEDOUT, asked)
            assert .25 < time.monotonic() - begun < 5
        waiting = Device()
        child = os.fork()
        if not child:
            waiting.set(handle, bytes(4 * MIB), ms=0)
            os._exit(1)
        wait_for("the child waits", lambda: state_of(child) == "D")
        # Whoever shares the file waits behind it, no longer than he wants to.
        begun = time.monotonic()
        expect(errno.ETIMEDOUT, waiting.get, handle, 1, ms=300)
        assert .25 < time.monotonic() - begun < 5
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    finally:
        os.kill(pid, signal.SIGCONT)
    assert len(device.get(handle, 4 * MIB)) == 4 * MIB
    assert len(waiting.get(handle, 1)) == 1
    device.free(handle)


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0]


def crowd(pid):
    """More than may wait for virgod at once: those are told so at once, the others
    are served when it goes on."""
    devices = [Device() for _ in range(WAITING_MAX + 8)]
    codes = []

    def ask(device):
        try:
            device.free(bytes(16), ms=0)
        except OSError as error:
            codes.append(error.errno)

    os.kill(pid, signal.SIGSTOP)
    try:
        threads = [threading.Thread(target=ask, args=(d,)) for d in devices]
        for thread in threads:
            thread.start()
        wait_for("all but those who may wait", lambda: len(codes) == 8, 60)
        assert codes == [errno.EBUSY] * 8, codes
    finally:
        os.kill(pid, signal.SIGCONT)
    for thread in threads:
        thread.join()
    assert codes[8:] == [errno.ESTALE] * WAITING_MAX, codes


def nobody():
    """No virgod runs: at once."""
    expect(errno.ENOTCONN, Device().malloc, 10)


def anew(pid):
    """virgod is killed and started anew by whoever runs us, while the file is open."""
    device = Device()
    assert tells(device)
    os.kill(pid, signal.SIGKILL)
    wait_for("virgod is gone",
             lambda: not os.path.exists(f"/proc/{pid}") or state_of(pid) == "Z")
    wait_for("virgod is back", lambda: tells(device), 60)


def tells(device):
    """Whether virgod answers: that there is no such object."""
    try:
        device.free(bytes(16), ms=2000)
    except OSError as error:
        assert error.errno in (errno.ENOTCONN, errno.ECONNRESET, errno.ETIMEDOUT,
                               errno.ESTALE), error
        return error.errno == errno.ESTALE
    return False


for check_name in sys.argv[1:]:
    name, _, number = check_name.partition("=")
    globals()[name](*([int(number)] if number else []))
