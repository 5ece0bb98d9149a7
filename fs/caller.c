// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Telling a server who asks. Each user and group pair has a slot there; a slot is
 * used again for another pair only when all are taken, and FILE_CRED goes ahead
 * of the request on the same connection, so the server always reads them in the
 * right order: what a slot meant when a request was sent it means when the
 * request is taken in.
 */
#include "names.h"
#include "serverlink.h"

#define TELL_AGAIN_US (60 * 1000000ull)

static struct caller *slot_of(struct server *s, u32 uid, u32 gid)
{
	struct caller *oldest = &s->callers[0];
	int i;

	for (i = 0; i < CALLER_SLOTS; i++) {
		struct caller *c = &s->callers[i];

		if (c->epoch && c->uid == uid && c->gid == gid)
			return c;
		if (c->used < oldest->used)
			oldest = c;
	}
	*oldest = (struct caller){ .uid = uid, .gid = gid };
	return oldest;
}

static void tell(struct server *s, u32 slot, const struct caller *c,
		 const struct names_answer *who)
{
	u8 groups[4 * FILE_GROUPS_MAX];
	struct msg_file_cred m = { .who = slot,
				   .user = span_of(who->name),
				   .group = span_of(who->group),
				   .uid = c->uid,
				   .gid = c->gid,
				   .groups = { groups, 4 * who->group_count } };
	u32 i;

	for (i = 0; i < who->group_count; i++)
		put_u32(groups + 4 * i, who->groups[i]);
	conn_message(s->conn, ++s->all->tag, 0, 0, FILE_CRED, file_cred, &m);
}

int caller_slot(struct server *s, u32 uid, u32 gid, u32 *out)
{
	struct caller *c = slot_of(s, uid, gid);
	u32 slot = (u32)(c - s->callers);
	u64 now = loop_clock_us();
	bool late;

	if (c->epoch != s->epoch || now - c->sent_us > TELL_AGAIN_US) {
		const struct names_answer *who =
			names_caller(s->all->names, uid, gid, &late);

		if (!who)
			return late ? -ETIMEDOUT : -EAGAIN;
		tell(s, slot, c, who);
		c->epoch = s->epoch;
		c->sent_us = now;
	}
	c->used = ++s->caller_clock;
	*out = slot;
	return 0;
}
