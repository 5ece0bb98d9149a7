// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Telling a server who asks. Each user and group pair has a slot there; a slot is
 * used again for another pair only when all are taken, and FILE_CRED goes ahead
 * of the request on the same connection, so the server always reads them in the
 * right order: what a slot meant when a request was sent it means when the
 * request is taken in.
 */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>

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

/* This machine's groups of @uid, which count where numbers do. */
static u32 groups_of(u32 uid, u32 gid, u8 out[4 * FILE_GROUPS_MAX])
{
	gid_t groups[FILE_GROUPS_MAX];
	int count = FILE_GROUPS_MAX;
	char buf[4096];
	struct passwd pw, *p = NULL;
	int i;

	if (getpwuid_r(uid, &pw, buf, sizeof(buf), &p) || !p)
		return 0;
	if (getgrouplist(p->pw_name, gid, groups, &count) < 0)
		count = FILE_GROUPS_MAX;
	for (i = 0; i < count; i++)
		put_u32(out + 4 * i, groups[i]);
	return (u32)count * 4;
}

static void tell(struct server *s, u32 slot, const struct caller *c)
{
	u8 groups[4 * FILE_GROUPS_MAX];
	char user[256];
	char group[256];
	struct msg_file_cred m = { .who = slot, .uid = c->uid, .gid = c->gid };

	idmap_name(FILE_ID_USER, c->uid, user);
	idmap_name(FILE_ID_GROUP, c->gid, group);
	m.user = span_of(user);
	m.group = span_of(group);
	m.groups = (struct span){ groups, groups_of(c->uid, c->gid, groups) };
	conn_message(s->conn, ++s->all->tag, 0, 0, FILE_CRED, file_cred, &m);
}

u32 caller_slot(struct server *s, u32 uid, u32 gid)
{
	struct caller *c = slot_of(s, uid, gid);
	u32 slot = (u32)(c - s->callers);
	u64 now = loop_clock_us();

	if (c->epoch != s->epoch || now - c->sent_us > TELL_AGAIN_US) {
		tell(s, slot, c);
		c->epoch = s->epoch;
		c->sent_us = now;
	}
	c->used = ++s->caller_clock;
	return slot;
}
