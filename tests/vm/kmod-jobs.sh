#!/bin/bash
# Goal: jobs from kernel to kernel: rules, flow control, signals, cancelling, lost agents, and peers and programs that break the rules.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --modules "tls virgo"
ip link set lo up
python3 -B "${0%/*}/kmod_jobs.py"
rmmod virgo
