#!/bin/bash
# Goal: a device of another node is read, set and watched: from a module, from C and from Python.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml 6.1 6.12 --modules "tls dummy virgo virgo_line"
ip link set lo up
ip link show dummy0 > /dev/null 2>&1 || ip link add dummy0 type dummy
ip link set dummy0 down
ip link set dummy0 name line0
LD_LIBRARY_PATH=$VIRGO_BUILD/lib PYTHONPATH=$VM_SRC/../../lib/python \
	python3 -B "${0%/*}/kmod_line.py" "$VIRGO_BUILD/lib/examples/example-line"
rmmod virgo_line virgo
