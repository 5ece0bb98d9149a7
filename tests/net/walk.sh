# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# shellcheck disable=SC2034 # for scenarios
#
# Kills a program in each of its states: before the first call of a kind that it
# makes, before the second, until it ends unharmed; then the next kind of call. For
# scenarios, which source it after kit.sh.
#
# walk NODE CMD...         CMD in NODE, under the words in WALK_AS. After each try
#                          calls after_kill STATUS (137: killed), which a scenario
#                          defines and whose failures name the call in $WALK_AT
# walk_into NODE FIND CALLS CMD...   the same with the process that command FIND
#                          prints, killed while CMD runs: after_kill STATUS
#                          killed|lived. Ends when CMD succeeds unharmed
# WALK_MORE=(WORD...)      words after CMD, which after_kill may change for the
#                          next try
WALK_MOST=200
WALK_AS=()
WALK_MORE=()
WALK_FOLLOW=-f # also the children it makes; "" for itself only
WALK_MORTAL= # 1: what FIND prints ends with CMD also when it is not killed
WALK_AT=

# What a command does to anything outside of it.
WALK_CALLS=socket,connect,sendmsg,sendto,recvmsg,recvfrom,read,write,readv,writev
WALK_CALLS+=,rename,fsync,fdatasync,unlink,pwrite64,pwritev,mkdir,link,mount
WALK_CALLS+=,umount2,clone,clone3,vfork,fork,execve,poll,ppoll,epoll_wait
WALK_CALLS+=,epoll_pwait,shutdown,close,ftruncate,flock,fcntl

# revive_home NODE DRAINED killed|lived: what walk_into() has killed on the home node
# NODE is virgod there: it is started again, and waited for until it says, of the
# node DRAINED, that it is the home node still.
revive_home() {
	[ "$3" = killed ] || return 0
	finish "virgod-$1" 2> /dev/null || true
	node_start "$1"
	wait_until 60 on "$1" virgo node undrain "$2" ||
		fail "the home node does not serve again, killed at $WALK_AT"
}

walk_try() {
	local node=$1 ret=0

	shift
	quietly on "$node" timeout -k 1 60 "${WALK_AS[@]}" strace ${WALK_FOLLOW:+-f} -qq "$@" \
		"${WALK_MORE[@]}" \
		> "$NET_DIR/walk.out" 2> "$NET_DIR/walk.err" < /dev/null ||
		ret=$?
	quietly after_kill "$ret"
	return "$ret"
}

walk() {
	local node=$1 record=$NET_DIR/walk.record call kinds n killed=0

	shift
	say "[$node] $*, killed before each of its calls"
	: > "$record"
	chmod 0666 "$record"
	WALK_AT="nothing"
	walk_try "$node" -o "$record" -e trace="$WALK_CALLS" "$@" ||
		fail "it fails unharmed: $(cat "$NET_DIR/walk.err")"
	kinds=$(sed -En 's/^([0-9]+ +)?([a-z0-9]+)\(.*/\2/p' "$record" | sort -u)
	for call in $kinds; do
		for ((n = 1; n <= WALK_MOST; n++)); do
			WALK_AT="$call $n"
			walk_try "$node" -o /dev/null -e trace="$call" \
				-e inject="$call:signal=KILL:when=$n" "$@" &&
				break
			killed=$((killed + 1))
		done
		[ "$n" -le "$WALK_MOST" ] || fail "it is never done"
	done
	[ "$killed" -gt 4 ] || fail "it was killed $killed times only"
	say "[ ] killed $killed times"
}

traced() {
	! grep -q '^TracerPid:[[:space:]]0$' "/proc/$1/status"
}

# end_trace PID: ends strace.
end_trace() {
	kill -INT "$1" 2> /dev/null || true
	# Told so while several threads of the process end, it waits for ever for
	# the first one.
	wait_until 5 net_gone "$1" || kill -KILL "$1" 2> /dev/null || true
	wait "$1" 2> /dev/null || true
}

walk_into() {
	local node=$1 find=$2 calls=$3 n ret tracer pid end killed=0

	shift 3
	say "[$node] $*, while what $find finds is killed before its calls"
	for ((n = 1; n <= WALK_MOST; n++)); do
		WALK_AT="$n of $calls"
		pid=$($find)
		strace ${WALK_FOLLOW:+-f} -qq -o /dev/null -p "$pid" -e trace="$calls" \
			-e inject="$calls:signal=KILL:when=$n" 3>&- \
			> /dev/null 2>&1 < /dev/null &
		tracer=$!
		quietly wait_until 20 traced "$pid" ||
			fail "process $pid cannot be traced"
		ret=0
		quietly on "$node" timeout 60 "${WALK_AS[@]}" "$@" \
			"${WALK_MORE[@]}" \
			> "$NET_DIR/walk.out" 2> "$NET_DIR/walk.err" \
			< /dev/null || ret=$?
		# Only once nobody traces it is it certain to go on living.
		end_trace "$tracer"
		end=lived
		# What was killed a moment ago takes another to be gone.
		if quietly wait_until 1 net_gone "$pid"; then
			end=killed
			killed=$((killed + 1))
		fi
		quietly after_kill "$ret" "$end"
		[ "$ret" != 0 ] || [ "${WALK_MORTAL:-$end}" = killed ] || break
	done
	[ "$n" -le "$WALK_MOST" ] || fail "it is never done"
	say "[ ] killed $killed times"
}
