#!/bin/bash
# Goal: bad input harms nobody: virgo-nbd answers or hangs up, and serves on.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
command -v nbdinfo > /dev/null || skip "nbdinfo is not installed"

net_up alpha
sock=$NET_DIR/nbd.sock
start nbd alpha virgo-nbd --size 64M --quota 32M --unix "$sock" \
	--listen 127.0.0.1 --connections 256 --control "$NET_DIR/control"
wait_for 60 on alpha nbdinfo nbd://127.0.0.1

step "garbage, torn messages, wrong requests, two hundred connections"
on alpha python3 "$NET_SRC/tests/net/nbd_bad.py" 127.0.0.1 10809 \
	garbage torn wrong huge leave many slow_reader control="$NET_DIR/control"

step "it serves on, and all connections are gone"
assert_match "$(on alpha nbdinfo nbd://127.0.0.1)" 'export-size: 67108864'
no_connections() {
	on alpha python3 "$NET_SRC/tests/net/nbd_control.py" \
		"$NET_DIR/control" status | grep -q 'connections=0 '
}
wait_for 60 no_connections

step "more connections than allowed are refused, and then let in again"
kill -TERM "${PID[nbd]}"
finish nbd
start nbd alpha virgo-nbd --size 1M --listen 127.0.0.1 --connections 3
wait_for 60 on alpha nbdinfo nbd://127.0.0.1
on alpha python3 "$NET_SRC/tests/net/nbd_bad.py" 127.0.0.1 10809 too_many

step "wrong command lines and places"
assert_fails 2 on alpha virgo-nbd
assert_fails 2 on alpha virgo-nbd --size 0
assert_fails 2 on alpha virgo-nbd --size 1000
assert_fails 2 on alpha virgo-nbd --size 1M unexpected
assert_fails 2 on alpha virgo-nbd --size 1M --connections 0
assert_fails 2 on alpha virgo-nbd --forget
assert_fails 1 on alpha virgo-nbd --size 1M --name 'a@1'
assert_fails 1 on alpha virgo-nbd --size 1M --listen 127.0.0.1
assert_match "$(cat "$NET_DIR/last.err")" '^virgo: 127.0.0.1:10809: .*in use'
assert_fails 1 on alpha virgo-nbd --size 1M --listen 'no such'
assert_fails 1 on alpha virgo-nbd --size 1M --unix "/tmp/$(printf 'x%.0s' {1..120})"
kill -TERM "${PID[nbd]}"
finish nbd
