#!/bin/bash
# Goal: virgo run -t gives a terminal: size and its changes, Ctrl-C, hang-up, and ours as it was.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
for n in alpha beta; do
	quietly on "$n" useradd -m -u 1500 ann
done
on_as ann alpha python3 "$NET_SRC/tests/net/jobs_terminal.py"
wait_for 5 sh -c '! pgrep -fx "sleep 97501"'
