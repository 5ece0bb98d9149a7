# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# For scenarios of virgo.ko, after kit.sh: with_module [KERNEL...] [OPTION...] is
# in_guest in a guest whose modules are virgo.ko's, built for it first. Any
# warning of the compiler or of sparse fails.

# build_module KERNEL: prints the folder with the .ko files.
build_module() {
	local dir=$VIRGO_BUILD/kmod-$1 arch=() kdir

	case $1 in
	uml | debug) arch=(ARCH=um) ;;
	esac
	kdir=$("$VM_SRC/prepare" --kdir "$1") || return
	mkdir -p "$dir"
	(
		flock 9
		"$VM_SRC/../../kmod/build" "$kdir" "$dir" W=1 C=2 \
			"${arch[@]}" > "$dir/log" 2>&1 9>&- ||
			{ tail -n 30 "$dir/log" >&2; exit 1; }
		! grep -iE 'warning[: ]' "$dir/log" >&2
	) 9> "$dir.lock" || return
	echo "$dir"
}

with_module() {
	local kernels=() kernel dir

	[ -z "${VIRGO_GUEST-}" ] || return 0
	while [ $# -gt 0 ] && [[ $1 != --* ]]; do
		kernels+=("$1")
		shift
	done
	[ -z "$VM_ONLY" ] || read -ra kernels <<< "$VM_ONLY"
	[ "$(id -u)" = 0 ] || { echo "SKIP: guests need root"; exit 77; }
	VIRGO_BUILD=$(cd "${VIRGO_BUILD:-$VM_SRC/../../build}" && pwd)
	for kernel in "${kernels[@]:-uml}"; do
		dir=$(build_module "$kernel")
		echo "[+] a guest with kernel $kernel and virgo.ko"
		VIRGO_BUILD=$VIRGO_BUILD VIRGO_GUEST=$kernel "$VM_SRC/guest" \
			--kernel "$kernel" --extra-modules "$dir" "$@" -- \
			bash "$(readlink -f "$0")"
	done
	exit 0
}
