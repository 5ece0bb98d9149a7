#!/bin/bash
# Goal: real work on a volume: git clone and fsck, a Debian source package built, rsync --modify-window=-1 -aHAX out and back, fio verifies.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"

for tool in git rsync fio setfacl setfattr make gcc dpkg-source; do
	command -v $tool > /dev/null || skip "$tool is not installed"
done

step "fetch a C project as a Debian source package"
source=$NET_DIR/source
mkdir -p "$source/lists/partial" "$source/debian"
sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources \
	> "$source/deb.sources"
apt=(apt-get -q -o Dir::Etc::SourceList=/dev/null
	-o Dir::Etc::SourceParts="$source" -o Dir::State::Lists="$source/lists"
	-o APT::Sandbox::User=root)
(cd "$source/debian" && timeout 120 "${apt[@]}" update &&
	timeout 120 "${apt[@]}" source --download-only bzip2) \
	> "$NET_DIR/apt.log" 2>&1 || fail "apt-get source bzip2"

cloud_up alpha beta gamma
for node in alpha beta gamma; do
	on $node useradd -m ann
	on $node useradd -m bob
done
on alpha virgo mount
on gamma virgo mount

step "git clone and fsck, the history read through another mount"
git clone -q --bare "$NET_SRC" "$NET_DIR/bare.git"
chmod -R a+rX "$NET_DIR/bare.git"
on_as ann alpha git config --global --add safe.directory '*'
on_as ann gamma git config --global --add safe.directory '*'
on_as ann alpha git clone -q "file://$NET_DIR/bare.git" /virgo/beta/clone
on_as ann alpha git -C /virgo/beta/clone fsck --full --strict
assert_out "" on_as ann gamma git -C /virgo/beta/clone status --porcelain
on_as ann gamma git -C /virgo/beta/clone fsck --full --strict
on_as ann gamma git -C /virgo/beta/clone gc -q
assert_eq "$(on_as ann alpha git -C /virgo/beta/clone rev-parse HEAD)" \
	"$(git -C "$NET_DIR/bare.git" rev-parse HEAD)"

step "a C project built by one node, its tests run by the other"
on_as ann alpha bash -c "cd /virgo/beta && dpkg-source --no-check -x \
	$source/debian/bzip2_*.dsc bzip2 > /dev/null"
on_as ann alpha make -s -C /virgo/beta/bzip2 -j2 bzip2 > "$NET_DIR/make.log" 2>&1
on_as ann gamma make -s -C /virgo/beta/bzip2 test > "$NET_DIR/test.log" 2>&1
assert_match "$(cat "$NET_DIR/test.log")" "didn't complain"

step "rsync out and compare: links, ACLs, attributes, times"
on_as ann alpha bash -c '
	mkdir -p ~/tree/sub && cd ~/tree
	cp -a /virgo/beta/bzip2/*.c .
	ln compress.c hard && ln -s compress.c soft && mkfifo fifo
	setfacl -m u:bob:rw,g:bob:r sub compress.c
	setfacl -d -m u:bob:rx sub
	setfattr -n user.note -v "a note" compress.c
	dd if=/dev/urandom of=sparse bs=4k count=1 seek=1000 2> /dev/null
	chmod 2750 sub && touch -d "1999-12-31 23:59:59.123456789" compress.c
	rsync --modify-window=-1 -aHAX --sparse ~/tree/ /virgo/beta/tree/'
assert_out "" on_as ann alpha bash -c \
	'rsync --modify-window=-1 -aHAXc --itemize-changes --dry-run ~/tree/ /virgo/beta/tree/'
on_as ann gamma bash -c 'rsync --modify-window=-1 -aHAX --sparse /virgo/beta/tree/ ~/back/'
assert_out "" on_as ann gamma bash -c \
	'rsync --modify-window=-1 -aHAXc --itemize-changes --dry-run ~/back/ /virgo/beta/tree/'
describe='find . ! -type l | sort | xargs getfacl
	find . ! -type l | sort | xargs getfattr -d
	find . -mindepth 1 -printf "%p %m %n %s %t %l\n" | sort'
on_as ann gamma bash -c "cd ~/back && $describe" > "$NET_DIR/back"
on_as ann alpha bash -c "cd ~/tree && $describe" > "$NET_DIR/tree"
diff -u "$NET_DIR/tree" "$NET_DIR/back" || fail "it did not come back the same"

step "fio writes at random and verifies, two users on two mounts at once"
verify() {
	on_as "$2" "$1" fio --name=v --directory="/virgo/beta/fio-$2" \
		--size=24m --rw=randwrite --bsrange=512-128k --ioengine=psync \
		--numjobs=2 --fsync=64 --verify=crc32c --do_verify=1 \
		--verify_fatal=1 --verify_state_save=0 --output="/tmp/${NET_DIR##*/}-$2.fio"
	rm -f "/tmp/${NET_DIR##*/}-$2.fio"
}
on_as ann alpha mkdir /virgo/beta/fio-ann
on_as bob gamma mkdir /virgo/beta/fio-bob
verify alpha ann &
first=$!
verify gamma bob
wait "$first"
