# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives `virgo run -t -n beta` from a terminal of its own; see jobs-terminal.sh."""
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time


class Terminal:
    def __init__(self, *command, rows=30, cols=90):
        self.master, slave = pty.openpty()
        self.size(rows, cols)
        self.slave = slave
        self.before = termios.tcgetattr(slave)
        self.text = b""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
            for fd in range(3):
                os.dup2(slave, fd)
            os.execvp("virgo", ("virgo", "run", "-t", "-n", "beta", "--") + command)

    def size(self, rows, cols):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ,
                    struct.pack("HHHH", rows, cols, 0, 0))

    def type(self, text):
        os.write(self.master, text)

    def expect(self, want, seconds=10):
        end = time.monotonic() + seconds
        while want not in self.text:
            left = end - time.monotonic()
            if left < 0 or not select.select([self.master], [], [], left)[0]:
                sys.exit(f"not seen: {want!r} in {self.text!r}")
            self.text += os.read(self.master, 4096)
        self.text = self.text.split(want, 1)[1]

    def status(self):
        got = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if termios.tcgetattr(self.slave) != self.before:
            sys.exit("our terminal was not given back as it was")
        return got


def check(got, want, what):
    if got != want:
        sys.exit(f"{what}: got {got!r}, wanted {want!r}")


t = Terminal("sh", "-c", "tty; stty size; echo $TERM; test -t 0 && test -t 1 && exit 4")
t.expect(b"/dev/pts/")
t.expect(b"30 90")
check(t.status(), 4, "status")

t = Terminal("sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done")
t.expect(b"ready")
t.size(41, 101)
t.expect(b"41 101")
t.type(b"\x03")
check(t.status(), 130, "status after Ctrl-C")

t = Terminal("cat")
t.type(b"hello\r")
t.expect(b"hello\r\nhello\r\n")
t.type(b"\x04")
check(t.status(), 0, "status after Ctrl-D")

# A program that closes its terminal on its way out is not hung up on.
t = Terminal("sh", "-c", "exec <&- >&- 2>&-; sleep 0.3; echo back > /dev/tty; exit 6")
t.expect(b"back")
check(t.status(), 6, "status of a program that had closed its terminal")

t = Terminal("sh", "-c", "echo ready; sleep 97501")
t.expect(b"ready")
os.kill(t.pid, signal.SIGKILL)
os.waitpid(t.pid, 0)
