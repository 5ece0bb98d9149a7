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
wait_for 40 home_is beta
on beta virgo node drain gamma
on beta virgo node undrain gamma
assert_fails 1 on alpha virgo node drain beta

step "a node that is down cannot be home"
node_kill gamma
down() {
	quietly on beta virgo status | grep -Eq "^gamma +down"
}
wait_for 40 down
assert_fails 1 on beta virgo node promote gamma
assert_match "$(cat "$NET_DIR/last.err")" "gamma is not up"
node_start gamma
wait_for 40 net_sees beta gamma

# frozen NODE HEIR: the home node refuses changes while it hands over.
frozen() {
	! quietly on "$1" virgo invite > "$NET_DIR/invitation" \
		2> "$NET_DIR/refusal" &&
		grep -q "being moved to $2" "$NET_DIR/refusal"
}

step "the heir cannot be reached, then dies: the home node insists"
drop_packets gamma 100 tcp dport 8747
start promote beta virgo node promote gamma
wait_for 30 frozen beta gamma
node_kill gamma
step "so does a home node that is killed and started again"
node_kill beta
finish promote || true
node_start beta
wait_for 30 frozen beta gamma
pass_packets gamma
node_start gamma
wait_for 60 home_is gamma

step "the cloud can be changed again"
on gamma virgo invite > "$NET_DIR/invitation"

step "what was given up stays so, whatever the heir still hears"
wait_for 60 net_sees gamma alpha
drop_packets alpha 100 tcp dport 8747
start promote gamma virgo node promote alpha
wait_for 30 frozen gamma alpha
on gamma virgo node promote gamma
on gamma virgo invite > "$NET_DIR/invitation"
pass_packets alpha
finish promote || true
wait_for 60 home_is gamma
on gamma virgo node drain beta
wait_for 60 home_is gamma
