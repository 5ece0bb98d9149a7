#!/bin/bash
# Goal: virgod killed at each write of catalog, audit or answer loses nothing that was told, and the second try works.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

cloud_up alpha beta
for node in alpha beta; do
	on "$node" useradd -m ann
done
on alpha mkdir -m 1777 /srv/v

virgod() {
	pgrep -P "${PID[virgod-alpha]}" -x virgod || echo "${PID[virgod-alpha]}"
}

has_volume() {
	on alpha virgo volume list | grep -q "^$1 "
}

step "catalog and audit: a change that was told stands, another can be made again"
count=0
after_kill() {
	revive_home alpha beta "$2"
	if [ "$1" = 0 ]; then
		has_volume v || fail "told and lost, killed at $WALK_AT"
	fi
	count=$((count + 1))
	# As it is now, one of these is right, and says so.
	has_volume v || on alpha virgo volume create v --path /srv/v ||
		fail "the second try fails, killed at $WALK_AT"
	on alpha virgo volume remove v
}
for calls in fdatasync fsync pwrite64 write rename,renameat,renameat2 \
	unlink,unlinkat ftruncate sendmsg; do
	walk_into alpha virgod "$calls" virgo volume create v --path /srv/v
done
[ "$count" -gt 10 ] || fail "it was tried $count times only"

step "an invitation that was told is good after the kill"
after_kill() {
	revive_home alpha beta "$2"
	[ "$1" = 0 ] || return 0
	on alpha test -s /var/lib/virgo/catalog.db
	token=$(grep -o 'virgo1:[^ ]*' "$NET_DIR/walk.out")
}
for calls in fdatasync pwrite64 sendmsg; do
	walk_into alpha virgod "$calls" virgo invite --name gamma
	token=$(grep -o 'virgo1:[^ ]*' "$NET_DIR/walk.out")
done
node_stop beta
on beta rm -rf /var/lib/virgo/identity /var/lib/virgo/catalog.db
on beta virgo join "$token" > /dev/null
assert_match "$(quietly on alpha virgo node list)" "gamma"
