# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# A call of a kernel function of another node, with 64 bytes there and back, beside an
# echo between two programs over the same kind of connection (TLS 1.3 by the kernel)
# and beside gRPC, ONC RPC and HTTP with JSON as Debian has them: TLS for all but ONC
# RPC, connections that are warm, one call at a time. cache.sh includes this.
#
# All in one guest with one processor and the clock of which is its instructions:
# caller, called, kernel and all. So a latency is the instructions that passed between
# question and answer. The wall time beside is what this machine took to emulate that.
: "${bench_dir:?}" "${bench_out:?}"
if [ -z "${NET_DIR-}" ]; then
	. "$bench_dir/../net/kit.sh"
	VM_SRC=$bench_dir/../vm
	. "$VM_SRC/kmod-kit.sh"
fi
for program in certtool grpc_cpp_plugin protoc qemu-system-x86_64; do
	command -v "$program" > /dev/null ||
		skip "$program is not installed: tests/bench/packages.txt"
done

call_compile() {
	local flags=(-O2 -I"$bench_dir")

	cc "${flags[@]}" -o "$1/call_ktls" "$bench_dir/call_ktls.c"
	cc "${flags[@]}" -I"$bench_dir/../../lib" -o "$1/call_virgo" \
		"$bench_dir/call_virgo.c" -L"$VIRGO_BUILD/lib" -lvirgo \
		-Wl,-rpath,"$VIRGO_BUILD/lib"
	# shellcheck disable=SC2046 # words
	cc "${flags[@]}" -o "$1/call_tirpc" "$bench_dir/call_tirpc.c" \
		$(pkg-config --cflags --libs libtirpc)
	# shellcheck disable=SC2046
	cc "${flags[@]}" -o "$1/call_http" "$bench_dir/call_http.c" \
		$(pkg-config --cflags --libs libmicrohttpd libcurl json-c)
	protoc --proto_path="$bench_dir" --cpp_out="$1" --grpc_out="$1" \
		--plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" \
		"$bench_dir/call_grpc.proto"
	# shellcheck disable=SC2046
	c++ "${flags[@]}" -I"$1" -o "$1/call_grpc" "$bench_dir/call_grpc.cpp" \
		"$1"/call_grpc{,.grpc}.pb.cc \
		$(pkg-config --cflags --libs grpc++ protobuf)
}

# A certificate that is its own authority, for the callee's address.
call_certificate() {
	printf '%s\n' 'cn = "beta"' 'ip_address = "10.9.9.2"' ca \
		cert_signing_key signing_key tls_www_server \
		'expiration_days = 2' > "$1/template"
	certtool --generate-privkey --key-type ecdsa --curve secp256r1 \
		--no-text --outfile "$1/key" 2> /dev/null
	certtool --generate-self-signed --load-privkey "$1/key" --no-text \
		--template "$1/template" --outfile "$1/cert" 2> /dev/null
}

mkdir "$NET_DIR/call"
call_compile "$NET_DIR/call"
call_certificate "$NET_DIR/call"

# peer, of whom it is a call, what the peer is
call_peers=(
	"ktls kernel a bare echo over kTLS|from module to function"
	"grpc grpc gRPC|from a program, by libvirgo, to a module's function"
	"tirpc tirpc libtirpc, no TLS|from a program, by libvirgo, to a module's function"
	"http http HTTP/1.1 and JSON|from a program, by libvirgo, to a module's function"
)
for row in "${call_peers[@]}"; do
	read -r _ id name <<< "$row"
	bench_id "call.$id" instructions low "${name%|*}" \
		"guest, both ends and kernel: a call of 64 bytes ${name#*|}"
	bench_id "call.$id.p50" instructions low "${name%|*}" \
		"the same: from question to answer, median"
	bench_id "call.$id.p99" instructions low "${name%|*}" \
		"the same: 99th percentile"
	bench_id "call.$id.switches" switches low "${name%|*}" \
		"the same: context switches a call"
	bench_id "call.$id.wall" us low "${name%|*}" \
		"the same: time this machine took to emulate it"
done

bench_id call.cache instructions low - \
	"guest, both ends and kernel: from a program, by libvirgo, 64 bytes of a module's cache"

# call_guest ROUND: all of them in one guest. Any machine that has the instructions
# for AES loads aesni_intel by itself.
call_guest() {
	bench_guest "call.$1" "aesni_intel tls veth virgo virgo_echo" \
		python3 -B "$bench_dir/call_guest.py" "$NET_DIR/call" "$1"
}

# call_values WAY ID ROUND: what that way took, as figures of ID. Where the guest idled
# for more than a fiftieth of a run its clock is no count of instructions.
call_values() {
	awk -v way="$1" -v id="call.$2" '
		$2 == "case" { at = $3; n = $4; next }
		at != way { next }
		$2 == "begin" { began = $1; next }
		$6 > 2 { print id ": idle for " $6 " %" > "/dev/stderr"; exit 1 }
		{
			print id, $2
			print id ".p50", $3
			print id ".p99", $4
			print id ".switches", $5
			print id ".wall", ($1 - began) * 1e6 / n
		}' "$NET_DIR/call.$3"
}

# The round is run's.
call_ours() {
	local id

	call_guest "${round:?}"
	call_values module kernel "$round"
	call_values cache cache "$round" | grep '^call.cache '
	for id in grpc tirpc http; do
		call_values virgo "$id" "$round"
	done
}

call_theirs() {
	local row way id

	call_guest "${round:?}"
	for row in "${call_peers[@]}"; do
		read -r way id _ <<< "$row"
		call_values "$way" "$id" "$round"
	done
}

bench_round call_ours call_theirs
