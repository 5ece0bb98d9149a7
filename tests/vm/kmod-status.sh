#!/bin/bash
# Goal: virgo status and doctor say what the kernel module is and serves, and why it is not used.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
. "${0%/*}/kmod-kit.sh"
with_module uml --modules "tls veth bridge"
mkdir -p /var/lib/virgo
virgo init alpha --advertise 127.0.0.1 > /dev/null
virgod > "$NET_DIR/virgod.log" 2>&1 &
# shellcheck disable=SC2034 # for the kit
PID["virgod"]=$!
wait_for 60 virgo status

# kernel EXPRESSION: of what status --json says of the module, k.
kernel() {
	virgo status --json | python3 -c '
import json, sys
k = json.load(sys.stdin)["kernel"]
print(eval(sys.argv[1]))' "$1"
}

step "not loaded"
assert_out None kernel k
assert_eq "$(virgo status | wc -l)" 2 "lines"
assert_match "$(virgo doctor || :)" \
	$'\nmodule virgo: ok [(]installed, not loaded; sudo modprobe virgo loads it[)]\n'

step "loaded"
modprobe virgo
version=$(cat /sys/module/virgo/version)
said="$version, ABI 1, with the kernel's TLS; serves variables, calls, caches, jobs, memory objects"
assert_out "$version 1 True" kernel '"%s %s %s" % (k["version"], k["abi"], k["tls"])'
assert_out True kernel '{"variables", "calls", "caches"} <= set(k["serves"])'
assert_match "$(virgo status)" $'\n\n'"virgo.ko $said"
assert_match "$(virgo doctor || :)" $'\n'"module virgo: ok [(]$said"

step "loaded, for another namespace than that of a user's own"
useradd -m ann
assert_match "$(setpriv --reuid ann --regid ann --clear-groups \
	unshare --user --map-root-user --net "$VIRGO_BUILD/cli/virgo" doctor || :)" \
	$'\nmodule virgo: note: loaded, and not used: it does not serve this network namespace'

step "unloaded while virgod runs"
rmmod virgo
assert_out None kernel k
