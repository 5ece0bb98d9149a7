# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The cache beside Debian's memcached with one thread, on loopback TCP.
#
# The kernel module's is measured in one guest that both share, with one processor
# and the clock of which is its instructions: client, server, kernel and all. That
# is the same however busy this machine is. Copies look dearer than they are, since
# each step of a repeated instruction counts. The wall time beside is what this
# machine took to emulate that.
#
# virgod's cache is measured here, with 32 MiB. Instructions a request are those of
# the server's own code in user space, counted by valgrind's callgrind over a run of
# requests after the keys were stored; CPU time, user and system, is what the kernel
# charged the server. What the kernel does for a request is in the second only.
. "$bench_dir/../net/kit.sh"
VM_SRC=$bench_dir/../vm
. "$VM_SRC/kmod-kit.sh"
for program in memcached valgrind callgrind_control qemu-system-x86_64; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

. "$bench_dir/call.sh"

cache_bytes=$((32 << 20))
# memcached sets its limit of open files, and valgrind lets it set no other.
cache_files=$(valgrind -q --tool=none bash -c 'ulimit -n')
cc -O2 -o "$NET_DIR/load" "$bench_dir/cache_load.c" -lm
quietly net_up alpha
quietly on alpha virgo init alpha > /dev/null

declare -A cache_port=([ours]=11211 [theirs]=11311)

# cache_up WHO [COMMAND...]: a fresh server, run by COMMAND.
cache_up() {
	local who=$1

	shift
	if [ "$who" = theirs ]; then
		quietly start theirs alpha "$@" memcached -u root -t 1 -m 32 \
			-c "$cache_files" -l 127.0.0.1 -p 11311 -U 0
		quietly wait_until 60 on alpha bash -c ': < /dev/tcp/127.0.0.1/11311'
	else
		quietly start ours alpha "$@" virgod
		quietly wait_until 60 on alpha virgo cache start --size 32M
	fi
}

cache_down() {
	kill "${PID[$1]}"
	quietly finish "$1" > /dev/null 2>&1 || true
	unset "PID[$1]"
}

cache_load() {
	quietly on alpha timeout 300 "$NET_DIR/load" "$@"
}

cache_requests() {
	cache_load "$@" > "$NET_DIR/requests"
}

# CPU of a process in microseconds.
cache_cpu_us() {
	awk -v tick="$(getconf CLK_TCK)" \
		'{ sub(/.*\) /, ""); print ($12 + $13) * 1000000 / tick }' \
		"/proc/$1/stat"
}

cache_cases=(
	"get.p1 get 1 40000 100"
	"get.p16 get 16 160000 100"
	"mg.p16 mg 16 160000 100"
	"set1k.p1 set 1 40000 1024"
	"set1k.p16 set 16 160000 1024"
)
for row in "${cache_cases[@]}"; do
	read -r id op depth _ size <<< "$row"
	bench_id "cache.user.$id" us low memcached \
		"CPU of the server a request: $op of $size bytes, $depth at a time"
	bench_id "cache.user.$id.instructions" instructions low memcached \
		"the server's own instructions a request, the same"
done
for row in "${cache_cases[@]}"; do
	read -r id op depth _ size <<< "$row"
	bench_id "cache.$id" instructions low memcached \
		"guest, client and server and kernel: $op of $size bytes, $depth at a time"
	bench_id "cache.$id.wall" us low memcached \
		"the same: time this machine took to emulate it"
done
bench_id cache.grow.items ratio low memcached \
	"guest: get, 16 at a time, with 200,000 items, as times that with 1,000"
bench_id cache.grow.connections ratio low memcached \
	"guest: get, one at a time, by 1,000 connections in turn, as times by one"
bench_id cache.hit.zipf percent high memcached \
	"hits of a Zipf trace (s = 1, 300,000 keys of 50 to 500 bytes), 32 MiB"
bench_id cache.hit.s3fifo percent high - \
	"the same trace through S3-FIFO in simulation, for comparison"
bench_id cache.bytes bytes low memcached \
	"bytes an item beside a key of 16 and a value of 100, in 32 MiB"
bench_id cache.user.grow ratio low - \
	"CPU of a pipelined get with 10^6 items, as times that with 10^3"

cache_cpu() {
	local row id op depth count size before

	for row in "${cache_cases[@]}"; do
		read -r id op depth count size <<< "$row"
		cache_requests "${cache_port[$1]}" "$op" "$depth" "$depth" "$size" 1000
		before=$(cache_cpu_us "${PID[$1]}")
		cache_requests "${cache_port[$1]}" "$op" "$depth" "$count" "$size" 1
		echo "cache.user.$id $(cache_cpu_us "${PID[$1]}") $before $count" |
			awk '{ print $1, ($2 - $3) / $4 }'
	done
}

cache_counted() {
	local row id op depth count size dump="$NET_DIR/callgrind.$1"

	cache_up "$1" valgrind --tool=callgrind --callgrind-out-file="$dump" \
		--instr-atstart=yes --trace-children=no
	for row in "${cache_cases[@]}"; do
		read -r id op depth count size <<< "$row"
		count=$((count / 4))
		cache_requests "${cache_port[$1]}" "$op" "$depth" "$depth" "$size" 100
		quietly on alpha callgrind_control -z "${PID[$1]}" > /dev/null
		cache_requests "${cache_port[$1]}" "$op" "$depth" "$count" "$size" 1
		rm -f "$dump".*
		quietly on alpha callgrind_control -d "${PID[$1]}" > /dev/null
		quietly wait_until 20 bash -c "grep -qs '^totals:' '$dump'.*"
		awk -v id="cache.user.$id.instructions" -v n="$count" \
			'/^totals:/ { sum += $2 } END { print id, sum / n }' \
			"$dump".*
	done
	cache_down "$1"
}

cache_side() {
	local items

	cache_up "$1"
	echo "cache.hit.zipf $(cache_load "${cache_port[$1]}" zipf 1000000 \
		300000 7)"
	cache_cpu "$1"
	cache_down "$1"
	cache_up "$1"
	items=$(cache_load "${cache_port[$1]}" fill 600000 100)
	echo "cache.bytes $((cache_bytes / items - 116))"
	cache_down "$1"
	cache_counted "$1"
}

cache_ours() {
	local few many

	cache_side ours
	echo "cache.hit.s3fifo $("$NET_DIR/load" - s3fifo 1000000 300000 7 \
		$cache_bytes)"
	few=$(cache_many 1000)
	many=$(cache_many 1000000)
	awk -v a="$few" -v b="$many" 'BEGIN { print "cache.user.grow", b / a }'
}

cache_theirs() {
	cache_side theirs
}

# CPU a get, 64 at a time, with that many items.
cache_many() {
	local before

	quietly start ours alpha virgod
	quietly wait_until 60 on alpha virgo cache start --size 1G
	cache_load 11211 fill "$1" 100 > /dev/null
	before=$(cache_cpu_us "${PID[ours]}")
	cache_requests 11211 get 64 640000 100 1
	awk -v a="$(cache_cpu_us "${PID[ours]}")" -v b="$before" \
		'BEGIN { print (a - b) / 640000 }'
	cache_down ours
}

# cache_guest ROUND: both sides in one guest, who is first by turns; the lines of
# cache_guest.py, each after the time it came.
cache_guest() {
	local first=ours

	(($1 % 2)) || first=theirs
	bench_guest "guest.$1" virgo python3 -B "$bench_dir/cache_guest.py" \
		"$NET_DIR/load" "$first"
}

# cache_guest_side WHO ROUND: the values of that side. Where the guest idled for
# more than a fiftieth of a run its clock is no count of instructions.
cache_guest_side() {
	cache_guest "$2"
	awk -v who="$1" '
		$2 == "case" { side = $3; id = $4; n = $5; next }
		side != who { next }
		$2 == "begin" { began = $1; next }
		$3 > 2 { print id ": idle for " $3 " %" > "/dev/stderr"; exit 1 }
		{ cost[id] = $2; wall[id] = ($1 - began) * 1e6 / n }
		END {
			for (id in cost)
				if (id !~ /^grow/) {
					print "cache." id, cost[id]
					print "cache." id ".wall", wall[id]
				}
			print "cache.grow.items", \
				cost["grow.items"] / cost["get.p16"]
			print "cache.grow.connections", \
				cost["grow.connections"] / cost["get.p1"]
		}' "$NET_DIR/guest.$2"
}

# The round is run's.
cache_guest_ours() {
	cache_guest_side ours "${round:?}"
}

cache_guest_theirs() {
	cache_guest_side theirs "${round:?}"
}

bench_round cache_guest_ours cache_guest_theirs
bench_round cache_ours cache_theirs
