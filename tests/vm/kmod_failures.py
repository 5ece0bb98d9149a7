# SPDX-License-Identifier: GPL-2.0-or-later
"""kmod_failures.py: every operation on virgo.ko with its first allocation failing,
then its second, and so on, until it has none that could fail. Whatever fails says
so, and the same goes well afterwards. Needs a kernel with fault injection.

Counted is what the process itself allocates in the kernel, not what works for it
there on a queue.
"""

import glob
import platform
import threading

from kmod_fuzz_memory import HELLO, right_answer
from kmod_kit import *

SITES_MOST = 5000
DEBUG = "/sys/kernel/debug"
FINIT_MODULE, DELETE_MODULE = 313, 176
PORT = 11311


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


class Sites:
    """The process's own counter of allocations."""

    def __init__(self):
        self.fd = os.open("/proc/self/fail-nth", os.O_RDWR)

    def arm(self, n):
        os.pwrite(self.fd, b"%d" % n, 0)

    def disarm(self):
        """Whether one was made to fail."""
        left = int(os.pread(self.fd, 20, 0))
        self.arm(0)
        return not left


def walk(sites, name, operation, undo=lambda got: None,
         mend=lambda error: None):
    """How many could fail; some operations go well all the same. undo(result) after
    those, mend(error) after the others."""
    for n in range(1, SITES_MOST):
        got, error = None, None
        sites.arm(n)
        try:
            got = operation()
        except (OSError, MemoryError) as problem:
            error = problem
        hit = sites.disarm()
        if error:
            mend(error)
        else:
            undo(got)
        if not hit:
            assert not error, f"{name}: {error!r} with nothing failing"
            print(f"{name}: {n - 1} sites", flush=True)
            return
    raise AssertionError(f"{name}: no end")


def load(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        check(LIBC.syscall(FINIT_MODULE, fd, b"", 0))
    finally:
        os.close(fd)


def unload():
    check(LIBC.syscall(DELETE_MODULE, b"virgo", os.O_NONBLOCK))


def unloaded():
    """A module that could not be unloaded is still there."""
    try:
        unload()
    except OSError:
        assert os.path.exists(DEVICE)
        raise


def stop_unheard(link):
    """When only the answer could not be allocated, the cache has been started."""
    def mend(error):
        if error.errno == errno.ENOBUFS:
            try:
                link.stop_cache(PORT)
            except OSError as other:
                if other.errno != errno.ENOENT:
                    raise
    return mend


def stored(sock):
    sock.sendall(b"set a 0 0 3\r\nabc\r\nget a\r\n")
    return sock.recv(4096)


def adopted(device):
    near, far = tls_pair()
    handles = []
    try:
        for sock, node, flags in (near, "beta", 0), (far, "alpha", AGENT):
            handles.append(device.adopt(sock, node, flags))
    except BaseException:
        close_all(handles)
        raise
    return handles


def refused(device):
    """A whole call there and back: nobody is allowed that name."""
    try:
        device.call("beta", "no.such.function")
    except OSError as error:
        if error.errno != errno.EACCES:
            raise


def serve(device, ended):
    """What virgod does for callers of memory objects, one after the other."""
    while not ended.is_set():
        fd = LIBC.ioctl(device.fd, ctypes.c_ulong(IOC_ACCEPT), ctypes.c_void_p(0))
        if fd < 0:
            time.sleep(.005)
            continue
        with socket.socket(fileno=fd) as sock:
            sock.settimeout(20)
            sock.sendall(frame(HELLO, struct.pack("<HHQI", 1, 1, 0, 1 << 20) +
                               text("alpha") + text(b"") + bytes(8) + text("")))
            try:
                while True:
                    head = HEADER.unpack(receive_exactly(sock, 32)[:28])
                    payload = receive_exactly(sock, head[4])
                    if head[3] != HELLO:
                        kind, payload = right_answer(head[3], payload)
                        sock.sendall(frame(kind, payload, head[6], REPLY))
            except (EOFError, ConnectionError):
                pass


def made():
    device = Device()
    try:
        device.malloc(10)
    except BaseException:
        device.close()
        raise
    return device


def remembered(sites):
    """Memory objects: each failure is told, and the next request connects anew."""
    link, ended, virgod = Netlink(), threading.Event(), Device()
    link.listen("peers")
    server = threading.Thread(target=serve, args=(virgod, ended))
    server.start()
    walk(sites, "memory object", made, lambda device: device.close())
    device = Device()
    handle = device.malloc(10)
    data = bytes((1 << 20) + 1)
    walk(sites, "memory set", lambda: device.set(handle, data))
    walk(sites, "memory get", lambda: device.get(handle, len(data)))
    walk(sites, "memory free", lambda: device.free(handle))
    device.close()
    ended.set()
    server.join()
    virgod.close()


def close_all(handles):
    for one in handles:
        os.close(one)


def begin():
    write("/proc/sys/kernel/panic_on_warn", "1")
    for part in "failslab", "fail_page_alloc":
        write(f"{DEBUG}/{part}/ignore-gfp-wait", "N")
        write(f"{DEBUG}/{part}/verbose", "0")
    write(f"{DEBUG}/fail_page_alloc/min-order", "0")


def configure(sites):
    link = Netlink()
    walk(sites, "variable set", lambda: link.set("kernel.test", 7))
    walk(sites, "variable read", lambda: link.get("kernel.test"))
    walk(sites, "function allowed", lambda: link.request(CMD_FN_ALLOW, {
        A_FN_NAME: "virgo.run", A_NODE: "alpha", A_USER: "root"}))
    walk(sites, "cache start", lambda: link.start_cache(PORT, size=8 << 20),
         lambda got: link.stop_cache(PORT), stop_unheard(link))
    link.start_cache(PORT, size=8 << 20)
    walk(sites, "cache state", lambda: link.cache(PORT))
    with socket.create_connection(("127.0.0.1", PORT)) as sock:
        sock.settimeout(20)
        walk(sites, "cache set and get", lambda: stored(sock))
    walk(sites, "cache connect",
         lambda: socket.create_connection(("127.0.0.1", PORT)),
         lambda sock: sock.close())
    link.stop_cache(PORT)


def connections(sites):
    walk(sites, "open", Device, lambda device: device.close())
    device = Device()
    walk(sites, "map", device.table, lambda table: table.close())
    walk(sites, "adopt", lambda: adopted(device), close_all)
    handles = adopted(device)
    walk(sites, "program", lambda: device.program("beta"), os.close)

    def connect_anew(error):
        """TLS that could not send does not say how much it has: it ends."""
        if error.errno != errno.ENOMEM:
            close_all(handles)
            handles[:] = adopted(device)

    walk(sites, "call", lambda: refused(device), mend=connect_anew)
    close_all(handles)
    device.close()


def main():
    path, = glob.glob(f"/lib/modules/{platform.release()}/extra/virgo.ko")
    begin()
    sites = Sites()
    walk(sites, "load", lambda: load(path), lambda got: unload())
    load(path)
    configure(sites)
    connections(sites)
    remembered(sites)
    walk(sites, "unload", unloaded, lambda got: load(path))
    unload()


main()
