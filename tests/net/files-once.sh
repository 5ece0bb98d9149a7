#!/bin/bash
# Goal: what a server was asked before it was killed happens once, and is answered by the next as by the one before; lost writes are told once.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
in=/var/lib/virgo/export
on beta bash -c "cd $in && mkdir there && touch gone old append && chown nobody gone old append"

ask() {
	assert_out ok on alpha python3 "$NET_SRC/tests/net/files_once.py" "$1" \
		"$(addr_of beta):8747:/var/lib/virgo/identity" beta
}

step "killed after the answers: the same answers, and nothing twice"
ask first
node_kill beta
node_start beta
ask again
assert_out "append created later made new there" on beta bash -c "cd $in && echo *"
assert_out line on beta cat $in/append
assert_out into on beta cat $in/created
assert_out "1" on beta bash -c "ls /var/lib/virgo/replies | wc -l"

step "what is noted is noted by virgod itself, whoever asked first"
# nobody is whom the first worker acts as, and may make nothing in the state folder.
assert_fails 1 grep -r "Permission denied" "$NET_DIR"/virgod-beta.log

step "stopped while it is asked: done by the next virgod, without an error"
on alpha virgo mount -o hard
on alpha bash -c 'mkdir /virgo/beta/d && ls /virgo/beta/d'
kill -STOP "${PID[virgod-beta]}"
for i in 1 2 3; do
	start "make$i" alpha mkdir "/virgo/beta/d/$i"
done
start append alpha bash -c 'echo once >> /virgo/beta/d/log'
# Long enough for the requests to lie at its socket, and for the client to see
# that it does not answer.
wait_for 20 on alpha grep -q 'beta:' /var/lib/virgo/mount.log
node_kill beta
node_start beta
for name in make1 make2 make3 append; do
	wait_for 60 net_gone "${PID[$name]}"
	finish "$name" || fail "$name: $(cat "$NET_DIR/$name.log")"
done
assert_out "1 2 3 log" on beta bash -c "cd $in/d && echo *"
assert_out once on beta cat $in/d/log

step "files of two volumes of one server come back, both"
on beta mkdir -m 1777 /var/lib/virgo/two
on beta virgo volume create two --path /var/lib/virgo/two
wait_for 20 on alpha ls /virgo/two
mkfifo "$NET_DIR/go"
start holder alpha bash -c "exec 3> /virgo/beta/d/held 4> /virgo/two/held
	echo open; read -r _ < '$NET_DIR/go'; echo one >&3 && echo two >&4 && echo written"
wait_for 10 grep -q open "$NET_DIR/holder.log"
node_kill beta
node_start beta
echo go > "$NET_DIR/go"
wait_for 60 net_gone "${PID[holder]}"
finish holder || fail "$(cat "$NET_DIR/holder.log")"
assert_out "one two" on beta bash -c "echo \$(cat $in/d/held /var/lib/virgo/two/held)"

step "the server's machine was booted: unsynced writes are lost, and that is told once"
# Writes, waits, and says how three calls of fsync ended.
start loser alpha python3 -uc '
import os, sys
fd = os.open("/virgo/beta/d/lost", os.O_WRONLY | os.O_CREAT)
os.write(fd, b"data")
print("written")
open(sys.argv[1]).read()
for i in range(3):
    try:
        os.fsync(fd)
        print("synced")
    except OSError as e:
        print(os.strerror(e.errno))' "$NET_DIR/go"
wait_for 10 grep -q written "$NET_DIR/loser.log"
node_kill beta
on beta bash -c 'echo another-boot > /run/boot_id &&
	mount --bind /run/boot_id /proc/sys/kernel/random/boot_id'
node_start beta
echo go > "$NET_DIR/go"
wait_for 60 net_gone "${PID[loser]}"
assert_eq "$(tr '\n' ' ' < "$NET_DIR/loser.log")" \
	"written Input/output error synced synced "
