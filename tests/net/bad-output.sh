#!/bin/bash
# Goal: a verb whose output cannot be written says so and fails; a reader that leaves ends it.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha

step "a full disk behind standard output"
for verb in --help --version status "status --json" "node list" "volume list" \
	invite "conf show"; do
	assert_fails 1 on alpha bash -c "virgo $verb > /dev/full"
	assert_match "$(cat "$NET_DIR/last.err")" \
		'^virgo: standard output: cannot be written: No space left'
done

step "no standard descriptors at all"
on alpha bash -c 'virgo status <&- >&- 2>&-'

step "a reader that leaves"
assert_out "0 or by SIGPIPE" on alpha bash -c '
	virgo conf show | head -c 1 > /dev/null
	case ${PIPESTATUS[0]} in
	0 | 141) echo "0 or by SIGPIPE" ;;
	*) echo "${PIPESTATUS[0]}" ;;
	esac'
