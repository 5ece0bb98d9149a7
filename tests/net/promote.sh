#!/bin/bash
# Goal: the home moves to another node and back, whoever dies on the way.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma

# home_is NODE: every node agrees, and exactly that node has the authority's key.
home_is() {
	local node

	for node in alpha beta gamma; do
		quietly on "$node" virgo node list | grep -Eq "^$1 +home" ||
			return 1
		if [ "$node" = "$1" ]; then
			[ -e "$(state_of "$node")/identity/authority.key" ] ||
				return 1
		else
			[ ! -e "$(state_of "$node")/identity/authority.key" ] ||
				return 1
		fi
	done
}

step "only the home node gives it away"
assert_fails 1 on beta virgo node promote
assert_match "$(cat "$NET_DIR/last.err")" "only root on the home node alpha"
assert_fails 1 on alpha virgo node promote nobody
assert_fails 1 on alpha virgo node promote alpha
home_is alpha

step "handed over"
on alpha virgo node promote beta
wait_for 10 home_is beta
on beta virgo node drain gamma
on beta virgo node undrain gamma
assert_fails 1 on alpha virgo node drain beta

step "a node that is down cannot be home"
node_kill gamma
down() {
	quietly on beta virgo status | grep -Eq "^gamma +down"
}
wait_for 15 down
assert_fails 1 on beta virgo node promote gamma
assert_match "$(cat "$NET_DIR/last.err")" "gamma is not up"
node_start gamma
wait_for 15 net_sees beta gamma

step "the heir is killed on the way: the home node insists until it is back"
kill -STOP "${PID[virgod-gamma]}"
start promote beta virgo node promote gamma
frozen() {
	! quietly on beta virgo invite > "$NET_DIR/invitation" \
		2> "$NET_DIR/refusal" &&
		grep -q "being moved to gamma" "$NET_DIR/refusal"
}
wait_for 5 frozen
node_kill gamma
step "so does a home node that is killed and started again"
node_kill beta
finish promote || true
node_start beta
wait_for 10 frozen
node_start gamma
wait_for 20 home_is gamma

step "the cloud can be changed again"
on gamma virgo invite > "$NET_DIR/invitation"

step "what was given up"
kill -STOP "${PID[virgod-alpha]}"
start promote gamma virgo node promote alpha
frozen() {
	! quietly on gamma virgo invite > "$NET_DIR/invitation" \
		2> "$NET_DIR/refusal" &&
		grep -q "being moved to alpha" "$NET_DIR/refusal"
}
wait_for 5 frozen
on gamma virgo node promote gamma
on gamma virgo invite > "$NET_DIR/invitation"
finish promote || true
kill -CONT "${PID[virgod-alpha]}"
wait_for 15 home_is gamma
