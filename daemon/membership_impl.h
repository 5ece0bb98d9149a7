/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What struct membership is made of: membership.c (nodes and the state
 * machine), membership_address.c (where a node is reached).
 */
#ifndef VIRGO_DAEMON_MEMBERSHIP_IMPL_H
#define VIRGO_DAEMON_MEMBERSHIP_IMPL_H

#include "membership.h"
#include "seal.h"
#include "udp.h"

enum {
	WATCHERS_MAX = 8,
	ADDRESSES_TEXT_MAX = 512,
	LOOKUP_AGAIN_US = 30000000,
	NEWS_EVERY_US = 5000000, /* of a group key that we do not have */
};

struct entry { /* a node other than this one */
	struct member shown;
	u64 id;
	char name[NODE_NAME_MAX + 1];
	char addresses[ADDRESSES_TEXT_MAX];
	struct seal_sender sender;
	enum swim_state told; /* the state that watchers were last told */
	u32 pass;	      /* the pass over the catalog that has seen it */

	/* Where to send: @listed, and where genuine datagrams came from. */
	struct address *listed;
	u32 listed_count;
	u32 turn; /* which one to try while it does not answer */
	struct address heard;
	bool was_heard;
	bool named; /* @addresses has host names */
	bool lookup_wanted;
	u64 lookup_again_us;
};

struct membership {
	struct node *node;
	struct swim *swim;
	void *memory;
	struct udp *udp;
	struct seal *seal;
	struct timer timer;
	u64 self;
	struct member shown_self;

	struct entry **entry; /* in order of id */
	u32 count, room;
	u32 pass;

	/* Numbers of nodes whose state changed since watchers were told. */
	u64 *pending;
	u32 pending_count, pending_room;
	bool telling;

	struct {
		void (*fn)(void *arg, const struct member *now,
			   enum swim_state old);
		void *arg;
	} watcher[WATCHERS_MAX];
	u32 watchers;
	void (*news)(void *arg, u64 change);
	void *news_arg;
	u64 change_heard; /* to be told */
	bool key_unknown; /* to be told */
	u64 key_told_us;

	bool looking; /* a lookup thread will still post */
};

/* membership_address.c */
/* Takes over e->addresses, looking names up in the background. */
void entry_resolve(struct membership *m, struct entry *e);
/* Sends to where the node most likely is. */
void entry_send(struct membership *m, struct entry *e, const u8 *data,
		size_t len);
/* Starts the next lookup that is wanted, if none runs. */
void entry_lookup_next(struct membership *m);

/* membership.c; NULL when there is none. */
struct entry *entry_numbered(const struct membership *m, u64 id);

#endif
