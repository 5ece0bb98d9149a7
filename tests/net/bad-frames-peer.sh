#!/bin/bash
# Goal: no bytes on port 8747 end virgod, with or without a certificate of the cloud.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta

step "garbage in TLS, from a node that belongs"
on beta python3 "$NET_SRC/tests/net/bad_frames.py" \
	"$(addr_of alpha):8747:/var/lib/virgo/identity" "${PID[virgod-alpha]}"

step "garbage instead of TLS, and strangers"
on beta python3 "$NET_SRC/tests/net/bad_strangers.py" "$(addr_of alpha)" \
	"${PID[virgod-alpha]}"

step "afterwards the cloud works as before"
net_sees beta alpha beta || fail "beta has lost the others"
node_stop beta
node_stop alpha
