#!/bin/bash
# Goal: kill -9 and restart of virgo-nbd lose nothing; the control socket rules.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in nbdinfo nbdcopy nbdsh; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

net_up alpha
state=$NET_DIR/nbd
sock=$NET_DIR/nbd.sock
uri="nbd+unix:///memory?socket=$sock"
server=(virgo-nbd --size 128M --unix "$sock" --state "$state")

serve() {
	start nbd alpha "${server[@]}"
	wait_for 60 on alpha nbdinfo "$uri"
}

control() {
	on alpha python3 "$NET_SRC/tests/net/nbd_control.py" \
		"$state/run/nbd.sock" "$*"
}

# held: bytes that the pool says it holds.
held() {
	quietly control status | sed 's/.*held=\([0-9]*\).*/\1/'
}

step "a pattern survives kill -9, again and again"
head -c 40M /dev/urandom > "$NET_DIR/data"
truncate -s 128M "$NET_DIR/data"
serve
on alpha nbdcopy "$NET_DIR/data" "$uri"
for round in 1 2 3; do
	kill -KILL "${PID[nbd]}"
	finish nbd 2> /dev/null || true
	serve
	on alpha nbdcopy "$uri" - | cmp - "$NET_DIR/data"
	assert_eq "$(held)" $((40 << 20)) "bytes held after kill $round"
done

step "killed in the middle of writes: all that was answered is there"
start writer alpha python3 "$NET_SRC/tests/net/nbd_writer.py" "$uri" \
	"$NET_DIR/answered"
wait_for 60 test -s "$NET_DIR/answered"
kill -KILL "${PID[nbd]}"
finish nbd 2> /dev/null || true
finish writer
serve
on alpha python3 "$NET_SRC/tests/net/nbd_writer.py" "$uri" \
	"$NET_DIR/answered" check

step "an upgrade: the new one begins where the old one ended"
kill -TERM "${PID[nbd]}"
finish nbd
serve
on alpha python3 "$NET_SRC/tests/net/nbd_writer.py" "$uri" \
	"$NET_DIR/answered" check

step "one at a time has the pool"
assert_fails 1 on alpha virgo-nbd --unix "$NET_DIR/other" --state "$state"
assert_match "$(cat "$NET_DIR/last.err")" \
	'^virgo: .*another virgo-nbd serves this pool. Try: '
assert_fails 1 on alpha virgo-nbd --state "$state" --forget

step "exports come and go; a generation never comes twice"
assert_match "$(control add swap 67108864)" '^ok [0-9]+$'
generation=$(quietly control list | awk '$1 == "swap" { print $3 }')
assert_eq "$(control add swap 67108864)" "error EEXIST File exists"
swap="nbd+unix:///swap@$generation?socket=$sock"
on alpha nbdsh -u "$swap" -c 'h.pwrite(b"secret" * 1000, 0)'
assert_eq "$(control remove "swap@$((generation + 1))")" \
	"error ENOENT No such file or directory"
start user alpha nbdsh -u "$swap" -c "
open('$NET_DIR/using', 'w').write('x')
while True:
    h.pread(4096, 0)"
wait_for 60 test -s "$NET_DIR/using"
assert_eq "$(control remove "swap@$generation")" ok
if finish user; then
	fail "the user of a removed export goes on"
fi
assert_match "$(control add swap 67108864)" '^ok [0-9]+$'
assert_fails 1 on alpha nbdinfo "$swap"
on alpha nbdsh -u "nbd+unix:///swap?socket=$sock" \
	-c 'assert h.pread(6000, 0) == bytearray(6000)'
assert_match "$(control list)" 'swap 67108864 [0-9]+ - 0 0 [0-9]+ 0'

step "quota"
control quota $(($(held) + 8192))
on alpha nbdsh -u "nbd+unix:///swap?socket=$sock" -c '
h.pwrite(b"x" * 8192, 0)
try:
    h.pwrite(b"x" * 8192, 8192)
    assert False
except nbd.Error as e:
    assert e.errnum == 28'

step "an owned export is for its owner under TLS only"
control add private 4096 beta
assert_fails 1 on alpha nbdinfo "nbd+unix:///private?socket=$sock"
list=$(on alpha nbdinfo --list "nbd+unix://?socket=$sock")
[[ $list != *private* ]] || fail "an export of another is listed"

step "wrong lines"
assert_match "$(control nonsense)" '^error EOPNOTSUPP'
assert_match "$(control add x)" '^error EINVAL'
assert_match "$(control add x 1000)" '^error EINVAL'
assert_match "$(control remove none)" '^error ENOENT'

step "the holder ends when told, and its data with it"
kill -TERM "${PID[nbd]}"
finish nbd
on alpha virgo-nbd --state "$state" --forget
on alpha virgo-nbd --state "$state" --forget
serve
assert_eq "$(held)" 0 "bytes held by a new pool"

# As systemd ends a unit: both are told at once. The holder must not have the
# signals blocked that virgo-nbd, which starts it, takes from a descriptor.
step "told to end together, both do"
holder=
for p in $(pidof virgo-nbd-holder); do
	grep -qzxF "$state" "/proc/$p/cmdline" && holder=$p
done
[ -n "$holder" ] || fail "no holder"
kill -TERM "${PID[nbd]}" "$holder"
finish nbd
wait_for 30 net_gone "$holder"
