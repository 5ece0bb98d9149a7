# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Memory lent over NBD: virgo-nbd beside nbdkit's memory plugin, nbd-server and
# qemu-nbd on files in memory, all on loopback TCP, loaded by nbd_load.c. The
# peer of a figure is the best of them in that round.
#
# What swapping on them costs is counted in a guest with one processor, whose clock is
# its instructions: the program that swaps, both ends and the kernel together. The
# kernel's own NVMe over TCP is beside it. Copies and cleared pages look dearer than
# they are, since each step of a repeated instruction counts.
. "$bench_dir/../net/kit.sh"
VM_SRC=$bench_dir/../vm
for program in nbdkit nbd-server nbd-client qemu-nbd qemu-system-x86_64; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

mem_bytes=$((256 << 20))
mem_seconds=1
mem_key=000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f

quietly net_up alpha
# For all of them: with one that paces by timers (bbr) its timers are measured, and
# cubic, Debian's standard, cannot be had in a namespace everywhere.
quietly on alpha sysctl -qw net.ipv4.tcp_congestion_control=reno
cc -O2 -o "$NET_DIR/load" "$bench_dir/nbd_load.c" -lgnutls
echo "bench:$mem_key" > "$NET_DIR/keys"
# In memory, and gone with the node.
quietly on alpha bash -c "mkdir /run/pool && truncate -s $mem_bytes /run/pool/a /run/pool/b"
cat > "$NET_DIR/nbd-server.conf" << END
[generic]
port = 10811
allowlist = true
[memory]
exportname = /run/pool/a
END
quietly start ours alpha virgo-nbd --size $mem_bytes --listen 127.0.0.1:10809 \
	--control "$NET_DIR/control"
quietly start ours-tls alpha virgo-nbd --size $mem_bytes \
	--listen 127.0.0.1:10819 --psk "$NET_DIR/keys"
quietly start nbdkit alpha nbdkit -f -p 10810 -e memory memory $mem_bytes
quietly start nbdkit-tls alpha nbdkit -f -p 10820 --tls=require \
	--tls-psk="$NET_DIR/keys" memory $mem_bytes
# It goes to the background by itself, or serves only one client.
quietly on alpha nbd-server -C "$NET_DIR/nbd-server.conf" -p "$NET_DIR/nbd-server.pid"
wait_until 10 test -s "$NET_DIR/nbd-server.pid"
PID[nbd-server]=$(cat "$NET_DIR/nbd-server.pid")
quietly start qemu-nbd alpha qemu-nbd -f raw -t -p 10812 -x memory -e 16 \
	/run/pool/b
quietly start second alpha virgo-nbd --size $mem_bytes --listen 127.0.0.1:10839 \
	--control "$NET_DIR/second"
declare -A mem_port=([second]=10839 [ours]=10809 [ours-tls]=10819 [nbdkit]=10810
	[nbdkit-tls]=10820 [nbd-server]=10811 [qemu-nbd]=10812)

# mem_load SERVER OPERATION BLOCK DEPTH [KEY]: "requests/s CPU-us-a-request"
mem_load() {
	local name=memory

	[[ $1 == nbdkit* ]] && name=''
	quietly on alpha timeout 60 "$NET_DIR/load" "$2" "$3" "$4" $mem_seconds \
		127.0.0.1 "${mem_port[$1]}" "$name" "${PID[$1]}" "${@:5}"
}

for server in "${!mem_port[@]}"; do
	quietly wait_until 10 on alpha bash -c \
		"exec 9<> /dev/tcp/127.0.0.1/${mem_port[$server]}"
	key=()
	[[ $server == *-tls ]] && key=("$mem_key")
	mem_load "$server" fill 131072 8 "${key[@]}" > /dev/null
done

mem_cases=(read4k.qd1:read:4096:1 read4k.qd32:read:4096:32
	read4k.qd128:read:4096:128 write4k.qd32:write:4096:32
	read128k:read:131072:8 write128k:write:131072:8)

# mem_side SERVER...: the best of them in each case.
mem_side() {
	local case name operation block depth server rate cpu best least

	for case in "${mem_cases[@]}"; do
		IFS=: read -r name operation block depth <<< "$case"
		best=0 least=1000000
		for server; do
			read -r rate cpu <<< \
				"$(mem_load "$server" "$operation" "$block" "$depth")"
			best=$(printf '%s\n' "$best" "$rate" | sort -g | tail -1)
			least=$(printf '%s\n' "$cpu" "$least" | sort -g | head -1)
		done
		echo "memory.$name $best"
		[ "$name" != read4k.qd32 ] || echo "memory.cpu.qd32 $least"
	done
}

mem_ours() {
	local rate

	mem_side ours
	mem_port[two]=10809,10839
	PID[two]=${PID[ours]}
	read -r rate _ <<< "$(mem_load two write 4096 32)"
	unset "mem_port[two]" "PID[two]"
	echo "memory.two.write4k $rate"
	read -r rate _ <<< "$(mem_load ours-tls read 131072 8 "$mem_key")"
	echo "memory.tls.read128k $rate"
	mem_stored virgo-nbd
}

mem_theirs() {
	local rate

	mem_side nbdkit nbd-server qemu-nbd
	read -r rate _ <<< "$(mem_load nbdkit write 4096 32)"
	echo "memory.two.write4k $rate"
	read -r rate _ <<< "$(mem_load nbdkit-tls read 131072 8 "$mem_key")"
	echo "memory.tls.read128k $rate"
	mem_stored nbdkit
}

# mem_stored SERVER: how much a fresh server of 128 MiB grows when all of it is
# written, half of it then trimmed and a quarter of it written with zeros.
mem_stored() {
	local name=stored-$1 uri before after dir=$NET_DIR/stored-$1.sock

	if [ "$1" = nbdkit ]; then
		quietly start "$name" alpha nbdkit -f -U "$dir" memory 128M
	else
		quietly start "$name" alpha virgo-nbd --size 128M --unix "$dir"
	fi
	uri="nbd+unix:///?socket=$dir"
	quietly wait_until 10 on alpha nbdinfo "$uri"
	before=$(mem_resident "$name")
	quietly on alpha nbdsh -u "$uri" -c '
for at in range(0, 128 << 20, 1 << 20):
    h.pwrite(b"x" * (1 << 20), at)
for at in range(0, 64 << 20, 1 << 20):
    h.trim(1 << 20, at)
for at in range(64 << 20, 96 << 20, 1 << 20):
    h.pwrite(bytearray(1 << 20), at)'
	after=$(mem_resident "$name")
	kill "${PID[$name]}"
	finish "$name" || true
	rm -f "$dir"
	echo "memory.stored $(((after - before) / 1024))"
}

# KiB: what is resident but shared memory, and all of the pool's memfd.
mem_resident() {
	local pid=${PID[$1]} rss

	rss=$(awk '/^(RssAnon|RssFile):/ { n += $2 } END { print n }' \
		"/proc/$pid/status")
	find "/proc/$pid/fd" -lname '/memfd:*' -exec stat -L -c '%b' {} + |
		awk -v n="$rss" '{ n += $1 / 2 } END { print int(n) }'
}

# What a request costs as exports become many and the pool large; beside it the
# same with one export in a small pool.
mem_grow() {
	echo "memory.grow.$1 $(mem_load grow read 4096 32 | cut -d' ' -f2)"
}

mem_grow_start() {
	local i

	quietly start grow alpha virgo-nbd --size "$1" --quota 32G \
		--listen 127.0.0.1:10830 --control "$NET_DIR/grow"
	mem_port[grow]=10830
	quietly wait_until 10 on alpha bash -c 'exec 9<> /dev/tcp/127.0.0.1/10830'
	for ((i = 1; i < $2; i++)); do
		echo "add e$i 67108864"
	done | quietly on alpha python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
answers = s.makefile()
for line in sys.stdin:
    s.sendall(line.encode())
    assert answers.readline().startswith("ok")' "$NET_DIR/grow"
}

mem_grow_end() {
	kill "${PID[grow]}"
	finish grow
}

mem_grow_large() {
	mem_grow_start 16G 1
	mem_grow pool
	mem_grow_end
	mem_grow_start 256M 10000
	mem_grow exports
	mem_grow_end
}

mem_grow_small() {
	mem_grow_start 1G 1
	mem_grow pool
	mem_grow_end
	mem_grow_start 256M 1
	mem_grow exports
	mem_grow_end
}

# mem_swap ID SERVER...: what swapping took on the best of them, without what the guest
# idled.
mem_swap() {
	local id=$1

	shift
	bench_guest "swap.${round:?}" nbd python3 -B "$bench_dir/swap_guest.py" \
		"$VIRGO_BUILD/nbd/virgo-nbd" "$VIRGO_BUILD/tests/vm/hog" "$round"
	awk -v id="$id" -v servers=" $* " '
		$2 == "begin" { began = $1; next }
		index(servers, " " $2 " ") {
			cost = $3 * (100 - $4) * 10
			if (!best || cost < best) {
				best = cost
				wall = $1 - began
			}
		}
		END { print id, best; print id ".wall", wall }' "$NET_DIR/swap.$round"
}

mem_swap_ours() {
	mem_swap memory.swap ours
	mem_swap memory.nvme ours
}

mem_swap_theirs() {
	mem_swap memory.swap nbdkit nbd-server
	mem_swap memory.nvme nvme
}

mem_peers="best of nbdkit, nbd-server, qemu-nbd"
bench_id memory.read4k.qd1 requests/s high "$mem_peers" "4 KiB reads, 1 at a time"
bench_id memory.read4k.qd32 requests/s high "$mem_peers" "4 KiB reads, 32 in flight"
bench_id memory.read4k.qd128 requests/s high "$mem_peers" \
	"4 KiB reads, 128 in flight"
bench_id memory.write4k.qd32 requests/s high "$mem_peers" \
	"4 KiB writes, 32 in flight"
bench_id memory.read128k requests/s high "$mem_peers" "128 KiB reads, 8 in flight"
bench_id memory.write128k requests/s high "$mem_peers" "128 KiB writes, 8 in flight"
bench_id memory.cpu.qd32 us low "$mem_peers" "server CPU a 4 KiB read, 32 in flight"
bench_id memory.tls.read128k requests/s high nbdkit \
	"128 KiB reads, 8 in flight, TLS 1.3 with AES-128-GCM"
bench_id memory.two.write4k requests/s high "nbdkit, one copy" \
	"4 KiB writes, 32 in flight, each to two lenders"
bench_id memory.stored MiB low nbdkit \
	"128 MiB written, half trimmed, a quarter written with zeros"
bench_id memory.grow.pool us low "ours with 1 GiB" \
	"server CPU a 4 KiB read in a pool of 16 GiB"
bench_id memory.grow.exports us low "ours with 1 export" \
	"server CPU a 4 KiB read with 10,000 exports"
bench_round mem_ours mem_theirs
bench_round mem_grow_large mem_grow_small
for row in "swap|best of nbdkit, nbd-server" "nvme|the kernel's NVMe over TCP, RAM disk"; do
	bench_id "memory.${row%|*}" "million instructions" low "${row#*|}" \
		"guest: a program of 64 MiB with 32 MiB of memory, and its swap, all together"
	bench_id "memory.${row%|*}.wall" s low "${row#*|}" \
		"the same: time this machine took to emulate it"
done
bench_round mem_swap_ours mem_swap_theirs
