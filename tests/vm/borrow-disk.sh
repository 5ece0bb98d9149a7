#!/bin/bash
# Goal: a file system on a borrowed disk is whole after the faults of its lenders, and of both users of it.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest --mem 512M --timeout 280 --modules "veth bridge nbd tls raid1 chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

borrow_up 64M beta gamma
assert_fails 2 borrow virgo disk attach ../x 32M
assert_fails 2 borrow virgo disk attach swap 32M
borrow virgo disk attach data 32M
wait_for 10 whole disk
mkfs.ext4 -q /dev/virgo/data
mkdir -p /run/data
mount /dev/virgo/data /run/data
assert_fails 1 borrow virgo disk detach data
assert_match "$(cat "$NET_DIR/last.err")" 'busy'

# Files whose names are their sums.
write() {
	local sum

	for _ in 1 2 3 4; do
		head -c 500000 /dev/urandom > "/run/data/new"
		sum=$(md5sum < /run/data/new)
		mv /run/data/new "/run/data/${sum%% *}"
	done
	sync -f /run/data
}

verify() {
	local f sum

	echo 1 > /proc/sys/vm/drop_caches
	for f in /run/data/[0-9a-f]*; do
		sum=$(md5sum < "$f")
		assert_eq "${sum%% *}" "${f##*/}" "contents"
	done
}

write
step "a lender is killed while it is written to"
lender_kill beta
write
verify
wait_for 90 whole disk
step "the other one leaves: nobody else lends, so all data is on one"
on gamma virgo memory lend off --wait 60s
assert_eq "$(lenders_of disk)" beta
on gamma virgo memory lend 64M --reserve 1M
wait_for 90 whole disk
write
step "virgod and the guard of the borrower are killed"
node_kill alpha
guard_kill
write
node_start alpha
wait_for 60 whole disk
verify
umount /run/data
fsck.ext4 -fn /dev/virgo/data
borrow virgo disk detach data
[ ! -e /dev/virgo ] || fail "a link is left"
step "one lender alone, restarted: its pool is still there, and writing goes on"
borrow virgo disk attach one 32M --mirror 1
mkfs.ext4 -q /dev/virgo/one
mount /dev/virgo/one /run/data
write
lender_kill "$(lenders_of disk)"
write
verify
umount /run/data
fsck.ext4 -fn /dev/virgo/one
borrow virgo disk list
borrow virgo disk detach one
