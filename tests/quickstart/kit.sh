# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the tests of the quickstart share: TAP, and the listing of the machine by
# which they see that nothing was changed. $work is a folder of the test's own.

failed=0
: "${work:?}"

# check NAME CMD...
check() {
	local name=$1

	shift
	if "$@" > "$work/out" 2>&1; then
		echo "ok - $name"
		return
	fi
	sed 's/^/    /' "$work/out"
	echo "not ok - $name"
	# shellcheck disable=SC2034 # for the test
	failed=1
	return 1
}

# Everything of the machine that the quickstart could have changed.
listing() {
	ip netns list
	ip -o link show | cut -d: -f2
	findmnt -rno TARGET,SOURCE,FSTYPE
	find /etc /run /var/lib /usr/local -maxdepth 3 2> /dev/null | sort
	find / -maxdepth 1 | sort
	# Elsewhere than in CI other tests may run at the same time.
	[ "${CI-}" != true ] ||
		find /sys/fs/cgroup -type d -name '*virgo*' 2> /dev/null | sort
	systemctl list-unit-files 'virgo*' --no-legend 2> /dev/null
	pgrep -af '/var/lib/virgo-quickstart' | grep -v pgrep
}

same_listing() {
	diff "$work/before" <(listing)
}
