#!/bin/bash
# Goal: a leg whose lender is reset holds a block up for at most 50 ms longer than one takes anyhow.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/../kit.sh"
in_guest --mem 512M --timeout 580 --modules "veth bridge nbd tls raid1 chacha20poly1305"
. "${0%/*}/../borrow-kit.sh"

LIMIT_MS=50

has_answered() {
	[ "$(grep -c '^longest' "$NET_DIR/blocks.log")" -gt "$1" ]
}

# The longest since the last call into $longest_ms, rounded up.
ask() {
	local before

	before=$(grep -c '^longest' "$NET_DIR/blocks.log" || :)
	kill -USR1 "${PID[blocks]}"
	wait_for 30 has_answered "$before"
	longest_ms=$(awk '/^longest/ { ms = $2 } END { print int(ms + 0.999) }' \
		"$NET_DIR/blocks.log")
}

is_lost() {
	! lenders_of disk | grep -qx "$1"
}

busy_for() {
	[ "$(awk '{ print int($1) }' /proc/uptime)" -ge "$1" ]
}

borrow_up 64M beta gamma
borrow virgo disk attach blocks 32M
wait_for 30 whole disk
start blocks alpha python3 -B "$VM_SRC/timed/stall.py" /dev/virgo/blocks 32
wait_for 20 grep -qx begun "$NET_DIR/blocks.log"
calm_ms=0
told=()
for victim in beta gamma beta gamma; do
	wait_for 120 whole disk
	ask
	wait_for 10 busy_for $(($(awk '{ print int($1) }' /proc/uptime) + 4))
	ask
	[ "$longest_ms" -le "$calm_ms" ] || calm_ms=$longest_ms
	lender_kill "$victim"
	wait_for 30 is_lost "$victim"
	ask
	step "$victim reset: a block took $longest_ms ms at most, $calm_ms ms before"
	told+=("$longest_ms")
done
kill -TERM "${PID[blocks]}"
finish blocks || { cat "$NET_DIR/blocks.log" >&3; fail "the blocks"; }
for longest_ms in "${told[@]}"; do
	[ "$longest_ms" -le $((LIMIT_MS + calm_ms)) ] ||
		fail "$longest_ms ms, more than $LIMIT_MS above $calm_ms"
done
