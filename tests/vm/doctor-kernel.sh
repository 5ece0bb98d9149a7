#!/bin/bash
# Goal: virgo doctor tells what the running kernel has for borrowed memory and limits.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
in_guest uml
modules=/lib/modules/$(uname -r)

# says REGEX...: each is a line of what the doctor finds.
says() {
	local found line

	found=$(virgo doctor || true)
	for line; do
		grep -qxE "$line" <<< "$found" ||
			fail "no '$line' among: $found"
	done
}

step "modules that are not loaded yet, but there"
says 'module nbd: ok.*loaded when first needed.*' 'module tls: ok.*' \
	'module md: ok.*' 'cgroups: ok.*'

step "a kernel without one of them"
mkdir /run/modules
grep -v '/nbd\.ko' "$modules/modules.dep" > /run/modules/modules.dep
cp "$modules/modules.builtin" /run/modules
mount --bind /run/modules "$modules"
says "module nbd: note: kernel $(uname -r) has no module nbd;.*" 'module tls: ok.*'

step "a kernel whose modules were removed by an upgrade"
rm /run/modules/*
says "module nbd: note: the modules of the running kernel .* Try: sudo reboot.*" \
	"module tls: note: the modules of the running kernel .*" \
	"module md: note: the modules of the running kernel .*"

step "what is loaded counts, whatever lies on the disk"
umount "$modules"
modprobe -a nbd tls md-mod
mount --bind /run/modules "$modules"
says 'module nbd: ok' 'module tls: ok' 'module md: ok'

step "no cgroup version 2"
umount /sys/fs/cgroup
says 'cgroups: note: .*cgroup v2.*'
