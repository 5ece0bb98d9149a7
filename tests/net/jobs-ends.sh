#!/bin/bash
# Goal: whatever ends between caller and job, the job is gone within 5 s and the caller is told.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
for n in alpha beta; do
	quietly on "$n" useradd -m -u 1500 ann
done

number=97310
# A job on beta that ignores what can be ignored and leaves its session; its
# processes are recognised by how long they sleep.
job_start() {
	number=$((number + 1))
	start caller alpha setpriv --reuid ann --regid ann --init-groups \
		virgo run -n beta -- sh -c "trap '' HUP INT PIPE
		trap 'echo told' TERM
		setsid sleep $number & while :; do sleep $number; done"
	wait_for 5 job_runs
}

job_runs() {
	[ "$(pgrep -cfx "sleep $number")" -ge 2 ]
}

job_gone() {
	! pgrep -f "sleep $number"
}

caller_told() {
	local status=0

	finish caller || status=$?
	assert_eq "$status" "$1" "status of virgo run"
	[ $# -eq 1 ] || assert_match "$(cat "$NET_DIR/caller.log")" "$2"
}

step "the caller is killed"
job_start
kill -KILL "${PID[caller]}"
wait_for 5 job_gone
finish caller || true

step "the caller is told twice to end"
job_start
kill -TERM "${PID[caller]}"
wait_for 5 grep -q told "$NET_DIR/caller.log"
job_runs || fail "the first signal is the job's, and it goes on"
kill -TERM "${PID[caller]}"
wait_for 5 job_gone
caller_told 143

step "the cable is cut"
job_start
cut_cable beta
wait_for 5 job_gone
caller_told 255 'virgo: run on beta: '
restore_cable beta

step "virgod on the job's node is killed"
job_start
node_kill beta
wait_for 5 job_gone
caller_told 255 'virgo: run on beta: '
node_start beta

step "virgod on the caller's node is killed"
job_start
node_kill alpha
wait_for 5 job_gone
caller_told 255 'virgod.*lost'
node_start alpha

step "virgo-spawn is killed"
job_start
kill -KILL "$(pgrep -P "${PID[virgod-beta]}" -x virgo-spawn)"
wait_for 5 job_gone
caller_told 255 'virgo-spawn ended'

step "and after all of that jobs run as before"
assert_out beta on_as ann alpha virgo run -n beta hostname

step "virgod is stopped in order"
job_start
node_stop beta
wait_for 5 job_gone
caller_told 255
node_start beta

step "everything of the node is killed at once"
job_start
kill -STOP "$(pgrep -P "${PID[virgod-beta]}" -x virgo-spawn)"
pid=$(pgrep -P "${PID[virgod-beta]}" -x virgo-spawn)
node_kill beta
kill -KILL "$pid"
caller_told 255
node_start beta
wait_for 5 job_gone
