#!/bin/bash
# Goal: certificates renew ten times under a running job and no stream is dropped.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

# A life of 15 s renews every 10 s; RENEWAL_LIFE=30 takes four minutes.
life=${RENEWAL_LIFE:-15}

net_up alpha beta
for node in alpha beta; do
	on "$node" mkdir -p /etc/virgo
	on "$node" bash -c "printf '[cloud]\ncertificate_life = ${life}s\n' \
		> /etc/virgo/virgo_cloud.conf"
done
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
wait_for 30 net_sees alpha beta

serial() {
	openssl x509 -serial -noout -in "$(state_of "$1")/identity/node.crt"
}

changed() {
	[ "$(serial "$1")" != "$2" ]
}

on alpha useradd -m ann
on beta useradd -m ann
step "a job that writes all the time, and an idle connection"
start job alpha setpriv --reuid ann --regid ann --init-groups \
	env HOME=/home/ann virgo run -n beta -- sh -c '
		i=0
		while [ ! -e /var/lib/virgo/enough ]; do
			i=$((i + 1))
			echo $i
			sleep 0.1
		done
		echo end'
wait_for 30 grep -q "^5$" "$NET_DIR/job.log"
start hold beta python3 "$NET_SRC/tests/net/is_served.py" \
	"$(addr_of alpha)" /var/lib/virgo/identity hold
wait_for 30 grep -q held "$NET_DIR/hold.log"

stem=$(serial beta | cut -c1-23)
for i in 1 2 3 4 5 6 7 8 9 10; do
	a=$(serial alpha)
	b=$(serial beta)
	wait_for $((3 * life)) changed alpha "$a"
	wait_for $((3 * life)) changed beta "$b"
	step "renewed $i times"
	assert_eq "$(serial beta | cut -c1-23)" "$stem" "stem of the serial"
done

step "neither the job nor the connection has noticed"
on beta touch /var/lib/virgo/enough
finish job
assert_eq "$(tail -n 1 "$NET_DIR/job.log")" end "last line"
grep -v end "$NET_DIR/job.log" > "$NET_DIR/lines"
seq "$(tail -n 1 "$NET_DIR/lines")" | cmp - "$NET_DIR/lines"
grep -q closed "$NET_DIR/hold.log" && fail "the idle connection was closed"
kill "${PID[hold]}"
finish hold || true

step "new connections work under the new certificates"
assert_out beta on_as ann alpha virgo run -n beta -- hostname
