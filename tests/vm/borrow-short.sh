#!/bin/bash
# Goal: swap that does not fit back: refused with the cgroup or the sum; by force it is off, and nothing essential is ended for it.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest --mem 512M --timeout 600 --modules "veth bridge nbd tls raid1 chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

available_mib() {
	awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo
}

# swap_is_off OUTPUT: what `virgo swap off` said; nothing of it is left.
swap_is_off() {
	assert_match "$1" '/dev/md[0-9]+: off'
	assert_eq "$(wc -l < /proc/swaps)" 1 "swap spaces"
	quietly kill -0 "${PID[virgod-alpha]}"
	wait_for 5 guard_is_gone
}

ended_by() {
	local ret=0

	finish hog || ret=$?
	assert_eq "$ret" "$1" "the hog's end"
}

borrow_up 64M beta gamma
borrow virgo swap on 48M --raise-min-free

step "a program whose cgroup has no room for its pages: refused, though the machine has"
HOG_LIMIT=20M hog 40 100000
wait_for 90 hog_reached "pass 1"
[ "$(available_mib)" -gt 64 ] || fail "the machine has no room either"
assert_fails 1 borrow virgo swap off
assert_match "$(cat "$NET_DIR/last.err")" \
	'cgroup /hog .* its limit by [0-9]+ MiB.*Try: .*memory.max.*--force'
quietly kill -0 "${PID[hog]}"
assert_match "$(status_of swap)" '48 MiB, whole'

step "by force: the kernel ends it, and nothing else"
swap_is_off "$(borrow virgo swap off --force)"
ended_by 137

step "no room in the machine: refused with the sum"
borrow virgo swap on 48M
HOG_LIMIT=20M hog 60 100000
wait_for 90 hog_reached "pass 1"
# It does not grow by itself when it may, and has its turn when it is to end.
kill -STOP "${PID[hog]}"
renice -n 0 -p "${PID[hog]}"
echo max > /sys/fs/cgroup/hog/memory.max
mkdir /run/ballast
mount -t tmpfs -o size=100% tmpfs /run/ballast
# Ballast that went to swap itself would be none.
mkdir /sys/fs/cgroup/ballast
echo 0 > /sys/fs/cgroup/ballast/memory.swap.max
bash -c 'echo $$ > /sys/fs/cgroup/ballast/cgroup.procs
	exec head -c "$1" /dev/zero' - "$(($(available_mib) - 16))M" \
	> /run/ballast/all
assert_fails 1 borrow virgo swap off
assert_match "$(cat "$NET_DIR/last.err")" \
	'[0-9]+ MiB would have to come back, and there is room for [0-9]+.*Try: .*--force'
quietly kill -0 "${PID[hog]}"

step "by force: it is off, the hog may be ended for it, and all else lives"
lenders="$(lender_pid beta) $(lender_pid gamma)"
swap_is_off "$(borrow virgo swap off --force)"
# Room for the last pages may have been found without ending it.
quietly kill -KILL "${PID[hog]}" || :
ended_by 137
umount /run/ballast
assert_eq "$(lender_pid beta) $(lender_pid gamma)" "$lenders" "lenders"
for pid in $lenders $(pidof virgo-nbd-holder); do
	assert_match "$(cat "/proc/$pid/oom_score_adj")" '^-(900|1000)$'
done
assert_eq "$(cat "/proc/${PID[virgod-alpha]}/oom_score_adj")" -500 "virgod's"
