#!/bin/bash
# Goal: C and Python programs on one node run jobs on others through libvirgo.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
for n in alpha beta gamma; do
	quietly on "$n" useradd -m -u 1500 ann
done
examples=$VIRGO_BUILD/lib/examples
as_ann() {
	quietly on_as ann alpha env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
		PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$NET_SRC/lib/python" "$@"
}

step "the C example: output, status, refusals"
assert_out beta as_ann "$examples/example-run" beta hostname
assert_out "ann /home/ann" as_ann "$examples/example-run" beta \
	sh -c 'echo $(id -un) $PWD'
assert_fails 7 as_ann "$examples/example-run" beta sh -c 'exit 7'
assert_fails 143 as_ann "$examples/example-run" beta sh -c 'kill $$'
assert_fails 1 as_ann "$examples/example-run" beta no-such-program
assert_match "$(cat "$NET_DIR/last.err")" "no program 'no-such-program' there. Try: "
assert_fails 1 as_ann "$examples/example-run" delta true
assert_match "$(cat "$NET_DIR/last.err")" delta
assert_match "$(as_ann "$examples/example-run" - hostname)" 'alpha|beta|gamma'

step "three jobs in one poll loop: 10 MB there and back for each"
head -c 10000000 /dev/urandom > "$NET_DIR/blob"
assert_out "beta: 10000000 bytes, status 0
gamma: 10000000 bytes, status 0
beta: 10000000 bytes, status 0" \
	as_ann "$examples/example-together" cat beta gamma beta < "$NET_DIR/blob"

step "the Python example: a command on every node"
assert_out "alpha: alpha
beta: beta
gamma: gamma" as_ann "$NET_SRC/lib/examples/parallel.py" hostname

step "the Python module"
as_ann python3 "$NET_SRC/tests/net/api_jobs.py" "$NET_DIR/blob"

long=$((1000000 + $$)) # seconds nobody else sleeps
step "a program that dies takes its job with it"
start_job() {
	start holder alpha setpriv --reuid ann --regid ann --init-groups \
		env HOME=/home/ann LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
		"$examples/example-run" beta sleep $long
}
start_job
wait_for 30 pgrep -xf "sleep $long"
kill -9 "${PID[holder]}"
finish holder 2> /dev/null || :
no_job() { ! pgrep -xf "sleep $long"; }
wait_for 10 no_job

step "virgod's death is told to who waits"
start_job
wait_for 30 pgrep -xf "sleep $long"
node_kill alpha
ret=0
finish holder || ret=$?
assert_eq "$ret" 1 "status of the example"
assert_match "$(cat "$NET_DIR/holder.log")" 'connection to the virgod of this machine is lost'
wait_for 10 no_job
