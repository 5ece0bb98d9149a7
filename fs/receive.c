// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a server sends: answers to calls, names of owners, directories that changed.
 * An answer that comes behind a name not known yet waits for it. All in the loop's
 * thread.
 */
#include <stdlib.h>

#include "log.h"
#include "names.h"
#include "serverlink.h"

/* An answer nobody waits for any more must not leave a file open there. */
static void release_orphan(struct server *s, const struct frame *f,
			   const u8 *payload)
{
	struct msg_file_release m = { 0 };

	/* FILE_OPENED and FILE_CREATED both begin with the file's number. */
	if ((f->type != MSG_FILE_OPENED && f->type != MSG_FILE_CREATED) ||
	    f->length < 8)
		return;
	m.file = get_u64(payload);
	conn_request(s->conn, ++s->all->tag, FILE_RELEASE, file_release, &m);
}

/* A name that the server told and names.h does not know yet. What the server
 * sends behind it has that owner, so it waits, but not for long: then the owner
 * is nobody until the answer comes.
 */
struct learning {
	struct names_waiter waiter;
	struct server *server;
	bool late; /* nothing waits for it any more */
	enum file_id_kind kind;
	u32 id;
	char name[NAMES_BYTES];
};

static void take_frame(struct server *s, const struct frame *f,
		       const u8 *payload);

/* What came behind names that are known now. */
static void take_held(struct server *s)
{
	struct conn *conn = s->conn;
	struct held_frame *h;

	while (!s->learning && (h = STAILQ_FIRST(&s->held))) {
		STAILQ_REMOVE_HEAD(&s->held, entry);
		if (s->conn == conn)
			take_frame(s, &h->frame, h->payload);
		free(h);
	}
	if (!s->learning && s->conn)
		conn_resume(s->conn);
}

static void hold_frame(struct server *s, const struct frame *f,
		       const u8 *payload)
{
	struct held_frame *h = malloc(sizeof(*h) + f->length);
	struct failure why;

	if (!h) { /* on the next connection all is asked for again */
		failure_set(&why, -ENOMEM, s->node, NULL, "out of memory");
		conn_close(s->conn, &why);
		return;
	}
	h->frame = *f;
	if (f->length)
		memcpy(h->payload, payload, f->length);
	STAILQ_INSERT_TAIL(&s->held, h, entry);
}

void server_drop_held(struct server *s)
{
	struct held_frame *h;

	while ((h = STAILQ_FIRST(&s->held))) {
		STAILQ_REMOVE_HEAD(&s->held, entry);
		free(h);
	}
}

static void learnt(struct names_waiter *w, const struct names_answer *a)
{
	struct learning *l = (struct learning *)w;
	struct server *s = l->server;
	bool first = !l->late;
	bool again = false;

	l->late = true;
	if (!a && first && !s->all->ending) {
		a = names_account(s->all->names, l->kind, l->name, 0, w);
		again = !a;
	}
	if (a || first)
		idmap_learn(s->ids, l->kind, l->id,
			    a && a->found ? &a->number : NULL);
	if (!again)
		free(l);
	if (first) {
		s->learning--;
		take_held(s);
	}
}

static void take_name(struct server *s, const struct frame *f, const u8 *payload)
{
	const struct names_answer *a;
	struct msg_file_name m;
	struct learning *l = malloc(sizeof(*l));

	if (!l || msg_file_name_decode(&m, payload, f->length) ||
	    m.kind > FILE_ID_GROUP ||
	    !span_to_cstr(m.name, l->name, sizeof(l->name))) {
		free(l);
		return;
	}
	l->waiter.ready = learnt;
	l->server = s;
	l->late = false;
	l->kind = m.kind;
	l->id = m.id;
	a = names_account(s->all->names, m.kind, l->name,
			  names_patience_ms(s->all->names), &l->waiter);
	if (a) {
		idmap_learn(s->ids, m.kind, m.id, a->found ? &a->number : NULL);
		free(l);
		return;
	}
	s->learning++;
	conn_pause(s->conn);
}

/* Directories change in the order of their ctime; answers may come in another. */
static bool is_later(const struct rec_attr *a, const struct rec_attr *b)
{
	return a->ctime_s != b->ctime_s ? a->ctime_s > b->ctime_s :
					  a->ctime_ns >= b->ctime_ns;
}

static void take_changed(struct server *s, const struct frame *f,
			 const u8 *payload)
{
	struct call *c = call_of(s, f->tag);
	struct msg_file_changed m;
	struct rec_attr a;
	struct inode *i;

	if (!c || msg_file_changed_decode(&m, payload, f->length) ||
	    rec_attr_decode(&a, m.attr.data, m.attr.len))
		return;
	i = inodes_find(s->all->inodes, c->volume, m.handle);
	if (!i || i->type != (a.mode & S_IFMT) ||
	    (i->attr_us && !is_later(&a, &i->attr)))
		return;
	i->attr = a;
	i->attr_us = loop_now_us(s->all->loop);
}

static void take_frame(struct server *s, const struct frame *f,
		       const u8 *payload)
{
	struct msg_error error;
	struct call *c;

	if (f->type == MSG_FILE_NAME) {
		take_name(s, f, payload);
		return;
	}
	if (f->type == MSG_FILE_CHANGED) {
		take_changed(s, f, payload);
		return;
	}
	c = call_of(s, f->tag);
	if (!c) {
		release_orphan(s, f, payload);
	} else if (f->type == c->want) {
		call_end(c, 0, payload, f->length);
	} else if (f->type == MSG_ERROR &&
		   msg_error_decode(&error, payload, f->length) == 0) {
		/* A hostile server must not make an error look like success. */
		call_end(c, error.code < 0 && error.code > -4096 ? error.code : -EIO,
		    payload, f->length);
	} else {
		log_warning("%s answers message %u with %u", s->node, c->type,
			    f->type);
		call_end(c, -EPROTO, NULL, 0);
	}
}

void server_take_frame(struct conn *conn, const struct frame *f, const u8 *payload)
{
	struct server *s = conn_arg(conn);

	if (conn != s->conn)
		return;
	/* Names do not wait for names: several are looked up at a time. */
	if (f->type == MSG_FILE_NAME || !s->learning)
		take_frame(s, f, payload);
	else
		hold_frame(s, f, payload);
}
