#!/bin/bash
# Goal: a server that restarts, is cut off or dies costs no open file, no lock, and no more time than was set.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
on beta chmod 1777 /var/lib/virgo/export
on alpha virgo mount -o timeout=3s
on gamma virgo mount -o soft
on alpha mkdir -p /virgo-hard
on alpha mount.virgo /virgo-hard -o hard
on alpha mkdir -p /virgo-idle
on alpha mount.virgo /virgo-idle -o timeout=1s
on alpha ls /virgo-idle/beta

# hold NAME NODE FOLDER: a holder of open files; ask NAME CHECK prints its answer.
hold() {
	mkfifo "$NET_DIR/$1.in"
	start "$1" "$2" bash -c "mkdir -p $3; exec python3 \
		'$NET_SRC/tests/net/files_holder.py' $3 < '$NET_DIR/$1.in'"
	exec {hold_fd}> "$NET_DIR/$1.in"
	holders[$1]=$hold_fd
	wait_for 10 grep -q ready "$NET_DIR/$1.log"
}

# An answer that comes too late must not be taken for that of a later question.
ask() {
	local number=$BASHPID.$RANDOM

	echo "$number $2" >&"${holders[$1]}"
	quietly wait_for "$(($(patience "${3:-15}000") / 1000))" \
		grep -q "^$number " "$NET_DIR/$1.log"
	sed -n "s/^$number //p" "$NET_DIR/$1.log"
}
declare -A holders=()

hold one alpha /virgo/beta/one
hold soft gamma /virgo/beta/soft
hold hard alpha /virgo-hard/beta/hard

step "virgod of the server restarts: files and locks are there as before"
node_stop beta
node_start beta
for h in one soft hard; do
	wait_for 15 eval "[ \"\$(ask $h io)\" = ok ]"
	assert_eq "$(ask $h try_locks)" "held held"
done

step "kill -9 of the server's virgod: the same"
node_kill beta
node_start beta
for h in one soft hard; do
	wait_for 15 eval "[ \"\$(ask $h io)\" = ok ]"
	assert_eq "$(ask $h try_locks)" "held held"
done

step "who has nothing open is told that it is away, and finds it when it is back"
node_kill beta
for what in one one/reading one; do
	assert_fails 2 on alpha ls "/virgo-idle/beta/$what"
	assert_match "$(cat "$NET_DIR/last.err")" 'timed out'
done
node_start beta
wait_for 20 on alpha ls /virgo-idle/beta/one
for h in one soft hard; do
	wait_for 15 eval "[ \"\$(ask $h io)\" = ok ]"
done

step "the cable is cut for a while: what was open without a name stays, too"
hold two alpha /virgo/beta/two
cut_cable beta
(sleep 6; quietly restore_cable beta) &
restorer=$!
assert_eq "$(ask hard io 30)" ok
wait_for 15 eval "[ \"\$(ask two io)\" = ok ]"
assert_eq "$(ask two nameless)" nameless
assert_eq "$(ask two try_locks)" "held held"
wait "$restorer"

step "dead: soft fails at once, timeout after its time, hard waits and can be killed"
node_kill beta
cut_cable beta
sleep_until_down() {
	[ "$(ask soft stat)" = EHOSTDOWN ]
}
wait_for 10 sleep_until_down
begin=$(date +%s%N)
assert_eq "$(ask soft stat)" EHOSTDOWN
took=$((($(date +%s%N) - begin) / 1000000))
[ "$took" -lt "$(patience 1000)" ] || fail "soft took $took ms"
answer=$(ask one stat 10)
assert_eq "$answer" ETIMEDOUT
begin=$(date +%s%N)
assert_eq "$(ask one stat 10)" ETIMEDOUT
took=$((($(date +%s%N) - begin) / 1000000))
[ "$took" -lt "$(patience 1000)" ] || fail "a server known to be away for long took $took ms"
step "the root and other volumes are not held up"
on alpha timeout 5 ls -l /virgo
on alpha timeout 5 ls /virgo/alpha
start waiting alpha cat /virgo-hard/beta/hard/reading
wait_for 5 on alpha pgrep -x cat
kill -9 "${PID[waiting]}"
wait_for 5 net_gone "${PID[waiting]}"

step "it comes back, and so does everything"
restore_cable beta
node_start beta
for h in one soft hard; do
	wait_for 20 eval "[ \"\$(ask $h io)\" = ok ]"
	assert_eq "$(ask $h try_locks)" "held held"
done
