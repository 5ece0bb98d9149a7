#!/bin/bash
# Goal: a user's memory objects, made on one node, are read and written from all, by nobody else, and end when they should.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

mib=$((1 << 20))
shared=$VIRGO_BUILD/lib/examples/example-shared

# at USER NODE CMD...: with libvirgo and its Python module
at() {
	quietly on_as "$1" "$2" env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
		PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$NET_SRC/lib/python" "${@:3}"
}

# make NODE BYTES [LEASE_S]: ann's object, held by nobody
make() {
	at ann "$1" "$shared" make "${@:2}"
}

# refused REGEX USER NODE CMD...
refused() {
	assert_fails 1 at "${@:2}"
	assert_match "$(cat "$NET_DIR/last.err")" "$1"
}

# errors EXPECTED USER NODE CODE: Python code that must raise errno EXPECTED
errors() {
	assert_out "$1" at "$2" "$3" python3 -c "
import errno, virgo
try:
    $4
except virgo.Error as e:
    print(errno.errorcode[e.errno])"
}

# node_json NODE EXPRESSION: of what virgo memory objects says to root
node_json() {
	quietly on "$1" virgo memory objects --json | python3 -c "
import json, sys
m = json.load(sys.stdin)
print($2)"
}

map_json() {
	at ann "$1" virgo memory map "$2" --json | python3 -c "
import json, sys
m = json.load(sys.stdin)
print($3)"
}

budget() {
	on "$1" bash -c "mkdir -p /etc/virgo
		printf '[memory]\nreserve = 1M\n$2' > /etc/virgo/virgo_cloud.conf
		virgo conf reload"
}

takes() {
	[ "$(node_json "$1" 'm["kept_bytes"]')" = "$2" ]
}

cloud_up alpha beta gamma
for n in alpha beta gamma; do
	for user in ann bob; do
		quietly on "$n" useradd -m $user
	done
	budget "$n" 'objects = 8M\n'
done

step "made on alpha, written from beta, read from gamma; zero at first"
one=$(make alpha 5000)
assert_match "$one" '^[0-9a-f]{32}$'
at ann gamma "$shared" get "$one" 0 5000 | cmp - <(head -c 5000 /dev/zero)
head -c 5000 /dev/urandom > "$NET_DIR/one"
at ann beta "$shared" put "$one" 0 < "$NET_DIR/one"
for n in alpha beta gamma; do
	at ann "$n" "$shared" get "$one" 0 5000 | cmp - "$NET_DIR/one"
done
printf hello | at ann gamma "$shared" put "$one" 4995
assert_out hello at ann alpha "$shared" get "$one" 4995 5
takes alpha 8192 || fail "5000 bytes do not count as two pages"

step "an object larger than one node's budget spans nodes"
head -c $((20 * mib + 777)) /dev/urandom > "$NET_DIR/big"
big=$(make alpha $((20 * mib + 777)))
at ann gamma "$shared" put "$big" 0 < "$NET_DIR/big"
at ann beta "$shared" get "$big" 0 $((20 * mib + 777)) | cmp - "$NET_DIR/big"
at ann alpha "$shared" get "$big" $((6 * mib + 5)) $((9 * mib)) |
	cmp - <(dd if="$NET_DIR/big" bs=1M iflag=skip_bytes,count_bytes \
		skip=$((6 * mib + 5)) count=$((9 * mib)) status=none)
for n in alpha beta gamma; do
	[ "$(node_json "$n" 'm["kept_bytes"] <= m["budget_bytes"]')" = True ] ||
		fail "$n keeps more than its budget"
done

step "the translation table: every extent, its node and its generation"
assert_eq "$(map_json gamma "$big" '[e["extent"] for e in m["extents"]] == list(range(21)), sorted({e["node"] for e in m["extents"]}), len({(e["node"], e["generation"]) for e in m["extents"]}), m["maker"]')" \
	"True ['alpha', 'beta', 'gamma'] 3 alpha" "table"
assert_match "$(at ann beta virgo memory map "$big")" $'\n +20  (beta|gamma) +[0-9a-f]{16}'
assert_eq "$(map_json beta "$one" '[e["node"] for e in m["extents"]]')" "['alpha']"

step "what has no place is refused whole"
refused 'lack room for .*Try: ' ann alpha "$shared" make $((20 * mib))
errors ENOMEM ann beta "virgo.malloc(20 << 20)"
for n in alpha beta gamma; do
	[ "$(at ann "$n" virgo memory objects --json | grep -o '"held":true')" = "" ] ||
		fail "something is left of what was refused"
done

step "ranges: beyond the object nothing changes"
errors ERANGE ann beta "virgo.Memory('$one').set(b'x' * 6, 4995)"
errors ERANGE ann beta "virgo.Memory('$one').get(1, 5000)"
errors ERANGE ann gamma "virgo.Memory('$one').get(5, 2 ** 64 - 2)"
errors ERANGE ann gamma "virgo.Memory('$big').set(bytes(3 << 20), 18 << 20)"
assert_out hello at ann alpha "$shared" get "$one" 4995 5
at ann beta "$shared" get "$big" 0 $((20 * mib + 777)) | cmp - "$NET_DIR/big"
errors EINVAL ann alpha "virgo.malloc(0)"
errors EINVAL ann alpha "virgo.malloc(2 ** 40)"
errors EINVAL ann alpha "virgo.malloc(1, lease=0.5)"

step "a set within an extent is one step for those who get"
at ann gamma python3 - "$big" << 'END' &
import sys, virgo
memory = virgo.Memory(sys.argv[1])
for i in range(300):
    memory.set(bytes([i % 251]) * 100000, 9 << 20)
END
writer=$!
at ann beta python3 - "$big" << 'END'
import sys, virgo
memory = virgo.Memory(sys.argv[1])
memory.set(bytes(100000), 9 << 20)
for _ in range(300):
    got = memory.get(100000, 9 << 20)
    assert got.count(got[:1]) == len(got), "torn"
END
wait "$writer"
at ann beta "$shared" put "$big" 0 < "$NET_DIR/big"

step "another user is refused everywhere, and it is written down"
for n in alpha beta gamma; do
	errors EACCES bob "$n" "virgo.Memory('$one').get(1)"
	errors EACCES bob "$n" "virgo.Memory('$big').get(1, 20 << 20)"
	errors EACCES bob "$n" "virgo.Memory('$big').set(b'x')"
	errors EACCES bob "$n" "virgo.Memory('$one').free()"
	assert_fails 1 at bob "$n" virgo memory map "$big"
	assert_fails 1 at root "$n" virgo memory map "$big"
done
audit=$(on alpha virgo audit -n 200)
assert_match "$audit" 'bob@beta +memory object free .*: it is another user'
assert_match "$audit" 'bob@alpha +memory object .*: it is another user'
assert_match "$audit" 'ann@alpha +memory object make .*, 4 KiB: ok'
assert_match "$(on gamma virgo audit -n 200)" 'ann@alpha +memory object .* KiB: ok'
[[ $audit != *"$one"* ]] || fail "a handle stands in the audit log"
at ann gamma "$shared" get "$big" 0 $((20 * mib + 777)) | cmp - "$NET_DIR/big"

step "wrong handles are stale, not memory"
errors ESTALE ann beta "virgo.Memory('0' * 32).get(1)"
errors ESTALE ann beta "virgo.Memory('${one:0:16}0123456789abcdef').get(1)"
errors ESTALE ann alpha "virgo.Memory('${one:0:16}0123456789abcdef').free()"
errors EINVAL ann alpha "virgo.Memory('xyz')"
assert_fails 2 at ann beta virgo memory map 123

step "freed from another node it is stale on all, and its room is back"
at ann gamma virgo memory free "$big"
for n in alpha beta gamma; do
	errors ESTALE ann "$n" "virgo.Memory('$big').get(1, 20 << 20)"
	errors ESTALE ann "$n" "virgo.Memory('$big').set(b'x')"
	errors ESTALE ann "$n" "virgo.Memory('$big').free()"
done
wait_for 10 takes alpha 8192
wait_for 10 takes beta 0
wait_for 10 takes gamma 0

step "no user has more than the quota"
for n in alpha beta gamma; do
	budget "$n" 'objects = 8M\nobjects_quota = 1M\n'
done
errors ENOMEM bob gamma "virgo.malloc(4 << 20)"
at bob gamma python3 -c "import virgo; virgo.malloc(3 << 20).free()"
for n in alpha beta gamma; do
	budget "$n" 'objects = 8M\n'
done

step "held by its program, then freed everywhere when unused for its lease"
start holder beta setpriv --reuid ann --regid ann --init-groups \
	env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" PYTHONPATH="$NET_SRC/lib/python" \
	PYTHONDONTWRITEBYTECODE=1 python3 -c "
import signal, virgo
memory = virgo.malloc(20 << 20, lease=3)
print(memory, flush=True)
signal.pause()"
wait_for 30 grep -q . "$NET_DIR/holder.log"
held=$(cat "$NET_DIR/holder.log")
[ "$(map_json alpha "$held" 'm["held"]')" = True ] || fail "not held"
outlived() { ! grep -q "$held" <(at ann beta virgo memory objects); }
idle_held() { at ann beta virgo memory objects --json | grep -q "$held.*\"held\":true"; }
idle_held
kill -9 "${PID[holder]}"
finish holder 2> /dev/null || :
used() {
	at ann gamma python3 -c "
import time, virgo
memory = virgo.Memory('$held')
end = time.monotonic() + 8
while time.monotonic() < end:
    memory.get(1, 19 << 20)
    time.sleep(0.1)"
}
used
[ "$(node_json gamma 'm["kept_bytes"] > 0')" = True ] || fail "gamma kept none"
wait_for 60 outlived
wait_for 10 takes alpha 8192
wait_for 10 takes beta 0
wait_for 10 takes gamma 0
errors ESTALE ann gamma "virgo.Memory('$held').get(1)"
assert_match "$(on beta virgo audit)" 'ann@beta +memory object end .*its lease has ended'

step "a node that hangs is an error in time, and keeps what it has"
big=$(make alpha $((20 * mib)) 600)
at ann alpha "$shared" put "$big" 0 < <(head -c $((20 * mib)) "$NET_DIR/big")
last=$(map_json alpha "$big" 'm["extents"][-1]["node"]')
kill -STOP "${PID[virgod-$last]}"
before=$SECONDS
assert_fails 1 at ann alpha "$shared" get "$big" $((19 * mib)) 1
[ $((SECONDS - before)) -lt "$(($(patience 10000) / 1000))" ] ||
	fail "it took $((SECONDS - before)) s"
kill -CONT "${PID[virgod-$last]}"
is_back() {
	at ann alpha "$shared" get "$big" $((19 * mib)) $mib | cmp - \
		<(dd if="$NET_DIR/big" bs=1M skip=19 count=1 status=none)
}
wait_for 30 is_back
at ann beta virgo memory free "$big"
for n in beta gamma; do
	wait_for 30 takes "$n" 0
done

step "[allow] counts for objects too"
budget beta 'objects = 8M\n[allow]\nalpha = bob\n'
errors ENOMEM ann alpha "virgo.malloc(20 << 20)"
at bob alpha python3 -c "import virgo; virgo.malloc(20 << 20).free()"
budget beta 'objects = 8M\n[allow]\nbeta = bob\n* = *\n'
errors EACCES ann beta "virgo.malloc(1)"
budget beta 'objects = 8M\n'

step "a keeper that is started anew has lost its part, and says so"
big=$(make alpha $((20 * mib)) 600)
at ann gamma "$shared" put "$big" 0 < <(head -c $((20 * mib)) "$NET_DIR/big")
last=$(map_json alpha "$big" 'm["extents"][-1]["node"]')
other=$(map_json alpha "$big" 'm["extents"][10]["node"]')
[ "$last" != "$other" ] || fail "both parts are on $last"
node_kill "$last"
node_start "$last"
wait_for 30 net_sees alpha alpha beta gamma
is_stale() ( errors ESTALE ann alpha "virgo.Memory('$big').get(1, 19 << 20)" ) 3> /dev/null
wait_for 30 is_stale
assert_out 1 at ann alpha python3 -c "
import virgo; print(len(virgo.Memory('$big').get(1, 10 << 20)))"
lost() { [ "$(map_json alpha "$big" '[e["node"] for e in m["extents"] if e["lost"]][-1]')" = "$last" ]; }
wait_for 60 lost

step "its maker started anew: stale, and the others let go when the run's lease ends"
node_kill alpha
node_start alpha
wait_for 30 net_sees beta alpha beta gamma
stale_map() ( errors ESTALE ann beta "len(virgo.Memory('$big'))" ) 3> /dev/null
wait_for 30 stale_map
stale_map
errors ESTALE ann beta "virgo.Memory('$one').get(1)"
wait_for 100 takes "$other" 0
assert_match "$(on "$other" virgo audit)" 'ann@alpha +memory object lost .*has not renewed it'

step "C and Python examples"
assert_out "alpha wrote alpha
beta wrote beta
gamma wrote gamma" at ann alpha env PYTHONPATH="$NET_SRC/lib/python" \
	python3 "$NET_SRC/lib/examples/board.py"

step "a removed node's part is stale; it gets nothing any more"
big=$(make beta $((20 * mib)) 600)
map_json beta "$big" 'sorted({e["node"] for e in m["extents"]})' |
	grep -q gamma || fail "gamma has no part"
at ann gamma "$shared" get "$big" 0 1 > /dev/null
on alpha virgo node remove gamma
gone() ( errors ESTALE ann beta "virgo.Memory('$big').get()" ) 3> /dev/null
wait_for 30 gone
# Its maker, beta, cuts it off when it hears of the removal: within 5 s.
cut() ( refused . ann gamma "$shared" get "$big" 0 1 ) 3> /dev/null
wait_for 5 cut
at ann alpha "$shared" free "$big"
wait_for 10 takes beta 0
