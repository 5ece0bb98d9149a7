# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Kit of the scenarios that boot systemd (vm/units/NAME.sh), to be read after
# vm/kit.sh. Outside the guest:
#
# guest_goes_down OPTION...  runs the script in a guest with systemd, and these options
#                            of tests/vm/guest; its kernel's log is $log afterwards
# said REGEX                 the number of the line after "going down" that has it
# in_order REGEX REGEX       whether the first was said before the second
# never_said REGEX           whether no line after "going down" has it, in any case
# all_went_down [REGEX]      no unit failed, or had to be killed, but for lines with it
#
# Inside, booted:
#
# is UNIT STATE              whether systemd has it so

guest_goes_down() {
	log=$(mktemp "${TMPDIR:-/tmp}/virgo-systemd.XXXXXX")
	trap '[ $? = 0 ] || tail -n 60 "$log" >&2; rm -f "$log"' EXIT
	(in_guest uml --systemd --log "$log" "$@")
}

said() {
	sed -n '/going down/,$p' "$log" | grep -nE -- "$1" | cut -d: -f1 |
		sed -n 1p | grep . || {
		sed -n '/going down/,$p' "$log" >&2
		echo "[!] FAILED: systemd did not say '$1'" >&2
		exit 1
	}
}

in_order() {
	local first second

	first=$(said "$1")
	second=$(said "$2")
	echo "[+] '$1' before '$2'"
	[ "$first" -lt "$second" ] || {
		sed -n '/going down/,$p' "$log" >&2
		echo "[!] FAILED: the other way round" >&2
		exit 1
	}
}

# The guest's own unit, which runs the script, may be killed on the way down.
all_went_down() {
	! sed -n '/going down/,$p' "$log" | grep -vE "virgo-vm${1:+|$1}" |
		grep -E 'Failed with result|[Tt]imed out|Failed (to|unmounting)' ||
		{ echo "[!] FAILED: a unit did" >&2; exit 1; }
}

never_said() {
	! sed -n '/going down/,$p' "$log" | grep -iE -- "$1" ||
		{ echo "[!] FAILED: the kernel said '$1'" >&2; exit 1; }
}

is() {
	[ "$(systemctl is-active "$1")" = "$2" ]
}

on_failure() {
	[ "$1" = 0 ] || journalctl --no-pager -b -u 'virgo*' >&3 || :
	net_cleanup "$1"
}

if [ -n "${VIRGO_GUEST-}" ]; then
	PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	[ "$GUEST_STAGE" = before ] || trap 'on_failure $?' EXIT
fi
