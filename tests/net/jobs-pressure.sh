#!/bin/bash
# Goal: a slow reader stops the program, a slow program its writer; no virgod keeps more than a window.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

cloud_up alpha beta
for n in alpha beta; do
	quietly on "$n" useradd -m -u 1500 ann
done
memory() { awk '/^(VmRSS|RssAnon):/ { n = $2 } END { print n }' \
	"/proc/${PID[virgod-$1]}/status"; }

# Bytes that the process has read and written, so far; it stands still when it
# has not grown for a second.
counter() { awk '/^(rchar|wchar)/ { n += $2 } END { print n }' "/proc/$1/io"; }
stands_still() {
	local now

	now=$(counter "$1")
	[ "$now" = "${last-}" ] && [ "$now" -gt 0 ] && same=$((same + 1)) || same=0
	last=$now
	[ "$same" -ge 20 ]
}

step "nobody reads the output"
before_a=$(memory alpha) before_b=$(memory beta)
mkfifo "$NET_DIR/out"
chmod 666 "$NET_DIR/out"
start job alpha setpriv --reuid ann --regid ann --init-groups sh -c \
	"exec virgo run -n beta -- sh -c 'exec head -c 300M /dev/zero' \
	> $NET_DIR/out"
exec 7< "$NET_DIR/out"
wait_for 5 pgrep -fx 'head -c 300M /dev/zero'
pid=$(pgrep -fx 'head -c 300M /dev/zero') same=0 last=
wait_until 10 stands_still "$pid" || fail "the program is not stopped"
grown_a=$(($(memory alpha) - before_a)) grown_b=$(($(memory beta) - before_b))
say "    virgod has grown by $grown_a KiB on alpha, $grown_b KiB on beta"
[ "$grown_a" -lt 4096 ] || fail "virgod on alpha keeps $grown_a KiB"
[ "$grown_b" -lt 4096 ] || fail "virgod on beta keeps $grown_b KiB"
step "and goes on when somebody does"
assert_eq "$(wc -c <&7)" $((300 << 20)) "bytes read at last"
exec 7<&-
finish job

step "a program that does not read stops who writes to it"
mkfifo -m 666 "$NET_DIR/gate"
start job alpha setpriv --reuid ann --regid ann --init-groups sh -c \
	"head -c 301M /dev/zero | virgo run -n beta -- \
	sh -c 'cat $NET_DIR/gate; wc -c'"
wait_for 5 pgrep -fx 'head -c 301M /dev/zero'
pid=$(pgrep -fx 'head -c 301M /dev/zero') same=0 last=
wait_until 10 stands_still "$pid" || fail "the writer is not stopped"
grown_b=$(($(memory beta) - before_b))
say "    virgod has grown by $grown_b KiB on beta"
[ "$grown_b" -lt 4096 ] || fail "virgod on beta keeps $grown_b KiB"
echo > "$NET_DIR/gate"
finish job
assert_eq "$(tr -d '\n' < "$NET_DIR/job.log")" $((301 << 20)) "bytes taken"

step "one stopped stream does not stop other jobs"
start job alpha setpriv --reuid ann --regid ann --init-groups sh -c \
	"exec virgo run -n beta -- sh -c 'exec head -c 302M /dev/zero' \
	> $NET_DIR/out"
exec 7< "$NET_DIR/out"
wait_for 5 pgrep -fx 'head -c 302M /dev/zero'
assert_out beta on_as ann alpha virgo run -n beta hostname
exec 7<&-
finish job || true
