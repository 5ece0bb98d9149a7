# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Kit of the scenarios that need another kernel: bash scripts tests/vm/NAME.sh,
# whose second line says its goal, and which begin with
#
#	. "${0%/*}/kit.sh"
#	in_guest [KERNEL...] [OPTION...]
#
# in_guest boots one guest after the other (default: uml; only those that the
# script is given as arguments) with the options of tests/vm/guest and runs the
# script in it again from the top; there it returns, and what follows happens in
# the guest, with the kit of tests/net: nodes, start, wait_for, assert_*. Exit
# status as in tests/net; 99 when a guest's kernel complained. tests/run runs the
# script once a kernel.
set -Eeu -o pipefail

VM_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
VM_ONLY=$*

in_guest() {
	local kernels=() kernel

	[ -z "${VIRGO_GUEST-}" ] || return 0
	while [ $# -gt 0 ] && [[ $1 != --* ]]; do
		kernels+=("$1")
		shift
	done
	[ -z "$VM_ONLY" ] || read -ra kernels <<< "$VM_ONLY"
	[ "$(id -u)" = 0 ] || { echo "SKIP: guests need root"; exit 77; }
	VIRGO_BUILD=$(cd "${VIRGO_BUILD:-$VM_SRC/../../build}" && pwd)
	export VIRGO_BUILD
	for kernel in "${kernels[@]:-uml}"; do
		echo "[+] a guest with kernel $kernel"
		VIRGO_GUEST=$kernel "$VM_SRC/guest" --kernel "$kernel" "$@" -- \
			bash "$(readlink -f "$0")"
	done
	exit 0
}

if [ -n "${VIRGO_GUEST-}" ]; then
	. "$VM_SRC/../net/kit.sh"
	PATH=$NET_PATH # whatever our caller has in front of it is slow here
fi
