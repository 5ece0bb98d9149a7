# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Scenario kit: nodes as namespaces. A scenario is a bash script tests/net/NAME.sh
# whose second line says its goal (one behaviour), and which begins with
#
#	. "${0%/*}/kit.sh"
#
# It runs as root and does not return before everything it made is gone, also
# after a failure. Exit status: 0 passed, 77 skipped (says what is missing),
# anything else failed. Two scenarios can run at the same time.
#
#	  alpha          beta          gamma        one network, mount and UTS
#	[10.87.47.1]  [10.87.47.2]  [10.87.47.3]    namespace each: own host name,
#	[fd87:47::1]  [fd87:47::2]  [fd87:47::3]    /etc, /run, /virgo, users
#	   eth0          eth0          eth0
#	     |             |             |
#	     '-------- bridge hub -------'          in a namespace of its own
#
# net_up NODE...         makes the nodes (bare: no virgod)
# cloud_up NODE...       net_up, then a cloud: the first node is the home node,
#                        the others join; a virgod runs in each and sees all up
# node_join NODE HOME    makes NODE a node of HOME's cloud and starts its virgod
# on NODE CMD...         runs CMD in the node as root; printed as [NODE] CMD
# on_as USER NODE CMD... the same as user USER (make one by: on NODE useradd -m ann)
# quietly CMD...         runs a kit command without the transcript
# start NAME NODE CMD... runs CMD in the node in the background: output goes to
#                        $NET_DIR/NAME.log, its process id is ${PID[NAME]}
# finish NAME            waits for what was started; gives its exit status
# node_start NODE [ARG]  starts virgod (as start virgod-NODE) and waits for it
# node_stop NODE         SIGTERM; virgod must end with status 0 within 10 s
# node_kill NODE         SIGKILL
# state_of NODE          its state folder, seen from outside and inside
# addr_of NODE           its IPv4 address; addr6_of NODE its IPv6 address
#
# cut_cable NODE, restore_cable NODE
# drop_packets NODE PERCENT [MATCH]  drops that share of what comes in and goes
#                        out; MATCH is an nft match: drop_packets beta 20 udp dport 8747
# part NODE NODE         neither hears the other, everybody else hears both
# pass_packets NODE      ends drop_packets and part for that node
#
# wait_for SECONDS CMD...     polls until CMD succeeds; fails after SECONDS. A CMD
#                             that asserts is a function in ( ), or the first
#                             assertion that fails would end the scenario
# assert_eq GOT WANT [WHAT]   equal strings
# assert_match GOT REGEX      GOT contains a match of the extended REGEX
# assert_out WANT CMD...      CMD succeeds and its standard output is WANT
# assert_fails STATUS CMD...  CMD ends with STATUS; its output is kept in
#                             $NET_DIR/last.out and last.err
# patience MS                 MS, or four times as much on an overloaded machine
# step TEXT, fail TEXT, skip TEXT
#
# Programs come from the build folder $VIRGO_BUILD, default: build in the tree.
set -Eeu -o pipefail
shopt -s inherit_errexit

NET_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VIRGO_BUILD=$(cd "${VIRGO_BUILD:-$NET_SRC/build}" && pwd)
NET_PATH=$VIRGO_BUILD/cli:$VIRGO_BUILD/daemon:$VIRGO_BUILD/fs:$VIRGO_BUILD/nbd
NET_PATH+=:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
NET_SELF=$BASHPID
NET_QUIET=0
declare -A PID=()        # what runs in the background, by name
declare -A NET_HOLDER=() # node -> pid of the process that holds its namespaces
declare -A NET_NUMBER=() # node -> number in its addresses
declare -a NET_SPACES=() # network namespaces that we made, as readlink gives them
NET_HUB=

exec 3>&2

say() {
	[ "$NET_QUIET" = 1 ] || printf '%s\n' "$*" >&3
}

step() {
	say "[+] $*"
}

fail() {
	printf '[!] FAILED: %s\n' "$*" >&3
	exit 1
}

skip() {
	printf 'SKIP: %s\n' "$*" >&3
	exit 77
}

quietly() {
	local was=$NET_QUIET ret=0

	NET_QUIET=1
	"$@" || ret=$?
	NET_QUIET=$was
	return "$ret"
}

# Every process in a namespace of ours, except this shell's own.
net_processes() {
	local p space ours

	for p in /proc/[0-9]*; do
		space=$(readlink "$p/ns/net" 2>/dev/null) || continue
		for ours in "${NET_SPACES[@]}"; do
			[ "$space" = "$ours" ] && echo "${p#/proc/}"
		done
	done
	return 0
}

# The cgroups of virgo-spawn with number @1, which cannot remove them any more.
net_remove_cgroups() {
	find /sys/fs/cgroup -depth -type d -path "*/virgo-$1*" -exec rmdir {} +
}

net_cleanup() {
	local status=$1 p log end spawns=()

	trap - EXIT ERR INT TERM
	[ "$BASHPID" = "$NET_SELF" ] || exit "$status"
	set +e
	exec 2> /dev/null # bash tells of every job that is killed here
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
		for log in "$NET_DIR"/*.log; do
			[ -s "$log" ] || continue
			printf -- '--- %s, last lines\n' "${log##*/}" >&3
			tail -n 25 "$log" >&3
		done
	fi
	for p in $(net_processes); do
		[ "$(cat "/proc/$p/comm")" = virgo-spawn ] && spawns+=("$p")
	done
	end=$((SECONDS + 10))
	while :; do
		p=$(net_processes)
		# shellcheck disable=SC2086 # a list of numbers
		[ -n "$p" ] && kill -9 $p 2>/dev/null
		for p in "${PID[@]}" "${NET_HOLDER[@]}" $NET_HUB; do
			kill -9 "$p" 2>/dev/null
		done
		[ -z "$(net_processes)" ] && break
		if [ "$SECONDS" -ge "$end" ]; then
			echo "[!] processes survive: $(net_processes)" >&3
			[ "$status" -eq 0 ] && status=1
			break
		fi
		sleep 0.05
	done
	wait
	for p in "${spawns[@]}"; do
		net_remove_cgroups "$p"
	done
	rm -rf --one-file-system "$NET_DIR"
	exit "$status"
}

net_error() {
	printf '[!] line %s: "%s" gave %s\n' "$1" "$2" "$3" >&3
}

[ "$(id -u)" = 0 ] || skip "scenarios need root"
NET_DIR=$(mktemp -d "${TMPDIR:-/tmp}/virgo-$$-net.XXXXXX")
chmod 0755 "$NET_DIR"
trap 'net_cleanup $?' EXIT
trap 'net_error "$LINENO" "$BASH_COMMAND" "$?"' ERR
trap 'exit 130' INT
trap 'exit 143' TERM

# wait_until SECONDS CMD...: polls; false when it took longer.
wait_until() {
	local end=$((SECONDS + $1 + 1))

	shift
	until "$@" > /dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

wait_for() {
	local seconds=$1

	shift
	say "[ ] within $seconds s: $*"
	quietly wait_until "$seconds" "$@" ||
		fail "not within $seconds s: $*"
}

patience() {
	awk -v ms="$1" -v cpus="$(nproc)" \
		'{ print ($1 > 2 * cpus ? 4 * ms : ms) }' /proc/loadavg
}

assert_eq() {
	[ "$1" = "$2" ] && return
	fail "${3:-compared}: got '$1', wanted '$2'"
}

assert_match() {
	[[ $1 =~ $2 ]] || fail "'$1' does not match '$2'"
}

assert_out() {
	local want=$1 got ret=0

	shift
	got=$("$@") || ret=$?
	[ "$ret" -eq 0 ] || fail "$*: status $ret, printed '$got'"
	assert_eq "$got" "$want" "$*"
}

assert_fails() {
	local want=$1 ret=0

	shift
	"$@" > "$NET_DIR/last.out" 2> "$NET_DIR/last.err" || ret=$?
	[ "$ret" -eq "$want" ] && return
	cat "$NET_DIR/last.out" "$NET_DIR/last.err" >&3
	fail "$*: status $ret, wanted $want"
}

state_of() {
	echo "$NET_DIR/$1/state"
}

addr_of() {
	echo "10.87.47.${NET_NUMBER[$1]}"
}

addr6_of() {
	echo "fd87:47::${NET_NUMBER[$1]}"
}

# net_exec NODE CMD...: becomes CMD in the node; for a subshell only.
net_exec() {
	local node=$1

	shift
	exec nsenter --target "${NET_HOLDER[$node]}" --net --mount --uts \
		env -u VIRGO_STATE PATH="$NET_PATH" HOME=/root "$@" 3>&-
}

on() {
	say "[$1] ${*:2}"
	(net_exec "$@")
}

on_as() {
	local user=$1 node=$2 home group

	shift 2
	say "[$user@$node] $*"
	IFS=: read -r _ _ _ group _ home _ \
		< <(net_exec "$node" getent passwd "$user")
	(net_exec "$node" setpriv --reuid "$user" --regid "$group" --init-groups \
		env HOME="$home" USER="$user" LOGNAME="$user" "$@")
}

start() {
	local name=$1 node=$2

	shift 2
	say "[$node] $* &"
	# A killed script takes it along, even when the script could not clean up.
	setpriv --pdeathsig KILL \
		nsenter --target "${NET_HOLDER[$node]}" --net --mount --uts \
		env -u VIRGO_STATE PATH="$NET_PATH" HOME=/root "$@" \
		> "$NET_DIR/$name.log" 2>&1 < /dev/null 3>&- &
	PID[$name]=$!
}

finish() {
	local ret=0

	wait "${PID[$1]}" || ret=$?
	unset "PID[$1]"
	return "$ret"
}

hub() {
	nsenter --target "$NET_HUB" --net "$@"
}

net_space_differs() {
	local space

	space=$(readlink "/proc/$1/ns/net") &&
		[ "$space" != "$(readlink /proc/self/ns/net)" ]
}

net_node() {
	local node=$1 n=$2 dir=$NET_DIR/$1

	mkdir -p "$dir"
	setpriv --pdeathsig KILL \
		unshare --net --mount --uts --propagation private \
		bash "$NET_SRC/tests/net/node_root.sh" "$dir" "$node" \
		"$NET_SRC" "$VIRGO_BUILD" > "$NET_DIR/holder-$node.log" 2>&1 \
		< /dev/null 3>&- &
	NET_HOLDER[$node]=$!
	NET_NUMBER[$node]=$n
	wait_until 60 test -e "$dir/ready" ||
		fail "no namespaces for $node: $(cat "$NET_DIR/holder-$node.log")"
	NET_SPACES+=("$(readlink "/proc/${NET_HOLDER[$node]}/ns/net")")
	hub ip link add "v-$node" type veth peer name eth0 \
		netns "${NET_HOLDER[$node]}"
	hub ip link set "v-$node" master bridge up
	(net_exec "$node" ip link set lo up)
	(net_exec "$node" ip addr add "10.87.47.$n/24" dev eth0)
	(net_exec "$node" ip addr add "fd87:47::$n/64" dev eth0 nodad)
	(net_exec "$node" ip link set eth0 up)
}

net_up() {
	local node n=0

	step "nodes: $*"
	setpriv --pdeathsig KILL unshare --net sleep infinity 3>&- &
	NET_HUB=$!
	wait_until 10 net_space_differs "$NET_HUB" || fail "no namespace"
	NET_SPACES+=("$(readlink "/proc/$NET_HUB/ns/net")")
	hub ip link add bridge type bridge forward_delay 0 mcast_snooping 0
	hub ip link set bridge up
	echo "127.0.0.1 localhost" > "$NET_DIR/hosts"
	for node; do
		n=$((n + 1))
		echo "10.87.47.$n $node" >> "$NET_DIR/hosts"
		echo "fd87:47::$n $node" >> "$NET_DIR/hosts"
	done
	n=0
	for node; do
		n=$((n + 1))
		net_node "$node" "$n"
	done
}

cut_cable() {
	step "cut $1's cable"
	hub ip link set "v-$1" down
}

restore_cable() {
	step "restore $1's cable"
	hub ip link set "v-$1" up
}

net_table() {
	on "$1" nft "add table inet kit
		add chain inet kit in { type filter hook input priority 0; }
		add chain inet kit out { type filter hook output priority 0; }
		$2"
}

drop_packets() {
	local node=$1 percent=$2
	local rule="${*:3} numgen random mod 100 < $percent drop"

	[ "$percent" -lt 100 ] || rule="${*:3} drop"
	step "$node drops $percent % of ${*:3}"
	quietly net_table "$node" "add rule inet kit in $rule
		add rule inet kit out $rule"
}

part() {
	local a b

	step "$1 and $2 cannot hear each other"
	for a in "$1" "$2"; do
		b=$1
		[ "$a" = "$1" ] && b=$2
		quietly net_table "$a" "
			add rule inet kit in ip saddr $(addr_of "$b") drop
			add rule inet kit out ip daddr $(addr_of "$b") drop
			add rule inet kit in ip6 saddr $(addr6_of "$b") drop
			add rule inet kit out ip6 daddr $(addr6_of "$b") drop"
	done
}

pass_packets() {
	step "$1 hears everything again"
	quietly on "$1" nft delete table inet kit
}

net_ready() {
	kill -0 "${PID[virgod-$1]}" && [ -S "$NET_DIR/$1/state/run/virgod.sock" ]
}

node_start() {
	local node=$1

	rm -f "$NET_DIR/$node/state/run/virgod.sock"
	start "virgod-$node" "$node" virgod "${@:2}"
	wait_until 60 net_ready "$node" || fail "virgod did not start on $node"
}

node_stop() {
	local pid=${PID[virgod-$1]} ret=0

	step "stop virgod on $1"
	kill -TERM "$pid"
	wait_until 10 net_gone "$pid" || fail "virgod on $1 ignores SIGTERM"
	finish "virgod-$1" || ret=$?
	assert_eq "$ret" 0 "status of virgod on $1 after SIGTERM"
}

# True once the child @1 has ended (it stays a zombie until finish).
net_gone() {
	local state

	read -r _ _ state _ < "/proc/$1/stat" || return 0
	[ "$state" = Z ]
}

node_kill() {
	step "kill -9 virgod on $1"
	kill -KILL "${PID[virgod-$1]}"
	finish "virgod-$1" 2> /dev/null || true
}

# A home node that was started anew first asks whether it still is that.
net_invited() {
	invitation=$(on "$1" virgo invite)
}

node_join() {
	local invitation=

	quietly wait_until 30 net_invited "$2" ||
		fail "no invitation: $(quietly on "$2" virgo invite 2>&1)"
	# What it prints is the command to run: sudo virgo join virgo1:...
	read -ra invitation <<< "${invitation#sudo }"
	on "$1" "${invitation[@]}" --name "$1"
	node_start "$1"
}

# Whether @1 sees each of the other nodes up.
net_sees() {
	local seer=$1 table node

	shift
	table=$(on "$seer" virgo status)
	for node; do
		grep -Eq "^$node +up( |\$)" <<< "$table" || return 1
	done
}

cloud_up() {
	local home=$1 node

	net_up "$@"
	on "$home" virgo init "$home" > "$NET_DIR/init.log"
	node_start "$home"
	for node in "${@:2}"; do
		node_join "$node" "$home"
	done
	for node; do
		wait_for 60 net_sees "$node" "$@"
	done
}
