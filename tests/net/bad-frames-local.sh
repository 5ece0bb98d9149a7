#!/bin/bash
# Goal: no bytes on the unix socket end virgod, grow it, or keep others waiting.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

net_up alpha
node_start alpha
on alpha python3 "$NET_SRC/tests/net/bad_frames.py" \
	/var/lib/virgo/run/virgod.sock "${PID[virgod-alpha]}"
node_stop alpha
