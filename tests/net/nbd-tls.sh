#!/bin/bash
# Goal: TLS by certificate and by key; who owns an export, and nobody else, opens
# it; nothing leaves the machine in the clear unless an interface was named.
# SPDX-License-Identifier: GPL-2.0-or-later
. "${0%/*}/kit.sh"
for program in nbdinfo nbdcopy nbdsh qemu-io certtool; do
	command -v "$program" > /dev/null || skip "$program is not installed"
done

net_up alpha beta
state=$NET_DIR/nbd
beta_ip=$(addr_of beta)

# certificate NAME AUTHORITY: in folder NAME, as NBD programs want them.
certificate() {
	local dir=$NET_DIR/$1 ca=$NET_DIR/$2-ca name

	mkdir -p "$dir"
	printf 'cn = %s\ndns_name = %s\nip_address = %s\n' "$1" "$1" "$beta_ip" \
		> "$dir/template"
	printf 'tls_www_server\ntls_www_client\nsigning_key\n' >> "$dir/template"
	for name in server client; do
		certtool --generate-privkey --key-type ed25519 \
			--outfile "$dir/$name-key.pem"
		certtool --generate-certificate --template "$dir/template" \
			--load-privkey "$dir/$name-key.pem" \
			--load-ca-certificate "$ca/cert.pem" \
			--load-ca-privkey "$ca/key.pem" \
			--outfile "$dir/$name-cert.pem"
	done
	cp "$ca/cert.pem" "$dir/ca-cert.pem"
}

authority() {
	local dir=$NET_DIR/$1-ca

	mkdir -p "$dir"
	printf 'cn = %s\nca\ncert_signing_key\n' "$1" > "$dir/template"
	certtool --generate-privkey --key-type ed25519 --outfile "$dir/key.pem"
	certtool --generate-self-signed --template "$dir/template" \
		--load-privkey "$dir/key.pem" --outfile "$dir/cert.pem"
}

step "two authorities, three certificates, a key"
{
	authority cloud
	authority other
	certificate beta cloud
	certificate alpha cloud
	certificate gamma cloud
	certificate stranger other
} 2> "$NET_DIR/certtool.log"
echo "bob:$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')" \
	> "$NET_DIR/keys"
echo "eve:$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')" \
	> "$NET_DIR/wrong"

control() {
	quietly on beta python3 "$NET_SRC/tests/net/nbd_control.py" \
		"$state/run/nbd.sock" "$*"
}

# uri WHO EXPORT: as the holder of that certificate.
uri() {
	echo "nbds://$beta_ip/$2?tls-certificates=$NET_DIR/$1"
}

psk_uri() {
	echo "nbds://$1@$beta_ip/$2?tls-psk-file=$NET_DIR/$3"
}

start nbd beta virgo-nbd --listen "$beta_ip" --state "$state" \
	--tls "$NET_DIR/beta" --psk "$NET_DIR/keys"
wait_for 60 test -S "$state/run/nbd.sock"
control add shared 67108864
control add swap 67108864 alpha
control add keyed 67108864 bob

step "data through TLS is what was written"
head -c 40M /dev/urandom > "$NET_DIR/data"
truncate -s 64M "$NET_DIR/data"
on alpha nbdcopy --connections=2 "$NET_DIR/data" "$(uri alpha swap)"
on alpha nbdcopy --connections=2 "$(uri alpha swap)" - | cmp - "$NET_DIR/data"
on alpha nbdcopy "$NET_DIR/data" "$(psk_uri bob keyed keys)"
on alpha nbdcopy "$(psk_uri bob keyed keys)" - | cmp - "$NET_DIR/data"
on alpha qemu-io --image-opts \
	--object "tls-creds-x509,id=t,dir=$NET_DIR/alpha,endpoint=client" \
	-c 'write -P 3 0 4M' -c 'read -P 3 0 4M' \
	"driver=nbd,host=$beta_ip,port=10809,tls-creds=t,export=shared" \
	> "$NET_DIR/qemu.out"
assert_match "$(cat "$NET_DIR/qemu.out")" 'read 4194304/4194304'

step "an export is listed and opened for its owner only"
list=$(on alpha nbdinfo --list "$(uri gamma '')")
assert_match "$list" 'export="shared"'
[[ $list != *swap* && $list != *keyed* ]] || fail "more is listed: $list"
assert_match "$(on alpha nbdinfo --list "$(uri alpha '')")" 'export="swap"'
assert_fails 1 on alpha nbdinfo "$(uri gamma swap)"
assert_fails 1 on alpha nbdinfo "$(uri alpha keyed)"
assert_fails 1 on alpha nbdinfo "$(psk_uri bob swap keys)"

step "strangers"
assert_fails 1 on alpha nbdinfo "$(uri stranger shared)"
mkdir "$NET_DIR/nobody"
cp "$NET_DIR/cloud-ca/cert.pem" "$NET_DIR/nobody/ca-cert.pem"
assert_fails 1 on alpha nbdinfo "$(uri nobody shared)"
assert_fails 1 on alpha nbdinfo "$(psk_uri eve shared wrong)"
assert_fails 1 on alpha nbdinfo "nbd://$beta_ip/shared"
assert_fails 1 on alpha nbdinfo --list "nbd://$beta_ip"

step "options in the clear before TLS do not count, nor what follows STARTTLS"
on alpha python3 "$NET_SRC/tests/net/nbd_bad.py" "$beta_ip" 10809 injected

step "kill -9 under TLS loses nothing either"
kill -KILL "${PID[nbd]}"
finish nbd 2> /dev/null || true
start nbd beta virgo-nbd --listen "$beta_ip" --state "$state" \
	--tls "$NET_DIR/beta"
wait_for 60 on alpha nbdinfo "$(uri alpha swap)"
on alpha nbdcopy "$(uri alpha swap)" - | cmp - "$NET_DIR/data"
kill -TERM "${PID[nbd]}"
finish nbd

step "in the clear: refused beyond this machine, unless the interface is named"
for place in "$beta_ip" 0.0.0.0 '[::]' "127.0.0.1,$beta_ip"; do
	assert_fails 1 on beta virgo-nbd --size 1M --listen "$place"
	assert_match "$(cat "$NET_DIR/last.err")" '^virgo: .*clear.* Try: .*--tls'
done
assert_fails 1 on beta virgo-nbd --size 1M --listen 0.0.0.0 --plaintext-on eth0
assert_fails 1 on beta virgo-nbd --size 1M --listen "$beta_ip" --plaintext-on lo
start plain beta virgo-nbd --size 1M --listen "$beta_ip" --plaintext-on eth0
wait_for 60 on alpha nbdinfo "nbd://$beta_ip"
kill -TERM "${PID[plain]}"
finish plain

step "keys that are none"
assert_fails 1 on beta virgo-nbd --size 1M --tls "$NET_DIR/nobody"
assert_match "$(cat "$NET_DIR/last.err")" '^virgo: .*server-cert.pem: No such file'
assert_fails 1 on beta virgo-nbd --size 1M --psk "$NET_DIR/none"
