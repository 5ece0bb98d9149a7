#!/bin/bash
# Goal: only a right, unused, unexpired invitation lets a machine in; all else says why.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

# invite ARG...: prints the invitation alone.
invite() {
	local command

	command=$(quietly on alpha virgo invite "$@")
	echo "${command##* }"
}

# changed TOKEN FIELD VALUE
changed() {
	python3 "$NET_SRC/tests/net/token.py" "$@"
}

# refused NODE REGEX ARG...: one line that matches, nothing left behind.
refused() {
	local node=$1 regex=$2

	shift 2
	assert_fails 1 on "$node" virgo join "$@"
	assert_eq "$(grep -c . "$NET_DIR/last.err")" 1 "lines on standard error"
	assert_match "$(cat "$NET_DIR/last.err")" "^virgo: .*$regex"
	[ ! -e "$(state_of "$node")/identity" ] || fail "an identity is left"
	[ ! -e "$(state_of "$node")/catalog.db" ] || fail "a catalog is left"
	[ ! -e "$(state_of "$node")/.making" ] || fail ".making is left"
}

net_up alpha beta gamma
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha

step "what is no invitation"
refused beta "does not begin with" hello
refused beta "damaged or cut off" "$(invite | head -c 60)"
refused beta "version" virgo9:abcd

step "an unknown secret"
token=$(invite)
refused beta "does not know the invitation" \
	"$(changed "$token" secret 000102030405060708090a0b0c0d0e0f)"

step "names"
refused beta "only a-z" "$token" --name 'a;reboot'
refused beta "only a-z" "$token" --name '$(id)'
refused beta "begin or end" "$token" --name=-a
refused beta "has a node alpha already" "$token" --name alpha
assert_fails 1 on alpha virgo invite --name 'b c'
assert_match "$(cat "$NET_DIR/last.err")" "only a-z"
assert_fails 1 on alpha virgo invite --name alpha

step "none of these has used the invitation up"
on beta virgo join "$token" --name beta
node_start beta

step "once only"
refused gamma "has been used already" "$token" --name gamma

step "not after its time"
token=$(invite --ttl 1s)
sleep 2.1 # the time is what is tested
refused gamma "has expired" "$token"

step "not onto a state folder in use, nor a foreign one"
token=$(invite)
assert_fails 1 on beta virgo join "$token"
assert_match "$(cat "$NET_DIR/last.err")" "is a node of a cloud already"
on gamma touch /var/lib/virgo/letters.txt
refused gamma "not empty: it holds 'letters.txt'" "$token"
on gamma rm /var/lib/virgo/letters.txt

step "users other than root"
on alpha useradd -m ann
assert_fails 1 on_as ann alpha virgo invite
assert_match "$(cat "$NET_DIR/last.err")" "root"

step "who guesses has to wait, and only they"
for i in 1 2 3 4 5; do
	assert_fails 1 quietly on gamma virgo join \
		"$(changed "$token" secret 0001020304050607080900000000000$i)"
done
refused gamma "too many wrong invitations .* again in [0-9]+ s" "$token"
assert_fails 1 on beta virgo --state /run/other join \
	"$(changed "$token" secret 00010203040506070809000000000000)"
assert_match "$(cat "$NET_DIR/last.err")" "does not know the invitation"

step "every one of these is in the audit log"
grep -q "has expired" "$(state_of alpha)/audit.log"
grep -q "has been used already" "$(state_of alpha)/audit.log"
