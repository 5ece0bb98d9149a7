#!/bin/bash
# Goal: random operations end as they do on a local disk.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
on beta mkdir -p /srv/all
on beta mount -t tmpfs -o mode=1777 virgo-test /srv/all
on beta virgo volume create all --path /srv/all --squash none
on alpha virgo mount

for seed in 1 2 3 4 5 6; do
	step "seed $seed"
	on alpha mkdir -p "/local/$seed" "/virgo/all/$seed"
	assert_out ok on alpha python3 "$NET_SRC/tests/net/files_random.py" \
		"/local/$seed" "/virgo/all/$seed" "/virgo/all/$seed" "$seed" 3000
done
