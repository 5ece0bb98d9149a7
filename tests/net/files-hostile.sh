#!/bin/bash
# Goal: a node with a good certificate and bad intent gets no file it was not given: forged, crossed, replayed handles, names with slashes.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
for v in mine shut other; do
	on alpha mkdir -p -m 1777 "/srv/$v"
	on alpha bash -c "echo data > /srv/$v/file"
done
# One volume in a store with lasting handles (tmpfs), one without (overlay).
on alpha mount -t tmpfs -o mode=1777 virgo-hostile /srv/mine
on alpha bash -c 'echo data > /srv/mine/file'
on alpha virgo volume create mine --path /srv/mine
on alpha virgo volume create other --path /srv/other --squash all
on alpha virgo volume create shut --path /srv/shut --allow alpha

for pair in "mine other" "other mine"; do
	step "on volume ${pair% *}"
	# shellcheck disable=SC2086 # two words
	set -- $pair
	assert_out ok on beta python3 "$NET_SRC/tests/net/files_hostile.py" \
		"$(addr_of alpha):8747:/var/lib/virgo/identity" "$1" shut "$2"
done

step "what was refused is on record, and virgod lives"
assert_match "$(on alpha virgo audit)" "volume shut.*may not mount"
assert_out data on alpha cat /srv/mine/file
node_stop beta
node_stop alpha
