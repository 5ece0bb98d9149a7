#!/bin/bash
# Goal: nodes watch each other over IPv6, and where the catalog has host names.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

sees() {
	on "$1" virgo status | grep -Eq "^$2 +$3 "
}

all_see_all() {
	local a b

	for a in alpha beta gamma; do
		for b in alpha beta gamma; do
			sees "$a" "$b" up || return 1
		done
	done
}

# join NODE ADVERTISED
join() {
	local invitation

	invitation=$(quietly on alpha virgo invite)
	read -ra invitation <<< "${invitation#sudo }"
	on "$1" "${invitation[@]}" --name "$1" --advertise "$2"
	node_start "$1"
}

net_up alpha beta gamma

step "alpha by IPv6 address, beta by name, gamma by a dead address first"
on alpha virgo init alpha --advertise "$(addr6_of alpha)" > /dev/null
node_start alpha
join beta beta
join gamma "10.87.47.99,$(addr6_of gamma)"
wait_for 20 all_see_all

step "without IPv4 at all"
for node in alpha beta gamma; do
	on "$node" ip addr del "$(addr_of "$node")/24" dev eth0
done
wait_for 20 all_see_all
node_kill beta
wait_for 20 sees alpha beta down
wait_for 20 sees gamma beta down
node_start beta
wait_for 20 all_see_all
