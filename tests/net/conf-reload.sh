#!/bin/bash
# Goal: configuration is taken whole or not at all; a reload drops no connection.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta

conf() {
	on "$1" mkdir -p /etc/virgo
	on "$1" tee /etc/virgo/virgo_cloud.conf > /dev/null
}

join_of() {
	quietly on alpha virgo invite | grep -o 'virgo1:[^ ]*'
}

# Ports in use by virgod's connections of the node, one a line.
connections() {
	quietly on "$1" ss -Htn state established "( sport = :8747 or dport = :8747 )" |
		awk '{ print $3, $4 }' | sort
}

is_connected() {
	[ -n "$(connections "$1")" ]
}

# taken_over NODE TIMES: its virgod has read its file again so often.
taken_over() {
	[ "$(grep -c 'in force' "$NET_DIR/virgod-$1.log")" = "$2" ]
}

step "a file with errors keeps virgod from starting, and says every one"
conf alpha <<- END
	[node]
	prot = 8747
	[alow]
END
on alpha virgo init alpha > /dev/null 2>&1 && fail "init took a bad file"
assert_fails 1 on alpha virgo conf check
assert_match "$(cat "$NET_DIR/last.err")" \
	"virgo_cloud.conf:2: no key 'prot' in \[node\]. Try: port"
assert_match "$(cat "$NET_DIR/last.err")" \
	"virgo_cloud.conf:3: no section \[alow\]. Try: \[allow\]"

step "two nodes"
conf alpha < /dev/null
on alpha virgo init alpha > /dev/null
node_start alpha
on beta virgo join "$(join_of)" > /dev/null
node_start beta
wait_for 10 on alpha sh -c 'virgo node list | grep -q beta'
wait_for 10 is_connected alpha

step "reload by virgo and by SIGHUP: same connections, new values"
before=$(connections alpha)
conf alpha <<- END
	[audit]
	size = 64K
END
on alpha virgo conf reload
kill -HUP "${PID[virgod-alpha]}"
wait_for 5 taken_over alpha 2
assert_eq "$(connections alpha)" "$before" "connections"

step "a reload of a file with errors is refused with the line"
conf alpha <<- END
	[audit]
	size = 64X
END
assert_fails 1 on alpha virgo conf reload
assert_match "$(cat "$NET_DIR/last.err")" \
	"virgo_cloud.conf:2: size = 64X: expected a size like 512M or 8G"
assert_eq "$(connections alpha)" "$before" "connections"
head -c 4096 /dev/urandom | conf alpha
assert_fails 1 on alpha virgo conf reload
assert_match "$(cat "$NET_DIR/last.err")" \
	"virgo: /etc/virgo/virgo_cloud.conf:[0-9]+: byte 0x[0-9a-f]+ at offset [0-9]+: this is not a text file"
assert_eq "$(connections alpha)" "$before" "connections"
conf alpha < /dev/null
on alpha virgo conf reload

step "only root may reload"
on alpha useradd -m ann
assert_fails 1 on_as ann alpha virgo conf reload
assert_match "$(cat "$NET_DIR/last.err")" "Try: run it as root"

step "port and listen of the file are used"
node_stop beta
conf beta <<- END
	[node]
	port = 9747
END
node_start beta
wait_for 5 on beta sh -c 'ss -Hltn sport = :9747 | grep -q .'

step "a node that is at none of its addresses is found at a seed"
on beta useradd -m ann
on alpha id ann > /dev/null
assert_fails 255 on_as ann alpha virgo run -n beta -- true
conf alpha <<- END
	[node]
	seeds = $(addr_of alpha):8747, $(addr_of beta):9747
END
on alpha virgo conf reload
assert_out beta on_as ann alpha virgo run -n beta -- hostname
