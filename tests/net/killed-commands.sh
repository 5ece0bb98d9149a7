#!/bin/bash
# Goal: a command killed before any of its system calls leaves no job, no half change, and the second try works.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2153 # what walk.sh takes
. "${0%/*}/kit.sh"
. "${0%/*}/walk.sh"

cloud_up alpha beta
for node in alpha beta; do
	on "$node" useradd -m ann
done
as_ann=(setpriv --reuid ann --regid ann --init-groups env HOME=/home/ann)

# --- run ----------------------------------------------------------------------

mark=walked-$$
no_job() {
	! pgrep -f "$mark" > /dev/null
}

after_kill() {
	wait_until 20 no_job || fail "a job outlives its caller, killed at $WALK_AT"
	[ "$1" = 137 ] || [ "$(cat "$NET_DIR/walk.out")" = here ] ||
		fail "the job ended with $1: $(cat "$NET_DIR/walk.err")"
}

step "run: the job goes with its caller"
WALK_AS=("${as_ann[@]}")
walk alpha virgo run -n beta -- \
	sh -c "echo here # $mark"
assert_out here on_as ann alpha virgo run -n beta -- echo here
[ -z "$(on_as ann alpha virgo ps -n beta | tail -n +2)" ] || fail "a job is left"

step "run --detach: what was told runs"
after_kill() {
	local number

	number=$(grep -o '^beta/[0-9]*' "$NET_DIR/walk.out" || true)
	[ "$1" = 137 ] || [ -n "$number" ] || fail "no number of the job was told"
	[ -z "$number" ] ||
		[ "$(on_as ann alpha virgo attach "$number")" = kept ] ||
		fail "job $number was told of and lost, killed at $WALK_AT"
}
walk alpha virgo run --detach -n beta -- echo kept

WALK_AS=()

# --- changes to the cloud -----------------------------------------------------

step "invite: an invitation that was told is good"
after_kill() {
	[ "$1" = 137 ] || grep -q virgo1: "$NET_DIR/walk.out" ||
		fail "no invitation: $(cat "$NET_DIR/walk.err")"
}
walk alpha virgo invite
quietly on alpha virgo invite > /dev/null

has_volume() {
	on alpha virgo volume list | grep -q "^$1 "
}

step "volume create, then remove: whole or not at all, and again"
on alpha mkdir -m 1777 /srv/v
after_kill() {
	if [ "$1" = 0 ]; then
		has_volume v || fail "it was told and is not there"
		return
	fi
	[ "$1" = 137 ] || grep -q "is a volume v already" "$NET_DIR/walk.err" ||
		fail "status $1: $(cat "$NET_DIR/walk.err")"
	has_volume v || return 0
	on alpha virgo volume remove v
}
walk alpha virgo volume create v --path /srv/v
after_kill() {
	if [ "$1" = 0 ]; then
		! has_volume v || fail "it was told gone and is there"
		return
	fi
	has_volume v || on alpha virgo volume create v --path /srv/v
}
walk alpha virgo volume remove v

step "drain and undrain"
after_kill() {
	[ "$1" = 137 ] || [ "$1" = 0 ] || fail "$(cat "$NET_DIR/walk.err")"
}
walk alpha virgo node drain beta
walk alpha virgo node undrain beta

# --- mounts -------------------------------------------------------------------

mounted() {
	on beta grep -q " /virgo " /proc/self/mounts
}

# No mount, and nobody who is about to make one: the part of mount.virgo that
# stays may come later than its killed launcher.
unmounted() {
	on beta virgo umount --lazy 2> /dev/null || true
	! mounted && ! pgrep --ns "${NET_HOLDER[beta]}" --nslist net -x mount.virgo
}

step "mount: the next one works"
WALK_FOLLOW=
after_kill() {
	if [ "$1" = 0 ]; then
		on beta ls /virgo/alpha > /dev/null
		wait_until 20 unmounted || fail "it cannot be unmounted"
		return
	fi
	[ "$1" = 137 ] || fail "status $1: $(cat "$NET_DIR/walk.err")"
	wait_until 20 unmounted || fail "it cannot be unmounted"
	on beta virgo mount || fail "the next mount fails, killed at $WALK_AT"
	on beta ls /virgo/alpha > /dev/null || fail "the next mount is no good"
	wait_until 20 unmounted || fail "it cannot be unmounted"
}
walk beta virgo mount

step "umount: the next one works"
after_kill() {
	if [ "$1" = 0 ]; then
		! mounted || fail "it is mounted still"
		on beta virgo mount
		return
	fi
	[ "$1" = 137 ] || fail "status $1: $(cat "$NET_DIR/walk.err")"
	mounted || on beta virgo mount
	on beta ls /virgo/alpha > /dev/null
}
on beta virgo mount
walk beta virgo umount
