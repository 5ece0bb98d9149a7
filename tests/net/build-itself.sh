#!/bin/bash
# VIRGO builds itself on /virgo, its compile commands spread over three nodes by virgo run.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

step "three nodes see alpha's volume at /virgo, and ann has a folder in it"
quietly cloud_up alpha beta gamma
for node in alpha beta gamma; do
	on "$node" useradd -m ann
	on "$node" mkdir -p /virgo
	on "$node" mount.virgo virgo /virgo
done
on alpha install -d -o ann -g ann "$(state_of alpha)/export/ann"
wait_for 10 on_as ann beta test -w /virgo/alpha/ann
wait_for 10 on_as ann gamma test -w /virgo/alpha/ann

step "the source is cloned onto it"
on_as ann alpha git config --global safe.directory '*' # root owns the source
on_as ann alpha git clone -q "file://$NET_SRC" \
	/virgo/alpha/ann/virgo
on_as ann alpha git -C /virgo/alpha/ann/virgo fsck --full

step "a compiler that runs elsewhere: each compile command is a job"
on_as ann alpha mkdir /virgo/alpha/ann/bin /virgo/alpha/ann/ran
on_as ann alpha tee /virgo/alpha/ann/bin/virgo-cc >"$NET_DIR/cc" <<-'EOF'
	#!/bin/sh
	case " $* " in
	*" -c "*)
		exec virgo run --policy round-robin -- sh -c '
			: >"/virgo/alpha/ann/ran/$VIRGO_NODE"
			exec gcc "$@"' gcc "$@" ;;
	esac
	exec gcc "$@"
EOF
on_as ann alpha chmod 755 /virgo/alpha/ann/bin/virgo-cc

configure() { # COMPILER FOLDER
	on_as ann alpha env CC="$1" meson setup -Dtests=disabled \
		/virgo/alpha/ann/"$2" /virgo/alpha/ann/virgo >"$NET_DIR/$2.log"
}

step "a build spread over the cloud, and one with gcc on alpha alone"
configure /virgo/alpha/ann/bin/virgo-cc spread
on_as ann alpha ninja -C /virgo/alpha/ann/spread -j4 >>"$NET_DIR/spread.log"
configure gcc alone
on_as ann alpha ninja -C /virgo/alpha/ann/alone -j2 >>"$NET_DIR/alone.log"

step "every node took part"
assert_out "$(printf 'alpha\nbeta\ngamma')" on alpha ls /virgo/alpha/ann/ran

step "the objects are the same, byte for byte"
objects() { # FOLDER
	on_as ann beta sh -c 'cd "$1" && find . -name "*.o" -exec sha256sum {} + |
		sort -k 2' sh "/virgo/alpha/ann/$1"
}
quietly objects spread >"$NET_DIR/spread.sums"
quietly objects alone >"$NET_DIR/alone.sums"
assert_match "$(wc -l <"$NET_DIR/spread.sums")" '^[1-9][0-9]+$'
cmp "$NET_DIR/spread.sums" "$NET_DIR/alone.sums" || {
	diff "$NET_DIR/spread.sums" "$NET_DIR/alone.sums" >&3 || true
	fail "objects differ"
}

step "what was built there runs there"
assert_match "$(on_as ann gamma /virgo/alpha/ann/spread/cli/virgo --version)" \
	'^virgo [0-9]'
