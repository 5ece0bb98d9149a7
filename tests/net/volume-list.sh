#!/bin/bash
# Goal: volume list shows a user what he may mount, root and administrators all.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta gamma
for node in alpha beta; do
	on "$node" useradd -m ann
	on "$node" useradd -m bob
done
for v in open secret; do
	on gamma mkdir -p -m 1777 /srv/$v
done
on gamma virgo volume create open --path /srv/open
on gamma virgo volume create secret --path /srv/secret --allow beta:ro

# lists NAMES CMD...: CMD's list is exactly these volumes.
lists() {
	local want=$1

	shift
	[ "$(quietly "$@" virgo volume list |
		awk 'NR > 1 { print $1 }' | sort | xargs)" = "$want" ]
}

step "a user sees what his node may mount, root all"
all="alpha beta gamma open secret"
wait_for 60 lists "$all" on alpha
wait_for 60 lists "alpha beta gamma open" on_as ann alpha
wait_for 60 lists "$all" on_as ann beta

step "also once the volume is shut or opened while all runs"
on gamma virgo volume allow open gamma
wait_for 60 lists "alpha beta gamma" on_as ann alpha
on gamma virgo volume allow open alpha,beta
wait_for 60 lists "alpha beta gamma open" on_as ann alpha

step "a node's own volumes are for those whom its [allow] lets in"
on beta mkdir -p /etc/virgo
on beta bash -c "printf '[allow]\nbeta = ann\n* = *\n' > /etc/virgo/virgo_cloud.conf"
on beta virgo conf reload
wait_for 60 lists "$all" on_as ann beta
wait_for 60 lists "alpha gamma open secret" on_as bob beta
wait_for 60 lists "$all" on beta
on beta bash -c ': > /etc/virgo/virgo_cloud.conf'
on beta virgo conf reload
wait_for 60 lists "$all" on_as bob beta
