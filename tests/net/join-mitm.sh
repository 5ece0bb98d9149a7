#!/bin/bash
# Goal: who answers in the home node's place gets no secret, and the joiner nothing.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta gamma delta
on alpha virgo init alpha > "$NET_DIR/init.log"
node_start alpha
node_join beta alpha

invite() {
	local command

	command=$(quietly on alpha virgo invite)
	echo "${command##* }"
}

# misled NODE REGEX: an invitation whose address leads to NODE is refused.
misled() {
	local token

	token=$(python3 "$NET_SRC/tests/net/token.py" "$(invite)" addresses \
		"$(addr_of "$1"):8747")
	assert_fails 1 on delta virgo join "$token"
	assert_match "$(cat "$NET_DIR/last.err")" "$2"
	[ ! -e "$(state_of delta)/identity" ] || fail "an identity is left"
	# The secret is still good: nobody has seen it.
	assert_fails 1 grep -q "does not know" "$(state_of "$1")/audit.log"
}

step "another cloud, whose home node has the same name"
on gamma virgo init alpha > "$NET_DIR/init-gamma.log"
node_start gamma
misled gamma "is not the home node.*not of the cloud"

step "a node of the same cloud that is not home"
misled beta "is not alpha"

step "something that speaks no TLS"
node_stop gamma
start chatter gamma python3 -c '
import socket
s = socket.create_server(("", 8747))
while True:
	c, _ = s.accept()
	c.sendall(b"220 welcome\r\n")
	c.recv(100)
	c.close()'
wait_for 30 on gamma bash -c "ss -ltn | grep -q :8747"
misled gamma "home node"
kill "${PID[chatter]}"
finish chatter || true

step "the answer is lost on its way: asked again, it is given again"
start cutter gamma python3 -c '
import select, socket
s = socket.create_server(("", 8747))
for first in (True, False):
	c, _ = s.accept()
	u = socket.create_connection(("alpha", 8747))
	sent = 0
	while True:
		a = select.select([c, u], [], [])[0][0]
		data = a.recv(65536)
		sent += len(data) if a is c else 0
		# Certificates come back after greetings and request only.
		if not data or (first and a is u and sent > 600 and
				len(data) > 1000):
			break
		(u if a is c else c).sendall(data)
	c.close()
	u.close()'
wait_for 30 on gamma bash -c "ss -ltn | grep -q :8747"
token=$(python3 "$NET_SRC/tests/net/token.py" "$(invite)" addresses \
	"$(addr_of gamma):8747")
on delta virgo join "$token" --name delta
finish cutter
assert_eq "$(grep -c "delta joined" "$NET_DIR/virgod-alpha.log")" 2 "answers"
on delta rm -rf /var/lib/virgo/identity
on alpha virgo node remove delta

step "a man in the middle who passes everything on learns nothing and harms nobody"
start relay gamma python3 -c '
import select, socket, sys
s = socket.create_server(("", 8747))
c, _ = s.accept()
u = socket.create_connection(("alpha", 8747))
out = open("/var/lib/virgo/seen", "wb")
while True:
	for a in select.select([c, u], [], [])[0]:
		data = a.recv(65536)
		out.write(data)
		out.flush()
		if not data:
			sys.exit()
		(u if a is c else c).sendall(data)'
wait_for 30 on gamma bash -c "ss -ltn | grep -q :8747"
good=$(invite)
token=$(python3 "$NET_SRC/tests/net/token.py" "$good" addresses \
	"$(addr_of gamma):8747")
on delta virgo join "$token" --name delta
finish relay
python3 - "$good" "$(state_of gamma)/seen" <<- 'END'
	import base64, sys
	raw = sys.argv[1].split(":")[1]
	raw = base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4))
	seen = open(sys.argv[2], "rb").read()
	assert len(seen) > 1000
	assert raw[-20:-4] not in seen
END
