#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Makes libvirgo.a of other archives, with nothing to be seen from outside but what
# the map says: archive.sh OUT MAP LD OBJCOPY AR ARCHIVE...
set -eu

out=$1 map=$2 ld=$3 objcopy=$4 ar=$5
shift 5
sed -n 's/^\t\(virgo_[a-z_]*\);$/\1/p' "$map" > "$out.names"
"$ld" -r -o "$out.o" --whole-archive "$@"
"$objcopy" --keep-global-symbols="$out.names" "$out.o"
rm -f "$out"
"$ar" rcsD "$out" "$out.o"
rm -f "$out.o" "$out.names"
