#!/bin/bash
# Goal: virgo.ko is loaded and unloaded again and again, each time out of the middle of its work.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module --mem 512M --timeout 560 --modules tls
ip link set lo up
python3 -B "${0%/*}/kmod_unload.py" "${VIRGO_UNLOADS:-100}"
