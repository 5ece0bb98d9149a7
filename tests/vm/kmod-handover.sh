#!/bin/bash
# Goal: virgod hands connections to virgo.ko when a call wants one; rules, removal, expiry and a missing module are kept to.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --mem 384M --timeout 560 --modules "tls veth bridge"

life=20
nodes=(alpha beta gamma)
net_up "${nodes[@]}"
for node in "${nodes[@]}"; do
	quietly on "$node" mkdir -p /etc/virgo
done

# conf NODE TEXT: its virgo_cloud.conf, to be taken over by a reload.
conf() {
	quietly on "$1" tee /etc/virgo/virgo_cloud.conf > /dev/null <<-END
		[cloud]
		certificate_life = ${life}s
		$2
	END
}

for node in "${nodes[@]}"; do
	conf "$node" ""
done
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha --verbose
node_join beta alpha
node_join gamma alpha
for node in "${nodes[@]}"; do
	wait_for 60 net_sees "$node" "${nodes[@]}"
done

# functions NODE WHO: who may call checksum there.
functions() {
	conf "$1" $'[functions]\nchecksum = '"$2"
	on "$1" virgo conf reload
}

# call NODE OF: a call from NODE, whose answer is checked.
call() {
	[ "$(quietly on "$1" virgo call --hex "$2" checksum 123456789)" = \
		839206e3 ]
}

# carried NODE: the connections that the kernel encrypts there: addresses of both
# ends, one a line.
carried() {
	quietly on "$1" ss -Htni state established | awk '
		NF == 4 && $3 ~ /:/ { ends = $3 " " $4 }
		/tcp-ulp-tls/ { print ends }'
}

# handed NODE OF NUMBER: so many connections to OF are the kernel's in NODE.
handed() {
	[ "$(carried "$1" | awk -v a="$(addr_of "$2")" \
		'index($2, a ":") || index($2, a "]:") { n++ }
		 END { print n + 0 }')" = "$3" ]
}

# A module asks another node how it is, puts what it got into the cache there and
# reads it back: what it got, and what it read, are these parameters.
sample=/sys/module/virgo_pressure/parameters
keeps() {
	quietly on "$1" bash -c 'echo "$1" > "$2/keep"' - "$2" "$sample"
	grep -Eqx '[0-9]+ [0-9]+ [01]' "$sample/answer" &&
		cmp -s "$sample/answer" "$sample/kept"
}

# cached COMMAND: what kmemcache of beta answers to a client of it.
cached() {
	quietly on beta timeout 60 bash -c 'exec 4<> /dev/tcp/127.0.0.1/11311
		printf "%s\r\nquit\r\n" "$1" >&4
		tr -d "\r" <&4' - "$1"
}

# kmemcache CALL: of kmod_kit.py's Netlink, in beta.
kmemcache() {
	quietly on beta env PYTHONPATH="$VM_SRC" python3 -B -c "
from kmod_kit import Netlink
Netlink().$1"
}

step "without the module there is nothing to call"
assert_fails 1 on alpha virgo call beta checksum x
assert_match "$(cat "$NET_DIR/last.err")" 'not loaded'

step "it comes while virgod runs; nothing is allowed"
modprobe virgo_checksum
quietly wait_for 60 grep -q 'virgo.ko is there' "$NET_DIR/virgod-alpha.log"
refused() {
	! quietly on "$1" virgo call "$2" checksum x > /dev/null \
		2> "$NET_DIR/refused" && grep -q "$3" "$NET_DIR/refused"
}
wait_for 60 refused alpha beta 'not allow'

step "what [functions] allows is, after a reload"
functions beta "alpha, gamma"
functions gamma '*'
wait_for 10 call alpha beta
handed alpha beta 1
handed beta alpha 1
refused beta alpha 'not allow'

step "users call under their names, those that both nodes name"
for user in ann bob; do
	quietly on alpha useradd -m "$user"
done
assert_fails 1 on_as ann alpha virgo call beta checksum x
assert_match "$(cat "$NET_DIR/last.err")" 'this user may not call'
conf alpha $'[calls]\nusers = ann, bob'
on alpha virgo conf reload
functions beta "alpha, gamma, ann@alpha"
calls_as() {
	quietly on_as "$1" alpha virgo call beta checksum x > /dev/null \
		2> "$NET_DIR/as.err"
}
wait_for 30 calls_as ann
assert_fails 1 on_as bob alpha virgo call beta checksum x
assert_match "$(cat "$NET_DIR/last.err")" 'not allowed'
conf alpha ""
on alpha virgo conf reload
ann_is_out() {
	! calls_as ann && grep -q 'this user may not call' "$NET_DIR/as.err"
}
wait_for 30 ann_is_out

step "nobody else has a connection"
handed alpha gamma 0
handed gamma beta 0

step "with virgod stopped on both it still answers"
kill -STOP "${PID[virgod-alpha]}" "${PID[virgod-beta]}"
call alpha beta
kill -CONT "${PID[virgod-alpha]}" "${PID[virgod-beta]}"

step "so it does to a module that calls a function and uses the cache there"
modprobe virgo_pressure
kmemcache 'start_cache(11311, size=8 << 20)'
conf beta $'[functions]\npressure = alpha\nvirgo.cache.get = alpha\nvirgo.cache.set = alpha'
on beta virgo conf reload
wait_for 30 keeps alpha beta
assert_out DELETED cached "delete pressure"
kill -STOP "${PID[virgod-alpha]}" "${PID[virgod-beta]}"
keeps alpha beta ||
	fail "answer '$(< "$sample/answer")', kept '$(< "$sample/kept")'"
kill -CONT "${PID[virgod-alpha]}" "${PID[virgod-beta]}"
answer=$(< "$sample/answer")
assert_out "$(printf 'VALUE pressure 0 %s\n%s\nEND' "${#answer}" "$answer")" \
	cached "get pressure"
kmemcache 'stop_cache(11311)'
rmmod virgo_pressure

step "who is allowed no longer is refused"
functions beta gamma
refused alpha beta 'not allow'
functions beta '*'
call alpha beta

step "one that ended is renewed, without a call"
wait_for 60 net_sees alpha alpha beta gamma
node_stop beta
wait_for 10 handed alpha beta 0
node_start beta
wait_for 60 handed alpha beta 1
wait_for 10 call alpha beta

step "a node that cannot have the module: told at once, and its files and jobs work"
node_stop gamma
rm -f "$(state_of gamma)/run/virgod.sock"
start virgod-gamma gamma setpriv --bounding-set=-net_admin \
	--inh-caps=-net_admin "$VIRGO_BUILD/daemon/virgod"
wait_for 60 net_sees alpha alpha beta gamma
start_s=$SECONDS
assert_fails 1 on alpha virgo call gamma checksum x
assert_match "$(cat "$NET_DIR/last.err")" 'no connection'
[ $((SECONDS - start_s)) -lt 4 ] || fail "it waited"
handed alpha gamma 0
quietly on gamma useradd -m ann
assert_out gamma on_as ann alpha virgo run -n gamma hostname
node_stop gamma
node_start gamma
wait_for 60 net_sees alpha alpha beta gamma

step "a name that no node has"
assert_fails 1 on alpha virgo call nobody checksum x
assert_match "$(cat "$NET_DIR/last.err")" 'no connection'

step "a connection outlives the certificates it began with, while they are renewed"
wait_for 60 call gamma beta
serial() {
	openssl x509 -serial -noout -in "$(state_of "$1")/identity/node.crt"
}
changed() {
	[ "$(serial "$1")" != "$2" ]
}
were=$(carried gamma)
for _ in 1 2; do
	was=$(serial gamma)
	wait_for $((4 * life)) changed gamma "$was"
done
call gamma beta
assert_eq "$(carried gamma)" "$were" "the connection"

step "removed: its connection is cut within 5 s, though nothing of it moves"
limit=5
awk -v cpus="$(nproc)" '{ exit $1 > 2 * cpus }' /proc/loadavg || limit=60
kill -STOP "${PID[virgod-gamma]}"
on alpha virgo node remove gamma
wait_for "$limit" handed beta gamma 0
assert_fails 1 on beta virgo call gamma checksum x
kill -KILL "${PID[virgod-gamma]}"
finish virgod-gamma || :

step "expired: it ends when nobody renews the certificate any more"
call alpha beta
kill -STOP "${PID[virgod-alpha]}"
wait_for $((3 * life)) handed beta alpha 0
kill -CONT "${PID[virgod-alpha]}"

step "the module goes when the virgods that hold connections have"
node_stop alpha
node_stop beta
rmmod virgo_checksum virgo
