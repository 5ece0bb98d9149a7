// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of verbs, in the order in which `virgo --help` shows them. */
#include "verbs.h"

#include <stddef.h>

const struct verb verbs[] = {
	{ "init", verb_init, "make a cloud, this machine its home node" },
	{ "invite", verb_invite, "print the command by which a machine joins" },
	{ "join", verb_join, "become a node of the cloud that invited" },
	{ "leave", verb_leave, "stop being a node" },
	{ "backup", verb_backup, "seal the home node's authority into a file" },
	{ "node", verb_node, "list, drain, remove nodes; move the home" },
	{ "status", verb_status, "show the nodes and how they are" },
	{ "volume", verb_volume, "list, create, remove volumes; who may use them" },
	{ "mount", verb_mount, "show the cloud's volumes below a folder" },
	{ "umount", verb_umount, "end such a mount" },
	{ "memory", verb_memory, "lend memory of this node, or take it back" },
	{ "swap", verb_swap, "borrow memory of other nodes as swap space" },
	{ "disk", verb_disk, "borrow memory of other nodes as a disk" },
	{ "cache", verb_cache, "serve a memcached-compatible cache, and use it" },
	{ "var", verb_var, "show, set and watch learned values" },
	{ "call", verb_call, "call a function of a node's kernel modules" },
	{ "run", verb_run, "run a program on another node, on some or on all" },
	{ "ps", verb_ps, "list jobs" },
	{ "attach", verb_attach, "follow the output of a detached job" },
	{ "wait", verb_wait, "wait for detached jobs to end" },
	{ "kill", verb_kill, "send jobs a signal" },
	{ "doctor", verb_doctor, "say what a node lacks, and what mends it" },
	{ "audit", verb_audit, "show what this node granted, ran and refused" },
	{ "conf", verb_conf, "check, show and reload the configuration" },
	{ NULL, NULL, NULL },
};
