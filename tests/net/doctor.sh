#!/bin/bash
# Goal: virgo doctor finds what is wrong with a node and the way to it, and what mends it.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta

# finding WHO NODE REGEX: a line of `virgo doctor NODE` at WHO.
finding() {
	local who=$1 node=$2

	quietly on "$who" virgo doctor ${node:+"$node"} > "$NET_DIR/doctor.out" ||
		true
	grep -qE "^$3" "$NET_DIR/doctor.out"
}

assert_finding() {
	quietly wait_until 60 finding "$@" ||
		fail "no '$3' among: $(cat "$NET_DIR/doctor.out")"
}

step "before there is a cloud the machine itself is examined"
assert_fails 1 on alpha virgo doctor
assert_match "$(cat "$NET_DIR/last.out")" "virgod: FAIL: .*Try: .*systemctl start"

step "two sound nodes"
on alpha virgo init alpha > /dev/null
node_start alpha
on beta virgo join "$(quietly on alpha virgo invite | grep -o 'virgo1:[^ ]*')" \
	> /dev/null
node_start beta
on alpha useradd -m ann
on beta useradd -m ann
wait_for 60 on alpha virgo doctor beta
wait_for 60 on alpha virgo doctor
for line in 'fuse: ok' 'port to beta: ok' 'port from beta: ok' \
	'clock of beta: ok' 'user ann: ok'; do
	assert_finding alpha beta "$line"
done
on alpha virgo doctor --json beta | while read -r line; do
	python3 -c 'import json, sys; json.loads(sys.argv[1])["result"]' "$line"
done

step "fault: an account is missing there"
on beta userdel -r ann 2> /dev/null
assert_finding alpha beta "user ann: FAIL: on beta: no user 'ann' there. Try: on beta: sudo useradd -m ann"
assert_fails 1 on_as ann alpha virgo doctor beta

step "fault: policy refuses the user there, which is a note"
on beta mkdir -p /etc/virgo
printf '[allow]\nalpha = none\n' | on beta tee /etc/virgo/virgo_cloud.conf > /dev/null
on beta virgo conf reload
assert_finding alpha beta "user ann: note: on beta: user 'ann' of alpha may not use this node. Try: "

step "fault: the configuration there has an error"
printf '[alow]\n' | on beta tee /etc/virgo/virgo_cloud.conf > /dev/null
assert_finding alpha beta 'configuration: FAIL: /etc/virgo/virgo_cloud.conf:1: no section \[alow\]. Try: virgo conf check'
on beta rm /etc/virgo/virgo_cloud.conf
on beta virgo conf reload
on beta useradd -m ann

step "fault: the disk there is full"
on beta mount -t tmpfs -o size=32m full /mnt
assert_fails 1 on beta virgo --state /mnt doctor
assert_match "$(cat "$NET_DIR/last.out")" 'disk: FAIL: .* free at /mnt. Try: '

step "fault: a blocked port, one way"
on alpha nft "add table inet kit
	add chain inet kit in { type filter hook input priority 0; }
	add rule inet kit in tcp dport 8747 ct state new drop"
node_stop beta
node_start beta
wait_for 60 finding alpha beta "port from beta: FAIL: TCP 8747: .* Try: on alpha: sudo nft insert rule inet filter input tcp dport 8747 accept"
pass_packets alpha

step "fault: datagrams are blocked"
drop_packets beta 100 udp dport 8747
wait_for 60 finding alpha beta "port from beta: FAIL: UDP 8747: no answers come, beta is (suspect|down) here. Try: on alpha: sudo nft"
pass_packets beta
wait_for 60 on alpha virgo doctor beta

step "fault: virgod is not running there"
node_stop beta
assert_finding alpha beta "port to beta: FAIL: TCP 8747: .* Try: on beta: sudo systemctl start virgod"
assert_finding alpha "" "port to beta: FAIL"

step "a name that is no node's"
assert_fails 1 on alpha virgo doctor delta
assert_match "$(cat "$NET_DIR/last.err")" \
	"virgo: delta: the cloud has no node of this name. Try: virgo node list"

step "--sysroot looks at a tree"
assert_fails 1 on alpha virgo doctor --sysroot /mnt
assert_match "$(cat "$NET_DIR/last.out")" "fuse: FAIL: the kernel has no FUSE"
assert_fails 2 on alpha virgo doctor --sysroot /mnt beta
