// SPDX-License-Identifier: LGPL-2.1-or-later
/* The queue of news; the contract is in swim_gossip.h. */
#include "swim_gossip.h"

static void drop_at(struct swim_gossip *g, u16 at)
{
	g->update[at] = g->update[--g->count];
}

void gossip_drop(struct swim_gossip *g, u64 id)
{
	u16 i = 0;

	while (i < g->count)
		if (g->update[i].item.id == id)
			drop_at(g, i);
		else
			i++;
}

static bool same_claim(const struct swim_item *a, const struct swim_item *b)
{
	return a->state == SWIM_SUSPECT && b->state == SWIM_SUSPECT &&
	       a->incarnation == b->incarnation && a->by != b->by;
}

static void make_room(struct swim_gossip *g)
{
	u16 i, most = 0;

	if (g->count < g->max)
		return;
	for (i = 1; i < g->count; i++)
		if (g->update[i].sent > g->update[most].sent)
			most = i;
	drop_at(g, most);
}

void gossip_put(struct swim_gossip *g, const struct swim_item *it)
{
	u16 i = 0;

	while (i < g->count)
		if (g->update[i].item.id == it->id &&
		    !same_claim(&g->update[i].item, it))
			drop_at(g, i);
		else
			i++;
	make_room(g);
	g->update[g->count++] = (struct swim_update){ .item = *it };
}

/* Appends the items sent @level times; gives the next level there is, or
 * @times when there is none or the datagram is full.
 */
static u16 fill_level(struct swim_gossip *g, struct wcursor *c, u16 level,
		      u16 times, u64 skip)
{
	u16 i, next = times;

	for (i = 0; i < g->count; i++) {
		struct swim_update *u = &g->update[i];

		if (u->sent > level && u->sent < next)
			next = u->sent;
		if (u->sent != level || u->taken || u->item.id == skip)
			continue;
		if (!swim_packet_add(c, &u->item))
			return times;
		u->taken = true;
	}
	return next;
}

void gossip_fill(struct swim_gossip *g, struct wcursor *c, u16 times, u64 skip)
{
	u16 level = 0, i = 0;

	while (g->count && level < times)
		level = fill_level(g, c, level, times, skip);
	while (i < g->count) {
		struct swim_update *u = &g->update[i];

		u->sent += u->taken;
		u->taken = false;
		if (u->sent >= times)
			drop_at(g, i);
		else
			i++;
	}
}
