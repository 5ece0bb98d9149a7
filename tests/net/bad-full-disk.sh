#!/bin/bash
# Goal: a full disk under the catalog refuses changes clearly and loses nothing that was acknowledged.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta gamma

step "the home node's state lies on a disk of 2 MiB"
on alpha mount -t tmpfs -o size=2m,mode=0755 full "$(state_of alpha)"
on alpha mount --bind "$(state_of alpha)" /var/lib/virgo
on alpha virgo init alpha > /dev/null
start virgod-alpha alpha virgod
wait_for 10 on alpha test -S /var/lib/virgo/run/virgod.sock
node_join beta alpha

fill() {
	on alpha bash -c 'cat /dev/zero > /var/lib/virgo/fill 2> /dev/null; true'
	assert_eq "$(on alpha df --output=avail /var/lib/virgo | tail -n 1 |
		xargs)" 0 "room left"
}

step "full: what needs the catalog fails, says why, and ends nothing"
invitation=$(on alpha virgo invite)
fill
read -ra words <<< "${invitation#sudo }"
assert_fails 1 on gamma timeout 30 "${words[@]}" --name gamma
assert_match "$(cat "$NET_DIR/last.err")" '^virgo: .*([Nn]o space|full)'
[ ! -e "$(state_of gamma)/identity" ] || fail "gamma thinks it is a node"
kill -0 "${PID[virgod-alpha]}"
assert_match "$(on alpha virgo node list)" 'beta'

step "killed while full, it says why it cannot start"
node_kill alpha
assert_fails 1 on alpha timeout 10 virgod
assert_match "$(cat "$NET_DIR/last.err")" '^virgo: .*No space left.*Try: '

step "with room again it goes on with all that it had acknowledged"
on alpha rm /var/lib/virgo/fill
start virgod-alpha alpha virgod
wait_for 10 on alpha virgo node list
assert_match "$(on alpha virgo node list)" 'beta'
node_join gamma alpha
wait_for 10 net_sees beta alpha beta gamma
