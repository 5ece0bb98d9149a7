#!/bin/bash
# Goal: a datagram that is not genuine, or was taken before, is never answered and changes nothing.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

datagrams() {
	on mallory python3 "$NET_SRC/tests/net/datagrams.py" "$@"
}

sees() {
	on "$1" virgo status | grep -Eq "^$2 +$3 "
}

net_up alpha beta gamma mallory
on alpha virgo init alpha > /dev/null
node_start alpha
node_join beta alpha
node_join gamma alpha
wait_for 20 sees alpha beta up
wait_for 20 sees beta alpha up
wait_for 20 sees beta gamma up
lines=$(cat "$NET_DIR"/virgod-*.log | wc -l)

step "garbage of every length gets no answer"
datagrams garbage "$(addr_of alpha)"

step "what was heard on the wire, changed or repeated, gets no answer"
# On beta itself, which hears what alpha sends to it, and repeats it to beta.
on beta python3 "$NET_SRC/tests/net/datagrams.py" replay 127.0.0.1 3

step "nor where it was not meant to go"
on beta python3 "$NET_SRC/tests/net/datagrams.py" replay "$(addr_of gamma)" 3

step "nothing has changed"
sees alpha beta up && sees beta alpha up && sees beta gamma up || fail "somebody is not up"
assert_eq "$(cat "$NET_DIR"/virgod-*.log | wc -l)" "$lines" "lines of log"
node_stop gamma
node_stop beta
node_stop alpha
