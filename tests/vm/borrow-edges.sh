#!/bin/bash
# Goal: borrowing is refused with the reason, or works, at its edges: no kTLS, quota, one lender, off in use.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest --mem 512M --timeout 1200 --modules "veth bridge nbd raid1 chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

# refused REGEX CMD...: at the borrower, without anything left.
refused() {
	assert_fails 1 borrow "${@:2}"
	assert_match "$(cat "$NET_DIR/last.err")" "$1"
	assert_eq "$(find "$(state_of alpha)" -path '*/borrow/*')" "" \
		"left by a failure"
	assert_eq "$(wc -l < /proc/swaps)" 1 "swap spaces"
}

borrow_up 64M beta gamma
step "a kernel that cannot do TLS: refused, not sent in the clear"
on alpha bash -c 'mkdir -p /etc/modprobe.d
	echo "install tls /bin/false" > /etc/modprobe.d/no-tls.conf'
refused 'kTLS: the kernel cannot do TLS.*Try: modprobe tls, or a kernel with CONFIG_TLS' \
	virgo swap on 32M --raise-min-free
refused 'lends over TLS only' \
	virgo swap on 32M --raise-min-free --plaintext-on eth0
modprobe tls
refused 'lends over TLS only' \
	virgo swap on 32M --raise-min-free --plaintext-on eth0

step "quota of one of the lenders: refused for two, named"
mkdir -p "$NET_DIR/beta/etc/virgo"
on beta bash -c 'mkdir -p /etc/virgo
	printf "[memory]\nsame_machine = yes\nquota = 24M\n" > /etc/virgo/virgo_cloud.conf
	virgo conf reload'
refused '2 wanted, 1 found.*beta: only 24 MiB to lend.*Try: .*--mirror 1' \
	virgo swap on 48M --raise-min-free

step "one lender: every page is on it alone"
borrow virgo swap on 48M --raise-min-free --mirror 1
assert_eq "$(lenders_of swap)" gamma
assert_match "$(status_of swap)" '48 MiB, whole'
# Less than memory and swap together: what is read from swap has a place in both.
HOG_LIMIT=20M hog 52 100000
wait_for 90 hog_reached "pass 1"

step "swapoff is done under the program's feet"
echo max > /sys/fs/cgroup/hog/memory.max
borrow virgo swap off
assert_eq "$(wc -l < /proc/swaps)" 1 "swap spaces"
hog_ends TERM
wait_for 5 guard_is_gone
