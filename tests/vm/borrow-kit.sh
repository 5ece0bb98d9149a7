# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Kit of the scenarios about borrowed memory, all inside one guest: the borrower
# is the node alpha, which has the guest's own network namespace, for the kernel's
# nbd driver answers there only; lenders are nodes in namespaces, as in tests/net.
# A program gets short of memory by a cgroup's limit, so that the lenders, which
# share the guest's memory, do not. Their same_machine lets them lend to alpha all
# the same. To be read after in_guest.
#
# borrow_up SIZE LENDER...  a cloud of alpha and the lenders, each lending SIZE;
#                           the first lender is the home node
# borrow CMD...             runs it at alpha, with the programs found
# hog MIB PASSES            starts the hog with $HOG_LIMIT of memory
# hog_reached LINE          whether it has printed LINE
# hog_ends                  waits for it; it must have found every page as written
# lender_pid NODE           of its virgo-nbd
# lender_kill NODE          SIGKILL to it; with "all" as second word also what keeps
#                           the pool, and virgod
# guard_kill                SIGKILL to virgo-guard and its dialler
# guard_is_gone             virgo-guard does not run
# whole KIND                whether status says that all data is on two lenders
# lenders_of KIND           the nodes whose legs hold all data

HOG_LIMIT=32M
net_separate=$(declare -f net_node)

# A guest has a share of one processor: it is given four times as long.
eval "net_$(declare -f wait_until)"

wait_until() {
	net_wait_until "$(($1 * 4))" "${@:2}"
}

# The guest ends with us, and everything in it: nothing has to be cleared away.
net_cleanup() {
	local status=$1 log

	trap - EXIT ERR INT TERM
	[ "$BASHPID" = "$NET_SELF" ] || exit "$status"
	[ "$status" -eq 0 ] || for log in "$NET_DIR"/*.log; do
		[ -s "$log" ] || continue
		printf -- '--- %s, last lines\n' "${log##*/}" >&3
		tail -n 25 "$log" >&3
	done
	[ "$status" -eq 0 ] || dmesg | tail -n 30 >&3
	exit "$status"
}

eval "net_separate${net_separate#net_node}"

net_node() {
	local node=$1 n=$2 dir=$NET_DIR/$1

	if [ "$node" != alpha ]; then
		net_separate "$@"
		on "$node" bash -c 'mkdir -p /etc/virgo
			printf "[memory]\nsame_machine = yes\n" > /etc/virgo/virgo_cloud.conf'
		return
	fi
	mkdir -p "$dir"
	setpriv --pdeathsig KILL unshare --mount --uts --propagation private \
		bash "$NET_SRC/tests/net/node_root.sh" "$dir" "$node" \
		"$NET_SRC" "$VIRGO_BUILD" > "$NET_DIR/holder-$node.log" 2>&1 \
		< /dev/null 3>&- &
	NET_HOLDER["alpha"]=$!
	# shellcheck disable=SC2034 # for addr_of
	NET_NUMBER["alpha"]=$n
	wait_until 20 test -e "$dir/ready" ||
		fail "no namespaces for $node: $(cat "$NET_DIR/holder-$node.log")"
	hub ip link add "v-$node" type veth peer name eth0 netns "$BASHPID"
	hub ip link set "v-$node" master bridge up
	ip addr add "10.87.47.$n/24" dev eth0
	ip addr add "fd87:47::$n/64" dev eth0 nodad
	ip link set eth0 up
}

borrow_up() {
	local size=$1 node

	shift
	cloud_up "$@" alpha
	for node; do
		on "$node" virgo memory lend "$size" --reserve 1M
	done
}

borrow() {
	on alpha "$@"
}

hog() {
	local cgroup=/sys/fs/cgroup/hog

	mkdir -p "$cgroup"
	echo "$HOG_LIMIT" > "$cgroup/memory.max"
	step "a hog of $1 MiB with $HOG_LIMIT of memory, $2 passes"
	# shellcheck disable=SC2016 # for that shell
	start hog alpha bash -c 'echo $$ > "$1/cgroup.procs"; exec nice -n 19 "${@:2}"' - \
		"$cgroup" "$VIRGO_BUILD/tests/vm/hog" "$@"
}

hog_reached() {
	grep -qx "$1" "$NET_DIR/hog.log"
}

# hog_ends [SIGNAL]: sends that first.
hog_ends() {
	local ret=0

	[ -z "${1-}" ] || kill "-$1" "${PID[hog]}"

	finish hog || ret=$?
	[ "$ret" = 0 ] || fail "the hog ended with $ret: $(cat "$NET_DIR/hog.log")"
	hog_reached "done" || fail "the hog did not finish"
	step "the hog found every page as it was written; $(
		grep longest "$NET_DIR/hog.log")"
}

lender_pid() {
	local p

	for p in $(pidof virgo-nbd || :); do
		[ "$(readlink "/proc/$p/ns/net")" != \
			"$(readlink "/proc/${NET_HOLDER[$1]}/ns/net")" ] || echo "$p"
	done
}

lender_kill() {
	local p

	if [ "${2-}" = all ]; then
		step "$1 dies with all it has"
		for p in $(pidof virgod virgo-nbd virgo-nbd-holder); do
			[ "$(readlink "/proc/$p/ns/net")" != \
				"$(readlink "/proc/${NET_HOLDER[$1]}/ns/net")" ] ||
				kill -KILL "$p"
		done
		return
	fi
	step "kill -9 virgo-nbd of $1"
	kill -KILL "$(lender_pid "$1")"
}

guard_kill() {
	local p

	step "kill -9 virgo-guard"
	for p in $(pidof virgo-guard); do
		kill -KILL "$p"
	done
}

guard_is_gone() {
	! pidof virgo-guard
}

status_of() {
	quietly borrow virgo "$1" "$([ "$1" = swap ] && echo status || echo list)"
}

# Lines of legs: lender, device, link, data.
legs_of() {
	status_of "$1" | grep '^  .* nbd' || :
}

whole() {
	local legs

	legs=$(legs_of "$1")
	status_of "$1" | head -n 1 | grep -q 'whole$' &&
		[ "$(grep -c ' up *whole$' <<< "$legs")" = 2 ] &&
		[ "$(wc -l <<< "$legs")" = 2 ]
}

lenders_of() {
	legs_of "$1" | awk '$3 != "lost" && $4 ~ /^whole/ { print $1 }'
}
