#!/bin/bash
# Goal: memory that is not used is compressed, by age and under pressure; no byte changes.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in nbdinfo nbdcopy nbdsh; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

net_up alpha
state=$NET_DIR/nbd
sock=$NET_DIR/nbd.sock
uri="nbd+unix:///memory?socket=$sock"

serve() {
	start nbd alpha virgo-nbd --size 64M --unix "$sock" --state "$state" "$@"
	wait_for 60 on alpha nbdinfo "$uri"
}

control() {
	on alpha python3 "$NET_SRC/tests/net/nbd_control.py" \
		"$state/run/nbd.sock" "$*"
}

# of_status WORD: that number in the control socket's status.
of_status() {
	quietly control status | sed "s/.* $1=\([0-9a-z]*\).*/\1/"
}

at_least() {
	[ "$(of_status "$1")" -ge "$2" ]
}

at_most() {
	[ "$(of_status "$1")" -le "$2" ]
}

same() {
	on alpha nbdcopy "$uri" - | cmp - "$NET_DIR/data"
}

step "32 MiB of text and 8 MiB that cannot be compressed, used and then not"
find "$NET_SRC/daemon" "$NET_SRC/lib" -name '*.c' -exec cat {} + \
	> "$NET_DIR/text"
truncate -s 1M "$NET_DIR/text"
for _ in {1..32}; do
	cat "$NET_DIR/text"
done | head -c 32M > "$NET_DIR/data"
truncate -s 32M "$NET_DIR/data"
head -c 8M /dev/urandom >> "$NET_DIR/data"
truncate -s 64M "$NET_DIR/data"
serve --cold 1s
on alpha nbdcopy "$NET_DIR/data" "$uri"
held=$(of_status held)
wait_for 60 at_least compressed $((held * 6 / 10))
wait_for 60 at_most stored $((held * 8 / 10))
assert_eq "$(of_status held)" "$held" "bytes held"

step "killed, restarted, killed while it compresses: all is there"
for _ in 1 2 3; do
	same
	wait_for 60 at_least compressed $((held / 20))
	kill -KILL "${PID[nbd]}"
	finish nbd 2> /dev/null || true
	serve --cold 1s
done
same
wait_for 60 at_least compressed $((held * 6 / 10))
kill -TERM "${PID[nbd]}"
finish nbd

step "one page costs one chunk, and what was trimmed is gone"
serve --cold 1h
compressed=$(of_status compressed)
on alpha nbdsh -u "$uri" -c 'h.pread(4096, 1 << 20)'
assert_eq "$(of_status compressed)" $((compressed - 65536)) "after one read"
on alpha nbdsh -u "$uri" -c 'h.trim(4 << 20, 8 << 20)'
assert_eq "$(of_status held)" $((held - (4 << 20))) "held after a trim"
dd if=/dev/zero of="$NET_DIR/data" bs=1M seek=8 count=4 conv=notrunc status=none
same
assert_eq "$(of_status compressed)" 0

step "used while others are compressed: a writer checks what it wrote"
kill -TERM "${PID[nbd]}"
finish nbd
serve --cold 1s --headroom 1M
assert_eq "$(of_status short)" no
control headroom $((1 << 50))
wait_for 30 eval '[ "$(of_status short)" = yes ]'
on alpha timeout 120 nbdsh -u "$uri" -c '
import random, time
random.seed(5)
size = 64 << 20
model = bytearray(h.pread(32 << 20, 0) + h.pread(32 << 20, 32 << 20))
end = time.monotonic() + 8
while time.monotonic() < end:
    n = random.choice((512, 4096, 65536, 300000))
    at = random.randrange(size - n)
    if random.random() < .5:
        data = bytes([random.randrange(1, 256)]) * n
        h.pwrite(data, at)
        model[at:at + n] = data
    else:
        assert h.pread(n, at) == model[at:at + n], at
    if random.random() < .02:
        time.sleep(random.random() / 5)
for at in range(0, size, 1 << 20):
    assert h.pread(1 << 20, at) == model[at:at + (1 << 20)], at'
control headroom 0
wait_for 30 eval '[ "$(of_status short)" = no ]'
