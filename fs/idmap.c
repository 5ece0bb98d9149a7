// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The map of owners; the contract is in idmap.h. Two hash tables over the same
 * entries, one by the server's number, one by the local. Entries stay as long as
 * the mount: there are as many as there are accounts that own files.
 */
#include "idmap.h"

#include <stdlib.h>

enum { BUCKETS = 256, NOBODY = 65534 };

struct entry {
	struct entry *by_remote;
	struct entry *by_local;
	u32 remote;
	u32 local;
	u8 kind;
	bool faithful; /* the account exists here: local means remote */
};

struct idmap {
	struct entry *remote[BUCKETS];
	struct entry *local[BUCKETS];
};

static u32 hash(u8 kind, u32 id)
{
	return (id * 2654435761u >> 16 ^ kind) % BUCKETS;
}

struct idmap *idmap_new(void)
{
	return calloc(1, sizeof(struct idmap));
}

void idmap_free(struct idmap *m)
{
	int i;

	if (!m)
		return;
	for (i = 0; i < BUCKETS; i++)
		while (m->remote[i]) {
			struct entry *e = m->remote[i];

			m->remote[i] = e->by_remote;
			free(e);
		}
	free(m);
}

static struct entry *find(struct idmap *m, u8 kind, u32 remote)
{
	struct entry *e = m->remote[hash(kind, remote)];

	while (e && (e->remote != remote || e->kind != kind))
		e = e->by_remote;
	return e;
}

static void local_remove(struct idmap *m, struct entry *e)
{
	struct entry **at = &m->local[hash(e->kind, e->local)];

	while (*at && *at != e)
		at = &(*at)->by_local;
	if (*at)
		*at = e->by_local;
}

void idmap_learn(struct idmap *m, enum file_id_kind kind, u32 id,
		 const u32 *local)
{
	struct entry *e = find(m, (u8)kind, id);
	struct entry **at;

	if (e) {
		local_remove(m, e);
	} else {
		e = calloc(1, sizeof(*e));
		if (!e)
			return;
		e->remote = id;
		e->kind = (u8)kind;
		at = &m->remote[hash(e->kind, id)];
		e->by_remote = *at;
		*at = e;
	}
	e->faithful = local;
	e->local = local ? *local : NOBODY;
	at = &m->local[hash(e->kind, e->local)];
	e->by_local = *at;
	*at = e;
}

u32 idmap_local(struct idmap *m, enum file_id_kind kind, u32 id)
{
	struct entry *e = find(m, (u8)kind, id);

	return e ? e->local : NOBODY;
}

bool idmap_remote(struct idmap *m, enum file_id_kind kind, u32 local, u32 *id)
{
	struct entry *e = m->local[hash((u8)kind, local)];

	while (e && (e->local != local || e->kind != kind || !e->faithful))
		e = e->by_local;
	if (e)
		*id = e->remote;
	return e;
}
