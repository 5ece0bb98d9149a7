#!/bin/bash
# Goal: memory is leased to who may have it, and comes back without losing any.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in nbdinfo nbdsh; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

mib=$((1 << 20))

# borrow NODE COMMAND...: asks alpha for memory as virgod of NODE would.
borrow() {
	on "$1" python3 "$NET_SRC/tests/net/memory_peer.py" alpha \
		/var/lib/virgo/identity "${@:2}"
}

# pki NODE: a folder with the node's certificate under libnbd's names.
pki() {
	local from to=$NET_DIR/pki-$1

	from=$(state_of "$1")/identity
	mkdir -p "$to"
	cp "$from/node.crt" "$to/client-cert.pem"
	cp "$from/node.key" "$to/client-key.pem"
	cp "$from/authority.crt" "$to/ca-cert.pem"
	echo "$to"
}

# uri NODE EXPORT: where NODE reaches what it leased.
uri() {
	echo "nbds://alpha/$2?tls-certificates=$NET_DIR/pki-$1"
}

# shell NODE EXPORT CODE: libnbd's Python in NODE, connected as h.
shell() {
	on "$1" nbdsh -c "h.set_uri_allow_local_file(True)
h.connect_uri('$(uri "$1" "$2")')" -c "$3"
}

status() {
	quietly on alpha virgo memory status --json | python3 -c "
import json, sys
m = json.load(sys.stdin)
print($1)"
}

is_leaving() {
	[ "$(status 'm["state"]')" = leaving ]
}

is_lending() {
	[ "$(status 'm["state"]')" = lending ]
}

refused() {
	assert_fails 1 borrow "${@:2}"
	assert_match "$(cat "$NET_DIR/last.out")" "$1"
	assert_match "$(cat "$NET_DIR/last.out")" "Try: .+"
}

# loans_are NODE N: so many leases stand in NODE's copy of the catalog.
loans_are() {
	[ "$(python3 -c "
import sqlite3, sys
print(sqlite3.connect(sys.argv[1], timeout=10).execute(
    'SELECT count(*) FROM row WHERE tbl = \"loan\" AND NOT deleted'
).fetchone()[0])" "$(state_of "$1")/catalog.db")" = "$2" ]
}

nbd_pid() {
	local p

	for p in $(net_processes); do
		[ "$(cat "/proc/$p/comm")" = virgo-nbd ] && echo "$p"
	done
	return 0
}

cloud_up home alpha beta gamma
for node in beta gamma; do
	pki "$node" > /dev/null
done

step "nothing is lent unless root says so"
refused "alpha lends no memory" beta lease a $((16 * mib))
assert_match "$(borrow beta query)" "^free=0 .*lends no memory"
on alpha useradd -m ann
assert_fails 1 on_as ann alpha virgo memory lend 64M
assert_fails 2 on alpha virgo memory lend some
assert_fails 1 on alpha virgo memory lend 1000T

step "lend 64M: leases by name, again the same, refused with reason and remedy"
on alpha virgo memory lend 64M --reserve 1M
wait_for 30 is_lending
assert_match "$(borrow beta query)" "^free=$((64 * mib)) .*:10809"
lease=$(borrow beta lease a $((16 * mib)))
assert_match "$lease" '^export=swap/beta/a@[0-9]+ generation=[0-9]+ '
assert_eq "$(borrow beta lease a $((16 * mib)))" "$lease" "the lease again"
refused "has lent a already" beta lease a $((32 * mib))
refused "48 MiB left to lend" beta lease b $((64 * mib))
refused "multiple of 4096" beta lease b 1000
refused "letters, digits" beta lease ../b $((16 * mib))
refused "as swap or as disk" beta lease b $((16 * mib)) toy
refused "does not borrow from itself" alpha lease b $((16 * mib))
first=${lease#export=}
first=${first%% *}
second=$(borrow gamma lease a $((16 * mib)) disk)
second=${second#export=}
second=${second%% *}

step "an export is opened by its owner's certificate only"
shell beta "$first" 'h.pwrite(b"kept" * 1024, 4096)'
on gamma nbdinfo "$(uri gamma "$second")"
assert_fails 1 on gamma nbdinfo "$(uri gamma "$first")"
assert_fails 1 on beta nbdinfo "$(uri beta "$second")"
assert_fails 1 on alpha nbdinfo "nbd://127.0.0.1/$first"
assert_fails 1 on beta nbdinfo "nbd://alpha/$first"
list=$(on gamma nbdinfo --list "$(uri gamma '')")
[[ $list != *beta* ]] || fail "beta's export is shown to gamma"
refused "does not lend to beta|has lent a already" beta lease a $((32 * mib))

check_data() {
	quietly shell beta "$first" 'assert h.pread(4096, 4096) == b"kept" * 1024'
}

step "policy: who may borrow, and how much"
mkdir -p "$NET_DIR/alpha/etc/virgo"
on alpha bash -c 'mkdir -p /etc/virgo
	printf "[memory]\nallow = beta\nquota = 24M\n" > /etc/virgo/virgo_cloud.conf
	virgo conf reload'
refused "does not lend to gamma" gamma lease b $((4 * mib))
refused "quota for one borrower leaves 8 MiB" beta lease b $((16 * mib))
on alpha bash -c 'rm /etc/virgo/virgo_cloud.conf; virgo conf reload'
on alpha bash -c "echo 'memory_free_bytes = $((80 * mib))' > /var/lib/virgo/load"
wait_for 30 eval 'borrow beta query | grep -q "^free=$((32 * mib)) "'
on alpha bash -c "echo 'memory_free_bytes = $((40 * mib))' > /var/lib/virgo/load"
wait_for 30 eval 'borrow beta query | grep -q "^free=7"'
refused "can spare 7 MiB now beside its reserve" beta lease b $((16 * mib))
on alpha rm /var/lib/virgo/load

step "the catalog says who borrows what, and refusals are written down"
wait_for 30 loans_are gamma 2
audit=$(on alpha virgo audit)
assert_match "$audit" 'beta +memory lease a, 16 MiB: ok'
assert_match "$audit" 'beta +memory lease b, 64 MiB: alpha has 48 MiB left'

step "kill -9, restart of virgo-nbd and of virgod lose nothing"
for _ in 1 2; do
	old=$(nbd_pid)
	kill -KILL "$old"
	wait_for 30 net_gone "$old"
	wait_for 30 is_lending
	wait_for 30 check_data
done
old=$(nbd_pid)
node_kill alpha
check_data
node_start alpha
wait_for 30 is_lending
check_data
assert_eq "$(nbd_pid)" "$old" "the same virgo-nbd"
node_stop alpha
check_data
kill -TERM "$old"
wait_for 30 net_gone "$old"
node_start alpha
wait_for 30 is_lending
check_data
assert_eq "$(status 'len(m["leases"]), m["leased_bytes"]')" "2 $((32 * mib))"

step "with the home node away leases go on; the catalog follows"
node_stop home
assert_match "$(borrow beta lease away $((4 * mib)))" "^export=swap/beta/away@"
assert_match "$(borrow beta leases)" "a [0-9]+ $((16 * mib)) swap"
borrow gamma release a
node_start home
wait_for 60 loans_are beta 2
borrow beta release away

step "off: the borrowers are asked; what holds data is not dropped"
start off alpha virgo memory lend off --wait 3s
wait_for 30 grep -q "waiting for" "$NET_DIR/off.log"
ret=0
finish off || ret=$?
assert_eq "$ret" 1 "status of an end that was not reached"
assert_match "$(cat "$NET_DIR/off.log")" "still in use by .*Try: "
assert_eq "$(status 'm["state"], len(m["leases"])')" "leaving 1"
check_data
refused "taking its memory back" gamma lease c $((4 * mib))

step "lend again, drain, undrain"
on alpha virgo memory lend 64M
on home virgo node drain alpha
wait_for 30 is_leaving
refused "being drained" gamma lease c $((4 * mib))
on home virgo node undrain alpha
wait_for 30 is_lending
borrow gamma lease c $((4 * mib))

step "a removed node is cut within 5 s"
hold=$(borrow gamma lease held $((4 * mib)))
hold=${hold#export=}
hold=${hold%% *}
shell gamma "$hold" 'h.pwrite(b"x" * 4096, 0)'
start user gamma nbdsh -c "h.set_uri_allow_local_file(True)
h.connect_uri('$(uri gamma "$hold")')
open('$NET_DIR/using', 'w').write('x')
while True:
    h.pread(4096, 0)"
wait_for 60 test -s "$NET_DIR/using"
on home virgo node remove gamma
wait_for "$(($(patience 5000) / 1000))" net_gone "${PID[user]}"
finish user && fail "a removed node goes on reading"
assert_fails 1 on gamma nbdinfo "$(uri gamma "$hold")"
wait_for 30 eval '[ "$(status "len(m[\"leases\"])")" = 1 ]'
assert_match "$(on alpha virgo audit)" 'gamma +memory cut held of gamma'

step "a node that lends does not leave"
assert_fails 1 on alpha virgo leave
assert_match "$(cat "$NET_DIR/last.err")" "borrow memory of this one. Try: "

step "released: the end comes, and nothing of it is left"
start off alpha virgo memory lend off --wait 60s
wait_for 30 grep -q "waiting for beta" "$NET_DIR/off.log"
borrow beta release a
finish off
assert_eq "$(status 'm["state"]')" off
wait_for 30 loans_are beta 0
wait_for 30 eval '[ -z "$(nbd_pid)" ]'
refused "alpha lends no memory" beta lease a $((16 * mib))

step "left as for a shutdown: nothing is lent until virgod starts again"
on alpha virgo memory lend 32M --reserve 1M
on alpha virgo memory leave --wait 60s
assert_eq "$(status 'm["state"]')" off
node_stop alpha
node_start alpha
wait_for 60 eval '[ "$(status "m[\"state\"]")" = lending ]'
