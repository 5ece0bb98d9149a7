#!/bin/bash
# Goal: the limits of jobs are kept by cgroup version 2, and its users told why.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest uml --mem 512M --timeout 280

net_up alpha
quietly on alpha useradd -m -u 1500 ann
quietly on alpha virgo init alpha > /dev/null
# As systemd starts it with Delegate=yes: in a cgroup that it may divide.
service=/sys/fs/cgroup/system.slice/virgod.service
mkdir -p "$service"
echo "+memory +cpu +pids" > "${service%/*}/cgroup.subtree_control"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.delegate", b"1")' \
	"$service"
echo "$BASHPID" > "$service/cgroup.procs"
node_start alpha
echo "$BASHPID" > /sys/fs/cgroup/cgroup.procs

run() {
	on_as ann alpha virgo run "$@"
}

# of FILE [LIMITS]: what a job finds in FILE of its own cgroup.
of() {
	run ${2:+--limit "$2"} -- sh -c \
		"cat /sys/fs/cgroup\$(sed -n s/^0:://p /proc/self/cgroup)/$1"
}

# Every cgroup made for a job with limits.
limited() {
	find "$service" -type d -path '*/virgo-*/l*'
}

none_limited() {
	[ -z "$(limited)" ]
}

step "jobs are below the service, limited only when asked"
assert_match "$(run -- cat /proc/self/cgroup)" \
	'0::/system.slice/virgod.service/virgo-[0-9]+/s[0-9]+'
assert_eq "$(of memory.max)" max "memory"
assert_eq "$(of pids.max)" max "processes"
assert_eq "$(of memory.max mem=48M)" $((48 << 20)) "memory, limited"
assert_eq "$(of cpu.max cpu=0.25)" "25000 100000" "processors, limited"
assert_eq "$(of pids.max pids=9)" 9 "processes, limited"
assert_match "$(on alpha virgo doctor || true)" 'cgroups: ok'

step "memory: what fits runs, what does not is killed whole, and said why"
run --limit mem=64M -- /usr/bin/python3 -c 'bytearray(32 << 20)'
assert_fails 137 run --limit mem=64M -- sh -c \
	'sleep 1000 & exec /usr/bin/python3 -c "bytearray(128 << 20)"'
assert_match "$(cat "$NET_DIR/last.err")" 'used more memory than its limit'
wait_for 10 none_limited
assert_fails 1 pgrep -fx 'sleep 1000'

step "a detached job's limit is kept as well, and its end remembered"
job=$(run --detach --limit mem=64M -- /usr/bin/python3 -c 'bytearray(128 << 20)')
assert_fails 137 on_as ann alpha virgo wait "$job"
assert_match "$(cat "$NET_DIR/last.err")" 'used more memory than its limit'

step "processes: the ninth is refused"
assert_fails 0 run --limit pids=8 -- /usr/bin/python3 -c '
import os, signal
made = []
try:
    while len(made) < 20:
        pid = os.fork()
        if not pid:
            signal.pause()
        made.append(pid)
except BlockingIOError:
    pass
print(len(made))
for pid in made:
    os.kill(pid, signal.SIGKILL)
    os.wait()'
assert_eq "$(cat "$NET_DIR/last.out")" 7 "children of a job with pids=8"

step "processors: a fifth of one, whatever the job does"
run --limit cpu=0.2 -- /usr/bin/python3 -c '
import time
begin, used = time.monotonic(), time.process_time()
while time.process_time() < used + 0.5:
    pass
took = time.monotonic() - begin
assert took > 1.5, took'

step "what a job started goes with it, however it hid"
run --limit mem=64M -- setsid -w sh -c 'setsid sleep 2000 &'
wait_for 10 none_limited
assert_fails 1 pgrep -fx 'sleep 2000'

step "a limit that no controller keeps is refused, or kept by rlimits"
node_stop alpha
on alpha umount /sys/fs/cgroup
node_start alpha
assert_fails 255 run --limit cpu=0.5 -- true
assert_match "$(cat "$NET_DIR/last.err")" 'cpu needs cgroup v2.*Try: '
assert_fails 1 run --limit mem=64M -- /usr/bin/python3 -c 'bytearray(128 << 20)'
assert_match "$(cat "$NET_DIR/last.err")" MemoryError
node_stop alpha
