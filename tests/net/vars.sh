#!/bin/bash
# Goal: what one program sets, all others of the machine see whole, or their own default.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha
state=$(state_of alpha)
quietly on alpha mkdir -p "$state"
quietly on alpha useradd -m -u 1500 ann
var() {
	quietly on alpha virgo var "$@"
}
as_ann() {
	quietly on_as ann alpha env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
		PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$NET_SRC/lib/python" "$@"
}

step "nothing was set yet"
assert_out "" var list
assert_fails 1 var get load.high
assert_match "$(cat "$NET_DIR/last.err")" 'none was set.*Try: virgo var set'

step "set, shown, changed: what is not said stays"
var set --min 10 --max 90 --default 50 --unit ppm --ttl 1h load.high 80
assert_out 80 var get load.high
assert_out 80 as_ann virgo var get load.high
var set load.high 20
assert_match "$(var list --json)" '"name":"load.high","value":20,"min":10,"max":90,"default":50,"type":"u64","mode":"on","unit":"ppm","ttl_ms":3600000'
var set rate.learned 0.25
var set shift.now -3
var set on.or.off true
assert_out 0.25 var get rate.learned
assert_out -3 var get shift.now
assert_out true var get on.or.off
assert_eq "$(var list | wc -l)" 5

step "what is wrong is refused, and changes nothing"
assert_fails 1 var set load.high 91
assert_match "$(cat "$NET_DIR/last.err")" 'load.high: outside of min and max'
assert_fails 1 var set load.high many
assert_fails 1 var set "two words" 1
assert_fails 1 as_ann virgo var set load.high 30
assert_match "$(cat "$NET_DIR/last.err")" 'Permission denied. Try: as root'
assert_fails 2 var set --type none load.high 1
assert_fails 1 var get nothing
assert_out 20 var get load.high

is_stale() {
	! var get load.high > /dev/null 2> "$NET_DIR/stale" &&
		grep -q 'too old' "$NET_DIR/stale"
}

step "off, shadow and stale: the default, and why"
var set --mode shadow load.high 20
assert_fails 1 var get load.high
assert_eq "$(cat "$NET_DIR/last.out")" 50
assert_match "$(cat "$NET_DIR/last.err")" 'not switched on'
var set --mode on --ttl 1ms load.high 20
wait_for 10 is_stale
var set --ttl 0 load.high 20
assert_out 20 var get load.high

step "a watcher sees the change, and only of what it was asked for"
start watch alpha virgo var watch --json load.high
seen() {
	var set rate.learned 0.5
	var set load.high 33
	grep -q '"value":33' "$NET_DIR/watch.log"
}
wait_for 20 seen
assert_eq "$(grep -c rate "$NET_DIR/watch.log" || true)" 0
quietly kill "${PID[watch]}"
finish watch || true

step "the C example acts on it, and follows it"
start example alpha env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
	"$VIRGO_BUILD/lib/examples/example-variable" 3
said() {
	[ "$(grep -cx "$2" "$NET_DIR/example.log")" -ge "$1" ]
}
wait_for 20 said 2 4
var set example.workers 8
wait_for 20 said 1 8
var set example.workers 65
wait_for 20 said 3 4
finish example

step "Python, and writers that are killed in the middle"
quietly on alpha env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
	PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$NET_SRC/lib/python" \
	python3 "$NET_SRC/tests/net/vars.py" "$state"
