#!/bin/bash
# Goal: variables set over netlink are read by programs, and acted on by modules, of that namespace.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module --modules "virgo virgo_pressure"
ip link set lo up
python3 -B "${0%/*}/kmod_vars.py"
