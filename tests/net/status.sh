#!/bin/bash
# Goal: virgo status shows every node's state, load, memory, round trip, jobs and version.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

# field NODE KEY: what alpha's virgo status --json says of a node.
field() {
	on alpha virgo status --json | python3 -c '
import json, sys
status = json.load(sys.stdin)
node = [n for n in status["nodes"] if n["name"] == sys.argv[1]][0]
print(node[sys.argv[2]])' "$1" "$2"
}

is() {
	[ "$(field "$1" "$2")" = "$3" ]
}

cloud_up alpha beta gamma
for node in alpha beta gamma; do
	wait_for 20 is "$node" state up
done

step "the table has a line a node, with the home node and this one marked"
table=$(on beta virgo status)
say "$table"
assert_eq "$(wc -l <<< "$table")" 4 "lines"
assert_match "$table" $'\nalpha +up +[0-9]+ +[0-9]+% .*[(]home[)]\n'
assert_match "$table" $'\nbeta +up .*[(]this node[)]\n'
assert_match "$table" $'\ngamma +up +[0-9]+ +[0-9]+% +[0-9.]+ +[0-9.]+[KMGT] of [0-9.]+[KMGT] +[0-9.]+ms +0 '

step "the JSON says the same, in numbers"
on alpha virgo status --json | python3 -c '
import json, sys
s = json.load(sys.stdin)
assert "kernel" in s, s
assert s["self"] == "alpha" and s["home"] == "alpha" and s["cloud"], s
assert [n["name"] for n in s["nodes"]] == ["alpha", "beta", "gamma"], s
for n in s["nodes"]:
    assert n["state"] == "up" and n["version"] and n["cpus"] > 0, n
    assert 0 < n["memory_free_bytes"] < n["memory_bytes"], n
    assert n["self"] or 0 < n["round_trip_us"] < 1000000, n
    assert n["jobs"] == 0 and 0 <= n["idle_percent"] <= 100, n'

step "any user may ask, without being root"
on beta useradd -m ann
on_as ann beta virgo status > /dev/null

step "a node's load file is its load; a broken one is said once and ignored"
printf 'cpus = 8\nidle_ppm = 125000\nload1_milli = 7250\n' \
	> "$(state_of beta)/load"
wait_for 20 is beta cpus 8
assert_eq "$(field beta idle_percent)" 12.5
assert_eq "$(field beta load)" 7.25
echo 'idle = much' > "$(state_of beta)/load"
wait_for 20 is beta cpus "$(nproc)"
assert_eq "$(grep -c 'not lines of' "$NET_DIR/virgod-beta.log")" 1

step "a drained node is draining, and up again when undrained"
on alpha virgo node drain beta
wait_for 20 is beta state draining
on alpha virgo node undrain beta
wait_for 20 is beta state up

step "a node that does not answer does not hold the status up"
kill -STOP "${PID[virgod-gamma]}"
before=$(date +%s%N)
on alpha virgo status > /dev/null
took=$((($(date +%s%N) - before) / 1000000))
kill -CONT "${PID[virgod-gamma]}"
[ "$took" -lt "$(patience 2500)" ] || fail "status took $took ms"
wait_for 20 is gamma state up

step "wrong command lines, and no virgod"
assert_fails 2 on alpha virgo status everything
assert_fails 2 on alpha virgo status --no-such-option
node_stop beta
assert_fails 1 on beta virgo status
assert_match "$(cat "$NET_DIR/last.err")" '^virgo: .*Try: '
