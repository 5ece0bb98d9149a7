#!/bin/bash
# Goal: less memory to lend, by a reload: what was leased before can still be written, nobody gets more.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
command -v nbdsh > /dev/null || skip "nbdsh is not installed"

mib=$((1 << 20))

borrow() {
	on beta python3 "$NET_SRC/tests/net/memory_peer.py" alpha \
		/var/lib/virgo/identity "$@"
}

# configure LEND: alpha's [memory] lend, reloaded.
configure() {
	on alpha bash -c "mkdir -p /etc/virgo
		printf '[memory]\nlend = $1\nreserve = 1M\n' > /etc/virgo/virgo_cloud.conf
		virgo conf reload"
}

free_is() {
	borrow query | grep -q "^free=$1 "
}

says() {
	on alpha virgo memory status | grep -Eq "$1"
}

cloud_up alpha beta
mkdir "$NET_DIR/pki"
identity=$(state_of beta)/identity
cp "$identity/node.crt" "$NET_DIR/pki/client-cert.pem"
cp "$identity/node.key" "$NET_DIR/pki/client-key.pem"
cp "$identity/authority.crt" "$NET_DIR/pki/ca-cert.pem"

step "lent by the configuration"
configure 64M
wait_for 30 free_is $((64 * mib))
export=$(borrow lease a $((48 * mib)))
export=${export#export=}
export=${export%% *}
free_is $((16 * mib)) || fail "not 16 MiB are left"

# Every page, other data each time.
fill() {
	on beta nbdsh -c "import nbd, os
h = nbd.NBD()
h.set_uri_allow_local_file(True)
h.connect_uri('nbds://alpha/$export?tls-certificates=$NET_DIR/pki')
data = os.urandom(1 << 20)
for at in range(0, h.get_size(), 1 << 20):
    h.pwrite(data, at)
h.flush()
for at in range(0, h.get_size(), 1 << 20):
    assert h.pread(1 << 20, at) == data, at"
}

step "half of what is leased: the lease keeps all its room"
configure 24M
wait_for 30 says '^lending: 24M.*leased 48M'
wait_for 30 free_is 0
fill
assert_fails 1 borrow lease b 4096
assert_match "$(cat "$NET_DIR/last.out")" "0 MiB left to lend"
says 'leased 48M, 48M of it with data' || fail "$(on alpha virgo memory status)"

step "more again: the rest is free"
configure 56M
wait_for 30 free_is $((8 * mib))
fill

step "none: it is asked back, and stays usable until it is given back"
configure 0
wait_for 30 eval 'borrow leases | grep -q "^a .* leaving"'
fill
borrow release a
wait_for 60 says '^off'
