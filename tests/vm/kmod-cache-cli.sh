#!/bin/bash
# Goal: virgo cache is the kernel's where the module is: used over TLS from another node, found again by virgod, and virgod's where the module is not or may not.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --mem 512M --timeout 560 --modules "tls veth bridge"
here=$NET_SRC/tests/vm

cloud_up alpha beta
quietly on alpha useradd -m ann

# conf NODE TEXT: its virgo_cloud.conf.
conf() {
	quietly on "$1" mkdir -p /etc/virgo
	quietly on "$1" tee /etc/virgo/virgo_cloud.conf > /dev/null <<< "$2"
	quietly on "$1" virgo conf reload
}

# served NODE EXPRESSION: of what status --json says of the cache, k.
served() {
	quietly on "$1" virgo status --json | python3 -c '
import json, sys
k = json.load(sys.stdin)["cache"]
print(eval(sys.argv[1]))' "$2"
}

# kernel NODE EXPRESSION: of the module's caches, a list of dictionaries.
kernel() {
	quietly on "$1" env PYTHONPATH="$here" python3 -B -c '
import sys
from kmod_kit import *
caches = Netlink().request(CMD_CACHE_GET, dump=True)
print(eval(sys.argv[1]))' "$2"
}

step "without the module it is virgod's, and it says so"
assert_out None served alpha k
on beta virgo cache start
assert_out "in virgod: 64M, values up to 1.0M, 127.0.0.1 and ::1 port 11211 (not in the kernel: virgo.ko: it is not loaded)" \
	on beta virgo cache list
on beta virgo cache stop
assert_out "" on beta virgo cache list

step "with it, the kernel's, in the bounds of both"
modprobe virgo
module_heard() {
	on beta virgo cache start --size 1M --value-max 8M \
		2> "$NET_DIR/bounds" || return 1
	[ "$(served beta 'k["served_by"]')" = kernel ] && return
	on beta virgo cache stop
	return 1
}
wait_for 20 module_heard
assert_eq "$(cat "$NET_DIR/bounds")" \
	"virgo: cache: the kernel has bounded --size to 8.0M
virgo: cache: the kernel has bounded --value-max to 4.0M" "what it says of bounds"
on beta virgo cache stop
assert_out '[]' kernel beta caches
assert_fails 1 on beta virgo cache stop
on beta virgo cache start --size 32M --value-max 2M
assert_out "in the kernel: 32M, values up to 2.0M, 127.0.0.1 port 11211" \
	on beta virgo cache list
assert_match "$(quietly on beta virgo status)" $'\n'"cache in the kernel: 32M, "
assert_out "11211 33554432" kernel beta \
	'"%s %s" % (caches[0][A_CACHE_PORT], caches[0][A_CACHE_BYTES])'
assert_fails 1 on beta virgo cache start
assert_match "$(cat "$NET_DIR/last.err")" 'has one already'

step "a stock client there, and virgo cache from both nodes"
on beta python3 -B "$here/kmod_cache_cli.py" stock 11211
on beta virgo cache set greeting hello
assert_out hello on beta virgo cache get greeting
assert_out hello on_as ann alpha virgo cache get --node beta greeting
head -c 1000000 /dev/urandom > "$NET_DIR/data"
on alpha bash -c 'virgo cache set --node beta large < "$1"' - "$NET_DIR/data"
on beta virgo cache get large > "$NET_DIR/back"
cmp "$NET_DIR/data" "$NET_DIR/back"
assert_fails 1 on alpha virgo cache get --node beta none
assert_match "$(quietly on alpha virgo cache stats --node beta)" \
	$'\ncurr_items [1-9]'

step "through a port of alpha over TLS: 16 clients, long values, one that waits"
on alpha virgo cache start --of beta --port 11222
assert_out "port 11222: the cache of beta" on alpha virgo cache list
on alpha python3 -B "$here/kmod_cache_cli.py" through 11222

step "[cache] holds for the kernel's at once; shares that cannot be stay as they were"
terms='"%s %s %s %s %s" % tuple(caches[0][one] for one in (A_CACHE_IDLE,
	A_CACHE_STALL, A_CACHE_CLIENTS, A_CACHE_HOT, A_CACHE_WARM))'
assert_out "0 30 16384 20 40" kernel beta "$terms"
conf beta $'[cache]\nidle = 90s\nstall = 7s\nconnections = 3\nhot_percent = 31\nwarm_percent = 23'
assert_out "90 7 3 31 23" kernel beta "$terms"
on beta python3 -B "$here/kmod_cache_cli.py" crowd 11211 3
goes_by() {
	on beta python3 -B "$here/kmod_cache_cli.py" shares "$@" \
		2> /dev/null
}
wait_for 10 goes_by 11211 31 23
conf beta $'[cache]\nhot_percent = 50\nwarm_percent = 31'
assert_out "90 7 3 31 23" kernel beta "$terms"
assert_match "$(cat "$NET_DIR/virgod-beta.log")" 'above 80 together'
conf beta ""
assert_out "0 30 16384 20 40" kernel beta "$terms"

step "those that leave in the middle leave nothing behind"
conf beta $'[cache]\nstall = 1s'
on alpha python3 -B "$here/kmod_cache_cli.py" leave 11222
nobody_left() {
	! quietly on beta ss -tnHp 'dport = :11211' | grep virgod &&
		[ "$(kernel beta 'caches[0][A_CACHE_CONNECTIONS]')" = 0 ]
}
wait_for 30 nobody_left
conf beta ""

step "who is not allowed gets nothing"
conf beta $'[allow]\nalpha = ann'
assert_fails 1 on alpha virgo cache get --node beta greeting
assert_match "$(cat "$NET_DIR/last.err")" "user 'root' of alpha may not"
on alpha python3 -B "$here/kmod_cache_cli.py" refused 11222
assert_out hello on beta virgo cache get greeting
conf beta ""

step "virgod ends: the kernel's goes on, and is found again"
node_stop beta
on beta python3 -B "$here/kmod_cache_cli.py" has 11211 greeting hello
quietly on beta tee /etc/virgo/virgo_cloud.conf > /dev/null \
	<<< $'[cache]\nhot_percent = 33'
node_start beta
assert_out "0 30 16384 33 40" kernel beta "$terms"
assert_out "in the kernel: 32M, values up to 2.0M, 127.0.0.1 port 11211" \
	on beta virgo cache list
assert_out hello on beta virgo cache get greeting
reached() {
	[ "$(quietly on alpha virgo cache get --node beta greeting)" = hello ]
}
wait_for 60 reached

step "[allow] that keeps nobody out: virgod's, which refuses the nameless"
conf beta $'[allow]\nbeta = root\nalpha = *'
virgods() {
	[ "$(served beta 'k and k["served_by"]')" = virgod ]
}
wait_for 20 virgods
assert_out "[allow] keeps nobody of this node out" served beta 'k["why"]'
assert_out '[]' kernel beta caches
assert_fails 1 on beta virgo cache get greeting
on beta python3 -B "$here/kmod_cache_cli.py" shut 11211
conf beta ""
on beta virgo cache stop

step "VIRGO_MODULE=off, and [cache] kernel and local"
on beta env VIRGO_MODULE=off virgo cache start
assert_out "virgod VIRGO_MODULE is off" served beta \
	'k["served_by"] + " " + k["why"]'
on beta virgo cache stop
for key in kernel local; do
	conf beta "[cache]
$key = no"
	on beta virgo cache start
	assert_out "virgod [cache] $key is no" served beta \
		'k["served_by"] + " " + k["why"]'
	on beta virgo cache stop
done
conf beta ""

step "started with virgod, by [cache] size; the module goes: virgod's instead"
node_stop beta
quietly on beta tee /etc/virgo/virgo_cloud.conf > /dev/null \
	<<< $'[cache]\nsize = 16M\nport = 11244\nwarm_percent = 45'
node_start beta
assert_out "in the kernel: 16M, values up to 1.0M, 127.0.0.1 port 11244" \
	on beta virgo cache list
goes_by 11244 20 45
on beta virgo cache set greeting hello
rmmod virgo
wait_for 20 virgods
assert_out "in virgod: 16M, values up to 1.0M, 127.0.0.1 and ::1 port 11244 (not in the kernel: virgo.ko: it is not loaded)" \
	on beta virgo cache list
assert_fails 1 on beta virgo cache get greeting
assert_match "$(cat "$NET_DIR/last.err")" 'not in the cache'
on beta virgo cache set greeting again
assert_out again on beta virgo cache get greeting
assert_match "$(cat "$NET_DIR/virgod-beta.log")" 'the cache went with virgo.ko'
