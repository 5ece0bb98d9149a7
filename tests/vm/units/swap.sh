#!/bin/bash
# Goal: under systemd borrowed swap in use is given back at poweroff, while the network, virgod and the lenders are there.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/../kit.sh"
. "${0%/*}/kit.sh"

# The lenders are virgods in network namespaces of the same guest, as units that are
# stopped after alpha's. A program with more pages than memory runs to the end.

if [ -z "${VIRGO_GUEST-}" ]; then
	guest_goes_down --mem 768M --timeout 280 \
		--modules "veth nbd tls raid1 dm-crypt chacha20poly1305"
	in_order 'watch-swap: swaps 0, records 0, "leased_bytes":0 "leased_bytes":0' 'Stopped virgod\.service'
	in_order 'Stopped virgo-swap\.service' 'Stopped virgod\.service'
	in_order 'Stopped virgod\.service' 'Stopped lender@beta\.service'
	in_order 'Stopped virgo-swap\.service' 'Stopped target .*[Nn]etwork'
	# Its cgroup has no room for what it has in swap.
	all_went_down hog.service
	never_said 'I/O error|Disk failure'
	exit 0
fi

if [ "$GUEST_STAGE" = before ]; then
	meson install -C "$VIRGO_BUILD" --no-rebuild > /run/install.log
	ldconfig
	exit 0
fi

# in_lender NAME CMD...: where that lender's files are in VIRGO's places.
in_lender() {
	systemd-run --quiet --wait --pipe -p "NetworkNamespacePath=/run/netns/$1" \
		-p "BindPaths=/lender/$1/etc:/etc/virgo /lender/$1/lib:/var/lib/virgo /lender/$1/run:/run/virgo" \
		"${@:2}"
}

# wire NAME N: a cable to alpha.
wire() {
	ip netns add "$1"
	ip link add "to-$1" type veth peer name eth0 netns "$1"
	ip addr add "10.87.$2.1/24" dev "to-$1"
	ip link set "to-$1" up
	ip -n "$1" addr add "10.87.$2.2/24" dev eth0
	ip -n "$1" link set eth0 up
	ip -n "$1" link set lo up
	ip -n "$1" route add default via "10.87.$2.1"
	mkdir -p "/lender/$1"/{etc,lib,run}
	printf '[memory]\nsame_machine = yes\n' > "/lender/$1/etc/virgo_cloud.conf"
}

# What virgo invite prints is the command to run: sudo virgo join virgo1:...
invitation() {
	virgo invite | grep -o 'virgo1:[^ ]*'
}

step "two lenders, as units, and alpha"
echo 1 > /proc/sys/net/ipv4/ip_forward
wire beta 1
wire gamma 2
cat > /etc/systemd/system/lender@.service << 'END'
[Unit]
Before=virgod.service
[Service]
NetworkNamespacePath=/run/netns/%i
BindPaths=/lender/%i/etc:/etc/virgo /lender/%i/lib:/var/lib/virgo /lender/%i/run:/run/virgo
# Else virgo-nbd would become the unit of that name, which is alpha's.
ExecStart=/usr/bin/env -u INVOCATION_ID /usr/local/sbin/virgod
END
mkdir -p /run/virgo
virgo init alpha --advertise 10.87.1.1,10.87.2.1
systemctl daemon-reload
systemctl start virgod.service
n=1
for name in beta gamma; do
	in_lender "$name" virgo join "$(invitation)" --name "$name" \
		--advertise "10.87.$n.2"
	systemctl start "lender@$name.service"
	n=$((n + 1))
done
knows_all() {
	[ "$(virgo status | grep -cE '^(alpha|beta|gamma) +up ')" = 3 ]
}
wait_for 60 knows_all
for name in beta gamma; do
	in_lender "$name" virgo memory lend 64M --reserve 1M
done

step "a hog with more pages than memory, on borrowed swap"
virgo swap on 32M --seal --raise-min-free
systemd-run --quiet --unit hog -p MemoryMax=20M \
	"$VIRGO_BUILD/tests/vm/hog" 40 100000
swaps() {
	[ "$(awk '$1 ~ "^/dev/" { print $4 }' /proc/swaps)" -gt 16000 ]
}
wait_for 60 swaps
assert_out active systemctl is-active virgo-swap.service

# Stopped after virgo-swap.service and before virgod.
cat > /etc/systemd/system/watch-swap.service << 'END'
[Unit]
After=virgod.service
Before=virgo-swap.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
ExecStop=/run/watch-swap
END
cat > /run/watch-swap << 'END'
#!/bin/bash
# What that lender has leased.
leased() {
	nsenter --mount --target "$(systemctl show -P MainPID "lender@$1.service")" \
		/usr/local/bin/virgo memory status --json | grep -o '"leased_bytes":[0-9]*'
}
echo "watch-swap: swaps $(grep -c ^/dev /proc/swaps), records $(
	find /var/lib/virgo/borrow -type f | wc -l), $(leased beta) $(leased gamma)" > /dev/kmsg
END
chmod +x /run/watch-swap
assert_match "$(/run/watch-swap 2>&1; dmesg | tail -n 1)" \
	'watch-swap: swaps 1, records 1, "leased_bytes":33554432 "leased_bytes":33554432'
systemctl daemon-reload
systemctl start watch-swap.service
assert_eq "$(systemctl --failed --no-legend)" "" "failed units"
