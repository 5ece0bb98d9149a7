#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Prints TAP: libvirgo.so shows exactly what virgo.h declares, and the header
# compiles alone in C and C++; so does libvirgo.a, and a program links with it.
# exports.sh LIBRARY HEADER ARCHIVE EXAMPLE
set -u

declared=$(grep -oE '\bvirgo_[a-z_]+\(' "$2" | tr -d '(' | sort -u)
shown=$(nm -D --defined-only "$1" | sed -n 's/^[0-9a-f]* T \([^@]*\).*/\1/p' |
	sort)
soname=$(readelf -d "$1" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
needed=$(readelf -d "$1" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' |
	grep -vE '^(libc|ld-linux.*|libpthread)\.so')

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

in_archive=$(nm -g --defined-only "$3" | sed -n 's/^[0-9a-f]* T //p' | sort)
program=$(mktemp)
trap 'rm -f "$program"' EXIT

echo "1..8"
check "the header declares something" test -n "$declared"
check "the library shows what the header declares, and no more" \
	diff <(echo "$declared") <(echo "$shown")
check "its soname is libvirgo.so.0" test "$soname" = libvirgo.so.0
check "it needs the C library only" test -z "$needed"
check "the header compiles alone in C" \
	cc -std=c99 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c "$2"
check "the header compiles alone in C++" \
	c++ -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c++ "$2"
check "the archive shows the same" \
	diff <(echo "$declared") <(echo "$in_archive")
check "a program links with it" \
	cc -o "$program" -I"$(dirname "$2")" "$4" "$3" -pthread
