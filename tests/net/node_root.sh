#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Becomes the holder of a test node: run by kit.sh inside fresh network, mount
# and UTS namespaces, it gives the node a root of its own (an overlay on the
# machine's, kept in memory), so that /etc, /run, /home and /virgo can be changed
# there and nowhere else, says so by $dir/ready, and sleeps until it is killed.
#
#	node_root.sh DIR NAME TREE...
#
# DIR is the node's folder: DIR/state becomes its /var/lib/virgo. Each TREE is a
# folder that must be seen unchanged (sources, build).
set -eu

dir=$1 name=$2
shift 2

hostname "$name"
mkdir -p "$dir/state" "$dir/over"
mount -t tmpfs -o mode=0755 virgo-node "$dir/over"
cd "$dir/over"
mkdir up work root
mount -t overlay virgo-node -o lowerdir=/,upperdir=up,workdir=work root
for m in proc sys dev; do
	mount --rbind "/$m" "root/$m"
done
mount --bind /tmp root/tmp
for tree in "$dir" "$@"; do
	[ "$(stat -c %d "$tree")" = "$(stat -c %d /)" ] && continue
	mkdir -p "root$tree"
	mount --bind "$tree" "root$tree"
done
mount -t tmpfs -o mode=0755 virgo-node root/run
mkdir -p root/var/lib/virgo root/.old
rm -rf root/etc/virgo root/virgo 2>/dev/null || true
mount --bind "$dir/state" root/var/lib/virgo
echo "$name" > root/etc/hostname
cp "$dir/../hosts" root/etc/hosts
pivot_root root root/.old
cd /
umount -l /.old
rmdir /.old
: > "$dir/ready"
exec sleep infinity
