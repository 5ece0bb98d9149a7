#!/bin/bash
# Goal: only whom policy and the accounts of a node let in runs jobs there; each refusal says why and what to do, and is in the audit.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha beta

# policy NODE: its virgo_cloud.conf is what comes on standard input.
policy() {
	quietly on "$1" mkdir -p /etc/virgo
	quietly on "$1" tee /etc/virgo/virgo_cloud.conf > /dev/null
	on "$1" virgo conf reload
}

# runs_as USER THERE: a job of alpha's USER on beta runs as THERE. Polled, like
# what follows, for a connection may be lost on a busy machine.
runs_as() {
	wait_for 60 ran_as "$@"
}

ran_as() {
	[ "$(quietly on_as "$1" alpha virgo run -n beta -- id -un)" = "$2" ]
}

# refused USER REGEX RECORD: USER of alpha runs nothing on beta, is told so in one
# line, and the audit has the words that were shown.
refused() {
	quietly wait_until 60 was_refused "$1" "$2" ||
		fail "$1 was not refused with '$2': $(cat "$NET_DIR/told")"
	wait_for 60 recorded "  $1@alpha  run .*: $3"
}

was_refused() {
	local ret=0

	on_as "$1" alpha virgo run -n beta -- id -un > "$NET_DIR/out" \
		2> "$NET_DIR/told" || ret=$?
	[ "$ret" = 255 ] && [ ! -s "$NET_DIR/out" ] &&
		[ "$(wc -l < "$NET_DIR/told")" = 1 ] &&
		grep -Eq "$2" "$NET_DIR/told"
}

recorded() {
	on beta virgo audit -n 10 | grep -Eq "$1"
}

is_barred() {
	! quietly on_as "$1" alpha touch /virgo/beta/barred 2> /dev/null
}

on alpha virgo init alpha > /dev/null
node_start alpha
on beta virgo join "$(quietly on alpha virgo invite | grep -o 'virgo1:[^ ]*')" \
	> /dev/null
node_start beta
for user in ann bob carl; do
	on alpha useradd -m $user
done
on beta useradd -m bob
on beta useradd -m anna
wait_for 60 on_as bob alpha virgo run -n beta -- true

step "a user runs as himself there, and the audit has it"
runs_as bob bob
recorded "  bob@alpha  run .*: ok" || fail "the job is not in the audit"

step "no such account there"
refused ann "^virgo: run on beta: no user 'ann' there. Try: create it, or map it with idmap$" \
	"no user 'ann' there"

step "idmap gives her an account"
policy beta <<- END
	[idmap]
	ann = anna
END
runs_as ann anna

step "root and system accounts"
refused root "^virgo: run on beta: root \(uid 0\) is root. Try: use an ordinary account, or name root in system_users" \
	"root .uid 0. is root"
refused daemon "^virgo: run on beta: daemon \(uid 1\) is a system account. Try: use an ordinary account" \
	"daemon .uid 1. is a system account"
policy beta <<- END
	[jobs]
	system_users = root
END
runs_as root root
refused daemon "is a system account" "daemon"

step "uid_min moves the border"
policy beta <<- END
	[jobs]
	uid_min = 50000
END
refused bob "^virgo: run on beta: bob \(uid [0-9]+\) is a system account" "bob"

step "[allow] names users of a node"
policy beta <<- END
	[allow]
	alpha = carl
END
refused bob "^virgo: run on beta: user 'bob' of alpha may not use this node. Try: add bob to the line of alpha in \[allow\] of /etc/virgo/virgo_cloud.conf there$" \
	"user 'bob' of alpha may not use this node"
policy beta <<- END
	[allow]
	alpha = carl, bob
END
runs_as bob bob
policy beta <<- END
	[allow]
	gamma = *
END
refused bob "Try: write alpha = bob below \[allow\]" "user 'bob' of alpha"

step "[allow] is for files too, also of a mount that is there already"
on alpha mkdir -p /virgo
on alpha virgo mount
policy beta < /dev/null
wait_for 60 on_as bob alpha ls /virgo/beta
wait_for 60 on_as bob alpha touch /virgo/beta/mine
policy beta <<- END
	[allow]
	alpha = root, carl
END
wait_for 60 is_barred bob
assert_match "$(quietly on beta virgo audit)" \
	" bob@alpha  files -: user 'bob' of alpha may not use this node"
wait_for 60 on_as carl alpha ls /virgo/beta
policy beta < /dev/null
wait_for 60 on_as bob alpha touch /virgo/beta/again
assert_match "$(quietly on beta virgo audit -n 99999)" " -@alpha  mount beta: ok"
on alpha virgo umount

step "PAM's account stage"
policy beta <<- END
	[jobs]
	pam = yes
END
on beta rm -f /etc/pam.d/virgo
refused bob "policy asks PAM, which has no service virgo there. Try: install /etc/pam.d/virgo" "policy asks PAM"
on beta cp "$NET_SRC/conf/pam.d/virgo" /etc/pam.d/virgo
policy beta < /dev/null
runs_as bob bob
on beta chage -E 2020-01-01 bob
is_refused() {
	! quietly on_as bob alpha virgo run -n beta -- true 2> /dev/null
}
wait_for 60 is_refused
refused bob "^virgo: run on beta: PAM refuses user 'bob': .*expired.*. Try: see chage -l bob there$" \
	"PAM refuses user 'bob'"
on beta chage -E -1 bob
wait_for 60 on_as bob alpha virgo run -n beta -- true

step "one sees one's own entries, root all"
on beta useradd -m ann
quietly on_as bob beta virgo audit -n 999999 > "$NET_DIR/own"
grep -q ' bob@alpha ' "$NET_DIR/own" || fail "own entries are missing"
! grep -q ' ann@alpha ' "$NET_DIR/own" || fail "others' entries are shown"
assert_match "$(quietly on beta virgo audit -n 999999)" " ann@alpha "
[ "$(on beta stat -c '%a %U' /var/lib/virgo/audit.log)" = "600 root" ] ||
	fail "the log can be read by others"

step "numbers have no gaps, also after kill -9"
node_kill beta
node_start beta
wait_for 60 on_as bob alpha virgo run -n beta -- true
on beta virgo audit -n 999999 --json > "$NET_DIR/audit.json"
python3 - "$NET_DIR/audit.json" <<- END
	import json, sys
	numbers = [json.loads(l)["number"] for l in open(sys.argv[1])]
	assert numbers == list(range(1, len(numbers) + 1)), numbers
	assert len(numbers) > 10, numbers
END
assert_eq "$(on beta virgo audit --since 2099-01-01)" "" "entries of the future"
assert_fails 2 on beta virgo audit --since yesterday
