#!/bin/bash
# Goal: a clock that is wrong by an hour, a day or ten years, at the start or all at once, is named, loses nothing and, once right, leaves no trace.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

fake=$(find /usr/lib -path '*faketime/libfaketime.so.1' | head -n 1)
[ -n "$fake" ] || skip "no libfaketime"
cloud_up alpha beta gamma
for node in alpha beta gamma; do
	on "$node" useradd -m ann
done
# Later instances get the wrong clock; these three are right.

# clock NODE OFFSET: sets the clock of NODE's virgod, +0 for right, while it runs.
clock() {
	step "$1's clock is off by $2"
	echo "$2" > "$NET_DIR/clock-$1.new"
	mv "$NET_DIR/clock-$1.new" "$NET_DIR/clock-$1"
}

# fake_start NODE: its virgod with a clock that clock() sets. Time limits keep the
# true one, as they would on a machine whose clock is set.
fake_start() {
	local node=$1

	[ -e "$NET_DIR/clock-$node" ] || echo +0 > "$NET_DIR/clock-$node"
	rm -f "$NET_DIR/$node/state/run/virgod.sock"
	start "virgod-$node" "$node" env LD_PRELOAD="$fake" \
		FAKETIME_TIMESTAMP_FILE="$NET_DIR/clock-$node" \
		FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 \
		FAKETIME_SKIP_CMDS=virgo-spawn virgod
	wait_until 30 net_ready "$node" || fail "virgod did not start on $node"
}

log_says() {
	grep -Eq "$2" "$NET_DIR/virgod-$1.log"
}

runs() {
	[ "$(quietly on_as ann "$1" virgo run -n "$2" -- echo ran 2> /dev/null)" = ran ]
}

told() {
	! quietly on_as ann "$1" virgo run -n "$2" -- true 2> "$NET_DIR/told" &&
		grep -Eq "$3" "$NET_DIR/told"
}

all_run() {
	local a b

	for a in alpha beta gamma; do
		for b in alpha beta gamma; do
			runs "$a" "$b" || return 1
		done
	done
}

for node in alpha beta gamma; do
	node_stop "$node"
	fake_start "$node"
done
for node in alpha beta gamma; do
	wait_for 60 net_sees "$node" alpha beta gamma
done
wait_for 60 all_run
job=$(quietly on_as ann alpha virgo run --detach -n beta -- echo kept)
wait_for 60 on_as ann alpha sh -c "virgo ps -n beta | grep -q ended"
entries=$(on beta virgo audit -n 100 | wc -l)

# set_while_running NODE OFFSET WORDS: certificates last 30 days.
set_while_running() {
	local node=$1 words=$3 lines

	lines=$(wc -l < "$NET_DIR/virgod-$node.log")
	clock "$node" "$2"
	wait_for 60 log_says_since "$node" "$lines" "clock here was set .* by $words"
	wait_for 60 log_says_since "$node" "$lines" \
		"clock here is $words (ahead of|behind) most other nodes'. Try: sudo timedatectl"
	# Membership does not mind.
	for other in alpha beta gamma; do
		net_sees "$other" alpha beta gamma || fail "$other misses somebody"
	done
}

log_says_since() {
	tail -n "+$(($2 + 1))" "$NET_DIR/virgod-$1.log" | grep -Eq "$3"
}

right_again() {
	local node=$1 lines

	lines=$(wc -l < "$NET_DIR/virgod-$node.log")
	clock "$node" +0
	wait_for 60 log_says_since "$node" "$lines" "agrees with the other nodes"
	wait_for 60 all_run
}

step "beta: an hour or a day are said, and the cloud goes on"
for by in "+1h:1 hour" "-1h:1 hour" "+1d:1 day"; do
	set_while_running beta "${by%:*}" "${by#*:}"
	wait_for 60 runs alpha beta
	right_again beta
done

step "beta: ten years on all certificates have expired, and why is said"
set_while_running beta +10y "10 years"
wait_for 60 told beta alpha "certificate has expired; its clock is 10 years behind this node's"
wait_for 60 told alpha beta "its clock is 10 years ahead of this node's"
wait_for 60 runs alpha gamma
right_again beta

step "beta: ten years back they are not valid yet"
set_while_running beta -10y "10 years"
lines=$(on beta virgo audit -n 100 | wc -l)
right_again beta

step "alpha, the home node: while it is wrong it signs nothing"
set_while_running alpha +1d "1 day"
assert_fails 1 on alpha virgo invite
assert_match "$(cat "$NET_DIR/last.err")" \
	"home node's clock is 1 day ahead of most other nodes'.*Try: sudo timedatectl"
right_again alpha
before=$(openssl x509 -serial -noout -in "$(state_of alpha)/identity/node.crt")
set_while_running alpha +10y "10 years"
assert_fails 1 on alpha virgo invite
wait_for 60 runs beta gamma
right_again alpha
assert_eq "$(openssl x509 -serial -noout \
	-in "$(state_of alpha)/identity/node.crt")" "$before" "its certificate"
on alpha virgo invite > /dev/null

step "beta starts ten years ahead: it says so and does not serve"
node_stop beta
clock beta +10y
rm -f "$NET_DIR/beta/state/run/virgod.sock"
start ahead beta env LD_PRELOAD="$fake" \
	FAKETIME_TIMESTAMP_FILE="$NET_DIR/clock-beta" FAKETIME_NO_CACHE=1 \
	FAKETIME_DONT_FAKE_MONOTONIC=1 virgod
ret=0
finish ahead || ret=$?
assert_eq "$ret" 1 "status of virgod"
assert_match "$(cat "$NET_DIR/ahead.log")" \
	"certificate expired 10 years ago by this machine's clock.*Try: check the clock"

step "beta starts ten years back: it waits for the right time"
clock beta -10y
fake_start beta
wait_for 60 log_says beta "clock here is 10 years before this node's certificate was made"
wait_for 60 log_says beta "clock here is 10 years behind most other"
right_again beta

step "alpha starts ten years ahead, alone with its clock: the right one mends it"
node_stop alpha
clock alpha +10y
fake_start alpha
wait_for 60 log_says alpha "clock here is 10 years ahead of most other"
right_again alpha
[ "$(openssl x509 -enddate -noout -in "$(state_of alpha)/identity/node.crt" |
	grep -oE '20[0-9][0-9]')" -lt $(($(date +%Y) + 5)) ] ||
	fail "alpha's certificate is still from the future"

step "nothing acknowledged was lost, and a machine can join"
assert_out kept on_as ann alpha virgo attach "$job"
[ "$(on beta virgo audit -n 1000 | wc -l)" -ge "$entries" ] ||
	fail "the audit has fewer entries than before"
quietly on alpha virgo invite --name delta > /dev/null
