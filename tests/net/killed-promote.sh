#!/bin/bash
# Goal: while the home moves, the command, the old home and the new one may be killed at any moment: there is one home in the end, and the cloud can be changed.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2153 # what walk.sh takes
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

cloud_up alpha beta

# home_is NODE: both agree, and it alone has the authority's key.
home_is() {
	local node

	for node in alpha beta; do
		on "$node" virgo node list | grep -Eq "^$1 +home" || return 1
		if [ "$node" = "$1" ]; then
			[ -e "$(state_of "$node")/identity/authority.key" ] ||
				return 1
		else
			[ ! -e "$(state_of "$node")/identity/authority.key" ] ||
				return 1
		fi
	done
}

# It can be changed, and the change is seen at the other.
settled() {
	if home_is beta; then
		home=beta
	else
		home_is alpha || return 1
		home=alpha
	fi
	on "$home" virgo node undrain alpha
}

back() {
	home_is alpha && return
	on beta virgo node promote alpha > "$NET_DIR/back" 2>&1 || true
	return 1
}

victim=alpha

virgod() {
	echo "${PID[virgod-$victim]}"
}

after_kill() {
	if [ "${2-}" = killed ]; then
		finish "virgod-$victim" 2> /dev/null || true
		node_start "$victim"
	fi
	wait_until 60 settled || fail "no home, or two, killed at $WALK_AT: \
$(for n in alpha beta; do on "$n" virgo node list 2>&1
	ls "$(state_of "$n")/identity"; done)"
	[ "$1" != 0 ] || [ "$home" = beta ] || fail "it was told and is not so"
	wait_until 60 back || fail "not back, after $WALK_AT: $(cat "$NET_DIR/back")"
}

step "the command"
WALK_CALLS=connect,sendmsg,sendto,recvmsg,recvfrom,poll,ppoll
walk alpha virgo node promote beta

for victim in alpha beta; do
	step "virgod on $victim"
	for calls in fdatasync,fsync rename,unlink,unlinkat; do
		walk_into alpha virgod "$calls" virgo node promote beta
	done
done
