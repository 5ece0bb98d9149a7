#!/bin/bash
# Goal: the kit's own promises: nodes see each other, and nothing of the machine changes.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta gamma

step "each node has its own name and address"
for node in alpha beta gamma; do
	assert_out "$node" on "$node" hostname
done
on alpha ping -4 -c 1 -W 2 beta > /dev/null
on gamma ping -6 -c 1 -W 2 alpha > /dev/null

step "users, files and mounts of a node are its own"
on beta useradd -m ann
assert_out ann on_as ann beta id -un
assert_fails 1 on alpha id ann
assert_fails 1 id ann
on beta mkdir /virgo
on beta mount -t tmpfs kit-test /virgo
assert_fails 1 grep -q kit-test /proc/self/mounts
on alpha touch /var/lib/virgo/here
[ -e "$(state_of alpha)/here" ] || fail "state is not shared with the outside"

step "a cut cable is silent, a restored one is not"
cut_cable beta
assert_fails 1 on alpha ping -4 -c 1 -W 1 beta
restore_cable beta
wait_for 5 on alpha ping -4 -c 1 -W 1 beta

step "packets are dropped and passed again"
drop_packets beta 100 ip protocol icmp
assert_fails 1 on alpha ping -4 -c 1 -W 1 beta
on alpha ping -4 -c 1 -W 2 gamma > /dev/null
pass_packets beta
on alpha ping -4 -c 1 -W 2 beta > /dev/null
part alpha beta
assert_fails 1 on alpha ping -4 -c 1 -W 1 beta
on alpha ping -4 -c 1 -W 2 gamma > /dev/null
on gamma ping -4 -c 1 -W 2 beta > /dev/null
pass_packets alpha
pass_packets beta

step "what was started ends, and its status is known"
start sleeper alpha bash -c 'exit 3'
ret=0
finish sleeper || ret=$?
assert_eq "$ret" 3 "status of a finished command"
start forgotten alpha sleep 1000
