#!/bin/bash
# Goal: the kernel's nbd driver keeps a file system in memory lent by virgo-nbd.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest uml 6.1 6.12 --modules nbd
control=$NET_DIR/control

# held: bytes that the lender holds.
held() {
	python3 "$NET_SRC/tests/net/nbd_control.py" "$control" status |
		sed -n 's/.*held=\([0-9]*\).*/\1/p'
}

attach() {
	nbd-client -N memory -b 4096 -C 2 127.0.0.1 /dev/nbd0 > "$NET_DIR/attach.log"
	# The driver learns the size a moment after the client has gone.
	wait_for 30 grep -qx 131072 /sys/block/nbd0/size
}

detach() {
	nbd-client -d /dev/nbd0 > /dev/null
	wait_for 30 test ! -e /sys/block/nbd0/pid
}

holds_less_than() {
	[ "$(held)" -lt "$1" ]
}

"$VIRGO_BUILD/nbd/virgo-nbd" --size 64M --listen 127.0.0.1 \
	--control "$control" > "$NET_DIR/nbd.log" 2>&1 &
PID["nbd"]=$!
wait_for 30 test -S "$control"
head -c 8M /dev/urandom > "$NET_DIR/data"

step "a file system is made, used, unmounted, detached"
attach
mkfs.ext4 -q /dev/nbd0
mkdir "$NET_DIR/disk"
mount -o discard /dev/nbd0 "$NET_DIR/disk"
cp "$NET_DIR/data" "$NET_DIR/disk/data"
umount "$NET_DIR/disk"
detach
[ "$(held)" -gt $((8 << 20)) ] || fail "the lender holds $(held) bytes"

step "attached again, every byte is there"
attach
e2fsck -fn /dev/nbd0
mount -o discard /dev/nbd0 "$NET_DIR/disk"
cmp "$NET_DIR/data" "$NET_DIR/disk/data"

step "what is removed is given back to the lender"
rm "$NET_DIR/disk/data"
fstrim "$NET_DIR/disk"
wait_for 30 holds_less_than $((6 << 20))
umount "$NET_DIR/disk"
e2fsck -fn /dev/nbd0
detach
kill -TERM "${PID[nbd]}"
finish nbd
