/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which nodes of the cloud are there, as this one sees it: core/swim.h on
 * virgod's loop, its datagrams sealed (seal.h) on UDP, the port that TCP has
 * too. Which nodes exist, where they live and the group key come from the
 * catalog; until there is a key nothing is sent and nothing believed.
 *
 *	catalog --> membership_set_node, _remove_node, _set_key, _set_change
 *	        <-- membership_on_news: the catalog has changed somewhere
 *	others  <-- membership_find, _next, membership_on_change
 *
 * Used in the loop's thread only.
 */
#ifndef VIRGO_DAEMON_MEMBERSHIP_H
#define VIRGO_DAEMON_MEMBERSHIP_H

#include "node.h"
#include "swim.h"

struct membership;

enum { MEMBERSHIP_MAX = 16384 }; /* nodes of a cloud, besides this one */

struct load {	  /* of a node, as it said of itself */
	u32 cpus; /* 0: nothing known */
	u32 idle_ppm;
	u32 load1_milli;
	u32 jobs; /* running there */
	u64 memory_bytes;
	u64 memory_free_bytes;
};

struct member {
	const char *name;
	const char *addresses; /* "host:port,..." as in the catalog */
	enum swim_state state; /* of this node itself always SWIM_UP */
	bool draining;
	bool home;
	bool self;
	u32 round_trip_us; /* smoothed; 0 while unknown */
	struct load load;
	u64 heard_us; /* when @load came, loop_clock_us(); 0: never */
	bool time_known; /* it has told its time */
	s64 ahead_s; /* its wall clock minus loop_clock_us() here */
};

/* "up", "suspect", "down", "unknown"; "draining" for an up node that does. */
const char *member_state_name(const struct member *m);

/* Binds UDP at the addresses @listen ("" for all) and node->port. */
int membership_new(struct membership **out, struct node *n, const char *listen,
		   struct failure *f);
/* Tells the others that this node goes. */
void membership_free(struct membership *m);

/* Takes nodes, key and change number from n->catalog, now and after each change
 * of it. Otherwise the owner calls the next six himself.
 */
void membership_follow_catalog(struct node *n);

/* The group key. Numbers only go up; the one before is accepted a while. */
void membership_set_key(struct membership *m, u32 number, const u8 key[32]);
/* Adds a node, or takes over what changed. -ENOSPC beyond MEMBERSHIP_MAX,
 * -EEXIST when another node's name has the same number (then the cloud is
 * unlucky beyond measure, and that node is not watched), -ENOMEM.
 */
int membership_set_node(struct membership *m, const char *name,
			const char *addresses, bool draining, bool home);
void membership_remove_node(struct membership *m, const char *name);
/* Begins a new pass over the catalog: nodes that are not set again until
 * membership_end_pass() are removed.
 */
void membership_begin_pass(struct membership *m);
void membership_end_pass(struct membership *m);

/* What this node's catalog holds; others learn that there is more than theirs.
 */
void membership_set_change(struct membership *m, u64 change);
/* @fn runs when the catalog has a higher change number somewhere than any set
 * or heard before, or (then @change is 0) when a datagram came under a group
 * key newer than ours.
 */
void membership_on_news(struct membership *m, void (*fn)(void *arg, u64 change),
			void *arg);

/* NULL when there is none of that name. Valid until the loop's next round. */
const struct member *membership_find(struct membership *m, const char *name);
/* Walks all nodes, this one too: start with *@at 0; NULL at the end. */
const struct member *membership_next(struct membership *m, size_t *at);

/* @fn runs after the state of a node changed, from the loop, outside of any
 * call of membership; it may call everything here. There is room for 8.
 */
void membership_on_change(struct membership *m,
			  void (*fn)(void *arg, const struct member *now,
				     enum swim_state old),
			  void *arg);

/* What this node tells of itself. */
void membership_set_load(struct membership *m, const struct load *l);

/* How @m packs a load into a datagram, and back; for tests. */
void membership_pack_load(const struct load *l, u8 out[SWIM_DIGEST_MAX]);
void membership_unpack_load(struct load *l, const u8 in[SWIM_DIGEST_MAX]);
/* The number by which datagrams name a node; never 0. */
u64 membership_number(const char *name);

#endif
