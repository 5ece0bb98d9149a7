#!/bin/bash
# Goal: a volume on another node behaves as a local file system, for root and for a user.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
on beta mkdir -p /srv
on beta mount -t tmpfs -o mode=1777 virgo-test /srv
on beta mkdir -p -m 1777 /srv/all
on beta virgo volume create all --path /srv/all --squash none
for node in alpha beta; do
	on $node useradd -m ann
	on $node useradd -m bob
done
on alpha virgo mount

step "on another node's volume, as root and as a user, in memory and on disk"
posix() {
	"${@:2}" mkdir "$1"
	assert_out ok "${@:2}" python3 "$NET_SRC/tests/net/files_posix.py" "$1"
}
posix /virgo/all/root on alpha
posix /virgo/all/ann on_as ann alpha
posix /virgo/beta/ann on_as ann alpha
posix /virgo/alpha/ann on_as ann alpha

step "volumes are file systems of their own"
assert_fails 1 on alpha python3 -c 'import os; os.link("/virgo/all/root/f", "/virgo/beta/f")'
on alpha python3 -c '
import os, errno
for call in os.link, os.rename:
    try:
        call("/virgo/all/root/f", "/virgo/beta/f")
    except OSError as e:
        assert e.errno == errno.EXDEV, e
    else:
        raise SystemExit("linked or renamed across volumes")
for call in lambda: os.rename("/virgo/all", "/virgo/some"), \
        lambda: open("/virgo/file", "w"), lambda: os.symlink("a", "/virgo/l"):
    try:
        call()
    except OSError as e:
        assert e.errno == errno.EPERM, e
    else:
        raise SystemExit("the root was changed")
'

step "inode numbers differ between volumes"
assert_out 3 on alpha bash -c 'stat -c %i /virgo/* | sort -u | wc -l'

step "mkdir makes a volume, rmdir removes an empty one"
on alpha mkdir /virgo/fresh
assert_out ok on_as ann alpha bash -c 'echo ok > /virgo/fresh/f && cat /virgo/fresh/f'
# beta hears of it from the catalog.
beta_lists() { [[ $(on beta virgo volume list) =~ fresh\ +(alpha|beta)\  ]]; }
wait_for 10 beta_lists
assert_fails 1 on alpha rmdir /virgo/fresh
assert_match "$(cat "$NET_DIR/last.err")" 'not empty'
on_as ann alpha rm /virgo/fresh/f
on alpha rmdir /virgo/fresh
assert_fails 2 on alpha ls /virgo/fresh
assert_fails 1 on_as ann alpha mkdir /virgo/mine

step "it ends cleanly"
assert_match "$(on alpha cat /proc/mounts)" 'virgo /virgo fuse.virgo'
on alpha virgo umount
assert_fails 1 on alpha grep -q fuse.virgo /proc/mounts
assert_fails 1 on alpha virgo umount
