#!/bin/bash
# Goal: five nodes, all of them with the module: each calls, runs on and shares memory with each, one cache serves all, and one node's end is the others' loss of that node only.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --mem 640M --timeout 560 \
	--modules "tls veth bridge virgo virgo_checksum"

nodes=(alpha beta gamma delta epsilon)
mib=$((1 << 20))
shared=$VIRGO_BUILD/lib/examples/example-shared

at() {
	quietly on_as ann "$1" env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" "${@:2}"
}

# Each to each other: EACH FROM TO.
each() {
	local from to

	for from in "${nodes[@]}"; do
		for to in "${nodes[@]}"; do
			[ "$from" = "$to" ] || "$1" "$from" "$to" ||
				fail "$1 from $from to $to"
		done
	done
}

cloud_up "${nodes[@]}"
for node in "${nodes[@]}"; do
	quietly on "$node" useradd -m ann
	quietly on "$node" bash -c 'mkdir -p /etc/virgo
		cat > /etc/virgo/virgo_cloud.conf <<-END
			[memory]
			reserve = 1M
			objects = 4M
			[functions]
			checksum = *
			[calls]
			users = ann
		END
		virgo conf reload'
done

step "each calls each: twenty connections, made when they are wanted"
call() {
	[ "$(quietly on "$1" virgo call --hex "$2" checksum 123456789)" = \
		839206e3 ]
}
each call
# Both ends of a connection are a socket here.
between() {
	[ "$(quietly on "$1" ss -Htni state established |
		grep -c tcp-ulp-tls)" -ge 4 ]
}
for node in "${nodes[@]}"; do
	between "$node" || fail "$node has not a connection to each"
done

step "each runs on each, over those"
run() {
	[ "$(quietly on_as ann "$1" virgo run -n "$2" hostname)" = "$2" ]
}
each run

step "a cache of gamma's kernel, which all the others use by a port of theirs"
on gamma virgo cache start
assert_match "$(quietly on gamma virgo cache list)" 'in the kernel'
for node in alpha beta delta epsilon; do
	quietly on "$node" virgo cache start --of gamma --port 11222
	quietly on "$node" python3 -B -c "
from pymemcache.client.base import Client
client = Client(('127.0.0.1', 11222), timeout=60)
assert client.set('$node', b'$node' * 1000, noreply=False)"
done
for node in "${nodes[@]}"; do
	port=11222
	[ "$node" != gamma ] || port=11211
	assert_out 4 quietly on "$node" python3 -B -c "
from pymemcache.client.base import Client
client = Client(('127.0.0.1', $port), timeout=60)
names = 'alpha', 'beta', 'delta', 'epsilon'
got = client.get_many(names)
print(sum(got[name] == name.encode() * 1000 for name in names))"
done

step "a memory object on all five, written and read by ioctl from each"
head -c $((18 * mib)) /dev/urandom > "$NET_DIR/data"
object=$(at alpha "$shared" make $((18 * mib)) 600)
map=$(on_as ann alpha virgo memory map "$object")
for node in "${nodes[@]}"; do
	assert_match "$map" " $node "
	mv "$(state_of "$node")/run/virgod.sock" "$NET_DIR/$node.sock"
done
at beta "$shared" put "$object" 0 < "$NET_DIR/data"
for node in "${nodes[@]}"; do
	at "$node" "$shared" get "$object" 0 $((18 * mib)) |
		cmp - "$NET_DIR/data"
	mv "$NET_DIR/$node.sock" "$(state_of "$node")/run/virgod.sock"
done

step "one of them ends: what was its is lost, all else goes on"
node_kill epsilon
nodes=(alpha beta gamma delta)
each call
each run
assert_fails 1 on alpha virgo call epsilon checksum x
assert_fails 255 on_as ann alpha virgo run -n epsilon true
assert_out True quietly on beta python3 -B -c "
from pymemcache.client.base import Client
client = Client(('127.0.0.1', 11222), timeout=60)
print(client.get('epsilon') == b'epsilon' * 1000)"
for node in "${nodes[@]}"; do
	node_stop "$node"
done
rmmod virgo_checksum virgo
