#!/bin/bash
# Goal: a name service of the client that hangs holds up only who needs its answer, and not for ever.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta
on alpha cc -shared -fPIC -o /usr/lib/libnss_gate.so.2 \
	"$NET_SRC/tests/net/nss_gate.c"
on alpha ldconfig
on alpha bash -c 'echo "passwd: files gate
group: files gate" > /etc/nsswitch.conf'
on alpha getent passwd late > /dev/null
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
wait_for 10 net_sees alpha beta
on beta useradd -u 2001 ann
on alpha useradd -u 2002 ann
for i in 1 2 3; do
	on beta useradd -u $((3000 + i)) far$i # nobody on alpha
done
on beta useradd -u 3777 late
on alpha virgo mount -o timeout=4s
on alpha mkdir /virgo-hard
on alpha mount.virgo /virgo-hard -o hard
in=/var/lib/virgo/export
on beta bash -c "for u in far1 far2 far3 late; do
	echo of \$u > $in/\$u; chown \$u: $in/\$u; done"

# prompt CMD...: ends, well, in a time in which nothing has hung.
prompt() {
	timeout "$(($(patience 3000) / 1000))" "$@"
}

step "names work"
assert_out nobody on alpha stat -c %U /virgo/beta/far1
on_as ann alpha bash -c 'echo mine > /virgo/beta/mine'

# What changes the user must not ask for names either, as setpriv does.
become='import os, sys
uid = int(sys.argv[1])
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
os.execvp(sys.argv[2], sys.argv[2:])'
ann=(python3 -ISc "$become" 2002)
stranger=(python3 -ISc "$become" 4999)
step "they hang: owners not known yet are nobody, and nothing else waits"
on alpha mkfifo /run/nss-gate
assert_out 65534 prompt nsenter --target "${NET_HOLDER[alpha]}" --mount stat -c %u /virgo/beta/far2
assert_out 65534 prompt nsenter --target "${NET_HOLDER[alpha]}" --mount stat -c %u /virgo/beta/late
assert_out "of far3" on alpha cat /virgo/beta/far3
assert_out mine on alpha "${ann[@]}" cat /virgo/beta/mine
on alpha "${ann[@]}" bash -c 'for i in {1..50}; do echo $i > /virgo/beta/mine; done'
on alpha ls -ln /virgo/beta > /dev/null

step "a caller whom nobody knows waits for some seconds, and holds up nobody for longer"
start waiting alpha "${stranger[@]}" cat /virgo-hard/beta/mine
assert_out 50 on alpha "${ann[@]}" timeout 60 cat /virgo-hard/beta/mine
assert_fails 1 on alpha "${stranger[@]}" cat /virgo/beta/mine
assert_match "$(cat "$NET_DIR/last.err")" 'timed out'
wait_for 60 net_gone "${PID[waiting]}"
assert_match "$(cat "$NET_DIR/waiting.log")" 'timed out'
on alpha "${ann[@]}" bash -c 'for i in {1..50}; do echo $i > /virgo/beta/mine; done'

step "a number without a name yet is refused as an owner, in bounded time"
assert_fails 1 on alpha timeout 60 chown +4998 /virgo/beta/mine
assert_match "$(cat "$NET_DIR/last.err")" 'timed out'

step "answers that come late count"
start opener alpha bash -c 'mv /run/nss-gate /run/open; exec sleep infinity 3<> /run/open'
owner_is() {
	[ "$(quietly on alpha stat -c %u "$1")" = "$2" ]
}
wait_for 20 owner_is /virgo/beta/late 7777
assert_out 50 on alpha "${stranger[@]}" cat /virgo/beta/mine

step "the mount ends although a name is asked for"
on alpha mkfifo /run/nss-gate
on beta chown 3999 $in/far1
on beta useradd -u 3888 farther
on beta chown farther $in/far1
assert_out 65534 prompt nsenter --target "${NET_HOLDER[alpha]}" --mount stat -c %u /virgo/beta/far1
on alpha virgo umount
on alpha virgo umount /virgo-hard
mounts_gone() {
	local p

	for p in $(net_processes); do
		! grep -qx mount.virgo "/proc/$p/comm" || return 1
	done
}
wait_for 10 mounts_gone
