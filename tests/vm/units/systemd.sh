#!/bin/bash
# Goal: installed units start at boot under systemd, serve, mount by fstab, and stop in order at poweroff.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/../kit.sh"
. "${0%/*}/kit.sh"

# --- outside: what the journal said of the way down --------------------------

if [ -z "${VIRGO_GUEST-}" ]; then
	guest_goes_down --mem 512M --timeout 280 --modules "fuse autofs4"
	in_order 'Unmounted (virgo\.mount|/virgo)' 'Stopped virgod\.service'
	in_order 'Stopped virgo-nbd\.service' 'Stopped virgod\.service'
	in_order 'Stopped virgo-swap\.service' 'Stopped target .*[Nn]etwork'
	in_order 'Stopped virgod\.service' 'Reached target .*[Pp]ower.?[Oo]ff'
	all_went_down
	exit 0
fi

# --- inside, before systemd: installed as README says, and a cloud of one ------

if [ "$GUEST_STAGE" = before ]; then
	meson install -C "$VIRGO_BUILD" --no-rebuild > /run/install.log
	# As virgo.mount has it: mount(8) looks there.
	ln -s /usr/local/sbin/mount.virgo /sbin/mount.virgo
	ldconfig
	virgo init alpha --advertise 127.0.0.1 > /run/virgo-init.log
	useradd -m ann
	mkdir /virgo
	# As mount.virgo(8) has it.
	grep -o '^\.Dl virgo /virgo virgo noauto,.*' "$VM_SRC/../../man/mount.virgo.8" |
		sed 's/^\.Dl //' >> /etc/fstab
	grep -q x-systemd.automount /etc/fstab
	systemctl enable virgod.service remote-fs.target
	exit 0
fi

# --- inside, booted ------------------------------------------------------------

step "virgod is active, for it said so, under what the unit forbids it"
assert_out active systemctl is-active virgod.service
assert_out notify systemctl show -P Type virgod.service
capabilities=$(grep CapBnd: \
	"/proc/$(systemctl show -P MainPID virgod.service)/status" | cut -f 2)
[ $((0x$capabilities >> 16 & 1)) = 0 ] || fail "it may load modules"
assert_match "$(virgo status)" $'\nalpha +up '
assert_eq "$(systemctl --failed --no-legend)" "" "failed units"

step "a job of an ordinary user"
assert_out ann setpriv --reuid ann --regid ann --init-groups \
	virgo run -n alpha -- id -un

step "/virgo of fstab is mounted when it is first used"
assert_fails 1 grep -q ' /virgo fuse' /proc/self/mounts
ls /virgo > "$NET_DIR/list"
grep -qx alpha "$NET_DIR/list"
grep ' /virgo fuse' /proc/self/mounts > /dev/null
assert_out active systemctl is-active virgo.mount

step "lent memory is served by units of its own"
virgo memory lend 32M --reserve 1M
wait_for 60 is virgo-nbd.service active
wait_for 60 is virgo-nbd-holder.service active

step "a killed virgod is started again; lent memory and mount are as they were"
pid=$(systemctl show -P MainPID virgod.service)
lender=$(systemctl show -P MainPID virgo-nbd.service)
kill -KILL "$pid"
is_new() {
	local now

	now=$(systemctl show -P MainPID virgod.service)
	[ "$now" != 0 ] && [ "$now" != "$pid" ] && virgo status
}
wait_for 60 is_new
wait_for 60 ls /virgo/alpha
assert_out "$lender" systemctl show -P MainPID virgo-nbd.service

step "virgod is restarted over a detached job, which keeps its limits and its end"
job=$(setpriv --reuid ann --regid ann --init-groups virgo run -n alpha --detach \
	--limit mem=64MiB -- sh -c 'until [ -e /home/ann/over ]; do sleep 0.1; done
	c=$(sed -n "s/^0:://p" /proc/self/cgroup)
	echo "$c $(cat /sys/fs/cgroup$c/memory.max)" > /home/ann/cgroup')
for _ in 1 2 3; do
	systemctl restart virgod.service
	assert_out active systemctl is-active virgod.service
	assert_match "$(virgo status)" $'\nalpha +up '
	assert_out ann setpriv --reuid ann --regid ann --init-groups \
		virgo run -n alpha -- id -un
done
! journalctl --no-pager -b -u virgod.service | grep 'Failed to attach' ||
	fail "systemd could not put virgod into its cgroup"
setpriv --reuid ann --regid ann --init-groups touch /home/ann/over
setpriv --reuid ann --regid ann --init-groups virgo wait "$job"
assert_match "$(cat /home/ann/cgroup)" '^/system.slice/virgo-jobs.service/.* 67108864$'

step "virgo-nbd alone by socket activation"
printf '%s\n' '[Socket]' ListenStream=127.0.0.1:10999 \
	> /run/systemd/system/lend.socket
printf '%s\n' '[Service]' Type=notify \
	'ExecStart=/usr/local/sbin/virgo-nbd --size 8M' \
	> /run/systemd/system/lend.service
systemctl daemon-reload
systemctl start lend.socket
assert_fails 3 systemctl is-active lend.service
assert_out 8388608 nbdinfo --size nbd://127.0.0.1:10999
assert_out active systemctl is-active lend.service
systemctl stop lend.socket lend.service

assert_out active systemctl is-active virgo-swap.service
assert_eq "$(systemctl --failed --no-legend)" "" "failed units"
