#!/bin/bash
# Goal: virgo run behaves like the program run here: streams, status, user, directory, refusals.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
for n in alpha beta gamma; do
	quietly on "$n" useradd -m -u 1500 ann
done
run() { quietly on_as ann alpha virgo run "$@"; }

step "output, errors and status"
assert_out beta run -n beta hostname
run -n beta -- sh -c 'echo out; echo err >&2; exit 7' \
	> "$NET_DIR/out" 2> "$NET_DIR/err" || status=$?
assert_eq "${status-0}" 7 status
assert_eq "$(cat "$NET_DIR/out")" out stdout
assert_eq "$(cat "$NET_DIR/err")" err stderr
assert_fails 143 run -n beta -- sh -c 'kill -TERM $$'
assert_fails 137 run -n beta -- sh -c 'kill -KILL $$'

step "user, home, environment, umask"
assert_out 'ann /home/ann' run -n beta -- sh -c 'echo $(id -un) $PWD'
assert_out /usr run -n beta --cwd /usr pwd
assert_out 'x y' run -n beta --env 'A=x y' -- sh -c 'echo $A'
assert_match "$(run -n beta env)" 'VIRGO_JOB=beta/[0-9]+'
assert_out 0077 on_as ann alpha sh -c 'umask 077; virgo run -n beta sh -c umask'

step "standard input, and its end"
assert_out 6 sh -c ':; printf "%s" "$1"' - "$(printf abcdef |
	run -n beta wc -c)"
head -c 5000000 /dev/urandom > "$NET_DIR/blob"
assert_eq "$(run -n beta sha256sum < "$NET_DIR/blob" | cut -d' ' -f1)" \
	"$(sha256sum < "$NET_DIR/blob" | cut -d' ' -f1)" "5 MB through stdin"
assert_eq "$(run -n beta cat < "$NET_DIR/blob" | sha256sum | cut -d' ' -f1)" \
	"$(sha256sum < "$NET_DIR/blob" | cut -d' ' -f1)" "5 MB there and back"
step "no input is no input there too, and /dev/null stays root's"
assert_out /dev/null run -n beta readlink /proc/self/fd/0 < /dev/null
assert_out /dev/null on_as ann alpha sh -c \
	'exec virgo run -n beta readlink /proc/self/fd/0 <&-'
assert_out 0 run -n beta wc -c < /dev/null
assert_eq "$(quietly on beta stat -c %u /dev/null)" 0 "owner of /dev/null"
step "a program that does not read its input ends all the same"
{ yes || :; } | run -n beta true
step "a program whose reader goes gets SIGPIPE"
run -n beta -- sh -c 'yes; echo $? >&2' 2> "$NET_DIR/err" | head -n 1 > /dev/null
wait_for 5 grep -qx 141 "$NET_DIR/err"

step "a program that closes its output and goes on: its reader sees the end"
mkfifo -m 666 "$NET_DIR/gate"
start closer alpha setpriv --reuid ann --regid ann --init-groups sh -c \
	"virgo run -n beta -- sh -c 'echo x; exec >&-; cat $NET_DIR/gate >&2' |
	{ cat; echo end; }; :"
wait_for 5 grep -qx end "$NET_DIR/closer.log"
echo y > "$NET_DIR/gate"
finish closer
wait_for 5 grep -qx y "$NET_DIR/closer.log"

step "with no node named, one is chosen, and why is told"
assert_match "$(run hostname)" '^(alpha|beta|gamma)$'
assert_match "$(run --explain hostname 2>&1 > /dev/null)" \
	'-> (alpha|beta|gamma): .*idle'
assert_eq "$(for _ in 1 2 3; do run --policy round-robin hostname; done |
	sort | tr '\n' ,)" alpha,beta,gamma, "round-robin"
assert_fails 255 run --policy no-such hostname

step "what cannot be started says so"
assert_fails 127 run -n beta no-such-program
assert_match "$(cat "$NET_DIR/last.err")" \
	"virgo: run on beta: no program 'no-such-program' there. Try: "
assert_fails 126 run -n beta /etc/passwd
printf '\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\377\377' > "$NET_DIR/alien"
chmod 755 "$NET_DIR/alien"
assert_fails 126 run -n beta "$NET_DIR/alien"
assert_match "$(cat "$NET_DIR/last.err")" 'not a program for that machine'
assert_fails 255 run -n beta --cwd /nowhere true
assert_match "$(cat "$NET_DIR/last.err")" 'directory cannot be entered'
assert_fails 255 run -n delta true
assert_match "$(cat "$NET_DIR/last.err")" 'no node of this name'

step "who may not run"
assert_fails 255 on alpha virgo run -n beta id
assert_match "$(cat "$NET_DIR/last.err")" 'virgo: run on beta: .*root.* Try: '
quietly on alpha useradd -m -u 1501 bob
assert_fails 255 on_as bob alpha virgo run -n beta id
assert_match "$(cat "$NET_DIR/last.err")" "virgo: run on beta: no user 'bob'"
on beta grep -q "bob.*no user 'bob'" /var/lib/virgo/audit.log
on beta grep -q 'alpha.ann.run.*hostname.*ok' /var/lib/virgo/audit.log

step "timeout and limits"
assert_fails 124 run -n beta --timeout 0.3 -- sh -c 'trap "" TERM; sleep 1000'
assert_out 262144 run -n beta --limit mem=256M -- sh -c \
	'cat /proc/self/cgroup | grep -q ^0::/.*/l && echo 262144 || ulimit -v'

assert_fails 124 run -n beta --timeout 300ms sleep 1000
for wrong in 1x 1ms2 -1 0 '' inf 0x1 ms; do
	assert_fails 2 run -n beta --timeout "$wrong" true
done
assert_out 262144 run -n beta --limit mem=0.25GiB -- sh -c \
	'cat /proc/self/cgroup | grep -q ^0::/.*/l && echo 262144 || ulimit -v'
for wrong in mem=1X mem=0 mem= cpu=0.001 cpu=9999 cpu=x pids=0 pids=1.5 disk=1 ''; do
	assert_fails 2 run -n beta --limit "$wrong" true
done

step "no more processes than pids="
forks='import os, signal
n = 0
try:
	while n < 200:
		if not os.fork():
			signal.pause()
		n += 1
except BlockingIOError:
	pass
print("limited" if n < 20 else n)'
assert_out limited run -n beta --limit pids=20 -- python3 -c "$forks"

step "cpu= holds, or is refused where nothing can hold it"
if run -n beta --limit cpu=50% -- sh -c 'cat "/sys/fs/cgroup$(sed -n \
	s/^0:://p /proc/self/cgroup)/cpu.max"' > "$NET_DIR/out" 2> "$NET_DIR/err"; then
	assert_eq "$(cat "$NET_DIR/out")" "50000 100000" cpu.max
else
	assert_match "$(cat "$NET_DIR/err")" \
		'^virgo: run on beta: the limit cpu needs cgroup v2, .*Try: choose a node'
fi

step "many nodes: names in front, highest status, summary"
assert_eq "$(run -a hostname | sort | tr -s ' ' | tr '\n' ,)" \
	"alpha: alpha,beta: beta,gamma: gamma," "-a hostname"
assert_eq "$(printf 'one\ntwo\n' | run -w 'alpha,beta' cat | sort |
	tr -s ' ' | tr '\n' ,)" "alpha: one,alpha: two,beta: one,beta: two," \
	"input for all"
assert_fails 3 run -w alpha,beta,gamma -- sh -c \
	'[ $VIRGO_NODE = beta ] && exit 3; [ $VIRGO_NODE = gamma ] && exit 1; exit 0'
assert_match "$(cat "$NET_DIR/last.err")" '2 of 3 failed'
assert_match "$(cat "$NET_DIR/last.err")" 'beta: status 3'

step "a program sent along, and cached for its user only"
cat > "$NET_DIR/prog" <<- 'END'
	#!/bin/sh
	echo sent to $VIRGO_NODE with $1
END
assert_out 'sent to beta with x' run -n beta --bcast "$NET_DIR/prog" -- prog x
assert_out 'sent to beta with y' run -n beta --bcast "$NET_DIR/prog" -- prog y
sum=$(sha256sum "$NET_DIR/prog" | cut -d' ' -f1)
assert_eq "$(ls "$(state_of beta)/blobs/ann")" "$sum" "ann's cache on beta"
cp /bin/echo "$NET_DIR/prog"
assert_out 'a b' run -n beta --bcast "$NET_DIR/prog" -- echo a b

step "kill by number"
start victim alpha setpriv --reuid ann --regid ann --init-groups \
	virgo run -n beta -- sleep 98123
wait_for 5 sh -c "pgrep -fx 'sleep 98123'"
job=$(on_as ann alpha virgo ps -n beta | awk '/sleep 98123/ { print $1 }')
assert_match "$job" '^beta/[0-9]+$'
assert_eq "$(on beta virgo ps | grep -c 'sleep 98123')" 1 "root sees it"
quietly on beta useradd -m -u 1502 eve
assert_fails 1 on_as eve beta virgo kill "$job"
on_as ann alpha virgo kill -s INT "$job"
status=0
finish victim || status=$?
assert_eq "$status" 130 "status of the job that was sent SIGINT"

step "virgod is spared when memory runs out, where it may be; its jobs are not"
may=$( (echo -500 > /proc/self/oom_score_adj) 2> /dev/null && echo -500 || echo 0)
assert_eq "$(cat "/proc/${PID[virgod-beta]}/oom_score_adj")" "$may"
assert_out 0 run -n beta -- cat /proc/self/oom_score_adj
