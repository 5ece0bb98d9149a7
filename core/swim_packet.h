/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The datagrams of swim.h, before sealing. Little-endian:
 *
 *	u8	version		SWIM_VERSION
 *	u8	kind		enum swim_kind
 *	u64	from		sender's number
 *	u32	incarnation	sender's: a datagram proves that it lives
 *	u64	change		highest catalog change the sender knows
 *	u32	seq		PING, PING_REQ: chosen by the asker;
 *				ACK, NACK: of the question answered; else 0
 *	u64	about		PING, PING_REQ: who is asked; ACK, NACK: who
 *				answered or did not; SYNC: first number wanted;
 *				PAGE: first number not in the page, 0 at the end
 *	u8 n, n bytes		sender's digest
 *	items to the end:
 *	u8	state		SWIM_UP, SWIM_SUSPECT, SWIM_DOWN
 *	u64	id
 *	u32	incarnation
 *	u64	by		SWIM_SUSPECT only: whose question went unheard
 *
 * A datagram with a byte out of place is refused as a whole.
 */
#ifndef VIRGO_CORE_SWIM_PACKET_H
#define VIRGO_CORE_SWIM_PACKET_H

#include "cursor.h"
#include "swim.h"

enum {
	SWIM_VERSION = 1,
	SWIM_HEAD_BYTES = 35, /* without the digest's bytes */
	SWIM_ITEM_MAX = 21,
	/* Above this a number could no longer be refuted. */
	SWIM_INCARNATION_MAX = 0xfffffff0,
};

enum swim_kind {
	SWIM_PING = 1, /* do you live? */
	SWIM_PING_REQ, /* ask that one for me */
	SWIM_ACK,      /* it lives */
	SWIM_NACK,     /* I live, but that one has not answered me */
	SWIM_GOSSIP,   /* items only */
	SWIM_SYNC,     /* give me a page of what you know */
	SWIM_PAGE,
	SWIM_KIND_END,
};

struct swim_item {
	u64 id;
	u64 by;
	u32 incarnation;
	u8 state;
};

struct swim_packet {
	enum swim_kind kind;
	u64 from;
	u32 incarnation;
	u64 change;
	u32 seq;
	u64 about;
	const u8 *digest;
	u8 digest_len;
	struct rcursor items; /* for swim_item_next() */
};

/* Writes everything but the items. */
void swim_packet_begin(struct wcursor *c, const struct swim_packet *p);
/* False, and nothing written, when it does not fit. */
bool swim_packet_add(struct wcursor *c, const struct swim_item *it);

/* 0 or -EBADMSG. Views point into @data. All items have been checked. */
int swim_packet_decode(struct swim_packet *p, const u8 *data, size_t len);
bool swim_item_next(struct rcursor *c, struct swim_item *it);

#endif
