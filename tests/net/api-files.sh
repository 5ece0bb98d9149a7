#!/bin/bash
# Goal: C and Python programs use files of other nodes' volumes without a mount, as their own user.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
for n in alpha beta gamma; do
	quietly on "$n" useradd -m -u 1500 ann
	quietly on "$n" useradd -m -u 1501 bob
done
as() {
	quietly on_as "$1" alpha env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" \
		PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$NET_SRC/lib/python" "${@:2}"
}
copy=$VIRGO_BUILD/lib/examples/example-copy
export_of() { echo "$(state_of "$1")/export"; }
wait_for 30 test -d "$(export_of beta)"

step "10 MB from a volume to another, and to this node's own"
head -c 10000000 /dev/urandom > "$(export_of beta)/blob"
as ann "$copy" beta:/blob gamma:/blob
cmp "$(export_of beta)/blob" "$(export_of gamma)/blob"
as ann "$copy" /virgo/gamma/blob alpha:blob
cmp "$(export_of beta)/blob" "$(export_of alpha)/blob"
assert_out "ann 644" on gamma stat -c '%U %a' /var/lib/virgo/export/blob

step "the node decides by the user that the kernel names"
quietly on beta mkdir -m 0700 /var/lib/virgo/export/of-ann
quietly on beta chown ann /var/lib/virgo/export/of-ann
as ann "$copy" beta:/blob beta:/of-ann/blob
assert_fails 1 as bob "$copy" beta:/of-ann/blob beta:/stolen
assert_match "$(cat "$NET_DIR/last.err")" 'Permission denied'
assert_fails 1 as bob "$copy" beta:/blob gamma:/blob
as ann python3 "$NET_SRC/tests/net/api_files.py" ann
as bob python3 "$NET_SRC/tests/net/api_files.py" bob

step "a directory's names and sizes, and jobs, in C"
list=$VIRGO_BUILD/lib/examples/example-list
as ann "$list" beta:/of-ann > "$NET_DIR/listing"
grep -Eq '^100644 +10000000 blob$' "$NET_DIR/listing"
assert_fails 1 as bob "$list" beta:/of-ann
assert_match "$(cat "$NET_DIR/last.err")" 'Permission denied'
job=$(as ann virgo run --detach -n beta -- sleep 1000)
as ann "$list" -j beta | grep -q "^${job%% *} running sleep" || fail "$job is not listed"
as ann virgo kill -s KILL "${job%% *}"

step "refusals are explained"
assert_fails 1 as ann "$copy" nowhere:/x beta:/y
assert_match "$(cat "$NET_DIR/last.err")" 'the cloud has no such volume. Try: .*virgo volume list'
assert_fails 1 as ann "$copy" beta:/missing beta:/y
assert_match "$(cat "$NET_DIR/last.err")" 'No such file'

step "nothing stays open at the node once the program is gone"
held() { find "/proc/${PID[virgod-beta]}/fd" -lname '*/held-open' 2> /dev/null; }
is_open() { [ -n "$(held)" ]; }
no_open() { [ -z "$(held)" ]; }
quietly on beta touch /var/lib/virgo/export/held-open
start holder alpha setpriv --reuid ann --regid ann --init-groups \
	env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" PYTHONPATH="$NET_SRC/lib/python" \
	PYTHONDONTWRITEBYTECODE=1 python3 -c '
import time, virgo
file = virgo.open("beta:/held-open")
time.sleep(1000)'
wait_for 30 is_open
kill -9 "${PID[holder]}"
finish holder 2> /dev/null || :
wait_for 30 no_open

step "files stay open over a lost connection; a dead node is an error in time"
mkdir -m 0777 "$NET_DIR/said"
start survivor alpha setpriv --reuid ann --regid ann --init-groups \
	env LD_LIBRARY_PATH="$VIRGO_BUILD/lib" PYTHONPATH="$NET_SRC/lib/python" \
	PYTHONDONTWRITEBYTECODE=1 \
	python3 "$NET_SRC/tests/net/api_survivor.py" "$NET_DIR/said/survivor"
wait_for 30 test -e "$NET_DIR/said/survivor.1"
cut_cable beta
wait_for 60 test -e "$NET_DIR/said/survivor.2"
restore_cable beta
wait_for 60 test -e "$NET_DIR/said/survivor.3"
node_kill beta
ret=0
finish survivor || ret=$?
assert_eq "$ret" 0 "status of the survivor: $(cat "$NET_DIR/survivor.log")"
