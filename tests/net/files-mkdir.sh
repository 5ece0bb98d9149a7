#!/bin/bash
# Goal: mkdir below /virgo makes a volume on the best node that lets us, and rmdir removes an empty one wherever it is.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
volumes=/var/lib/virgo/volumes
for at in alpha:64 beta:1024 gamma:64; do
	node=${at%:*}
	on "$node" mkdir -p "$volumes"
	on "$node" mount -t tmpfs -o "mode=0755,size=${at#*:}M" virgo-room "$volumes"
done
on alpha virgo mount
on gamma virgo mount -o timeout=3s

# place_of VOLUME: the node that holds it, as gamma knows.
place_of() {
	quietly on gamma virgo volume list | awk -v v="$1" '$1 == v { print $2 }'
}

is_on() {
	[ "$(place_of "$1")" = "$2" ]
}

says() {
	assert_match "$(cat "$NET_DIR/last.err")" "$1"
}

step "the node with the most room takes it, whoever asks"
on alpha mkdir /virgo/one
on gamma mkdir /virgo/two
assert_eq "$(place_of two)" beta
wait_for 10 is_on one beta
on gamma bash -c 'echo here > /virgo/two/f'
assert_out here on alpha cat /virgo/two/f
assert_out here on beta cat $volumes/two/f
assert_match "$(on gamma cat /var/lib/virgo/mount.log)" "volume two was made on beta"
assert_fails 1 on alpha mkdir /virgo/two
says 'File exists'

step "rmdir: only an empty one, and then it is gone there, too"
assert_fails 1 on gamma rmdir /virgo/two
says 'not empty'
on gamma rm /virgo/two/f
on gamma rmdir /virgo/two
assert_fails 1 on beta test -e $volumes/two
assert_eq "$(place_of two)" ""
assert_fails 2 on gamma ls /virgo/two
on gamma mkdir /virgo/two
on gamma rmdir /virgo/two

step "what mkdir did not make is not removed by others"
on beta mkdir -p -m 1777 /srv/own
on beta virgo volume create own --path /srv/own
wait_for 10 on gamma ls /virgo/own
assert_fails 1 on gamma rmdir /virgo/own
says 'not permitted'
assert_fails 1 on gamma rmdir /virgo/beta
on alpha rmdir /virgo/own
on beta test -d /srv/own

step "a node that holds volumes for nobody else is passed over"
on beta mkdir -p /etc/virgo
on beta bash -c 'printf "[volumes]\naccept =\n" > /etc/virgo/virgo_cloud.conf'
on beta virgo conf reload
on gamma mkdir /virgo/three
assert_eq "$(place_of three)" gamma
assert_fails 1 on gamma virgo volume create four --node beta
says 'beta: it holds no volumes for gamma. Try: '
assert_fails 1 on gamma rmdir /virgo/one
on alpha virgo volume create four --node gamma
wait_for 10 is_on four gamma
on beta bash -c 'printf "[volumes]\naccept = gamma\n" > /etc/virgo/virgo_cloud.conf'
on beta virgo conf reload
assert_out "five is on beta" on gamma virgo volume create five --node '*'

step "files of an earlier volume are not shown again by accident"
on beta bash -c "echo old > $volumes/five/old"
assert_fails 1 on gamma virgo volume remove five
on alpha virgo volume remove five
assert_fails 1 on gamma virgo volume create five --node beta
says 'files of an earlier volume five are there'

step "a node that is down takes none"
node_kill beta
beta_is_down() {
	! quietly on alpha virgo status | grep -Eq "^beta +up"
}
wait_for 30 beta_is_down
on gamma timeout 30 mkdir /virgo/six
assert_match "$(place_of six)" '^(alpha|gamma)$'
assert_fails 1 on gamma timeout 60 rmdir /virgo/one
node_start beta
wait_for 30 net_sees alpha beta gamma
wait_for 30 on gamma rmdir /virgo/one
assert_eq "$(place_of one)" ""
