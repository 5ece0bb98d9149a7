#!/bin/bash
# Goal: a node's removal killed at any moment is whole or has not happened, and is completed by the same command once more.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2153 # what walk.sh takes
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

net_up alpha beta gamma
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
wait_for 30 net_sees alpha beta

virgod() {
	echo "${PID[virgod-alpha]}"
}

# gamma's identity is kept, to see what it is still good for.
join() {
	local command

	command=$(on alpha virgo invite --name gamma)
	on gamma virgo join "${command##* }" > "$NET_DIR/joined"
	mv "$(state_of gamma)/identity" "$(state_of gamma)/run-identity"
}

listed() {
	on "$1" virgo node list | grep -q "^gamma "
}

served() {
	on gamma python3 "$NET_SRC/tests/net/is_served.py" "$(addr_of "$1")" \
		/var/lib/virgo/run-identity > "$NET_DIR/served"
}

refused() {
	! listed "$1" && ! served "$1"
}

after_kill() {
	revive_home alpha beta "${2:-lived}"
	[ "$1" != 0 ] || ! listed alpha || fail "it was told gone and is there"
	if listed alpha; then
		served alpha || fail "it is a node and not served, killed at $WALK_AT"
		on alpha virgo node remove gamma ||
			fail "it cannot be removed, killed at $WALK_AT"
	fi
	refused alpha || fail "it is removed and served, killed at $WALK_AT"
	wait_until 20 refused beta || fail "beta serves it, killed at $WALK_AT"
	rm -r "$(state_of gamma)/run-identity"
	join
}
quietly join
wait_for 30 listed beta

step "the command"
WALK_CALLS=socket,connect,sendmsg,sendto,write,read,recvmsg,recvfrom,poll,ppoll,close
walk alpha virgo node remove gamma

step "the home node"
for calls in fdatasync write sendmsg; do
	walk_into alpha virgod "$calls" virgo node remove gamma
done
