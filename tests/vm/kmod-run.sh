#!/bin/bash
# Goal: virgo run goes from kernel to kernel once virgod has handed a connection over, with the semantics it has without the module.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --mem 384M --timeout 560 --modules "tls veth bridge virgo"

cloud_up alpha beta
for node in alpha beta; do
	quietly on "$node" useradd -m ann
	quietly on "$node" useradd -m bob
	quietly on "$node" mkdir -p /etc/virgo
done

# conf NODE TEXT: its virgo_cloud.conf.
conf() {
	quietly on "$1" tee /etc/virgo/virgo_cloud.conf > /dev/null <<< "$2"
	quietly on "$1" virgo conf reload
}

# Whether the module of alpha has a connection to beta.
has_connection() {
	quietly on alpha env PYTHONPATH="$VM_SRC" python3 -B -c \
		'from kmod_kit import *; Device().program("beta")' 2> /dev/null
}

run() {
	on_as ann alpha virgo run -n beta "$@"
}

# without_virgod COMMAND...: while alpha's virgod is stopped.
without_virgod() {
	local status=0

	kill -STOP "${PID[virgod-alpha]}"
	"$@" || status=$?
	kill -CONT "${PID[virgod-alpha]}"
	return "$status"
}

step "the first job goes through virgod, and a connection is made"
conf alpha $'[calls]\nusers = ann'
assert_out beta run hostname
named() {
	quietly on_as ann alpha virgo run -n beta true
	has_connection
}
wait_for 60 named

step "the next go from kernel to kernel: this node's virgod is stopped"
assert_out beta without_virgod run hostname
assert_out ann without_virgod run id -un
without_virgod assert_fails 7 run sh -c 'echo out; echo err >&2; exit 7'
assert_eq "$(cat "$NET_DIR/last.err")" err "its errors"
without_virgod assert_fails 143 run sh -c 'kill -TERM $$'
without_virgod assert_fails 127 run no-such-program

step "streams: three megabytes there and back, and a reader that leaves"
head -c 3145728 /dev/urandom > "$NET_DIR/data"
there_and_back() {
	run cat < "$NET_DIR/data" > "$NET_DIR/back"
}
without_virgod there_and_back
cmp "$NET_DIR/data" "$NET_DIR/back"
first_line() {
	{ run sh -c 'while echo line; do :; done' 2> /dev/null || :; } |
		head -n 1
}
assert_out line without_virgod first_line

step "libvirgo goes there, too: from C"
api() {
	on_as ann alpha env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
		PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$NET_SRC/lib/python" "$@"
}
examples=$VIRGO_BUILD/lib/examples
assert_out "ann /home/ann" without_virgod api "$examples/example-run" beta \
	sh -c 'echo $(id -un) $PWD'
without_virgod assert_fails 7 api "$examples/example-run" beta sh -c 'exit 7'
without_virgod assert_fails 1 api "$examples/example-run" beta no-such-program
assert_match "$(cat "$NET_DIR/last.err")" "no program 'no-such-program' there"
together() {
	api "$examples/example-together" cat beta beta < "$NET_DIR/data"
}
assert_out "beta: 3145728 bytes, status 0
beta: 3145728 bytes, status 0" without_virgod together

step "and from Python"
without_virgod api python3 "$NET_SRC/tests/net/api_jobs.py" "$NET_DIR/data" \
	streaming signals closing terminal nothing_left_open

# Nodes that stood still for so long may have been taken for dead.
wait_for 60 net_sees alpha alpha beta
wait_for 60 net_sees beta alpha beta

step "whoever asked is killed: the job ends"
start job alpha setpriv --reuid ann --regid ann --init-groups \
	virgo run -n beta sleep 4711
# Exactly: whoever asked for it names it, too.
there() {
	quietly on beta pgrep -fx "sleep $1" > /dev/null
}
gone() {
	! there "$1"
}
wait_for 30 there 4711
wait_for 30 gone 4713
kill -KILL "${PID[job]}"
finish job || :
wait_for 30 gone 4711

start job alpha setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann \
	LD_LIBRARY_PATH="$VIRGO_BUILD/lib" "$examples/example-run" beta sleep 4711
wait_for 30 there 4711
kill -KILL "${PID[job]}"
finish job || :
wait_for 30 gone 4711

step "a detached job does not end with whoever asked for it"
detached=$(run --detach sh -c 'sleep 2; echo more')
assert_out more on_as ann alpha virgo attach "$detached"

step "it is in the audit of the node that ran it"
assert_match "$(quietly on beta virgo audit)" 'ann.*hostname'

step "who has no name in the module goes through virgod, and so does VIRGO_MODULE=off"
assert_out beta on_as bob alpha virgo run -n beta hostname
assert_out beta on_as ann alpha env VIRGO_MODULE=off virgo run -n beta hostname

step "[allow] is the other node's"
conf beta $'[allow]\nalpha = bob'
assert_fails 255 run hostname
assert_match "$(cat "$NET_DIR/last.err")" 'not allowed'
assert_out beta on_as bob alpha virgo run -n beta hostname
conf beta ""
assert_out beta run hostname

step "the other node's virgod is killed: the job is lost, and says so"
start lost alpha setpriv --reuid ann --regid ann --init-groups \
	virgo run -n beta sleep 4712
wait_for 30 there 4712
start lost-too alpha setpriv --reuid ann --regid ann --init-groups \
	env HOME=/home/ann LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
	"$examples/example-run" beta sleep 4714
wait_for 30 there 4714
node_kill beta
status=0
finish lost || status=$?
assert_eq "$status" 255 "the status of a lost job"
assert_match "$(cat "$NET_DIR/lost.log")" "virgod, or the connection, ended"
status=0
finish lost-too || status=$?
assert_eq "$status" 255 "the status of a lost job, to libvirgo"
node_stop alpha
rmmod virgo
