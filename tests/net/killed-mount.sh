#!/bin/bash
# Goal: mount.virgo killed at any of its writes, files open, loses nothing acknowledged; its folder says ENOTCONN, and is unmounted or mounted over.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

cloud_up alpha beta
on alpha virgo mount
in=$(state_of beta)/export
log=$NET_DIR/acknowledged

mount_virgo() {
	pgrep --ns "${NET_HOLDER[alpha]}" --nslist net -x -n mount.virgo
}

# Works, is dead, or none.
state_of_mount() {
	local said

	if said=$(on alpha stat -c %F /virgo/beta 2>&1); then
		echo works
	elif [[ $said == *"not connected"* ]]; then
		echo dead
	else
		echo "$said"
	fi
}

is_dead() {
	[ "$(state_of_mount)" = dead ]
}

count=0
after_kill() {
	if [ "$2" = killed ] || [ "$1" != 0 ]; then
		[ "$1" = 0 ] || [ "$1" = 3 ] ||
			fail "killed at $WALK_AT: status $1, $(cat "$NET_DIR/walk.err")"
		wait_until 10 is_dead ||
			fail "killed at $WALK_AT: $(state_of_mount)"
		count=$((count + 1))
		[ $((count % 2)) = 0 ] || on alpha virgo umount ||
			fail "it cannot be unmounted, killed at $WALK_AT"
		on alpha virgo mount 2> "$NET_DIR/mount.err" ||
			fail "it cannot be mounted, killed at $WALK_AT: $(cat "$NET_DIR/mount.err")"
		[ "$(on alpha grep -c ' /virgo ' /proc/self/mounts)" = 1 ] ||
			fail "the dead mount is left below"
	fi
	python3 "$NET_SRC/tests/net/files_killed.py" check "$in" "$log" ||
		fail "something acknowledged is lost, killed at $WALK_AT"
	[ "$(state_of_mount)" = works ] || fail "$(state_of_mount)"
	rm -rf "$in/d"
}

step "at each write to the kernel and to the server"
for calls in writev sendmsg,sendto,write; do
	walk_into alpha mount_virgo "$calls" python3 \
		"$NET_SRC/tests/net/files_killed.py" work /virgo/beta "$log"
done
[ "$count" -gt 10 ] || fail "it was killed $count times only"

step "in use it is mounted over as well, and what was open says ENOTCONN"
mkfifo "$NET_DIR/go"
start holder alpha python3 -uc '
import os, sys
fd = os.open("/virgo/beta/held", os.O_RDWR | os.O_CREAT)
os.write(fd, b"data")
os.fsync(fd)
print("open")
open(sys.argv[1]).read()
for call in lambda: os.pread(fd, 4, 0), lambda: os.write(fd, b"x"), lambda: os.fsync(fd):
    try:
        call()
        print("done")
    except OSError as e:
        print(os.strerror(e.errno))' "$NET_DIR/go"
wait_for 20 grep -q open "$NET_DIR/holder.log"
kill -9 "$(mount_virgo)"
wait_for 10 is_dead
assert_fails 1 on alpha virgo umount
assert_match "$(cat "$NET_DIR/last.err")" "umount --lazy"
on alpha virgo mount
assert_out data on alpha cat /virgo/beta/held
echo > "$NET_DIR/go"
finish holder
assert_eq "$(uniq "$NET_DIR/holder.log" | tr '\n' ';')" \
	"open;Transport endpoint is not connected;" "what a descriptor from before says"
on alpha virgo umount
