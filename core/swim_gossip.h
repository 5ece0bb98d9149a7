/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * News on their way: a bounded queue of items, each to be sent a number of
 * times, the least sent first. At most one item is held of a member, or several
 * suspicions of it raised by different members. When the queue is full the most
 * sent item makes room.
 */
#ifndef VIRGO_CORE_SWIM_GOSSIP_H
#define VIRGO_CORE_SWIM_GOSSIP_H

#include "swim_packet.h"

struct swim_update {
	struct swim_item item;
	u16 sent;
	bool taken; /* during gossip_fill() */
};

struct swim_gossip {
	struct swim_update *update; /* the owner's memory */
	u16 count;
	u16 max;
};

/* Replaces what the item makes obsolete. */
void gossip_put(struct swim_gossip *g, const struct swim_item *it);
/* Drops whatever is about @id. */
void gossip_drop(struct swim_gossip *g, u64 id);
/* Appends items to a datagram while they fit, and forgets those that have now
 * been sent @times times. @skip: a member not told about (its accusation is
 * already in the datagram), or 0.
 */
void gossip_fill(struct swim_gossip *g, struct wcursor *c, u16 times, u64 skip);

#endif
