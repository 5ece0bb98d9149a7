#!/bin/bash
# Goal: virgo-spawn killed before any of its calls, from the order to the program, leaves nothing, and jobs go on.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034 # what walk.sh takes
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

cloud_up alpha
on alpha useradd -m ann
as_ann=(setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann)
mark=walked-$$
children=0 # killed between their fork and the program
victim=spawn

virgo_spawn() {
	local pid

	for pid in $(pgrep -P "${PID[virgod-alpha]}" -x virgo-spawn || true); do
		net_gone "$pid" 2> /dev/null || { echo "$pid" && return; }
	done
	return 1
}

# The one that gets the next order.
waiting_child() {
	pgrep -n -P "$(found_spawn)" -x virgo-spawn
}

# Finds it, and remembers which one a try is made with.
found_spawn() {
	virgo_spawn | tee "$NET_DIR/spawn"
}

no_job() {
	! pgrep -f "$mark" > /dev/null
}

group_empty() {
	local procs

	procs=$(find /sys/fs/cgroup -path "*/virgo-$1/*" -name cgroup.procs \
		-exec cat {} + 2> /dev/null) || true
	[ -z "$procs" ]
}

# Every try ends in one of three ways, and after each the next job runs.
after_kill() {
	local old

	old=$(cat "$NET_DIR/spawn")
	case $1 in
	0) [ "$(cat "$NET_DIR/walk.out")" = here ] || fail "no output" ;;
	137) children=$((children + 1)) ;; # it was to become the job
	255) grep -Eq "virgo-spawn (ended|is starting)|cannot be started now|did not answer" \
		"$NET_DIR/walk.err" || fail "$(cat "$NET_DIR/walk.err")" ;;
	*)
		# shellcheck disable=SC2153 # walk.sh sets it
		fail "status $1, killed at $WALK_AT: $(cat "$NET_DIR/walk.err")"
		;;
	esac
	wait_until 5 no_job || fail "a job is left, killed at $WALK_AT"
	# A virgo-spawn that lives has others that wait in its groups.
	[ "$2" = lived ] || [ "$victim" = child ] ||
		wait_until 5 group_empty "$old" ||
		fail "its cgroup is not empty, killed at $WALK_AT"
	wait_until 5 virgo_spawn > /dev/null ||
		fail "virgod starts no other, killed at $WALK_AT"
	assert_out next on_as ann alpha virgo run -n alpha -- echo next
}

WALK_AS=("${as_ann[@]}")

step "virgo-spawn itself, while a child that waits becomes a job"
WALK_FOLLOW=
for calls in recvmsg sendmsg close socketpair clone3 epoll_pwait,epoll_wait \
	read wait4 pread64; do
	walk_into alpha found_spawn "$calls" \
		virgo run -n alpha -- sh -c "echo here # $mark"
done

# A job with limits is not given to a child that waits, which would be older than
# the tracer.
step "the child too, from its fork to the program"
WALK_FOLLOW=-f
for calls in clone3 dup3 dup2 close_range setsid prlimit64,setrlimit setgroups \
	setresuid chdir execve; do
	walk_into alpha found_spawn "$calls" virgo run --limit pids=1000 \
		-n alpha -- sh -c "echo here # $mark"
done
[ "$children" -ge 9 ] || fail "$children children were killed only"

step "a child that waits, from the order to the program"
WALK_FOLLOW=
WALK_MORTAL=1
victim=child
children=0
for calls in fchown setrlimit,prlimit64 umask setgroups setresgid setresuid \
	rt_sigprocmask chdir execve; do
	walk_into alpha waiting_child "$calls" \
		virgo run -n alpha -- sh -c "echo here # $mark"
done
[ "$children" -ge 9 ] || fail "$children children were killed only"
