#!/bin/bash
# Goal: virgo_client.conf says which nodes virgo run chooses from and how, also in the original's format.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

# client: alpha's virgo_client.conf is what comes on standard input.
client() {
	quietly on alpha mkdir -p /etc/virgo
	quietly on alpha tee /etc/virgo/virgo_client.conf > /dev/null
}

# ran TIMES: the nodes that so many jobs went to, with their numbers.
ran() {
	local i

	for ((i = 0; i < $1; i++)); do
		quietly on_as ann alpha virgo run hostname
	done | sort | uniq -c | awk '{ printf "%s%s %s", s, $2, $1; s = ", " }'
}

# goes_to NODES TIMES: polls, for a node of a busy machine may seem away a while.
goes_to() {
	wait_for 60 went_to "$@"
}

went_to() {
	[ "$(ran "$2")" = "$1" ]
}

cloud_up alpha beta gamma
for node in alpha beta gamma; do
	on "$node" useradd -m ann
done
wait_for 60 on_as ann alpha virgo run -n gamma true
wait_for 60 on_as ann alpha virgo run -n beta true

step "one node by name"
client <<- END
	[run]
	nodes = gamma
END
goes_to 'gamma 4' 4

step "two by turns, one of them by address"
client <<- END
	[run]
	nodes = beta, $(addr_of gamma)
	policy = round-robin
END
goes_to 'beta 4, gamma 4' 8

step "the line of the original, with its repeated address"
addr_of beta | sed 's/.*/&,&/' | client
goes_to 'beta 4' 4
on alpha virgo conf check 2> "$NET_DIR/note"
assert_match "$(cat "$NET_DIR/note")" \
	"virgo_client.conf:1: note: addresses in the format of the original VIRGO, read as \[run\] nodes = $(addr_of beta). Try: write it so"

step "a file with an error stops the choice with its line, not a named node"
client <<- END
	[run]
	nodes = beta,,
END
assert_fails 255 on_as ann alpha virgo run hostname
assert_match "$(cat "$NET_DIR/last.err")" \
	"^virgo: /etc/virgo/virgo_client.conf:2: nodes = beta,,: expected names or addresses of nodes"
wait_for 60 on_as ann alpha virgo run -n gamma true
