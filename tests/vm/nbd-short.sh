#!/bin/bash
# Goal: a program at the limit of its cgroup does not make a lender's machine short of memory; programs that need all of it do.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest 6.12 --mem 320M --timeout 280 --modules zram

socket=$NET_DIR/nbd.sock

# Of all programs, in whole per cent of the last 10 s.
pressure() {
	sed -n 's/^some avg10=\([0-9]*\).*/\1/p' /proc/pressure/memory
}

pressed() {
	[ "$(pressure)" -ge 30 ]
}

is_short() {
	python3 "$NET_SRC/tests/net/nbd_control.py" "$socket" status |
		grep -q "short=$1"
}

# in_cgroup NAME FILE VALUE CMD...
in_cgroup() {
	local cgroup=/sys/fs/cgroup/$1

	mkdir "$cgroup"
	echo "$3" > "$cgroup/$2"
	(
		echo "$BASHPID" > "$cgroup/cgroup.procs"
		exec "${@:4}"
	) > "$NET_DIR/$1.log" 2>&1 &
	PID[$1]=$!
}

# So little that only the pressure decides.
virgo-nbd --size 16M --listen 127.0.0.1 --headroom 4K --control "$socket" \
	> "$NET_DIR/nbd.log" 2>&1 &
PID["nbd"]=$!
wait_for 20 is_short no

step "a program waits at its own limit; there is memory"
# Nothing of it can go, so that the kernel makes it wait for every page more.
in_cgroup small memory.high 8M "$VIRGO_BUILD/tests/vm/hog" 64 100000
wait_for 120 pressed
for _ in {1..12}; do # longer than the pressure is an average of
	is_short no || fail "short: $(pressure) %, $(grep Avail /proc/meminfo)"
	sleep 1
done
pressed || fail "the pressure went: $(pressure) %"
kill -KILL "${PID[small]}"

step "programs need all memory that there is"
echo 256M > /sys/block/zram0/disksize
mkswap /dev/zram0
swapon /dev/zram0
# Its pages are all alike, so that zram has them for nothing.
in_cgroup large memory.max max python3 -c '
size = 400 << 20
all = bytearray(size)
while True:
    for at in range(0, size, 4096):
        all[at] = 1'
wait_for 100 is_short yes
kill -KILL "${PID[large]}"
wait_for 60 is_short no
