#!/bin/bash
# Goal: a join killed at any moment, on either side, is completed by the same command once more.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2153 # what walk.sh takes
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

net_up alpha beta
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha

virgod() {
	echo "${PID[virgod-alpha]}"
}

joined() {
	[ -e "$(state_of beta)/identity" ]
}

# Each try has an invitation of its own, for the same name.
invite() {
	local command

	command=$(on alpha virgo invite --name beta)
	WALK_MORE=("${command##* }")
}

# A node that alpha knows and serves, or none, and then the invitation is good
# still.
after_kill() {
	revive_home alpha alpha "${2:-lived}"
	[ "$1" != 0 ] || joined || fail "it was told and is no node"
	joined || on beta virgo join "${WALK_MORE[@]}" \
		> "$NET_DIR/again" 2>&1 ||
		fail "once more, after $WALK_AT: $(cat "$NET_DIR/again")"
	on alpha virgo node list | grep -q "^beta " ||
		fail "alpha does not know it, killed at $WALK_AT"
	on beta python3 "$NET_SRC/tests/net/is_served.py" "$(addr_of alpha)" \
		/var/lib/virgo/identity ||
		fail "its certificate is no good, killed at $WALK_AT"
	on alpha virgo node remove beta
	on beta rm -rf /var/lib/virgo/identity
	invite
}

step "the joiner"
WALK_CALLS=connect,sendmsg,fdatasync,rename,unlinkat,rmdir
quietly invite
walk beta virgo join

step "the home node"
for calls in fdatasync sendmsg write; do
	walk_into beta virgod "$calls" virgo join
done

step "what an earlier life of a node left in its state folder is no hindrance"
quietly on beta virgo join "${WALK_MORE[@]}" > "$NET_DIR/again"
on beta cp -a /var/lib/virgo/identity /var/lib/virgo/.making
node_start beta
[ ! -e "$(state_of beta)/.making" ] || fail ".making is left"
wait_for 30 net_sees beta alpha
on beta virgo mount
on beta mkdir /virgo/beta/kept
on beta virgo umount
on beta virgo leave
wait_for 30 net_gone "${PID[virgod-beta]}"
quietly invite
on beta virgo join "${WALK_MORE[@]}" > "$NET_DIR/again"
assert_out kept on beta ls /var/lib/virgo/export
