#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Prints TAP: the header of virgo.ko compiles alone in C and C++, and its structs
# are laid out the same for 32 and for 64 bits. uapi.sh HEADER
set -u

# check NAME CMD...
check() {
	local name=$1

	shift
	if "$@"; then
		echo "ok - $name"
	else
		echo "not ok - $name"
	fi
}

# One number a struct and a member: its size or its offset.
numbers() {
	echo '#include <stddef.h>'
	echo "#include \"$1\""
	awk '/^struct [a-z_]+ \{/ { name = $2; print "unsigned size_" name \
			" = sizeof(struct " name ");" }
		/^}/ { name = "" }
		name && match($0, /[a-z0-9_]+(\[[^]]*\])?;/) {
			member = substr($0, RSTART, RLENGTH)
			sub(/[\[;].*/, "", member)
			print "unsigned at_" name "_" member \
				" = offsetof(struct " name ", " member ");" }' "$1"
}

# The system's headers for 64 bits serve 32 as well: these types are the same.
layout() {
	numbers "$2" | cc "$1" -isystem "/usr/include/$(cc -print-multiarch)" \
		-ffreestanding -fno-asynchronous-unwind-tables -S -x c - -o - |
		grep -E '^(size|at)_|\.(long|zero)'
}

same_layout() {
	local wide narrow

	wide=$(layout -m64 "$1") && narrow=$(layout -m32 "$1") &&
		[ "$(grep -c ^size_ <<< "$wide")" -ge 1 ] &&
		diff <(echo "$wide") <(echo "$narrow")
}

flags=(-Wall -Wextra -Wpadded -Werror -fsyntax-only)
echo "1..3"
check "the header compiles alone in C" cc -std=c99 "${flags[@]}" -x c "$1"
check "the header compiles alone in C++" \
	c++ -std=c++11 "${flags[@]}" -x c++ "$1"
check "32 and 64 bits have the same layout" same_layout "$1"
