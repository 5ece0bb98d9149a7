#!/bin/bash
# Goal: a module calls a function of another node with no program running, and hostile peers get nothing.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml 6.1 6.12 --modules "tls veth virgo virgo_checksum virgo_echo virgo_pressure"
for node in alpha beta; do
	ip netns add "$node"
	ip -n "$node" link set lo up
done
ip link set lo up
ip link add veth0 netns alpha type veth peer veth0 netns beta
ip -n alpha address add 10.9.9.1/24 dev veth0
ip -n beta address add 10.9.9.2/24 dev veth0
ip -n alpha link set veth0 up
ip -n beta link set veth0 up
python3 -B "${0%/*}/kmod_calls.py"
ip netns del alpha
ip netns del beta
rmmod virgo_checksum virgo_echo virgo_pressure virgo
