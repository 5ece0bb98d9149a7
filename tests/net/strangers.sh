#!/bin/bash
# Goal: without a valid certificate of the cloud openssl gets not one byte of service.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta gamma delta
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
node_join gamma alpha
python3 -c '
import sys
sys.path.insert(0, sys.argv[1])
import frames
sys.stdout.buffer.write(frames.hello() + frames.frame(frames.STATUS))' \
	"$NET_SRC/tests/net" > "$(state_of delta)/greeting"

# bytes_from NODE ALPN OPTION...: what openssl gets for a greeting and a request
# within two seconds; within twenty when $patience is set.
patience=
bytes_from() {
	local node=$1 alpn=$2

	shift 2
	on delta bash -c '
		out=$(mktemp)
		(
			cat /var/lib/virgo/greeting
			for i in $(seq "$0"); do
				[ "$(wc -c < "$out")" -gt 100 ] && break
				sleep 0.1
			done
		) | timeout 30 openssl s_client -quiet -tls1_3 "$@" \
			> "$out" 2> /dev/null
		wc -c < "$out"
		rm "$out"' "${patience:-20}" -connect "$(addr_of "$node"):8747" \
		-alpn "$alpn" "$@"
}

# served NODE IDENTITY
served() {
	local patience=200

	# shellcheck disable=SC2046 # words
	[ "$(bytes_from "$1" virgo/1 $(with "$2"))" -gt 100 ] || fail "not served"
}

# identity NODE NAME: a copy of its identity, as a thief on delta has it.
identity() {
	cp -a "$(state_of "$1")/identity" "$(state_of delta)/$2"
}

with() {
	echo -cert "/var/lib/virgo/$1/node.crt" -key "/var/lib/virgo/$1/node.key"
}

step "a valid certificate is served, so the test can tell"
identity beta good
served alpha good

step "none"
assert_eq "$(bytes_from alpha virgo/1)" 0 "bytes"
assert_eq "$(bytes_from alpha virgo-k/1)" 0 "bytes"
assert_eq "$(bytes_from alpha http/1.1)" 0 "bytes"

step "of another cloud, its home node of the same name"
on delta virgo --state /run/other init alpha > "$NET_DIR/other.log"
on delta cp -a /run/other/identity /var/lib/virgo/other
# shellcheck disable=SC2046
assert_eq "$(bytes_from alpha virgo/1 $(with other))" 0 "bytes"

step "signed by itself, with a node's name"
on delta openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
	-nodes -subj /CN=beta -days 30 -keyout /var/lib/virgo/self.key \
	-out /var/lib/virgo/self.crt 2> /dev/null
assert_eq "$(bytes_from alpha virgo/1 -cert /var/lib/virgo/self.crt \
	-key /var/lib/virgo/self.key)" 0 "bytes"

step "signed by a node, which is no authority"
on delta bash -c 'cd /var/lib/virgo &&
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj /CN=beta -keyout sub.key -out sub.csr &&
	openssl x509 -req -in sub.csr -CA good/node.crt -CAkey good/node.key \
		-days 30 -out sub.crt && cat good/node.crt >> sub.crt' 2> /dev/null
assert_eq "$(bytes_from alpha virgo/1 -cert /var/lib/virgo/sub.crt \
	-cert_chain /var/lib/virgo/sub.crt -key /var/lib/virgo/sub.key)" 0 bytes

step "revoked: its certificate is still valid, but it was removed"
identity gamma revoked
served beta revoked
on alpha virgo node remove gamma
# shellcheck disable=SC2046
assert_eq "$(bytes_from alpha virgo/1 $(with revoked))" 0 "bytes"
not_served() {
	# shellcheck disable=SC2046
	[ "$(bytes_from beta virgo/1 $(with revoked))" = 0 ]
}
wait_for 30 not_served

step "expired"
node_stop gamma
on gamma rm -rf /var/lib/virgo/identity
on alpha mkdir -p /etc/virgo
printf '[cloud]\ncertificate_life = 25s\n' > "$NET_DIR/short.conf"
on alpha cp "$NET_DIR/short.conf" /etc/virgo/virgo_cloud.conf
node_stop alpha
node_start alpha
node_join gamma alpha
node_kill gamma
identity gamma expired
served beta expired
expired() {
	local end

	end=$(openssl x509 -enddate -noout \
		-in "$(state_of delta)/expired/node.crt")
	# It is still good in the second that it names.
	[ "$(date -d "${end#*=}" +%s)" -lt $(($(date +%s) - 1)) ]
}
wait_for 60 expired
# shellcheck disable=SC2046
assert_eq "$(bytes_from beta virgo/1 $(with expired))" 0 "bytes"

step "who was away for too long says what to do"
assert_fails 1 on gamma virgod
assert_match "$(cat "$NET_DIR/last.err")" "certificate expired.*Try: .*invitation"
