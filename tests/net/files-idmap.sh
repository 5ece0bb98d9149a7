#!/bin/bash
# Goal: [idmap] holds for files: who acts, whose files are whose, chown and ACLs, by name; where numbers count nothing is mapped.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
on alpha useradd -u 2002 ann
on alpha useradd -u 2003 anna
on alpha useradd -u 2050 eve # beta does not know her
on beta useradd -u 3001 anna
on beta useradd -u 3002 ann # someone else
idmap() {
	on beta mkdir -p /etc/virgo
	on beta bash -c "printf '$1' > /etc/virgo/virgo_cloud.conf"
	on beta virgo conf reload
}
idmap '[idmap]\nann = anna\n'
for v in plain open shut number; do
	on beta mkdir -p -m 1777 /var/lib/virgo/$v
done
in=/var/lib/virgo
on beta virgo volume create plain --path $in/plain
on beta virgo volume create open --path $in/open --squash none
on beta virgo volume create shut --path $in/shut --squash all
on beta virgo volume create number --path $in/number --idmap numeric --squash none
on alpha virgo mount
on beta virgo mount
wait_for 10 on alpha ls /virgo/number

refused() {
	local what=$1

	shift
	NET_QUIET=1 assert_fails 1 "$@"
	assert_match "$(cat "$NET_DIR/last.err")" "$what"
}

step "ann is anna there, and her files are hers here"
on_as ann alpha bash -c 'echo a > /virgo/plain/f; chmod 600 /virgo/plain/f'
assert_out anna on beta stat -c %U $in/plain/f
assert_out ann on alpha stat -c %U /virgo/plain/f
assert_out a on_as ann alpha cat /virgo/plain/f
assert_out anna on beta stat -c %U /virgo/plain/f

step "the ann of that machine is nobody of the cloud"
on beta bash -c "echo b > $in/plain/other; chown ann: $in/plain/other; chmod 640 $in/plain/other"
assert_out nobody on alpha stat -c %U /virgo/plain/other
refused "Permission denied" on_as ann alpha cat /virgo/plain/other

step "chown and ACLs"
on alpha bash -c 'echo r > /virgo/open/f; chown ann /virgo/open/f'
assert_out anna on beta stat -c %U $in/open/f
assert_out ann on alpha stat -c %U /virgo/open/f
on alpha setfacl -m u:ann:r /virgo/open/f
assert_match "$(on beta getfacl -p $in/open/f)" 'user:anna:r--'
assert_match "$(on alpha getfacl -p /virgo/open/f)" 'user:ann:r--'
refused "Invalid argument" on alpha chown eve /virgo/open/f
refused "Operation not permitted" on_as ann alpha chown anna /virgo/plain/f
refused "Operation not permitted" on alpha chown ann /virgo/plain/f
on_as ann alpha bash -c 'echo s > /virgo/shut/f'
assert_out nobody on beta stat -c %U $in/shut/f
refused "Operation not permitted" on alpha chown ann /virgo/shut/f

step "by number nothing is mapped"
on_as ann alpha bash -c 'echo n > /virgo/number/f'
assert_out 2002 on beta stat -c %u $in/number/f
on alpha chown 3002 /virgo/number/f
assert_out ann on beta stat -c %U $in/number/f
assert_out 3002 on alpha stat -c %u /virgo/number/f

step "a reload counts for who is connected"
idmap ''
on_as ann alpha bash -c 'echo c > /virgo/plain/later'
assert_out ann on beta stat -c %U $in/plain/later
owner_is() {
	[ "$(quietly on alpha stat -c %U "$1")" = "$2" ]
}
wait_for 10 owner_is /virgo/plain/f anna
wait_for 10 owner_is /virgo/plain/other ann
