#!/bin/bash
# Goal: at the limits of leased memory requests are answered as the protocol says.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in nbdinfo nbdsh; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

mib=$((1 << 20))

borrow() {
	on "$1" python3 "$NET_SRC/tests/net/memory_peer.py" alpha \
		/var/lib/virgo/identity "${@:2}"
}

# export_of LEASE: the export's name out of what a lease prints.
export_of() {
	local name=${1#export=}

	echo "${name%% *}"
}

# shell NODE EXPORT CODE: libnbd's Python in NODE, with dial() and one
# connection h, unchecked: what is sent is what the code says.
shell() {
	on "$1" nbdsh -c "import nbd
def dial():
    c = nbd.NBD()
    c.set_strict_mode(0)
    c.set_uri_allow_local_file(True)
    c.connect_uri('nbds://alpha/$2?tls-certificates=$NET_DIR/pki-$1')
    return c
def refused(errno, call, *args):
    try:
        call(*args)
    except nbd.Error as e:
        assert e.errnum == errno, e
    else:
        assert False, 'not refused'
h = dial()
$3"
}

cloud_up alpha beta gamma
for node in beta gamma; do
	mkdir "$NET_DIR/pki-$node"
	identity=$(state_of "$node")/identity
	cp "$identity/node.crt" "$NET_DIR/pki-$node/client-cert.pem"
	cp "$identity/node.key" "$NET_DIR/pki-$node/client-key.pem"
	cp "$identity/authority.crt" "$NET_DIR/pki-$node/ca-cert.pem"
done
on alpha virgo memory lend 96M --reserve 1M
wait_for 30 eval 'borrow beta query | grep -q "^free=[1-9]"'

step "a borrower on the lender's own machine is refused, unless that is allowed"
assert_match "$(borrow beta query -)" "^free=0 .*on the same machine as beta"
assert_fails 1 borrow beta lease a $((4 * mib)) swap -
assert_match "$(cat "$NET_DIR/last.out")" "borrow from itself.*Try: .*same_machine"
assert_match "$(borrow beta query 00000000-0000-4000-8000-000000000000)" "^free=[1-9]"
on alpha bash -c 'mkdir -p /etc/virgo
	printf "[memory]\nsame_machine = yes\n" > /etc/virgo/virgo_cloud.conf
	virgo conf reload'
assert_match "$(borrow beta query -)" "^free=[1-9]"
borrow beta lease a $((4 * mib)) swap -
on alpha bash -c 'rm /etc/virgo/virgo_cloud.conf; virgo conf reload'
# What is lent already stays so.
borrow beta lease a $((4 * mib)) swap -
borrow beta release a

first=$(export_of "$(borrow beta lease a $((64 * mib)))")

step "128 KiB, 32 MiB, unaligned, the last byte, out of range"
shell beta "$first" '
import os
size = h.get_size()
assert size == 64 << 20
for length in (128 << 10, 32 << 20):
    data = os.urandom(length)
    h.pwrite(data, 12345)
    assert h.pread(length, 12345) == data, length
h.pwrite(b"last", size - 4)
assert h.pread(4, size - 4) == b"last"
refused(28, h.pwrite, b"xx", size - 1)
refused(28, h.pwrite, b"x", 1 << 62)
refused(22, h.pread, 2, size - 1)
refused(22, h.pread, 1, (1 << 63) - 1)
refused(22, h.trim, 4096, size)
refused(22, h.pread, (32 << 20) + 1, 0)
assert h.pread(4, size - 4) == b"last"'

step "200 connections at once, all served"
shell beta "$first" '
all = [dial() for i in range(200)]
for i, c in enumerate(all):
    c.pwrite(bytes([i + 1]) * 5000, i * 5000)
for i, c in enumerate(reversed(all)):
    j = 199 - (i + 7) % 200
    assert c.pread(5000, j * 5000) == bytes([j + 1]) * 5000, j'
on alpha virgo memory status

step "full: what was leased can be written, nobody gets more"
second=$(export_of "$(borrow gamma lease a $((32 * mib)) disk)")
assert_fails 1 borrow gamma lease b 4096
assert_match "$(cat "$NET_DIR/last.out")" "0 MiB left to lend.*Try: "
fill='
import os
data = os.urandom(1 << 20)
for at in range(0, h.get_size(), 1 << 20):
    h.pwrite(data, at)
for at in range(0, h.get_size(), 1 << 20):
    assert h.pread(1 << 20, at) == data, at'
shell beta "$first" "$fill"
shell gamma "$second" "$fill"
assert_match "$(on alpha virgo memory status)" \
	'^lending: 96M, reserve 1.*; leased 96M, 96M of it with data'
assert_fails 1 on alpha virgo memory lend 80M
assert_match "$(cat "$NET_DIR/last.err")" "96 MiB are lent already"

step "the other node's certificate opens neither"
assert_fails 1 shell gamma "$first" ''
assert_fails 1 shell beta "$second" ''
assert_fails 1 shell beta "${first%@*}@999" ''

step "this machine needs memory: the lease that is used least is asked to move"
total=$(awk '/^MemTotal/ { print $2 }' /proc/meminfo)
on alpha virgo memory lend 96M --reserve "$((total - 131072))K"
wait_for 120 eval 'borrow beta leases | grep -q "^a .* leaving"'
assert_match "$(borrow gamma leases)" "stays"
assert_match "$(on alpha virgo audit)" "beta +memory recall a: ok"
on alpha virgo memory lend 96M --reserve 1M
wait_for 60 eval 'borrow beta leases | grep -q "^a .* stays"'
shell beta "$first" "assert any(h.pread(1 << 20, 0))"

step "released, leased anew: another generation, and zeros"
borrow beta release a
again=$(export_of "$(borrow beta lease a $((64 * mib)))")
[ "$again" != "$first" ] || fail "the generation came twice"
assert_fails 1 shell beta "$first" ''
shell beta "$again" 'assert h.pread(1 << 20, 1 << 20) == bytearray(1 << 20)'
