#!/bin/bash
# Goal: a lender that answers wrongly, or has no room left, loses its leg; no page is wrong, and status says which and why.
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In place of beta's virgo-nbd a program serves beta's port, which lies when it is
# told to; the real one listens elsewhere, for its virgod. The lies are told to the
# kernel's driver, after a proper greeting, while a hog checks every page.
. "${0%/*}/kit.sh"
in_guest --mem 640M --timeout 580 --modules "veth bridge nbd tls raid1 chacha20poly1305"
. "${0%/*}/borrow-kit.sh"

order=$NET_DIR/order
mkdir "$NET_DIR/libexec"
cat > "$NET_DIR/libexec/virgo-nbd" << END
#!/bin/bash
args=("\$@")
for ((i = 1; i < \${#args[@]}; i++)); do
	[ "\$(uname -n)" != beta ] || [ "\${args[i - 1]}" != --listen ] ||
		args[i]=127.0.0.1:10810
done
exec "$VIRGO_BUILD/nbd/virgo-nbd" "\${args[@]}"
END
chmod +x "$NET_DIR/libexec/virgo-nbd"
export VIRGO_LIBEXEC=$NET_DIR/libexec

lost_so_far() {
	status_of swap | sed -n 's/^  lost so far: \([0-9]*\),.*/\1/p' | grep . ||
		echo 0
}

has_lied() {
	grep -qx "lied $1" "$NET_DIR/liar.log"
}

# more_lost COUNT LENDER WHY
more_lost() {
	[ "$(lost_so_far)" -gt "$1" ] &&
		status_of swap | grep -Eq "^  lost so far: [0-9]+, the last one of $2: $3"
}

borrow_up 64M gamma beta delta
on delta virgo memory lend off
start liar beta python3 "$VM_SRC/nbd_liar.py" "$(state_of beta)/identity" 16 "$order"
wait_for 30 eval '[ -n "$(on beta ss -Htln "sport = 10809")" ]'
borrow virgo swap on 16M --raise-min-free
assert_eq "$(status_of swap | grep -c 'lost so far')" 0 "nothing was lost"
HOG_LIMIT=20M hog 23 100000
wait_for 90 hog_reached "pass 1"

for kind in cookie stale garbage long short twice; do
	wait_for 120 whole swap
	before=$(lost_so_far)
	step "the lie: $kind"
	echo "$kind" > "$order.new"
	mv "$order.new" "$order"
	wait_for 60 has_lied "$kind"
	wait_for 30 more_lost "$before" beta \
		'(a connection was lost|it did not answer)'
	quietly kill -0 "${PID[hog]}"
done
quietly borrow virgo swap status --json | python3 -c '
import json, sys
swap, = json.load(sys.stdin)
assert swap["lost"] >= 6 and swap["lost_lender"] == "beta" and swap["lost_why"], swap'

step "a pool without room: the leg is lost, another lender takes its place"
wait_for 120 whole swap
on delta virgo memory lend 64M --reserve 1M
before=$(lost_so_far)
on gamma python3 "$NET_SRC/tests/net/nbd_control.py" \
	"$(state_of gamma)/run/nbd.sock" "quota 4096"
# What the hog writes gamma may have a place for already.
mkdir /sys/fs/cgroup/second
echo 4M > /sys/fs/cgroup/second/memory.max
# shellcheck disable=SC2016 # for that shell
start second alpha bash -c 'echo $$ > /sys/fs/cgroup/second/cgroup.procs
	exec nice -n 19 "$1" 8 100000' - "$VIRGO_BUILD/tests/vm/hog"
wait_for 60 more_lost "$before" gamma \
	'it answered a request with an error, as one without room does'
wait_for 120 whole swap
assert_eq "$(lenders_of swap | sort | xargs)" "beta delta"
borrow virgo swap status
kill -TERM "${PID[second]}"
finish second
hog_ends TERM
borrow virgo swap off
