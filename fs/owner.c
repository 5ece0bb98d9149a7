// SPDX-License-Identifier: GPL-2.0-or-later
/* Asking a server for an account's number; the contract is in owner.h. */
#include "owner.h"

#include <stdlib.h>

struct question {
	void (*done)(void *arg, int err, u32 number);
	void *arg;
	enum file_id_kind kind;
	char name[256];
};

static void answered(struct call *c, int err, const u8 *payload, u32 len)
{
	struct question *q = c->memory;
	struct msg_file_id m = { 0 };

	if (!err && msg_file_id_decode(&m, payload, len))
		err = -EPROTO;
	if (!err)
		idmap_learn(server_ids(c->volume->server), q->kind, m.id,
			    q->name);
	q->done(q->arg, err == -ENOENT ? -EINVAL : err, m.id);
}

void owner_find(struct volume *v, enum file_id_kind kind, u32 id,
		void (*done)(void *arg, int err, u32 number), void *arg)
{
	struct msg_file_ids m = { .kind = (u8)kind };
	struct question *q;
	struct call *c;
	u32 number;

	if (v->flags & FILE_VOLUME_NUMERIC) {
		done(arg, 0, id);
		return;
	}
	if (idmap_remote(server_ids(v->server), kind, id, &number)) {
		done(arg, 0, number);
		return;
	}
	q = calloc(1, sizeof(*q));
	if (!q) {
		done(arg, -ENOMEM, 0);
		return;
	}
	q->done = done;
	q->arg = arg;
	q->kind = kind;
	idmap_name(kind, id, q->name);
	m.name = span_of(q->name);
	c = call_make(v, FILE_IDS, file_ids, MSG_FILE_ID, &m);
	if (!c) {
		free(q);
		done(arg, -ENOMEM, 0);
		return;
	}
	c->memory = q;
	c->done = answered;
	call_start(c);
}
