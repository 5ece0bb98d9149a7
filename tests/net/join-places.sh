#!/bin/bash
# Goal: several addresses, IPv6, names, other ports work; blocked and used ports say so.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta gamma delta

restart() {
	node_stop alpha
	on alpha rm -rf /var/lib/virgo/identity /etc/virgo/virgo_cloud.conf
	on alpha virgo init alpha "$@" > "$NET_DIR/init.log"
	node_start alpha
}

step "the first address leads nowhere, the second does"
on alpha virgo init alpha --advertise "10.87.47.99,$(addr_of alpha)" \
	> "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
wait_for 30 net_sees beta alpha
wait_for 30 net_sees alpha beta

step "IPv6 only, another port"
restart --advertise "$(addr6_of alpha)" --port 9000
on alpha grep -q "port = 9000" /etc/virgo/virgo_cloud.conf
node_join gamma alpha
assert_match "$(on gamma virgo node list)" "alpha .*\[fd87:47::1\]:9000"

step "a host name"
node_stop gamma
on gamma rm -rf /var/lib/virgo/identity
restart --advertise alpha
node_join gamma alpha
wait_for 30 net_sees gamma alpha

step "a name that cannot be resolved"
token=$(quietly on alpha virgo invite)
token=$(python3 "$NET_SRC/tests/net/token.py" "${token##* }" addresses \
	nowhere.invalid:8747)
assert_fails 1 on delta virgo join "$token"
assert_match "$(cat "$NET_DIR/last.err")" "can be resolved .*Try: "

step "a blocked port"
token=$(quietly on alpha virgo invite)
drop_packets alpha 100 tcp dport 8747
assert_fails 1 on delta virgo join "${token##* }"
assert_match "$(cat "$NET_DIR/last.err")" \
	"alpha.*(cannot be reached|does not answer).*Try: .*(firewall|again)"
pass_packets alpha

step "nobody listens"
node_stop alpha
assert_fails 1 on delta virgo join "${token##* }"
assert_match "$(cat "$NET_DIR/last.err")" "refused.*Try: .*virgod runs there"

step "the port is in use"
start squatter alpha python3 -c '
import socket, time
s = socket.create_server(("", 8747))
time.sleep(1000)'
wait_for 30 on alpha bash -c "ss -ltn | grep -q :8747"
assert_fails 1 on alpha virgod
assert_match "$(cat "$NET_DIR/last.err")" "8747.*in use.*Try: .*--port"

step "wrong addresses on the command line"
assert_fails 1 on delta virgo init delta --advertise 'a b'
assert_match "$(cat "$NET_DIR/last.err")" "not a host name.*Try: "
assert_fails 1 on delta virgo init delta --advertise '10.0.0.1:0'
assert_fails 1 on delta virgo init delta --port 70000
[ ! -e "$(state_of delta)/identity" ] || fail "an identity is left"

step "a node that moves tells the others"
kill "${PID[squatter]}"
finish squatter || true
on alpha rm -rf /var/lib/virgo/identity /etc/virgo/virgo_cloud.conf
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
on delta mkdir -p /etc/virgo
node_join delta alpha
node_stop delta
on delta bash -c "printf '[node]\nadvertise = delta, $(addr6_of delta)\n' \
	> /etc/virgo/virgo_cloud.conf"
node_start delta
moved() {
	quietly on "$1" virgo node list |
		grep -q "delta:8747,\[fd87:47::4\]:8747"
}
wait_for 30 moved alpha
wait_for 30 moved delta
node_stop alpha
on alpha bash -c "printf '[node]\nadvertise = alpha\n' \
	> /etc/virgo/virgo_cloud.conf"
node_start alpha
home_moved() {
	quietly on delta virgo node list | grep -Eq "home .* alpha:8747\$"
}
wait_for 30 home_moved
