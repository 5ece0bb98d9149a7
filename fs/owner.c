// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Asking a server for an account's number, once this machine's name for it is
 * known; the contract is in owner.h.
 */
#include "owner.h"

#include <stdlib.h>

#include "names.h"
#include "serverlink.h"

struct question {
	struct names_waiter waiter;
	struct volume *volume;
	void (*done)(void *arg, int err, u32 number);
	void *arg;
	enum file_id_kind kind;
	u32 local;
};

static void end(struct question *q, int err, u32 number)
{
	q->done(q->arg, err, number);
	free(q);
}

static void answered(struct call *c, int err, const u8 *payload, u32 len)
{
	struct question *q = c->memory;
	struct msg_file_id m = { 0 };

	c->memory = NULL;
	if (!err && msg_file_id_decode(&m, payload, len))
		err = -EPROTO;
	/* The name is this machine's own, so the way back is known, too. */
	if (!err)
		idmap_learn(server_ids(c->volume->server), q->kind, m.id,
			    &q->local);
	end(q, err == -ENOENT ? -EINVAL : err, m.id);
}

static void ask(struct question *q, const char *name)
{
	const struct msg_file_ids m = { .kind = (u8)q->kind,
					.name = span_of(name) };
	struct call *c = call_make(q->volume, FILE_IDS, file_ids, MSG_FILE_ID,
				   &m);

	if (!c) {
		end(q, -ENOMEM, 0);
		return;
	}
	c->memory = q;
	c->done = answered;
	call_start(c);
}

static void named(struct names_waiter *w, const struct names_answer *a)
{
	struct question *q = (struct question *)w;

	if (a)
		ask(q, a->name);
	else
		end(q, -ETIMEDOUT, 0);
}

void owner_find(struct volume *v, enum file_id_kind kind, u32 id,
		void (*done)(void *arg, int err, u32 number), void *arg)
{
	const struct names_answer *a;
	struct question *q;
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
	q->waiter.ready = named;
	q->volume = v;
	q->done = done;
	q->arg = arg;
	q->kind = kind;
	q->local = id;
	a = names_name(v->server->all->names, kind, id, NAMES_WAIT_MS,
		       &q->waiter);
	if (a)
		ask(q, a->name);
}
