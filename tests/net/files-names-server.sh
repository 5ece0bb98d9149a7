#!/bin/bash
# Goal: a name service of the serving node that hangs holds up only who needs its answer, and not for ever.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta
on beta cc -shared -fPIC -o /usr/lib/libnss_gate.so.2 \
	"$NET_SRC/tests/net/nss_gate.c"
on beta ldconfig
on beta bash -c 'echo "passwd: files gate
group: files gate" > /etc/nsswitch.conf'
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
wait_for 10 net_sees alpha beta
on alpha useradd -u 2001 ann
on beta useradd -u 2002 ann
on alpha useradd -u 7777 late # beta's gate knows it
strangers=(s{01..24})
for i in "${!strangers[@]}"; do
	on alpha useradd -u $((4000 + i)) "${strangers[i]}" # nobody on beta
done
on alpha virgo mount
in=/var/lib/virgo/export
on beta bash -c "for i in {1..40}; do touch $in/of\$i; chown \$((5000 + i)) $in/of\$i; done
	touch $in/of-late; chown 7777 $in/of-late"

on_as ann alpha bash -c 'echo mine > /virgo/beta/mine'
assert_out ann on beta stat -c %U $in/mine
fifty() {
	on_as ann alpha timeout 60 bash -c \
		'for i in {1..50}; do echo $i > /virgo/beta/mine; done'
}

step "it hangs: who is known goes on, whoever else asks"
on beta mkfifo /run/nss-gate
for s in "${strangers[@]}"; do
	start "$s" alpha setpriv --reuid "$s" --regid "$s" --clear-groups \
		cat /virgo/beta/mine
done
fifty
assert_out 50 on beta cat $in/mine

step "who is not known is told so in time"
for s in "${strangers[@]}"; do
	wait_for 30 net_gone "${PID[$s]}"
	finish "$s" && fail "$s is somebody"
	assert_match "$(cat "$NET_DIR/$s.log")" 'timed out'
done

step "owners without a name in time are nobody's, and a listing does not wait for each"
on alpha timeout 30 ls -ln /virgo/beta > "$NET_DIR/listing"
assert_eq "$(grep -Ec "of(-late|[0-9]+)$" "$NET_DIR/listing")" 41 "files listed"
assert_match "$(grep "of-late" "$NET_DIR/listing")" " 65534 "
fifty
assert_fails 1 on_as late alpha touch /virgo/beta/of-late
assert_match "$(cat "$NET_DIR/last.err")" 'timed out'
assert_fails 1 on alpha timeout 30 chown late /virgo/beta/of1

step "virgod ends although names are asked for, and comes back"
node_stop beta
node_start beta
assert_fails 1 on_as late alpha touch /virgo/beta/of-late
assert_match "$(cat "$NET_DIR/last.err")" 'timed out'

step "answers that come late count"
start opener beta bash -c 'mv /run/nss-gate /run/open; exec sleep infinity 3<> /run/open'
as_late() {
	on_as late alpha touch /virgo/beta/of-late
}
wait_for 20 as_late
owner_is() {
	[ "$(quietly on alpha stat -c %U "$1")" = "$2" ]
}
wait_for 20 owner_is /virgo/beta/of-late late
assert_out 5001 on alpha stat -c %u /virgo/beta/of1
