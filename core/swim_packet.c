// SPDX-License-Identifier: LGPL-2.1-or-later
/* Codec of membership datagrams; the layout is in swim_packet.h. */
#include "swim_packet.h"

void swim_packet_begin(struct wcursor *c, const struct swim_packet *p)
{
	u8 *room;

	wcursor_u8(c, SWIM_VERSION);
	wcursor_u8(c, (u8)p->kind);
	wcursor_u64(c, p->from);
	wcursor_u32(c, p->incarnation);
	wcursor_u64(c, p->change);
	wcursor_u32(c, p->seq);
	wcursor_u64(c, p->about);
	wcursor_u8(c, p->digest_len);
	room = wcursor_room(c, p->digest_len);
	if (room && p->digest_len)
		memcpy(room, p->digest, p->digest_len);
}

static size_t item_bytes(u8 state)
{
	return state == SWIM_SUSPECT ? SWIM_ITEM_MAX : SWIM_ITEM_MAX - 8;
}

bool swim_packet_add(struct wcursor *c, const struct swim_item *it)
{
	if ((size_t)(c->end - c->pos) < item_bytes(it->state))
		return false;
	wcursor_u8(c, it->state);
	wcursor_u64(c, it->id);
	wcursor_u32(c, it->incarnation);
	if (it->state == SWIM_SUSPECT)
		wcursor_u64(c, it->by);
	return true;
}

static bool item_take(struct rcursor *c, struct swim_item *it)
{
	it->state = rcursor_u8(c);
	it->id = rcursor_u64(c);
	it->incarnation = rcursor_u32(c);
	it->by = it->state == SWIM_SUSPECT ? rcursor_u64(c) : 0;
	return !c->bad && it->id && it->state >= SWIM_UP &&
	       it->state <= SWIM_DOWN &&
	       it->incarnation <= SWIM_INCARNATION_MAX;
}

bool swim_item_next(struct rcursor *c, struct swim_item *it)
{
	return rcursor_left(c) && item_take(c, it);
}

int swim_packet_decode(struct swim_packet *p, const u8 *data, size_t len)
{
	struct rcursor c = rcursor_of(data, len);
	struct swim_item it;
	u8 version = rcursor_u8(&c);
	u8 kind = rcursor_u8(&c);

	p->kind = kind;
	p->from = rcursor_u64(&c);
	p->incarnation = rcursor_u32(&c);
	p->change = rcursor_u64(&c);
	p->seq = rcursor_u32(&c);
	p->about = rcursor_u64(&c);
	p->digest_len = rcursor_u8(&c);
	p->digest = rcursor_take(&c, p->digest_len);
	p->items = c;
	if (c.bad || len > SWIM_PACKET_MAX || version != SWIM_VERSION ||
	    !kind || kind >= SWIM_KIND_END || !p->from ||
	    p->incarnation > SWIM_INCARNATION_MAX ||
	    p->digest_len > SWIM_DIGEST_MAX)
		return -EBADMSG;
	while (rcursor_left(&c))
		if (!item_take(&c, &it))
			return -EBADMSG;
	return 0;
}
