#!/bin/bash
# Goal: 1,000 jobs at once on one node: every status right, at most 64 KiB of virgod for each.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
for n in alpha beta; do
	quietly on "$n" useradd -m -u 1500 ann
done
on_as ann alpha python3 "$NET_SRC/tests/net/jobs_thousand.py" 1000 beta \
	"${PID[virgod-alpha]}" "${PID[virgod-beta]}"
assert_eq "$(on_as ann alpha virgo ps -n beta | wc -l)" 1 "only the heading"
