#!/bin/bash
# Goal: a child that shares virgo-spawn's memory keeps it from its user, also once it has his ids.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha
on alpha useradd -m ann
as_ann=(setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann)

two_wait() {
	[ "$(pgrep -c -P "$spawn" -x virgo-spawn)" = 2 ]
}

traced() {
	! grep -q '^TracerPid:[[:space:]]0$' "/proc/$1/status"
}

# Which of the two it is.
became_anns() {
	child=$(grep -l "^Uid:[[:space:]]${uid}[[:space:]]" \
		"/proc/${waiting[0]}/status" "/proc/${waiting[1]}/status" |
		cut -d/ -f3)
	[ -n "$child" ]
}

# The memory of process @1, by a system call, as root or as ann.
vm_read() {
	quietly on alpha "${@:2}" python3 - "$1" <<- 'END'
		import ctypes, os, re, sys

		class Vec(ctypes.Structure):
		    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]

		here = ctypes.create_string_buffer(1)
		libc = ctypes.CDLL(None, use_errno=True)
		# A static program begins here, if it is at a fixed address.
		there = int(os.environ["AT"], 16)
		n = libc.process_vm_readv(int(sys.argv[1]),
		    ctypes.byref(Vec(ctypes.addressof(here), 1)), 1,
		    ctypes.byref(Vec(there, 1)), 1, 0)
		print(n, os.strerror(ctypes.get_errno()) if n < 0 else "")
	END
}

spawn=$(pgrep -P "${PID[virgod-alpha]}" -x virgo-spawn)
uid=$(quietly on alpha id -u ann)
wait_for 10 two_wait
mapfile -t waiting < <(pgrep -P "$spawn" -x virgo-spawn)
AT=$(head -c 12 "/proc/$spawn/maps" | cut -d- -f1)
export AT

step "the next job stands still where it is ann's, and has not begun her program"
strace -qq -o /dev/null -p "${waiting[0]}" -p "${waiting[1]}" -e trace=chdir \
	-e inject=chdir:delay_enter=60000000 3>&- > /dev/null 2>&1 < /dev/null &
tracer=$!
wait_for 20 traced "${waiting[0]}"
wait_for 20 traced "${waiting[1]}"
start job alpha "${as_ann[@]}" virgo run -n alpha -- echo hers
wait_for 20 became_anns
assert_eq "$(readlink "/proc/$child/exe")" "$(readlink "/proc/$spawn/exe")"

step "she may not look into it, nor into virgo-spawn by it; root may"
for file in maps mem environ; do
	assert_fails 1 on alpha "${as_ann[@]}" head -c 1 "/proc/$child/$file"
	assert_match "$(cat "$NET_DIR/last.err")" "Permission denied"
done
assert_eq "$(vm_read "$child" "${as_ann[@]}")" "-1 Operation not permitted"
assert_eq "$(vm_read "$spawn" "${as_ann[@]}")" "-1 Operation not permitted"
assert_eq "$(vm_read "$child" env)" "1 "

step "then it becomes her program"
kill -INT "$tracer"
wait "$tracer" || true
finish job
assert_eq "$(cat "$NET_DIR/job.log")" hers
