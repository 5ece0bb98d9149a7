#!/bin/bash
# Goal: init or join killed at any moment leaves a whole node or none.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta

# killed_after MS CMD...: what alpha's or beta's command leaves when killed then.
killed_after() {
	local ms=$1 node=$2

	shift 2
	on "$node" timeout -s KILL "$((ms / 1000)).$(printf %03d $((ms % 1000)))" "$@" \
		> /dev/null 2>&1 || true
}

whole=0
none=0
for ms in 1 2 4 6 8 10 12 15 20 30 40 60 80 120 200 300 400 600 5000 60000; do
	[ "$ms" -gt 600 ] && [ "$whole" -gt 0 ] && break
	quietly killed_after "$ms" alpha virgo init alpha
	if [ -e "$(state_of alpha)/identity" ]; then
		whole=$((whole + 1))
		quietly on alpha bash -c 'echo twelve characters |
			virgo backup /run/x --passphrase-file -' > /dev/null
		quietly on alpha rm -rf /var/lib/virgo/identity
	else
		none=$((none + 1))
	fi
done
step "init: $whole whole, $none none"
[ "$none" -gt 0 ] || fail "all were killed too late"
[ "$whole" -gt 0 ] || fail "all were killed too early"
on alpha virgo init alpha > "$NET_DIR/init.log"
assert_fails 1 test -e "$(state_of alpha)/.making"
node_start alpha

whole=0
none=0
for ms in 1 2 3 4 5 6 7 8 9 10 12 15 20 30 50; do
	token=$(quietly on alpha virgo invite)
	quietly killed_after "$ms" beta virgo join "${token##* }" --name "b$ms"
	if [ -e "$(state_of beta)/identity" ]; then
		whole=$((whole + 1))
		quietly on beta rm -rf /var/lib/virgo/identity
	else
		none=$((none + 1))
	fi
done
step "join: $whole whole, $none none"
token=$(quietly on alpha virgo invite)
on beta virgo join "${token##* }" --name beta
node_start beta
wait_for 30 net_sees beta alpha
