/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What virgod is made of. One struct node a process, made in main.c, used only
 * in the loop's thread. Each part has its own header; parts know each other only
 * through this struct and those headers.
 */
#ifndef VIRGO_DAEMON_NODE_H
#define VIRGO_DAEMON_NODE_H

#include "conn.h"
#include "loop.h"

struct announce;
struct authority;
struct borrow;
struct cached;
struct extents;
struct file_relay;
struct handover;
struct home;
struct listeners;
struct renewal;
struct replica;
struct volume_list;
struct wallclock;

struct node {
	struct loop *loop;
	const char *state; /* folder of this node's state */
	const char *conf_dir; /* folder of its configuration */
	u16 port;
	struct tls_identity *identity; /* replaced when renewed */
	char name[NODE_NAME_MAX + 1];
	struct conn_local local;

	struct policy *policy; /* policy.h: virgo_cloud.conf as it stands now */
	struct authority *authority; /* authority.h; its key at home only */
	struct catalog *catalog; /* catalog.h */
	struct replica *replica; /* replica.h: keeps the catalog current */
	struct renewal *renewal; /* identity.h: renews the certificate */
	struct announce *announce; /* home.h: where this node is reached */
	struct home *home; /* home.h: what only the home node may do */
	struct listeners *listeners; /* listen.h */
	struct membership *membership; /* membership.h */
	struct loads *loads; /* loads.h: how busy this node is */
	struct borrow *borrow; /* borrow.h: memory of other nodes */
	struct choosing *choosing; /* choosing.h: which node runs a job */
	struct memory *memory; /* memory.h: what this node lends */
	struct peers *peers; /* peers.h: connections to other nodes */
	struct jobs *jobs; /* jobs.h */
	struct exports *exports; /* exports.h: the file service */
	struct wallclock *wallclock; /* wallclock.h: can it be believed? */
	struct volume_list *volume_list; /* volume_list.h */
	struct file_relay *file_relay; /* file_relay.h: files of other nodes */
	struct cached *cached; /* cached.h: the memcached-compatible cache */
	struct extents *extents; /* extents.h: memory objects */
	struct audit *audit; /* audit.h */
	struct handover *handover; /* handover.h: connections of virgo.ko */
	struct doctor *doctor; /* doctor.h: examines nodes on request */
	struct offload *audit_thread; /* offload.h: reads the audit log */
	struct services *services; /* service.h: who answers what */
};

#endif
