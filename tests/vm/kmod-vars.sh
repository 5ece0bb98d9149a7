#!/bin/bash
# Goal: variables set over netlink are read by programs and modules of that namespace.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module --modules "virgo virgo_pressure"
python3 -B "${0%/*}/kmod_vars.py"
