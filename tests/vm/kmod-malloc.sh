#!/bin/bash
# Goal: memory objects by ioctl, from C and Python: what virgod gives, with its words, and nothing is stuck when it does not.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --mem 512M --timeout 560 --modules "tls veth bridge virgo"

mib=$((1 << 20))
shared=$VIRGO_BUILD/lib/examples/example-shared

at() {
	quietly on_as "$1" "$2" env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
		PYTHONDONTWRITEBYTECODE=1 \
		PYTHONPATH="$NET_SRC/lib/python:$VM_SRC" "${@:3}"
}

checks() {
	at root alpha python3 -B "$VM_SRC/kmod_malloc.py" "$@"
}

# told USER NODE CMD...: what it prints when it fails
told() {
	assert_fails 1 at "$@"
	cat "$NET_DIR/last.err"
}

cloud_up alpha beta
for node in alpha beta; do
	quietly on "$node" useradd -m ann
	quietly on "$node" useradd -m bob
	quietly on "$node" bash -c 'mkdir -p /etc/virgo
		printf "[memory]\nreserve = 1M\nobjects = 16M\n" \
			> /etc/virgo/virgo_cloud.conf
		virgo conf reload'
done
assert_match "$(quietly on alpha virgo status)" 'memory objects'

step "the ioctls: ranges, wrong requests, words, faults, threads, whose file it is"
checks ranges refused told faults together passed_on

step "what libvirgo tells is the same with the module and without"
handle=$(at ann alpha "$shared" make 5000 600)
for wrong in "get $handle 4999 2" "get ${handle:0:16}0123456789abcdef 0 1" \
	"make 0" "make $((32 * mib))" "free 00000000000000000000000000000000"; do
	# shellcheck disable=SC2086 # words
	with=$(told ann alpha "$shared" $wrong)
	# shellcheck disable=SC2086
	without=$(told ann alpha env VIRGO_MODULE=off "$shared" $wrong)
	assert_eq "$with" "$without" "$wrong"
done
with=$(told bob alpha "$shared" get "$handle" 0 1)
assert_eq "$with" "$(told bob alpha env VIRGO_MODULE=off "$shared" \
	get "$handle" 0 1)" "another user's"
assert_match "$(quietly on alpha virgo audit -n 200)" \
	'bob@alpha +memory object .*: it is another user'

step "it goes by the module: virgod's own socket is out of reach"
for node in alpha beta; do
	mv "$(state_of $node)/run/virgod.sock" "$NET_DIR/$node.sock"
done
assert_match "$(told ann alpha env VIRGO_MODULE=off "$shared" \
	get "$handle" 0 1)" 'virgod does not run here'
head -c $((20 * mib + 777)) /dev/urandom > "$NET_DIR/big"
big=$(at ann alpha "$shared" make $((20 * mib + 777)) 600)
at ann beta "$shared" put "$big" 0 < "$NET_DIR/big"
at ann alpha "$shared" get "$big" 0 $((20 * mib + 777)) | cmp - "$NET_DIR/big"
assert_out "hello" at ann beta python3 -c "
import virgo
memory = virgo.Memory('$handle')
memory.set(b'hello', 4995)
print(memory.get(5, 4995).decode())"
assert_fails 1 at bob beta "$shared" get "$big" 0 1
at ann beta "$shared" free "$handle"
assert_match "$(told ann alpha "$shared" get "$handle" 0 1)" 'Try: |stale|ended'
for node in alpha beta; do
	mv "$NET_DIR/$node.sock" "$(state_of $node)/run/virgod.sock"
done
map=$(at ann alpha virgo memory map "$big")
assert_match "$map" 'alpha'
assert_match "$map" 'beta'

step "who has made an object holds it until he ends"
start holder alpha setpriv --reuid ann --regid ann --init-groups \
	env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" PYTHONPATH="$NET_SRC/lib/python" \
	PYTHONDONTWRITEBYTECODE=1 python3 -c "
import signal, virgo
print(virgo.malloc(5000, lease=1), flush=True)
signal.pause()"
wait_for 30 grep -q . "$NET_DIR/holder.log"
held=$(cat "$NET_DIR/holder.log")
is_held() {
	at ann alpha virgo memory objects --json | grep -q "$held.*\"held\":$1"
}
is_held true
kill -KILL "${PID[holder]}"
finish holder 2> /dev/null || :
outlived() { ! grep -q "$held" <(at ann alpha virgo memory objects); }
wait_for 30 outlived

step "virgod does not answer: deadlines, somebody killed in the middle, a crowd"
checks while_stopped="${PID[virgod-alpha]}" crowd="${PID[virgod-alpha]}"
wait_for 60 net_sees alpha alpha beta
at ann alpha "$shared" get "$big" 0 $((20 * mib + 777)) | cmp - "$NET_DIR/big"

step "virgod is killed and comes back: the open file goes on"
start anew alpha env PYTHONPATH="$VM_SRC" python3 -B \
	"$VM_SRC/kmod_malloc.py" anew="${PID[virgod-alpha]}"
finish virgod-alpha 2> /dev/null || :
node_start alpha
finish anew || { cat "$NET_DIR/anew.log" >&3; fail "the open file"; }

step "virgod is stopped: said at once, in the same words"
node_stop alpha
checks nobody
assert_eq "$(told ann alpha "$shared" make 10)" \
	"$(told ann alpha env VIRGO_MODULE=off "$shared" make 10)" "no virgod"
node_start alpha

step "whoever is served holds the module, virgod does not"
start holder alpha env PYTHONPATH="$VM_SRC" python3 -B -c '
from kmod_kit import *
Device().malloc(10)
print("made", flush=True)
device = Device()
device.malloc(10)
print("held", flush=True)
signal.pause()'
wait_for 30 grep -q held "$NET_DIR/holder.log"
assert_fails 1 rmmod virgo
kill -KILL "${PID[holder]}"
finish holder 2> /dev/null || :
unloaded() { rmmod virgo; }
wait_for 30 unloaded
handle=$(at ann alpha "$shared" make 100 600)
modprobe virgo
served() { checks ranges; }
wait_for 30 served
at ann alpha "$shared" free "$handle"
node_stop alpha
node_stop beta
rmmod virgo
