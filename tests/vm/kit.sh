# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Kit of the scenarios that need another kernel: bash scripts tests/vm/NAME.sh,
# whose second line says its goal, and which begin with
#
#	. "${0%/*}/kit.sh"
#	in_guest [KERNEL...] [OPTION...]
#
# in_guest boots one guest after the other (default: uml) with the options of
# tests/vm/guest and runs the script in it again from the top; there it returns,
# and what follows happens in the guest, with the kit of tests/net: nodes, start,
# wait_for, assert_*. Exit status as in tests/net; 99 when a guest's kernel
# complained.
set -Eeu -o pipefail

VM_SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

in_guest() {
	local kernels=() kernel

	[ -z "${VIRGO_GUEST-}" ] || return 0
	while [ $# -gt 0 ] && [[ $1 != --* ]]; do
		kernels+=("$1")
		shift
	done
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

[ -z "${VIRGO_GUEST-}" ] || . "$VM_SRC/../net/kit.sh"
