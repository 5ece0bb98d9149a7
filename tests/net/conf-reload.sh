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

# keeps_connections CMD...: alpha's connections are the same before and after it.
# On a busy machine one may be lost and made again for other reasons, so it has
# three tries.
keeps_connections() {
	local before try

	for try in 1 2 3; do
		wait_for 60 is_connected alpha
		before=$(connections alpha)
		"$@"
		[ "$(connections alpha)" = "$before" ] && return
		say "[ ] try $try: connections changed"
	done
	fail "not the same connections after: $*"
}

refused_for() {
	assert_fails 1 on alpha virgo conf reload
	assert_match "$(cat "$NET_DIR/last.err")" "$1"
}

# By SIGHUP; done when it has been logged.
hang_up() {
	local times

	times=$(grep -c 'in force' "$NET_DIR/virgod-alpha.log")
	kill -HUP "${PID[virgod-alpha]}"
	wait_for 60 taken_over alpha $((times + 1))
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
wait_for 60 on alpha sh -c 'virgo node list | grep -q beta'
wait_for 60 is_connected alpha

step "reload by virgo and by SIGHUP: same connections, new values"
conf alpha <<- END
	[audit]
	size = 64K
END
keeps_connections on alpha virgo conf reload
keeps_connections hang_up

step "a reload of a file with errors is refused with the line"
conf alpha <<- END
	[audit]
	size = 64X
END
keeps_connections refused_for \
	"virgo_cloud.conf:2: size = 64X: expected a size like 512M or 8G"
head -c 4096 /dev/urandom | conf alpha
keeps_connections refused_for "virgo: /etc/virgo/virgo_cloud.conf:[0-9]+: byte 0x[0-9a-f]+ at offset [0-9]+: this is not a text file"
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
wait_for 60 on beta sh -c 'ss -Hltn sport = :9747 | grep -q .'

step "a node that is at none of its addresses is found at a seed"
on beta useradd -m ann
on alpha id ann > /dev/null
assert_fails 255 on_as ann alpha virgo run -n beta -- true
conf alpha <<- END
	[node]
	seeds = $(addr_of alpha):8747, $(addr_of beta):9747
END
on alpha virgo conf reload
wait_for 60 on_as ann alpha virgo run -n beta -- true
