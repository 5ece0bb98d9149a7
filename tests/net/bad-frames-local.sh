#!/bin/bash
# Goal: no bytes of an ordinary user on the unix socket end virgod, grow it, or keep others waiting.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha
on_as nobody alpha python3 "$NET_SRC/tests/net/bad_frames.py" \
	/var/lib/virgo/run/virgod.sock "${PID[virgod-alpha]}"
node_stop alpha
