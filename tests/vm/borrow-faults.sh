#!/bin/bash
# Goal: ten faults, drawn from a seed, at a swap in use: no page is wrong, and what was lost is replaced.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
export BORROW_SEED=${BORROW_SEED:-7} BORROW_FAULTS=${BORROW_FAULTS:-10}
in_guest --mem 640M --timeout 290 --modules "veth bridge nft_numgen nbd tls raid1 chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

export HOG_LIMIT=20M
state=$BORROW_SEED

# A number below @1 into $drawn; not a subshell, for the state goes on.
draw() {
	state=$(((state * 1103515245 + 12345) & 0x7fffffff))
	drawn=$(((state >> 8) % $1))
}

# One of the lenders in use, into $victim.
draw_victim() {
	local all

	mapfile -t all < <(lenders_of swap)
	draw "${#all[@]}"
	victim=${all[drawn]}
}

lender_is_gone() {
	! lenders_of swap | grep -qx "$victim"
}

is_back() {
	[ -n "$(lender_pid "$victim")" ]
}

fault_killed() {
	draw_victim
	lender_kill "$victim"
	wait_for 30 is_back
}

fault_frozen() {
	local pid

	draw_victim
	pid=$(lender_pid "$victim")
	step "freeze virgo-nbd of $victim"
	kill -STOP "$pid"
	wait_for 30 lender_is_gone
	kill -CONT "$pid"
}

fault_silent() {
	draw_victim
	cut_cable "$victim"
	wait_for 30 lender_is_gone
	restore_cable "$victim"
}

fault_drained() {
	draw_victim
	on "$victim" virgo memory lend off --wait 120s
	lender_is_gone || fail "$victim still has a leg"
	on "$victim" virgo memory lend 64M --reserve 1M
}

fault_guard() {
	guard_kill
	wait_for 30 pidof virgo-guard
}

fault_virgod() {
	node_kill alpha
	node_start alpha
}

faults=(killed frozen silent drained guard virgod)
borrow_up 64M beta gamma delta
borrow virgo swap on 32M --raise-min-free
hog 40 1000
wait_for 90 hog_reached filled
for ((i = 0; i < BORROW_FAULTS; i++)); do
	if [ "$i" -lt "${#faults[@]}" ]; then
		fault=${faults[i]} # each kind once, the rest is drawn
	else
		draw "${#faults[@]}"
		fault=${faults[drawn]}
	fi
	step "fault $((i + 1)): $fault, $SECONDS s"
	"fault_$fault"
	wait_for 120 whole swap
	quietly kill -0 "${PID[hog]}" || break
done
hog_ends TERM
borrow virgo swap off
