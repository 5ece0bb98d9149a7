#!/bin/bash
# Goal: faults drawn from a seed at a swap in use: no page is wrong, none is waited for too long, and what was lost is replaced.
# SPDX-License-Identifier: GPL-2.0-or-later
#
# BORROW_FAULTS of them (10) in the order that BORROW_SEED (7) gives; each kind comes
# before any comes again. A stall is the longest that the hog waited for a page
# from the fault until status tells of it. The limit for its kind is asserted on
# top of the longest stall while nothing was wrong, which is the emulator's; four
# times that where it was long, as patience in tests/net/kit.sh.
. "${0%/*}/kit.sh"
export BORROW_SEED=${BORROW_SEED:-7} BORROW_FAULTS=${BORROW_FAULTS:-10}
in_guest --mem 640M --timeout $((400 + 60 * BORROW_FAULTS)) \
	--modules "veth bridge sch_netem nbd tls raid1 chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

export HOG_LIMIT=20M
state=$BORROW_SEED
kinds=(killed died restarted upgraded frozen silent drained left turns alone
	guard virgod)
deck=()
stalls=() # KIND MS LIMIT
calm_ms=0 # the longest stall without a fault

# A number below @1 into $drawn; not a subshell, for the state goes on.
draw() {
	state=$(((state * 1103515245 + 12345) & 0x7fffffff))
	drawn=$(((state >> 8) % $1))
}

# The next kind into $fault.
draw_fault() {
	[ "${#deck[@]}" -gt 0 ] || deck=("${kinds[@]}")
	draw "${#deck[@]}"
	fault=${deck[drawn]}
	deck=("${deck[@]:0:drawn}" "${deck[@]:drawn+1}")
}

# One of the lenders in use into $victim, the other into $twin, and who lends to
# nobody into $spare.
draw_victim() {
	local all

	mapfile -t all < <(lenders_of swap)
	[ "${#all[@]}" = 2 ] || fail "not two lenders: ${all[*]}"
	draw 2
	victim=${all[drawn]}
	twin=${all[1 - drawn]}
	for spare in beta gamma delta; do
		[ "$spare" = "$victim" ] || [ "$spare" = "$twin" ] || break
	done
}

lender_is_gone() {
	! lenders_of swap | grep -qx "$victim"
}

is_back() {
	[ -n "$(lender_pid "$victim")" ]
}

is_up() {
	legs_of swap | grep -Eq "^  $1 +nbd[0-9]+ +up +whole"
}

has_answered() {
	[ "$(grep -c '^waited' "$NET_DIR/hog.log")" -gt "$1" ]
}

# The longest wait since the last call into $waited_ms. A hog that waits for a page
# answers when it has it.
ask_hog() {
	local before

	before=$(grep -c '^waited' "$NET_DIR/hog.log" || :)
	kill -USR1 "${PID[hog]}"
	wait_for 30 has_answered "$before"
	waited_ms=$(sed -n 's/^waited \([0-9]*\) ms/\1/p' "$NET_DIR/hog.log" |
		tail -n 1)
}

calm() {
	ask_hog
	[ "$waited_ms" -le "$calm_ms" ] || calm_ms=$waited_ms
}

# stalled KIND [LIMIT]: without a limit it is only told.
stalled() {
	ask_hog
	step "$1: waited $waited_ms ms for a page at most"
	stalls+=("$1 $waited_ms ${2:-none}")
}

lend() {
	on "$1" virgo memory lend 64M --reserve 1M
}

# die NODE, revive NODE: with its virgod, and all that it lends.
die() {
	lender_kill "$1" all
	finish "virgod-$1" 2> /dev/null || true
}

revive() {
	node_start "$1"
	lend "$1"
}

fault_killed() {
	draw_victim
	lender_kill "$victim"
	wait_for 30 lender_is_gone
	stalled killed 50
	wait_for 30 is_back
}

fault_died() {
	draw_victim
	die "$victim"
	wait_for 30 lender_is_gone
	stalled died 50
	revive "$victim"
}

fault_restarted() {
	draw_victim
	node_stop "$victim"
	kill -TERM "$(lender_pid "$victim")"
	wait_for 30 lender_is_gone
	stalled restarted 50
	node_start "$victim"
	wait_for 30 is_back
}

# What an upgrade does: one virgo-nbd ends, another takes its pool over.
fault_upgraded() {
	local before

	draw_victim
	before=$(lender_pid "$victim")
	step "virgo-nbd of $victim is replaced"
	kill -TERM "$before"
	wait_for 30 lender_is_gone
	stalled upgraded 50
	wait_for 30 is_back
}

fault_frozen() {
	local pid

	draw_victim
	pid=$(lender_pid "$victim")
	step "freeze virgo-nbd of $victim"
	kill -STOP "$pid"
	wait_for 30 lender_is_gone
	stalled frozen 2000
	kill -CONT "$pid"
}

fault_silent() {
	draw_victim
	step "all packets of $victim are dropped"
	hub tc qdisc add dev "v-$victim" root netem loss 100%
	quietly on "$victim" tc qdisc add dev eth0 root netem loss 100%
	wait_for 30 lender_is_gone
	stalled silent 2000
	hub tc qdisc del dev "v-$victim" root
	quietly on "$victim" tc qdisc del dev eth0 root
}

fault_drained() {
	draw_victim
	on "$victim" virgo memory lend off --wait 120s
	lender_is_gone || fail "$victim still has a leg"
	stalled drained
	lend "$victim"
}

# As a machine that is shut down.
fault_left() {
	draw_victim
	on "$victim" virgo memory leave --wait 120s
	lender_is_gone || fail "$victim still has a leg"
	stalled left
	node_stop "$victim"
	node_start "$victim"
}

# One leg, and when all is copied the other.
fault_turns() {
	local second

	draw_victim
	second=$twin
	lender_kill "$victim"
	wait_for 30 lender_is_gone
	stalled turns 50
	wait_for 120 whole swap
	victim=$second
	calm
	lender_kill "$victim"
	wait_for 30 lender_is_gone
	stalled turns 50
	wait_for 30 is_back
}

# The only leg goes, and returns.
fault_alone() {
	draw_victim
	on "$spare" virgo memory lend off
	die "$victim"
	wait_for 30 lender_is_gone
	stalled died 50
	lender_kill "$twin"
	wait_for 30 is_up "$twin"
	stalled alone 5000
	revive "$victim"
	lend "$spare"
}

fault_guard() {
	guard_kill
	stalled guard 50
	wait_for 30 pidof virgo-guard
}

fault_virgod() {
	node_kill alpha
	stalled virgod 50
	node_start alpha
}

within_limits() {
	local kind ms limit bad=0 grace_ms=$calm_ms

	step "stalls; the longest without a fault was $calm_ms ms"
	[ "$calm_ms" -le 100 ] || grace_ms=$((4 * calm_ms))
	while read -r kind ms limit; do
		say "    $kind $ms ms, limit $limit"
		[ "$limit" = none ] || [ "$ms" -le $((limit + grace_ms)) ] ||
			bad=1
	done < <(printf '%s\n' "${stalls[@]}" | sort)
	[ "$bad" = 0 ] || fail "a page was waited for too long"
}

borrow_up 64M beta gamma delta
borrow virgo swap on 32M --raise-min-free
hog 40 100000
wait_for 90 hog_reached "pass 1"
ask_hog
step "seed $BORROW_SEED"
for ((i = 1; i <= BORROW_FAULTS; i++)); do
	draw_fault
	draw 3000
	printf -v moment "%d.%03d" "$((drawn / 1000))" "$((drawn % 1000))"
	sleep "$moment" # one like any other
	calm
	step "fault $i: $fault, $SECONDS s"
	"fault_$fault"
	wait_for 120 whole swap
	ask_hog
	say "    while all was copied again: $waited_ms ms"
	quietly kill -0 "${PID[hog]}" || break
done
hog_ends TERM
within_limits
borrow virgo swap off
