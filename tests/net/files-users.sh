#!/bin/bash
# Goal: who may do what: a second user at warm caches of a 0700 folder, squash, ids by name and number, allowed nodes, nested mounts.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
on beta useradd -u 2001 ann
on beta useradd -u 2002 bob
on beta groupadd -g 3001 team
on beta usermod -aG team ann
on alpha useradd -u 2002 ann # the other way round on purpose
on alpha useradd -u 2001 bob
on alpha groupadd -g 3333 team
on alpha usermod -aG team ann
on gamma useradd -u 2001 bob
on alpha useradd -u 2050 eve # beta does not know her
for v in plain open shut number ro; do
	on beta mkdir -p -m 1777 /srv/$v
done
on beta virgo volume create plain --path /srv/plain
on beta virgo volume create open --path /srv/open --squash none
on beta virgo volume create shut --path /srv/shut --squash all
on beta virgo volume create number --path /srv/number --idmap numeric --squash none
on beta virgo volume create ro --path /srv/ro --allow alpha:ro
on alpha virgo mount
on gamma virgo mount

refused() {
	local what=$1

	shift
	NET_QUIET=1 assert_fails 1 "$@"
	assert_match "$(cat "$NET_DIR/last.err")" "$what"
}

wait_for 10 on gamma sh -c "virgo volume list | grep -q '^ro '"
step "a second user gets nothing from warm caches of a 0700 folder"
on_as ann alpha bash -c 'mkdir -m 700 /virgo/plain/mine && cd /virgo/plain/mine &&
	mkdir sub && echo secret > f && echo secret > sub/f && chmod 644 f sub/f'
on_as ann alpha bash -c 'cat /virgo/plain/mine/f /virgo/plain/mine/sub/f; ls -lR /virgo/plain/mine' > /dev/null
refused "Permission denied" on_as bob alpha cat /virgo/plain/mine/f
refused "Permission denied" on_as bob alpha cat /virgo/plain/mine/sub/f
refused "Permission denied" on_as bob alpha bash -c 'echo x > /virgo/plain/mine/new'
NET_QUIET=1 assert_fails 2 on_as bob alpha ls /virgo/plain/mine
refused "Permission denied" on_as bob gamma cat /virgo/plain/mine/f

step "users go by name, whatever their numbers"
assert_out ann on beta stat -c %U /srv/plain/mine
assert_out "ann 2002" on alpha stat -c '%U %u' /virgo/plain/mine
on_as ann alpha chgrp team /virgo/plain/mine
assert_out team on beta stat -c %G /srv/plain/mine
on_as bob alpha touch /virgo/plain/bobs
refused "Operation not permitted" on_as bob alpha chgrp team /virgo/plain/bobs

step "a user the server does not know is nobody there, or keeps a number"
on_as eve alpha bash -c 'echo e > /virgo/plain/eves'
assert_out nobody on beta stat -c %U /srv/plain/eves
on alpha setpriv --reuid 3999 --regid 3999 --clear-groups touch /virgo/plain/number
assert_out 3999 on beta stat -c %u /srv/plain/number
assert_out 3999 on alpha stat -c %u /virgo/plain/number

step "root is nobody, unless the volume says otherwise"
on alpha bash -c 'echo r > /virgo/plain/roots'
assert_out nobody on beta stat -c %U /srv/plain/roots
refused "Permission denied" on alpha cat /virgo/plain/mine/f
on alpha bash -c 'echo r > /virgo/open/roots; chown ann:team /virgo/open/roots'
assert_out ann:team on beta stat -c %U:%G /srv/open/roots
on_as ann alpha bash -c 'echo a > /virgo/shut/anns'
assert_out nobody on beta stat -c %U /srv/shut/anns

step "by number where the volume says so"
on_as ann alpha bash -c 'echo a > /virgo/number/anns'
assert_out "2002 bob" on beta stat -c '%u %U' /srv/number/anns

step "set-user-ID: lost when another writes, never obeyed here"
on_as ann alpha bash -c 'cp /bin/id /virgo/plain/id && chmod 4777 /virgo/plain/id'
on_as bob alpha bash -c 'printf x | dd of=/virgo/plain/id conv=notrunc 2> /dev/null'
assert_out 777 on beta stat -c %a /srv/plain/id

step "read-only for one node, nothing for the other"
on beta bash -c 'echo data > /srv/ro/f'
assert_out data on alpha cat /virgo/ro/f
refused "Read-only file system" on alpha bash -c 'echo x > /virgo/ro/f'
refused "Read-only file system" on alpha mkdir /virgo/ro/d

refused "Permission denied" on gamma cat /virgo/ro/f

step "taken away while it is in use"
# shellcheck disable=SC2016 # expanded over there
start reader gamma sh -c 'exec < /virgo/plain/roots; read a; echo got $a; sleep 1000'
wait_for 5 grep -q "got r" "$NET_DIR/reader.log"
on beta virgo volume allow plain alpha
gamma_is_out() {
	! quietly on gamma cat /virgo/plain/roots > /dev/null 2>&1
}
wait_for 5 gamma_is_out
assert_out r on alpha cat /virgo/plain/roots
on beta virgo volume allow plain ''
gamma_is_in() {
	[ "$(quietly on gamma cat /virgo/plain/roots)" = r ]
}
wait_for 5 gamma_is_in

step "what is mounted below a volume is not part of it, and links lead where they say here"
on beta mkdir /srv/open/inner
on beta mount -t tmpfs virgo-inner /srv/open/inner
on beta bash -c 'echo hidden > /srv/open/inner/f; ln -s /etc/hostname /srv/open/host; ln -s ../.. /srv/open/up'
assert_out "" on alpha ls /virgo/open/inner
assert_out alpha on alpha cat /virgo/open/host
refused "No such file" on alpha cat /virgo/open/up/srv/open/roots
