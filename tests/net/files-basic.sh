#!/bin/bash
# Goal: two clients share a volume: what one closes the other opens, attributes and errors are as on a local disk.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
for node in alpha beta gamma; do
	on $node mkdir -p /virgo
	on $node mount.virgo /virgo
done

step "the root lists the cloud's volumes"
assert_out "alpha beta gamma" on alpha bash -c 'cd /virgo && echo *'
assert_out "755 root root" on alpha stat -c '%a %U %G' /virgo

step "close-to-open between two clients"
on beta useradd -u 2001 ann
on alpha useradd -u 2002 ann
on gamma useradd -u 2003 ann
on_as ann alpha bash -c 'echo one > /virgo/beta/f; echo two > /virgo/beta/g'
assert_out one on_as ann gamma cat /virgo/beta/f
for i in 1 2 3 4 5 6 7 8; do
	quietly on_as ann alpha bash -c "echo round $i > /virgo/beta/f"
	NET_QUIET=1 assert_out "round $i" on_as ann gamma cat /virgo/beta/f
	quietly on_as ann alpha bash -c "echo new $i > /virgo/beta/.n && mv /virgo/beta/.n /virgo/beta/f"
	NET_QUIET=1 assert_out "new $i" on_as ann gamma cat /virgo/beta/f
done

step "owners go by name"
assert_out "ann 2003" on gamma stat -c '%U %u' /virgo/beta/f
assert_out "ann 2001" on beta stat -c '%U %u' /var/lib/virgo/export/f
