# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
# Programs on other nodes, against ssh with a warm ControlMaster, and pdsh over
# such ssh. Caller and nodes are network namespaces of one machine.
. "$bench_dir/../net/kit.sh"

exec_nodes=$(seq -f n%02g 1 16)
exec_times=200
exec_tool=$VIRGO_BUILD/tests/bench/spawn_time

exec_sshd() {
	local node=$1

	quietly on "$node" mkdir -p /run/sshd
	start "sshd-$node" "$node" /usr/sbin/sshd -D -e -p 22 \
		-h "$NET_DIR/host_key" -o PidFile=none -o UsePAM=no \
		-o StrictModes=no -o MaxSessions=100 -o MaxStartups=100 \
		-o "AuthorizedKeysFile=$NET_DIR/key.pub"
}

exec_setup() {
	local node

	# shellcheck disable=SC2086 # a list of names
	cloud_up caller $exec_nodes >&2
	for node in caller $exec_nodes; do
		quietly on "$node" useradd -m -u 1500 -p '*' ann
	done
	ssh-keygen -q -t ed25519 -N '' -f "$NET_DIR/host_key"
	ssh-keygen -q -t ed25519 -N '' -f "$NET_DIR/key"
	cat > "$NET_DIR/ssh_config" <<- END
		StrictHostKeyChecking no
		UserKnownHostsFile /dev/null
		LogLevel ERROR
		IdentityFile $NET_DIR/key
		ControlMaster auto
		ControlPath $NET_DIR/ctl/%h
		ControlPersist 600
	END
	mkdir "$NET_DIR/ctl"
	chown 1500 "$NET_DIR/key" "$NET_DIR/ctl"
	for node in $exec_nodes; do
		exec_sshd "$node"
	done
	for node in $exec_nodes; do
		wait_for 10 ann ssh -F "$NET_DIR/ssh_config" "$node" true
		ann virgo run -n "$node" true
	done
}

ann() {
	quietly on_as ann caller "$@"
}

two_values() {
	local p50 p99

	read -r p50 p99
	printf '%s %s\n' "$1" "$p50"
	[ -z "${2-}" ] || printf '%s %s\n' "$2" "$p99"
}

true_ours() {
	local ours local_spawn

	ann "$exec_tool" "$exec_times" virgo run -n n01 true > "$NET_DIR/values"
	two_values exec.true.p50 exec.true.p99 < "$NET_DIR/values"
	read -r ours _ < "$NET_DIR/values"
	read -r local_spawn _ < <(ann "$exec_tool" "$exec_times" true)
	awk "BEGIN { print \"exec.true.floor\", $ours - $local_spawn }"
}

true_theirs() {
	ann "$exec_tool" "$exec_times" ssh -F "$NET_DIR/ssh_config" n01 true |
		two_values exec.true.p50 exec.true.p99
}

stdout_rate() {
	local begin end

	begin=$(date +%s%N)
	ann "$@" head -c 1G /dev/zero > /dev/null
	end=$(date +%s%N)
	awk "BEGIN { print \"exec.stdout\", 1024e9 / ($end - $begin) }"
}

stdout_ours() {
	stdout_rate virgo run -n n01 --
}

stdout_theirs() {
	stdout_rate ssh -F "$NET_DIR/ssh_config" n01
}

fanout_ours() {
	local ours local_spawn

	ann "$exec_tool" 30 virgo run -w 'n[01-16]' true > "$NET_DIR/values"
	two_values exec.fanout16 < "$NET_DIR/values"
	read -r ours _ < "$NET_DIR/values"
	read -r local_spawn _ < <(ann "$exec_tool" -p 16 30 true)
	awk "BEGIN { print \"exec.fanout16.local\", $ours / $local_spawn }"
}

fanout_theirs() {
	ann env PDSH_SSH_ARGS="-F $NET_DIR/ssh_config -a -x -l%u %h" \
		"$exec_tool" 10 pdsh -R ssh -w 'n[01-16]' true |
		two_values exec.fanout16
}

jobs1000_ours() {
	local said

	said=$(ann python3 "$NET_SRC/tests/net/jobs_thousand.py" 1000 n01 \
		"${PID[virgod-caller]}" "${PID[virgod-n01]}")
	echo "$said" >&2
	awk '{ print "exec.jobs1000", ($12 > $17 ? $12 : $17) }' <<< "$said"
}

exec_setup
bench_id exec.true.p50 ms low 'ssh ControlMaster' 'run true, warm'
bench_id exec.true.p99 ms low 'ssh ControlMaster' 'run true, warm'
bench_id exec.true.floor ms low - 'run true, above local posix_spawn'
bench_id exec.stdout MiB/s high 'ssh ControlMaster' '1 GiB through stdout'
bench_id exec.fanout16 ms low 'pdsh, ssh ControlMaster' 'true on 16 nodes'
bench_id exec.fanout16.local times low - '16 nodes, over 16 local spawns'
bench_id exec.jobs1000 KiB low - 'memory of virgod a job, 1,000 at once'
bench_round true_ours true_theirs
bench_round stdout_ours stdout_theirs
bench_round fanout_ours fanout_theirs
bench_round jobs1000_ours -
