#!/bin/bash
# Goal: jobs go to the idle node, by turns or at random as asked, never to one that is down or draining.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

# choose POLICY CANDIDATES TIMES: the nodes alpha chose, with their numbers.
choose() {
	quietly on alpha python3 "$NET_SRC/tests/net/ask_choice.py" \
		/var/lib/virgo/run/virgod.sock "$@"
}

counted() {
	choose "$@" | sort | uniq -c | awk '{ printf "%s%s %s", s, $2, $1; s = ", " }'
}

# idle NODE PERCENT
idle() {
	printf 'cpus = 1\nidle_ppm = %s0000\n' "$2" > "$(state_of "$1")/load"
}

explains() {
	choose service '*' 0 | grep -Eq "$1"
}

cloud_up alpha beta gamma
idle alpha 10
idle beta 50
idle gamma 90
for node in 'alpha:.* 10.0 %' 'beta:.* 50.0 %' 'gamma:.* 90.0 %'; do
	wait_for 20 explains "$node idle"
done

step "10, 50 and 90 % idle: 20 of 20 single jobs go to the third"
assert_out 'gamma 20' counted service '*' 20
assert_out 'gamma 20' counted '' '' 20
assert_out 'gamma 20' counted idle '*' 20
assert_match "$(choose service '*' 0)" \
	'^gamma: 0 in flight, 1 CPU, 90.0 % idle, service .* ms.*
beta: 0 in flight, .*
alpha: 0 in flight'

step "and virgo run goes there, and explains it"
for node in alpha beta gamma; do
	on "$node" useradd -m ann
done
for _ in {1..20}; do
	assert_out gamma quietly on_as ann alpha virgo run hostname
done
assert_out gamma on_as ann alpha virgo run --explain hostname 2> "$NET_DIR/why"
cat "$NET_DIR/why"
assert_match "$(cat "$NET_DIR/why")" \
	'-> gamma: 0 in flight, 1 CPU, 90.0 % idle, service [0-9.]+ ms.*
 *beta: .*50.0 % idle.*
 *alpha: .*10.0 % idle'
grep -q '^-> gamma.*service [0-9.]* ms$' "$NET_DIR/why" ||
	fail "nothing was learned of gamma's service time"

step "[run] nodes of virgo_client.conf: only these are candidates"
nodes() {
	quietly on alpha mkdir -p /etc/virgo
	printf '[run]\nnodes = %s\n' "$1" |
		quietly on alpha tee /etc/virgo/virgo_client.conf > /dev/null
}
nodes 'alpha, beta'
assert_out beta on_as ann alpha virgo run hostname
assert_out gamma on_as ann alpha virgo run -n gamma hostname
nodes '*'
assert_out gamma on_as ann alpha virgo run hostname
nodes 'delta'
assert_fails 255 on_as ann alpha virgo run hostname
on alpha rm /etc/virgo/virgo_client.conf

step "the original's ways: by turns, and at random"
assert_out 'alpha 10, beta 10, gamma 10' counted round-robin '*' 30
assert_match "$(counted random '*' 100)" '^alpha [0-9]+, beta [0-9]+, gamma'

step "only among the candidates, by name or address"
assert_out 'beta 5' counted service alpha,beta 5
assert_out 'beta 5' counted service "alpha, $(addr_of beta):8747" 5
assert_out 'beta 5' counted service "$(addr6_of beta),alpha" 5
assert_match "$(choose service alpha,nobody 0)" 'nobody: no such node$'

step "a draining node gets none, one that is down neither"
on alpha virgo node drain gamma
wait_for 20 explains 'gamma: draining'
assert_out 'beta 20' counted service '*' 20
node_kill beta
wait_for 20 explains 'beta: down'
assert_out 'alpha 20' counted service '*' 20

step "none left: said with the reason for each"
assert_match "$(choose service beta,gamma 1)" \
	'^none: no node can take the job [(](beta: down, gamma: draining|gamma: draining, beta: down)'
assert_match "$(choose fastest '*' 1)" "^none: no policy 'fastest'"

step "a third as idle again, the job goes there again"
node_start beta
wait_for 20 explains 'beta:.* 50.0 % idle'
assert_out 'beta 20' counted service '*' 20
