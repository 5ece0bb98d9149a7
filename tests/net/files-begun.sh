#!/bin/bash
# Goal: a change that was under way when its server was killed is done once and told as done, whatever the server had come to.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

cloud_up alpha beta
on alpha virgo mount -o hard
in=$(state_of beta)/export
on alpha ls /virgo/beta

killed=0
either_gone() {
	net_gone "$pid" || net_gone "${PID[work]}"
}

# try N CALLS: true while virgod was killed before its N-th of CALLS.
try() {
	local tracer ret=0 end=lived

	pid=${PID[virgod-beta]}
	strace -f -qq -o /dev/null -p "$pid" -e trace="$2" \
		-e inject="$2:signal=KILL:when=$1" 3>&- > /dev/null 2>&1 < /dev/null &
	tracer=$!
	quietly wait_until 20 traced "$pid" || fail "virgod cannot be traced"
	quietly start work alpha python3 "$NET_SRC/tests/net/files_begun.py" \
		/virgo/beta
	wait_until 60 either_gone || fail "at $1 of $2: it hangs"
	if ! net_gone "$pid"; then
		end_trace "$tracer"
		# What was killed a moment ago takes another to be gone.
		wait_until 1 net_gone "$pid" && end=killed
	else
		end=killed
		end_trace "$tracer"
	fi
	if [ "$end" = killed ]; then
		finish virgod-beta 2> /dev/null || true
		quietly node_start beta
	fi
	wait_until 60 net_gone "${PID[work]}" || fail "at $1 of $2: it hangs"
	finish work || ret=$?
	[ "$ret" = 0 ] || fail "at $1 of $2: $(cat "$NET_DIR/work.log")"
	rm -r "$in/d"
	[ "$end" = killed ] && killed=$((killed + 1))
}

for calls in mkdirat,symlinkat,mknodat,linkat,renameat2,unlinkat,setxattr,removexattr,pwrite64 \
	openat2 newfstatat; do
	step "virgod killed before each of its $calls"
	n=1
	while try "$n" "$calls"; do
		n=$((n + 1))
		[ "$n" -le "$WALK_MOST" ] || fail "it is never done"
	done
done
say "[ ] killed $killed times"
[ "$killed" -gt 20 ] || fail "it was killed $killed times only"
assert_fails 1 grep "is not known" "$NET_DIR/virgod-beta.log"
