#!/bin/bash
# Goal: structured rubbish on every way into virgo.ko at once does it no harm, and leaves nothing.
# SPDX-License-Identifier: GPL-2.0-or-later
#
# FUZZ_SECONDS (20) and FUZZ_SEED, which is drawn when it is not given and is said.
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
export FUZZ_SECONDS=${FUZZ_SECONDS:-20} FUZZ_SEED=${FUZZ_SEED:-$RANDOM$RANDOM}
with_module --mem 512M --timeout $((FUZZ_SECONDS + 400)) \
	--modules "tls virgo virgo_checksum"
ip link set lo up
python3 -B "${0%/*}/kmod_fuzz.py" "$FUZZ_SECONDS" "$FUZZ_SEED"
rmmod virgo_checksum virgo
