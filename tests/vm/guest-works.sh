#!/bin/bash
# Goal: the guest says faithfully what happened in it, and leaves nothing behind.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
guest=${0%/*}/guest
dir=$(mktemp -d "${TMPDIR:-/tmp}/virgo-$$-vm.XXXXXX")
trap 'rm -rf "$dir"' EXIT

fail() {
	echo "[!] FAILED: $*" >&2
	exit 1
}

# gives STATUS OPTION...: the guest ends so; its output goes to $dir/out and err.
gives() {
	local want=$1 ret=0

	shift
	echo "[+] wanted $want: guest $*"
	"$guest" "$@" > "$dir/out" 2> "$dir/err" || ret=$?
	[ "$ret" -eq "$want" ] && return
	tail -n 30 "$dir/err" >&2
	fail "status $ret, wanted $want"
}

says() {
	grep -q "$1" "$dir/err" || fail "no word of '$1': $(tail -n 5 "$dir/err")"
}

head -c 3M /dev/urandom > "$dir/data"
# shellcheck disable=SC2016 # for the shell in the guest
gives 137 -- sh -c 'cat "$1"; cat "$1" >&2; kill -9 $$' - "$dir/data"
cmp "$dir/data" "$dir/out"
cmp "$dir/data" "$dir/err"

MARK=$'two\nlines' gives 7 --modules "nbd tls raid1 dm-crypt zram" -- bash -c '
	test -b /dev/nbd0 && test -w /etc && test "$MARK" = $'"'two\nlines'"' &&
	lsmod | grep -q raid1 && ping -c 1 -q 127.0.0.1 > /dev/null &&
	grep -qw memory /sys/fs/cgroup/cgroup.subtree_control &&
	pwd && touch /etc/written-in-guest && (sleep 1000 &) && exit 7'
[ "$(cat "$dir/out")" = "$PWD" ] || fail "working directory: $(cat "$dir/out")"
[ ! -e /etc/written-in-guest ] || fail "a guest wrote through"

gives 99 --modules no_such_module -- true
says 'no_such_module not found'
gives 99 -- sh -c 'echo "<4>WARNING: CPU: 0 at test" > /dev/kmsg'
says 'log has a warning'
gives 99 -- sh -c 'echo c > /proc/sysrq-trigger'
says 'Kernel panic'
gives 99 -- sh -c 'echo o > /proc/sysrq-trigger; sleep 100'
says 'ended by itself'
gives 124 --timeout 8 -- sleep 100
says 'not over within 8 s'

# running PATTERN: processes whose environment has it, which nothing but the
# guest's own have.
running() {
	grep -lsz "^GUEST_TEST=$dir" /proc/[0-9]*/environ | grep -c . || true
}

echo "[+] killed, nothing runs on"
mkfifo "$dir/started"
GUEST_TEST=$dir "$guest" -- sh -c 'echo started; sleep 100' > "$dir/started" &
pid=$!
read -r line < "$dir/started"
[ "$line" = started ] || fail "the guest said '$line'"
[ "$(running)" -gt 2 ] || fail "the guest's processes are not seen"
kill -KILL "$pid"
end=$((SECONDS + 10))
until [ "$(running)" = 0 ]; do
	[ "$SECONDS" -lt "$end" ] || fail "$(running) processes run on"
	sleep 0.05
done
