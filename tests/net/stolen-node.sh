#!/bin/bash
# Goal: what SECURITY.md says that whoever stole a node can and cannot do holds.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
for node in alpha beta gamma; do
	on "$node" useradd -m ann
	on "$node" useradd -m bob
done
on alpha mkdir -p -m 1777 /srv/all /srv/betas
on alpha virgo volume create all --path /srv/all
on alpha virgo volume create betas --path /srv/betas --allow beta
on beta mkdir -p -m 1777 /srv/plain
on beta virgo volume create plain --path /srv/plain
on alpha mkdir -p /etc/virgo
on alpha bash -c "printf '[allow]\nbeta = *\ngamma = ann\n' \
	> /etc/virgo/virgo_cloud.conf"
on alpha virgo conf reload
wait_for 60 on gamma sh -c 'virgo volume list | grep -q "^betas "'
on gamma virgo mount

# The thief has root on gamma, and a copy of its disk.
cp -a "$(state_of gamma)/identity" "$NET_DIR/stolen"
cp -a "$NET_DIR/stolen" "$(state_of gamma)/copy"

# thief NODE WHAT
thief() {
	quietly on gamma python3 "$NET_SRC/tests/net/stolen_node.py" \
		"$(addr_of "$1")" /var/lib/virgo/copy "$2"
}

# refused NODE WHAT REGEX
refused() {
	assert_match "$(thief "$1" "$2")" "^refused: .*$3"
}

step "can: run programs as the ordinary users the others allow it"
assert_out ann on_as ann gamma virgo run -n alpha -- id -un
assert_out bob on_as bob gamma virgo run -n beta -- id -un
assert_fails 255 on_as bob gamma virgo run -n alpha -- true
assert_match "$(cat "$NET_DIR/last.err")" "may not use this node"

step "can: read and write their files in volumes it may mount, no others"
on alpha setpriv --reuid ann --regid ann --clear-groups \
	bash -c 'umask 077; echo mine > /srv/all/anns'
assert_out mine on_as ann gamma cat /virgo/all/anns
on_as ann gamma bash -c 'echo changed > /virgo/all/anns'
assert_out changed on alpha cat /srv/all/anns
refused alpha attach "may not mount"

step "can: see the catalog"
assert_match "$(quietly on gamma virgo node list)" "beta +.*$(addr_of beta)"
assert_match "$(quietly on gamma virgo volume list)" "betas "

step "cannot: make certificates, invitations or removals"
for what in invite remove drain volume promote; do
	refused alpha "$what" "only root on the home node|home node|authority"
	refused beta "$what" "home node|alpha"
done
assert_fails 1 on gamma virgo invite
assert_fails 1 on gamma virgo node remove beta
refused beta renew "home node|alpha"
on alpha test -e /var/lib/virgo/identity/authority.key
for node in beta gamma; do
	assert_fails 1 on "$node" test -e /var/lib/virgo/identity/authority.key
done
# The catalog in its hands is a copy: what it writes there nobody takes.
net_sees alpha alpha beta gamma || fail "somebody is gone"

step "cannot: speak in another node's name"
thief alpha renew > "$NET_DIR/renewed.crt"
assert_match "$(openssl x509 -noout -subject -in "$NET_DIR/renewed.crt")" \
	"CN = gamma"
refused alpha attach "may not mount"
assert_match "$(quietly on alpha virgo audit)" "gamma.*volume betas|betas"

step "cannot: become root elsewhere"
assert_fails 255 on gamma virgo run -n alpha -- id
assert_fails 255 on gamma virgo run -n beta -- id
on alpha bash -c 'echo secret > /srv/all/roots; chmod 600 /srv/all/roots'
assert_fails 1 on gamma cat /virgo/all/roots
assert_fails 1 on gamma touch /virgo/all/anns
on beta bash -c 'echo secret > /srv/plain/roots; chmod 600 /srv/plain/roots'
assert_fails 1 on gamma cat /virgo/plain/roots
on gamma touch /virgo/plain/by-root
assert_out nobody on beta stat -c %U /srv/plain/by-root

step "cannot: change how a node is set up"
refused alpha reload "root of its own machine|not allowed|only"

step "cannot: go on after it was removed"
on alpha virgo node remove gamma
for node in alpha beta; do
	wait_for 60 on "$node" sh -c '! virgo node list | grep -q ^gamma'
done
assert_fails 1 thief alpha invite
assert_fails 1 thief beta invite
