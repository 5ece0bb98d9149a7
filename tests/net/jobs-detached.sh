#!/bin/bash
# Goal: a detached job outlives its caller and both virgods, and is known again afterwards.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
for n in alpha beta; do
	quietly on "$n" useradd -m -u 1500 ann
done
virgo() { quietly on_as ann alpha virgo "$@"; }
detach() { job=$(virgo run -n beta --detach -- "$@"); }

step "its output and status wait for it"
detach sh -c 'echo out; echo err >&2; exit 9'
assert_match "$job" '^beta/[0-9]+$'
assert_fails 9 virgo attach "$job"
assert_eq "$(cat "$NET_DIR/last.out")/$(cat "$NET_DIR/last.err")" out/err
assert_fails 9 virgo wait "$job"
assert_fails 255 virgo wait "$job"
assert_match "$(cat "$NET_DIR/last.err")" 'no detached job'

step "/dev/null, its input, stays root's"
assert_eq "$(quietly on beta stat -c %u /dev/null)" 0 "owner of /dev/null"

step "attach follows what is written"
mkfifo -m 666 "$NET_DIR/gate"
detach sh -c "echo first; cat $NET_DIR/gate; echo last; exit 3"
start follow alpha setpriv --reuid ann --regid ann --init-groups \
	virgo attach "$job"
wait_for 5 grep -qx first "$NET_DIR/follow.log"
echo middle > "$NET_DIR/gate"
status=0
finish follow || status=$?
assert_eq "$status" 3 "status of attach"
assert_eq "$(tr '\n' , < "$NET_DIR/follow.log")" "first,middle,last,"
assert_fails 3 virgo wait "$job"

step "it goes on while both virgods are killed and started again"
detach sh -c "echo before; cat $NET_DIR/gate; exit 5"
node_kill beta
node_kill alpha
node_start alpha
node_start beta
wait_for 10 virgo ps -n beta
assert_match "$(virgo ps -n beta)" "$job +ann +alpha +running"
start waiter alpha setpriv --reuid ann --regid ann --init-groups \
	virgo wait "$job"
echo after > "$NET_DIR/gate"
status=0
finish waiter || status=$?
assert_eq "$status" 5 "status of a job that a later virgod waited for"

step "one that ended while no virgod ran"
detach sh -c "cat $NET_DIR/gate; exit 6"
pid=$(virgo ps -n beta | awk -v j="$job" '$1 == j { print $6 }')
node_kill beta
echo go > "$NET_DIR/gate"
wait_for 5 test ! -e "/proc/$pid"
node_start beta
assert_fails 6 virgo wait "$job"

step "kill reaches one that an earlier virgod started"
detach sh -c 'trap "" TERM; setsid sleep 97401 & sleep 97401'
wait_for 5 pgrep -fx 'sleep 97401'
node_kill beta
node_start beta
virgo kill -s KILL "$job"
wait_for 5 sh -c '! pgrep -fx "sleep 97401"'
assert_fails 137 virgo wait "$job"
assert_eq "$(ls "$(state_of beta)/jobs")" next "nothing is left of them"
