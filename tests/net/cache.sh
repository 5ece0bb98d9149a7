#!/bin/bash
# Goal: the cache speaks memcached: what memcached 1.6 answers, its clients work, other nodes reach it.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in memcached memccapable; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done
here=$NET_SRC/tests/net

cloud_up alpha beta
on alpha useradd -m ann
on beta useradd -m ann
on beta virgo cache start --size 64M

step "a transcript differs from memcached's by no byte"
start memcached beta memcached -u root -l 127.0.0.1 -p 11311 -U 0 \
	-o no_lru_maintainer,no_lru_crawler
wait_for 20 on beta bash -c ': < /dev/tcp/127.0.0.1/11311'
on beta python3 "$here/cache_transcript.py" 11211 11311 "${CACHE_SEED:-1}" \
	"${CACHE_COUNT:-4000}" > "$NET_DIR/transcript" ||
	fail "$(cat "$NET_DIR/transcript")"
say "$(cat "$NET_DIR/transcript")"

step "memccapable: its cases for text and binary"
on beta memccapable -a -h 127.0.0.1 -p 11211 > "$NET_DIR/capable" ||
	fail "$(cat "$NET_DIR/capable")"
assert_match "$(cat "$NET_DIR/capable")" 'All tests passed'
on beta memccapable -b -h 127.0.0.1 -p 11211 > "$NET_DIR/capable" ||
	fail "$(cat "$NET_DIR/capable")"

step "pymemcache's own tests"
on beta bash -c 'cd "$1" && python3 -B -m pytest -q -p no:cacheprovider \
	/usr/lib/python3/dist-packages/pymemcache/test/test_integration.py \
	-W ignore -k "not tls" --server 127.0.0.1 --port 11211 --size 1024' - "$NET_DIR" \
	> "$NET_DIR/pymemcache" 2>&1 || fail "$(tail -40 "$NET_DIR/pymemcache")"
say "$(tail -1 "$NET_DIR/pymemcache")"

step "a life ends to the second"
on beta virgo cache set --ttl 2s short x
assert_out x on beta virgo cache get short
wait_for 4 on beta bash -c '! virgo cache get short'

step "virgo cache: by any user, from this node and from another"
on_as ann beta virgo cache set greeting hello
assert_out hello on_as ann alpha virgo cache get --node beta greeting
seq 20000 | on alpha virgo cache set --node beta numbers
on beta virgo cache get numbers | cmp - <(seq 20000)
assert_fails 1 on alpha virgo cache get --node beta nothing
assert_match "$(cat "$NET_DIR/last.err")" 'nothing: not in the cache of beta'
assert_match "$(on alpha virgo cache stats --node beta)" $'\ncurr_items [1-9]'
assert_match "$(on beta virgo cache stats slabs)" 'active_slabs [1-9]'
assert_fails 1 on alpha virgo cache get greeting
assert_match "$(cat "$NET_DIR/last.err")" 'has no cache.*virgo cache start'
assert_fails 1 on_as ann beta virgo cache stop

step "a stock client on alpha reaches beta's cache over TLS"
on alpha virgo cache start --of beta --port 11222
on alpha python3 "$here/cache_clients.py" through 11222
assert_out through-tls on beta virgo cache get tunnelled
on alpha memccapable -a -h 127.0.0.1 -p 11222 > "$NET_DIR/capable" ||
	fail "$(cat "$NET_DIR/capable")"

step "who is not allowed gets nothing, and is told"
on beta virgo cache set greeting hello
on beta bash -c 'mkdir -p /etc/virgo; printf "[allow]\nalpha = ann\n" > /etc/virgo/virgo_cloud.conf'
on beta virgo conf reload
on_as ann alpha virgo cache get --node beta greeting > /dev/null
assert_fails 1 on alpha virgo cache get --node beta greeting
assert_match "$(cat "$NET_DIR/last.err")" "user 'root' of alpha may not"
on alpha python3 "$here/cache_clients.py" refused 11222
on beta bash -c 'rm /etc/virgo/virgo_cloud.conf'
on beta virgo conf reload

step "one client too many at the port to beta is told so"
on alpha bash -c 'mkdir -p /etc/virgo; printf "[cache]\nconnections = 3\n" > /etc/virgo/virgo_cloud.conf'
on alpha virgo conf reload
on alpha python3 "$here/cache_clients.py" limited 11222
on alpha bash -c 'rm /etc/virgo/virgo_cloud.conf'
on alpha virgo conf reload

step "10,000 idle connections cost less than 1 KiB each; slow ones are cut"
on beta bash -c 'mkdir -p /etc/virgo; printf "[cache]\nstall = 2s\n" > /etc/virgo/virgo_cloud.conf'
on beta virgo conf reload
on beta python3 "$here/cache_clients.py" idle 11211 "${PID[virgod-beta]}"
on beta python3 "$here/cache_clients.py" slow 11211

step "the cache ends; its port and what was in it are gone"
on alpha virgo cache stop --of beta
assert_fails 1 on alpha virgo cache stop --of beta
on beta virgo cache stop
assert_fails 1 on beta bash -c ': < /dev/tcp/127.0.0.1/11211'
on beta virgo cache start --size 1M --port 11233 --value-max 4K
assert_fails 1 on beta virgo cache get greeting
head -c 5000 /dev/zero > "$NET_DIR/zeros"
assert_fails 1 on beta bash -c 'virgo cache set long < "$1"' - "$NET_DIR/zeros"
assert_match "$(cat "$NET_DIR/last.err")" 'object too large for cache'
