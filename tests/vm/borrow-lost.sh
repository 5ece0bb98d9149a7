#!/bin/bash
# Goal: with all lenders of a sealed swap lost, programs that need it die; the machine, virgod and the guard live.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest --mem 512M --timeout 1200 --modules "veth bridge nbd tls raid1 dm-crypt xts chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

hog_is_over() {
	net_gone "${PID[hog]}"
}

borrow_up 64M beta gamma
borrow virgo swap on 48M --seal --patience 3 --raise-min-free
grep -q virgo-swap /proc/swaps || grep -q dm- /proc/swaps || fail "not sealed"
hog 56 1000
wait_for 120 hog_reached "pass 1"
lender_kill beta all
lender_kill gamma all
wait_for 60 hog_is_over
ret=0
finish hog || ret=$?
[ "$ret" -gt 128 ] || fail "the hog ended with $ret"
quietly kill -0 "${PID[virgod-alpha]}"
pidof virgo-guard
assert_match "$(status_of swap)" 'lost: no lender has its data'
step "it can be ended, and nothing of it stays"
borrow virgo swap off --force
assert_eq "$(wc -l < /proc/swaps)" 1 "swap spaces"
wait_for 5 guard_is_gone
