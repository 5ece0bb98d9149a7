#!/bin/bash
# Goal: virgo-nbd takes no processor while idle, and little from busy programs beside it.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in nbdinfo nbdsh; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

net_up alpha
uri=nbd://127.0.0.1
start nbd alpha virgo-nbd --size 64M --listen 127.0.0.1 --headroom 1M
wait_for 60 on alpha nbdinfo "$uri"

# spent: nanoseconds of processor time that virgo-nbd has had.
spent() {
	cut -d' ' -f1 "/proc/${PID[nbd]}/schedstat"
}

step "idle with 20 connections and data: under 0.5 % of a processor"
start idle alpha nbdsh -c "
import time, nbd
all = []
for i in range(20):
    c = nbd.NBD()
    c.connect_uri('$uri')
    c.pwrite(b'x' * 65536, i * 65536)
    all.append(c)
open('$NET_DIR/ready', 'w').write('x')
while True:
    time.sleep(60)"
wait_for 60 test -s "$NET_DIR/ready"
before=$(spent)
read -r from _ < /proc/uptime
sleep 10 # what is measured is the time that passes
used=$(($(spent) - before))
read -r to _ < /proc/uptime
share=$(awk -v ns="$used" -v from="$from" -v to="$to" \
	'BEGIN { printf "%.3f", ns / 1e7 / (to - from) }')
say "    $share % of a processor"
awk -v share="$share" 'BEGIN { exit share >= 0.5 }' ||
	fail "idle it takes $share % of a processor"

step "a request each 2 ms beside a busy loop on each processor: they keep 95 %"
for ((i = 0; i < $(nproc); i++)); do
	start "loop$i" alpha sh -c 'while :; do :; done'
done
start light alpha nbdsh -u "$uri" -c "
import time
end = time.monotonic() + 8
while time.monotonic() < end:
    h.pread(4096, 0)
    time.sleep(.002)"
before=$(spent)
read -r from _ < /proc/uptime
finish light
used=$(($(spent) - before))
read -r to _ < /proc/uptime
share=$(awk -v ns="$used" -v cpus="$(nproc)" -v from="$from" -v to="$to" \
	'BEGIN { printf "%.2f", ns / 1e7 / (to - from) / cpus }')
say "    it takes $share % of what they could have"
awk -v share="$share" 'BEGIN { exit share >= 5 }' ||
	fail "it takes $share % from busy programs"
