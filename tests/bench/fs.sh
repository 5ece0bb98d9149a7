# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Files on another node: mount.virgo beside sshfs, each over its own encryption
# and the same cable, the files of both in memory. Every figure but create and
# write begins with a fresh mount, so nothing is cached.
. "$bench_dir/../net/kit.sh"
command -v sshfs > /dev/null || skip "sshfs is not installed"

fs_files=2000
fs_megabytes=256
fs_seconds=3

quietly cloud_up alpha beta > /dev/null 2>&1
cc -O2 -pthread -o "$NET_DIR/fs_ops" "$bench_dir/fs_ops.c"
on beta mkdir -p /srv/bench
on beta mount -t tmpfs -o mode=1777 virgo-bench /srv/bench
on beta mkdir /srv/bench/ours /srv/bench/theirs
on beta virgo volume create bench --path /srv/bench/ours --squash none
on alpha mkdir -p /virgo /mnt/theirs

on beta mkdir -p /run/sshd /root/.ssh
ssh-keygen -q -t ed25519 -N '' -f "$NET_DIR/key"
ssh-keygen -q -t ed25519 -N '' -f "$NET_DIR/host"
on beta cp "$NET_DIR/key.pub" /root/.ssh/authorized_keys
start sshd beta /usr/sbin/sshd -D -p 2222 -f /dev/null -h "$NET_DIR/host" \
	-o StrictModes=no -o PermitRootLogin=yes -o UsePAM=no \
	-o Subsystem="sftp internal-sftp"
wait_for 5 on alpha bash -c 'exec 9<>/dev/tcp/beta/2222'

ours_mount() {
	quietly on alpha mount.virgo /virgo
	fs_dir=/virgo/bench
}

ours_umount() {
	quietly on alpha virgo umount
}

theirs_mount() {
	quietly on alpha sshfs -p 2222 -o IdentityFile="$NET_DIR/key" \
		-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o LogLevel=ERROR root@beta:/srv/bench/theirs /mnt/theirs
	fs_dir=/mnt/theirs
}

theirs_umount() {
	quietly on alpha umount /mnt/theirs
}

# fs_side WHO: all operations, each on a mount of its own.
fs_side() {
	local who=$1 op what

	for op in create stat openread rename unlink write read randread; do
		"${who}_mount"
		case $op in
		write | read) what=("$fs_dir/stream" "$fs_megabytes") ;;
		randread) what=("$fs_dir/stream" "$fs_seconds") ;;
		*) what=("$fs_dir" "$fs_files") ;;
		esac
		echo "fs.$op $(quietly on alpha "$NET_DIR/fs_ops" "$op" "${what[@]}")"
		"${who}_umount"
	done
}

fs_ours() {
	fs_side ours
}

fs_theirs() {
	fs_side theirs
}

bench_id fs.create ops/s high sshfs "create, write 4 KiB, close"
bench_id fs.stat ops/s high sshfs "stat, cold"
bench_id fs.openread ops/s high sshfs "open, read 4 KiB, close, cold"
bench_id fs.rename ops/s high sshfs "rename"
bench_id fs.unlink ops/s high sshfs "unlink"
bench_id fs.write MB/s high sshfs "256 MiB in 1 MiB blocks"
bench_id fs.read MB/s high sshfs "256 MiB in 1 MiB blocks, cold"
bench_id fs.randread ops/s high sshfs "random 4 KiB, 16 at a time, cold"
bench_round fs_ours fs_theirs
