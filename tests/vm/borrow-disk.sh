#!/bin/bash
# Goal: ext4 and xfs on borrowed disks are whole after the faults of their lenders, and of what keeps the disks.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest --mem 512M --timeout 1200 --modules "veth bridge nbd tls raid1 chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

borrow_up 96M beta gamma
assert_fails 2 borrow virgo disk attach ../x 32M
assert_fails 2 borrow virgo disk attach swap 32M

# Of both disks.
all_whole() {
	local list

	list=$(status_of disk)
	[ "$(grep -c 'MiB, whole$' <<< "$list")" = 2 ] &&
		[ "$(grep -c ' up *whole$' <<< "$list")" = 4 ] &&
		[ "$(grep -c ' nbd' <<< "$list")" = 4 ]
}

make() {
	case $1 in
	ext4) mkfs.ext4 -q "/dev/virgo/$1" ;;
	xfs) mkfs.xfs -q --unsupported "/dev/virgo/$1" ;; # that it is so small
	esac
	mkdir -p "/run/$1"
	mount "/dev/virgo/$1" "/run/$1"
}

# Unmounts it; nothing in it needs repair.
check() {
	umount "/run/$1"
	case $1 in
	ext4) fsck.ext4 -fn "/dev/virgo/$1" ;;
	xfs) xfs_repair -n "/dev/virgo/$1" ;;
	esac
}

# Files whose names are their sums.
write() {
	local fs sum

	for fs; do
		for _ in 1 2 3; do
			head -c 500000 /dev/urandom > "/run/$fs/new"
			sum=$(md5sum < "/run/$fs/new")
			mv "/run/$fs/new" "/run/$fs/${sum%% *}"
		done
		sync -f "/run/$fs"
	done
}

verify() {
	local f sum

	echo 1 > /proc/sys/vm/drop_caches
	for f in /run/{ext4,xfs}/[0-9a-f]*; do
		[ -e "$f" ] || continue
		sum=$(md5sum < "$f")
		assert_eq "${sum%% *}" "${f##*/}" "contents"
	done
}

for fs in ext4 xfs; do
	borrow virgo disk attach "$fs" 32M
	make "$fs"
done
wait_for 10 all_whole
assert_fails 1 borrow virgo disk detach ext4
assert_match "$(cat "$NET_DIR/last.err")" 'busy'
write ext4 xfs
step "a lender is killed while it is written to"
lender_kill beta
write ext4 xfs
verify
wait_for 90 all_whole
step "the other one leaves: nobody else lends, so all data is on one"
on gamma virgo memory lend off --wait 60s
assert_eq "$(lenders_of disk | sort -u)" beta
on gamma virgo memory lend 96M --reserve 1M
wait_for 90 all_whole
write ext4 xfs
step "virgod and the guard of the borrower are killed"
node_kill alpha
guard_kill
write ext4 xfs
node_start alpha
wait_for 60 all_whole
verify
for fs in ext4 xfs; do
	check "$fs"
	borrow virgo disk detach "$fs"
done
[ ! -e /dev/virgo ] || fail "a link is left"
step "one lender alone, restarted: its pool is still there, and writing goes on"
borrow virgo disk attach ext4 32M --mirror 1
make ext4
write ext4
lender_kill "$(lenders_of disk)"
write ext4
verify
check ext4
borrow virgo disk list
borrow virgo disk detach ext4
