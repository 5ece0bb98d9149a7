#!/bin/bash
# Goal: the home node is destroyed; jobs go on, another is promoted from the backup.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta gamma delta
for node in alpha beta gamma; do
	on "$node" mkdir -p /etc/virgo
	on "$node" bash -c 'printf "[cloud]\ncertificate_life = 90s\n" \
		> /etc/virgo/virgo_cloud.conf'
done
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha
node_join gamma alpha
wait_for 40 net_sees beta alpha gamma
on gamma useradd -m ann
on beta useradd -m ann

step "a backup, sealed"
echo "correct horse battery staple" > "$NET_DIR/passphrase"
cp "$NET_DIR/passphrase" "$(state_of alpha)/passphrase"
on alpha virgo backup /var/lib/virgo/cloud.backup \
	--passphrase-file /var/lib/virgo/passphrase
assert_fails 1 grep -q "PRIVATE KEY" "$(state_of alpha)/cloud.backup"
assert_eq "$(stat -c %a "$(state_of alpha)/cloud.backup")" 600 "its mode"
assert_fails 1 on beta virgo backup /var/lib/virgo/x \
	--passphrase-file /var/lib/virgo/passphrase
assert_match "$(cat "$NET_DIR/last.err")" "home node alpha"
cp "$(state_of alpha)/cloud.backup" "$(state_of beta)/"
cp "$NET_DIR/passphrase" "$(state_of beta)/"

step "a node joins that the backup does not know"
node_join delta alpha
wait_for 40 net_sees beta alpha gamma delta

step "with the home node alive no backup is taken"
assert_fails 1 on beta virgo node promote --backup /var/lib/virgo/cloud.backup \
	--passphrase-file /var/lib/virgo/passphrase
assert_match "$(cat "$NET_DIR/last.err")" "alpha is alive"

step "the home node is destroyed"
cp -a "$(state_of alpha)" "$NET_DIR/alpha-before"
node_kill alpha
find "$(state_of alpha)" -mindepth 1 -delete

step "what is placed goes on; what needs home says so"
assert_out gamma on_as ann beta virgo run -n gamma -- hostname
for change in "invite" "node remove gamma"; do
	# shellcheck disable=SC2086 # words
	assert_fails 1 on beta virgo $change
	assert_match "$(cat "$NET_DIR/last.err")" \
		"home node alpha.*cannot be asked.*Try: .*promote --backup"
done

step "a wrong passphrase"
echo "wrong horse battery staple" > "$(state_of beta)/wrong"
promote() {
	on beta virgo node promote --backup /var/lib/virgo/cloud.backup \
		--passphrase-file "/var/lib/virgo/$1"
}
down() {
	quietly on beta virgo status | grep -Eq "^alpha +down"
}
wait_for 40 down
assert_fails 1 promote wrong
assert_match "$(cat "$NET_DIR/last.err")" "passphrase is wrong"

step "promoted"
promote passphrase
[ -e "$(state_of beta)/identity/authority.key" ] || fail "no key"

follows() {
	quietly on "$1" virgo node list | grep -Eq "^beta +home"
}
wait_for 40 follows gamma
wait_for 40 follows delta

step "the node that the backup did not know is there"
assert_match "$(quietly on beta virgo node list)" "^delta |
delta "

step "renewal works under the new home"
serial() {
	openssl x509 -serial -noout -in "$(state_of gamma)/identity/node.crt"
}
before=$(serial)
renewed() {
	[ "$(serial)" != "$before" ]
}
wait_for 120 renewed

step "the old home node comes back from its disk: it is no home any more"
cp -a "$NET_DIR/alpha-before/." "$(state_of alpha)/"
node_start alpha
fenced() {
	[ ! -e "$(state_of alpha)/identity/authority.key" ] &&
		quietly on alpha virgo node list | grep -Eq "^beta +home"
}
assert_fails 1 on alpha virgo invite
wait_for 40 fenced
assert_fails 1 on alpha virgo invite
assert_match "$(cat "$NET_DIR/last.err")" "only root on the home node beta"

step "joining works: a new machine in its place"
node_stop alpha
find "$(state_of alpha)" -mindepth 1 -delete
on beta virgo node remove alpha
node_join alpha beta
wait_for 40 net_sees gamma alpha beta delta
