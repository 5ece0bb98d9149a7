#!/bin/bash
# Goal: virgod starts once on a state folder, or says in one line why it cannot.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha
on alpha virgo init alpha > /dev/null

# refuses REGEX ARG...: virgod ends with status 1 and one line that matches.
refuses() {
	local regex=$1

	shift
	assert_fails 1 on alpha timeout 10 virgod "$@"
	assert_eq "$(grep -c . "$NET_DIR/last.err")" 1 "lines on standard error"
	assert_match "$(cat "$NET_DIR/last.err")" "^virgo: .*$regex"
}

step "a second one on the same folder is refused, the first goes on"
node_start alpha
refuses "uses this state folder.*Try: " --state /var/lib/virgo
on alpha test -S /var/lib/virgo/run/virgod.sock
kill -0 "${PID[virgod-alpha]}"

step "after kill -9 the next one starts at once"
node_kill alpha
node_start alpha
node_stop alpha

step "folders that cannot be used"
refuses "Try: " --state /proc/virgo
on alpha mkdir -m 0755 /run/full
on alpha mount -t tmpfs -o size=4k,nr_inodes=1 none /run/full
refuses "No space left" --state /run/full
on alpha touch /run/file
refuses "" --state /run/file
long=/run/$(printf 'x%.0s' {1..120})
on alpha virgo --state "$long" init alpha > /dev/null
refuses "too long.*Try: " --state "$long"

step "wrong command lines"
assert_fails 2 on alpha virgod --no-such-option
assert_fails 2 on alpha virgod unexpected
assert_fails 2 on alpha virgod --port 0
assert_fails 2 on alpha virgod --port 8747x

step "no standard input, output or error at all"
rm "$(state_of alpha)/run/virgod.sock"
start virgod-alpha alpha bash -c 'exec virgod <&- >&- 2>&-'
wait_for 10 net_ready alpha
for fd in 0 1 2; do
	assert_out /dev/null readlink "/proc/${PID[virgod-alpha]}/fd/$fd"
done
node_stop alpha

step "its log's reader goes away: no SIGPIPE"
rm "$(state_of alpha)/run/virgod.sock"
start piped alpha bash -c 'virgod --verbose 2>&1 | head -c 1 > /dev/null'
wait_for 10 test -S "$(state_of alpha)/run/virgod.sock"
pid=$(pgrep -P "${PID[piped]}" -x virgod)
on alpha python3 "$NET_SRC/tests/net/bad_frames.py" \
	/var/lib/virgo/run/virgod.sock "$pid" garbage another_version
kill -TERM "$pid"
finish piped
