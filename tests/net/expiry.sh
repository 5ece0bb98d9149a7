#!/bin/bash
# Goal: a certificate that expires unrenewed ends open connections at that moment, at both ends; a mount goes on over renewals.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

life=15
nodes=(alpha beta gamma)

net_up "${nodes[@]}"
for node in "${nodes[@]}"; do
	on "$node" mkdir -p /etc/virgo
	on "$node" bash -c "printf '[cloud]\ncertificate_life = ${life}s\n' \
		> /etc/virgo/virgo_cloud.conf"
	on "$node" useradd -m ann
done
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
node_join gamma alpha
for node in "${nodes[@]}"; do
	wait_for 60 net_sees "$node" "${nodes[@]}"
done

serial() {
	openssl x509 -serial -noout -in "$(state_of "$1")/identity/node.crt"
}

changed() {
	[ "$(serial "$1")" != "$2" ]
}

step "a file is written through a mount while certificates renew"
on beta virgo mount
on gamma mkdir -p -m 1777 /srv/data
on gamma virgo volume create data --path /srv/data
wait_for 60 on beta test -d /virgo/data
start writer beta setpriv --reuid ann --regid ann --init-groups bash -c '
	exec > /virgo/data/lines || exit
	i=0
	while [ ! -e /var/lib/virgo/enough ]; do
		i=$((i + 1))
		echo $i || exit
		sync /virgo/data/lines || exit
		sleep 0.1
	done
	echo end'
wait_for 60 on gamma grep -q "^5$" /srv/data/lines
for _ in 1 2 3; do
	for node in beta gamma; do
		was=$(serial "$node")
		wait_for $((4 * life)) changed "$node" "$was"
	done
done
on beta touch /var/lib/virgo/enough
finish writer || fail "the writer failed: $(cat "$NET_DIR/writer.log")"
assert_out end on gamma tail -n 1 /srv/data/lines
quietly on gamma grep -v end /srv/data/lines > "$NET_DIR/lines"
seq "$(tail -n 1 "$NET_DIR/lines")" | cmp - "$NET_DIR/lines"

step "a job and an idle connection from beta to gamma; the home node dies"
start job beta setpriv --reuid ann --regid ann --init-groups \
	env HOME=/home/ann virgo run -n gamma -- sh -c 'echo here; sleep 1000'
wait_for 60 grep -q here "$NET_DIR/job.log"
start hold beta python3 "$NET_SRC/tests/net/is_served.py" \
	"$(addr_of gamma)" /var/lib/virgo/identity hold
wait_for 60 grep -q held "$NET_DIR/hold.log"
node_kill alpha
end=$(date -d "$(openssl x509 -enddate -noout \
	-in "$(state_of beta)/identity/node.crt" | cut -d= -f2)" +%s)

step "both go on until beta's certificate ends, and not beyond"
if [ "$(date +%s)" -lt $((end - 1)) ]; then
	assert_fails 1 grep -q closed "$NET_DIR/hold.log"
	kill -0 "${PID[job]}"
fi
wait_for $((4 * life)) grep -q closed "$NET_DIR/hold.log"
finish hold
ret=0
finish job || ret=$?
assert_eq "$ret" 255 "status of the job's caller"
assert_match "$(cat "$NET_DIR/job.log")" "certificate .*has expired"
[ "$(date +%s)" -ge "$end" ] || fail "they ended before the certificate"
# How long after is said only of a machine that has time.
[ "$(patience 1)" != 1 ] || [ "$(date +%s)" -le $((end + 10)) ] ||
	fail "they went on long after the certificate's end"

step "gamma refuses beta from then on, with the reason"
assert_fails 255 on_as ann beta virgo run -n gamma -- true
assert_match "$(cat "$NET_DIR/last.err")" "[Cc]ertificate"

step "and says so in its log"
grep -q "certificate .*has expired" "$NET_DIR/virgod-gamma.log"
