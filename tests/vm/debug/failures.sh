#!/bin/bash
# Goal: each allocation in virgo.ko's operations fails once: said, undone, nothing lost.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/../kit.sh"
. "${0%/*}/../kmod-kit.sh"
with_module debug --mem 512M --timeout 900
ip link set lo up
mount -t debugfs debugfs /sys/kernel/debug
PYTHONPATH=$VM_SRC python3 -B "$VM_SRC/kmod_failures.py"
