#!/bin/bash
# Goal: memcached's clients use the kernel's cache; bad ones and a short memory do it no harm.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml 6.1 6.12 --mem 512M --timeout 300 --modules virgo
ip link set lo up
python3 -B "${0%/*}/kmod_cache.py"
rmmod virgo
