#!/bin/bash
# Goal: an idle connection costs kmemcache 1 KiB at most, a key chosen to collide what others cost.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --mem 512M --modules virgo
ip link set lo up
python3 -B "${0%/*}/kmod_cache_many.py" "$VIRGO_BUILD/tests/vm/collide"
rmmod virgo
