#!/bin/bash
# Goal: to virgod a local user is who the kernel says, and the node's key is out of his reach.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
for node in alpha beta; do
	on "$node" useradd -m ann
	on "$node" useradd -m bob
done

# jobs_of USER ASKED: bytes of ASKED's list of jobs, as USER is given it.
jobs_of() {
	quietly on_as "$1" alpha python3 "$NET_SRC/tests/net/local_name.py" \
		/var/lib/virgo/run/virgod.sock "$2"
}

step "whatever name a program gives, it gets its own user's jobs"
on_as bob alpha virgo run --detach -n alpha -- sleep 1000 > /dev/null
[ "$(jobs_of bob bob)" -gt 0 ] || fail "bob's job is not listed"
[ "$(jobs_of bob ann)" -gt 0 ] || fail "bob became ann"
assert_eq "$(jobs_of ann bob)" 0 "bob's jobs, asked for by ann in his name"
job=$(quietly on_as bob alpha virgo ps | awk 'NR == 2 { print $1 }')
assert_fails 1 on_as ann alpha virgo kill "$job"
[ "$(jobs_of bob bob)" -gt 0 ] || fail "ann killed bob's job"
on_as bob alpha virgo kill -s KILL "$job"

step "the node's key and the state beside it are root's alone"
for f in identity/node.key identity/authority.key catalog.db exports.key; do
	on alpha test -e "/var/lib/virgo/$f"
	assert_fails 1 on_as ann alpha cat "/var/lib/virgo/$f"
	assert_out 600 on alpha stat -c %a "/var/lib/virgo/$f"
done

step "what changes the cloud takes root"
for command in "invite" "node remove beta" "node drain beta" \
	"volume create mine --path /home/ann" "volume remove beta" \
	"volume allow beta alpha" "leave" "conf reload"; do
	# shellcheck disable=SC2086 # a command line
	assert_fails 1 on_as ann alpha virgo $command
	assert_match "$(cat "$NET_DIR/last.err")" "root"
done
net_sees alpha alpha beta || fail "somebody is gone"
