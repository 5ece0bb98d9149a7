#!/bin/bash
# Goal: swap on two lenders carries a program larger than memory, and goes without a trace.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest --mem 512M --timeout 1200 --modules "veth bridge nft_numgen nbd tls raid1 dm-crypt xts chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

borrow_up 96M beta gamma

step "what is refused says why, and how to go on"
assert_fails 1 borrow virgo swap on 64M
assert_match "$(cat "$NET_DIR/last.err")" 'min_free_kbytes.*raise-min-free'
assert_fails 1 borrow virgo swap on 4G --raise-min-free
assert_match "$(cat "$NET_DIR/last.err")" 'beta: only .* to lend.*Try: .*virgo memory lend'
assert_fails 2 borrow virgo swap on much
assert_fails 1 borrow virgo swap off
assert_eq "$(ls "$(state_of alpha)/borrow")" "" "left by a failure"

borrow virgo swap on 64M --raise-min-free
borrow virgo swap status
quietly borrow virgo swap status --json | python3 -m json.tool > /dev/null
wait_for 5 whole swap
assert_fails 1 borrow virgo swap on 64M
assert_eq "$(cat /sys/fs/cgroup/virgo-guard/memory.swap.max)" 0
hog 64 2
hog_ends
grep -q /dev/md /proc/swaps || fail "no swap"
whole swap || fail "no lender failed, and a leg is gone: $(status_of swap)"
# virgo-guard gives each lender's device one a processor, up to four.
sockets=$(nproc)
[ "$sockets" -le 4 ] || sockets=4
step "the connections are encrypted by the kernel, under keys that last: $sockets to a lender"
# Of the ciphers this ss may not know the name of the one that it should be.
assert_eq "$(ss -tin state established dport = 10809 | grep -Ec \
	'ulp-tls version: 1.3 (cipher: chacha20-poly1305 )?rxconf: sw txconf: sw')" \
	$((2 * sockets)) \
	"connections of TLS 1.3 with ChaCha20-Poly1305"
grep -E '^Tls(Curr[TR]x|DecryptError)' /proc/net/tls_stat
[ "$(awk '$1 == "TlsCurrTxSw" { print $2 }' /proc/net/tls_stat)" -ge $((2 * sockets)) ] ||
	fail "no kTLS"
borrow virgo swap off
assert_eq "$(wc -l < /proc/swaps)" 1 "swap spaces"
assert_eq "$(borrow virgo swap status)" "nothing is borrowed"
assert_eq "$(ls "$(state_of alpha)/borrow")" "" "records"
[ ! -e /sys/block/md100 ] || [ ! -e /sys/block/md100/md ] || fail "md is left"
wait_for 5 guard_is_gone
for node in beta gamma; do
	assert_match "$(quietly on "$node" virgo memory status --json)" '"leases": *\[\]'
done
