#!/bin/bash
# Goal: unmodified NBD clients of others use virgo-nbd, and find what they wrote.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in nbdinfo nbdcopy nbdsh nbdkit qemu-img qemu-io qemu-nbd \
	nbd-client fio; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

net_up alpha
sock=$NET_DIR/nbd.sock
local_uri="nbd+unix:///memory?socket=$sock"
tcp_uri=nbd://127.0.0.1/memory
start nbd alpha virgo-nbd --size 256M --listen 127.0.0.1,::1 --unix "$sock"
wait_for 60 on alpha nbdinfo "$tcp_uri"

step "nbdinfo: what it offers"
offers=$(on alpha nbdinfo --json "$local_uri")
for what in can_cache can_df can_fast_zero can_flush can_fua can_multi_conn \
	can_trim can_zero; do
	assert_match "$offers" "\"$what\": true"
done
assert_match "$offers" '"protocol": "newstyle-fixed"'
assert_match "$offers" '"structured": true'
assert_match "$offers" '"base:allocation"'
assert_match "$(on alpha nbdinfo --list 'nbd://[::1]')" 'export="memory"'
assert_match "$(on alpha nbdinfo --map "$local_uri")" '268435456 +3 +hole,zero'

step "nbdcopy: in, out, several connections"
head -c 48M /dev/urandom > "$NET_DIR/data"
truncate -s 64M "$NET_DIR/data"
truncate -s 256M "$NET_DIR/whole"
dd if="$NET_DIR/data" of="$NET_DIR/whole" conv=notrunc,sparse bs=1M status=none
on alpha nbdcopy --connections=4 --requests=64 "$NET_DIR/data" "$tcp_uri"
on alpha nbdcopy --connections=4 "$tcp_uri" "$NET_DIR/back"
cmp "$NET_DIR/whole" "$NET_DIR/back"
on alpha nbdcopy "$local_uri" - | cmp - "$NET_DIR/whole"
assert_match "$(on alpha nbdinfo --map "$local_uri")" '50331648 +218103808 +3'

step "qemu: read, write, discard, zeroes, map, list, compare"
on alpha qemu-io -f raw -c 'write -P 0xa5 64M 1M' -c 'read -P 0xa5 64M 1M' \
	-c 'write -f -P 1 67108865 4095' -c 'read -P 1 67108865 4095' \
	-c 'discard 65M 1M' -c 'read -P 0 65M 1M' -c 'write -z 64M 64k' \
	-c 'read -P 0 64M 64k' -c 'write -z -u 64M 1M' -c 'read -P 0 64M 1M' \
	-c flush "$local_uri" > "$NET_DIR/qemu.out"
if grep -qi fail "$NET_DIR/qemu.out"; then
	fail "$(cat "$NET_DIR/qemu.out")"
fi
on alpha qemu-img compare -f raw -F raw "$NET_DIR/whole" "$tcp_uri"
assert_match "$(on alpha qemu-img map -f raw --output json "$tcp_uri")" \
	'"start": 0, "length": 50331648,.*"zero": false, "data": true'
assert_match "$(on alpha qemu-nbd --list -k "$sock")" "export: 'memory'"
on alpha qemu-img convert -f raw -O qcow2 "$tcp_uri" "$NET_DIR/image"
on alpha qemu-img convert -n -f qcow2 -O raw "$NET_DIR/image" "$tcp_uri"
on alpha qemu-img compare -f raw -F raw "$NET_DIR/whole" "$local_uri"

step "nbd-client: list"
assert_match "$(on alpha nbd-client -l 127.0.0.1)" memory

step "fio: random reads and writes, verified"
on alpha fio --name=verify --ioengine=nbd --uri="$tcp_uri" --rw=randrw \
	--bsrange=512-64k --iodepth=32 --size=64M --verify=crc32c \
	--verify_fatal=1 --output="$NET_DIR/fio.out"
on alpha fio --name=streams --ioengine=nbd --uri="$tcp_uri" --rw=write \
	--bs=128k --iodepth=8 --numjobs=4 --size=32M --offset_increment=32M \
	--verify=crc32c --verify_fatal=1 --thread --output="$NET_DIR/fio.out"

step "nbdkit as a client of ours, qemu as a client of its"
on alpha nbdkit --unix "$NET_DIR/kit.sock" --exit-with-parent --foreground \
	nbd uri="$local_uri" --run "qemu-io -f raw -c 'write -P 7 1M 3M' \
	-c 'read -P 7 1M 3M' -c 'discard 1M 1M' -c 'read -P 0 1M 1M' \
	\"nbd+unix:///?socket=$NET_DIR/kit.sock\"" > "$NET_DIR/kit.out"
assert_match "$(cat "$NET_DIR/kit.out")" 'read 1048576/1048576'
on alpha nbdkit --filter=checkwrite -U - nbd uri="$local_uri" \
	--run "nbdcopy $local_uri \"\$uri\""

step "socket activation, as libnbd does it"
assert_match "$(on alpha nbdinfo -- [ virgo-nbd --size 1M ])" \
	'export-size: 1048576'

step "the same random trace through nbdkit memory and through us"
on alpha nbdkit --unix "$NET_DIR/peer.sock" --run \
	"python3 '$NET_SRC/tests/net/nbd_trace.py' '$sock' '$NET_DIR/peer.sock'" \
	memory 256M

step "memory comes back: the process's pool is as large as its data"
on alpha nbdsh -u "$local_uri" -c 'h.trim(268435456 // 2, 0)' \
	-c 'h.trim(268435456 // 2, 268435456 // 2)'
pool_kib() {
	find "/proc/${PID[nbd]}/fd" -lname '/memfd:virgo-pool*' \
		-exec stat -L -c '%b' {} + | awk '{ print $1 / 2; exit }'
}
[ "$(pool_kib)" -lt 1024 ] || fail "$(pool_kib) KiB are held after trimming all"
on alpha nbdsh -u "$local_uri" -c 'h.pwrite(b"x" * (8 << 20), 0)'
[ "$(pool_kib)" -ge 8192 ] || fail "$(pool_kib) KiB held of 8 MiB"
on alpha nbdsh -u "$local_uri" -c 'h.pwrite(bytearray(8 << 20), 0)'
[ "$(pool_kib)" -lt 1024 ] || fail "$(pool_kib) KiB are held by zeros"

step "idle it sleeps"
ticks() {
	awk '{ print $14 + $15 }' "/proc/${PID[nbd]}/stat"
}
before=$(ticks)
timeout 2 tail -f /dev/null || true
[ $(($(ticks) - before)) -le 4 ] || fail "$(($(ticks) - before)) ticks in 2 s"

step "SIGTERM"
kill -TERM "${PID[nbd]}"
finish nbd
[ ! -e "$sock" ] || fail "the socket is left"
