// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File requests of local programs on their way; the contract is in file_relay.h.
 *
 * A link is one program's connection with the one volume it attached. All links
 * to a node share this virgod's connection and session there, so the relay keeps
 * them apart: a link may use only files that were opened through it, they are
 * released when it closes, and `who` in every request is replaced by the slot of
 * the user that the kernel says is behind the connection. Handles need no guard:
 * the node checks what the user may do with each.
 *
 * When the connection to the node was lost and made again, the session there goes
 * on; the volume is attached again ahead of the next request. Requests under way
 * at that moment fail, and the library repeats those that may happen twice. All runs in the loop's thread, but for names of users.
 */
#include "file_relay.h"

#include <stdio.h>
#include <stdlib.h>

#include "catalog.h"
#include "idnames.h"
#include "peers.h"
#include "workers.h"

enum {
	FILES_MAX = 256, /* open through one link */
	CALLS_MAX = 8, /* under way of one link */
	QUEUE_MAX = 32 << 20, /* bytes waiting for a node */
	NAMERS = 2,
};

#define TELL_AGAIN_US (60 * 1000000ull)

struct slot { /* a user whom the node knows by this number */
	bool used;
	u32 uid;
	u32 gid;
	u64 epoch; /* of the connection on which it was told */
	u64 told_us;
	u64 last; /* use, to find the oldest */
};

struct target { /* a node */
	struct target *next;
	u64 clock;
	char name[NODE_NAME_MAX + 1];
	struct slot slots[FILE_WHO_MAX];
};

struct link {
	struct work work; /* looks the names up */
	struct link *next;
	struct file_relay *relay;
	struct conn *conn; /* a reference; NULL once closed */
	bool naming;
	bool named; /* in time */
	u64 attach_tag; /* of the program's request */
	u32 uid;
	u32 gid;
	char user[IDNAME_MAX];
	char group[IDNAME_MAX];
	char volume[256];
	struct target *target;
	u64 epoch; /* of the connection on which the volume is attached */
	u32 calls; /* under way */
	u32 file_count;
	u64 files[FILES_MAX];
};

struct file_relay {
	struct node *node;
	struct workers *namers;
	struct target *targets;
	struct link *links;
};

struct call {
	struct link *link;
	u64 tag; /* the program's */
};

/* --- links --- */

static struct link *link_of(struct file_relay *fr, const struct conn *c)
{
	struct link *l = fr->links;

	while (l && l->conn != c)
		l = l->next;
	return l;
}

/* Frees a closed link once nothing refers to it. */
static void link_try_free(struct link *l)
{
	struct link **at = &l->relay->links;

	if (l->conn || l->calls || l->naming)
		return;
	while (*at != l)
		at = &(*at)->next;
	*at = l->next;
	free(l);
}

static void ignore(void *arg, const struct frame *f, const u8 *payload,
		   const struct failure *why)
{
}

static void release(struct link *l, u64 file)
{
	u8 buf[8];

	put_u64(buf, file);
	peers_call(l->relay->node->peers, l->target->name, TLS_CONTROL,
		   MSG_FILE_RELEASE, buf, sizeof(buf), ignore, NULL);
}

static void on_close(struct node *n, struct conn *c)
{
	struct link *l = link_of(n->file_relay, c);
	u32 i;

	if (!l)
		return;
	for (i = 0; i < l->file_count; i++)
		release(l, l->files[i]);
	l->file_count = 0;
	conn_put(l->conn);
	l->conn = NULL;
	link_try_free(l);
}

static struct target *target_of(struct file_relay *fr, const char *name)
{
	struct target *t = fr->targets;

	while (t && strcmp(t->name, name))
		t = t->next;
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->next = fr->targets;
	fr->targets = t;
	return t;
}

static bool forget_file(struct link *l, u64 file, bool remove)
{
	u32 i;

	for (i = 0; i < l->file_count && l->files[i] != file; i++)
		;
	if (i == l->file_count)
		return false;
	if (remove)
		l->files[i] = l->files[--l->file_count];
	return true;
}

/* --- users --- */

static u32 slot_of(struct target *t, u32 uid, u32 gid)
{
	u32 oldest = 0;
	u32 i;

	for (i = 0; i < FILE_WHO_MAX; i++) {
		const struct slot *s = &t->slots[i];

		if (s->used && s->uid == uid && s->gid == gid)
			return i;
		if (s->last < t->slots[oldest].last)
			oldest = i;
	}
	t->slots[oldest] = (struct slot){ .used = true, .uid = uid,
					  .gid = gid };
	return oldest;
}

/* --- answers --- */

static void take_opened(struct link *l, const struct frame *f,
			const u8 *payload)
{
	u64 file;

	/* Both begin with the file's number. */
	if ((f->type != MSG_FILE_OPENED && f->type != MSG_FILE_CREATED) ||
	    f->length < 8)
		return;
	file = get_u64(payload);
	if (l->conn && l->file_count < FILES_MAX)
		l->files[l->file_count++] = file;
	else
		release(l, file);
}

static void on_reply(void *arg, const struct frame *f, const u8 *payload,
		     const struct failure *why)
{
	struct call *c = arg;
	struct link *l = c->link;

	if (f) {
		struct frame out = *f;

		take_opened(l, f, payload);
		out.tag = c->tag;
		if (l->conn)
			conn_send(l->conn, &out, payload, f->length, NULL, 0);
		if (f->flags & FRAME_MORE)
			return;
	} else if (l->conn) {
		conn_reply_failure(l->conn, c->tag, why);
	}
	l->calls--;
	link_try_free(l);
	free(c);
}

/* --- requests --- */

static void fail(struct link *l, u64 tag, int code, const char *remedy,
		 const char *what)
{
	struct failure f;

	failure_set(&f, code, l->volume, remedy, "%s", what);
	conn_reply_failure(l->conn, tag, &f);
}

/* The volume on the connection as it is now, ahead of the request. */
static void attach_again(struct link *l, u64 epoch)
{
	const struct msg_file_attach m = { .volume = span_of(l->volume) };
	u8 buf[sizeof(l->volume) + 8];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	if (epoch && l->epoch == epoch)
		return;
	l->epoch = epoch;
	msg_file_attach_encode(&w, &m);
	peers_call(l->relay->node->peers, l->target->name, TLS_CONTROL,
		   MSG_FILE_ATTACH, buf, wcursor_len(&w), ignore, NULL);
}

/* Begins the exchange with the FILE_CRED that the node needs first, if any: its
 * tag, or 0. *@slot is the user's.
 */
static u64 tell_user(struct link *l, u64 epoch, u32 *slot, struct call *c)
{
	struct target *t = l->target;
	const struct msg_file_cred m = { .who = *slot = slot_of(t, l->uid, l->gid),
					 .user = span_of(l->user),
					 .group = span_of(l->group),
					 .uid = l->uid,
					 .gid = l->gid };
	struct slot *s = &t->slots[*slot];
	u64 now = loop_clock_us();
	u8 buf[2 * IDNAME_MAX + 64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	s->last = ++t->clock;
	if (epoch && s->epoch == epoch && now - s->told_us < TELL_AGAIN_US)
		return 0;
	s->epoch = epoch;
	s->told_us = now;
	msg_file_cred_encode(&w, &m);
	return peers_call(l->relay->node->peers, t->name, TLS_CONTROL,
			  MSG_FILE_CRED, buf, wcursor_len(&w), on_reply, c);
}

static void forward(struct link *l, const struct frame *f, const u8 *payload,
		    bool who)
{
	struct peers *peers = l->relay->node->peers;
	struct frame out = { .type = f->type };
	struct call *c = calloc(1, sizeof(*c));
	u8 *copy = who ? malloc(f->length) : NULL;
	u64 epoch = peers_epoch(peers, l->target->name, TLS_CONTROL);
	u64 tag = 0;
	u32 slot;

	if (!c || (who && !copy)) {
		free(copy);
		free(c);
		fail(l, f->tag, -ENOMEM, NULL, "out of memory");
		return;
	}
	*c = (struct call){ .link = l, .tag = f->tag };
	l->calls++;
	if (f->type != MSG_FILE_ATTACH)
		attach_again(l, epoch);
	if (who) {
		tag = tell_user(l, epoch, &slot, c);
		memcpy(copy, payload, f->length);
		put_u32(copy, slot);
		payload = copy;
	}
	if (tag)
		peers_send(peers, tag, &out, payload, f->length);
	else
		tag = peers_call(peers, l->target->name, TLS_CONTROL, f->type,
				 payload, f->length, on_reply, c);
	free(copy);
	if (tag && peers_queued(peers, tag) <= QUEUE_MAX)
		return;
	if (tag)
		peers_forget(peers, tag);
	free(c);
	l->calls--;
	fail(l, f->tag, -EBUSY, "once more",
	     "too much is under way to its node");
}

/* --- attaching --- */

static void find_names(struct work *w)
{
	struct link *l = (struct link *)((char *)w - offsetof(struct link,
							      work));

	l->named = idnames_name(FILE_ID_USER, l->uid, l->user) &&
		   idnames_name(FILE_ID_GROUP, l->gid, l->group);
}

static void names_found(struct work *w)
{
	struct link *l = (struct link *)((char *)w - offsetof(struct link,
							      work));
	const struct msg_file_attach m = { .volume = span_of(l->volume) };
	u8 buf[sizeof(l->volume) + 8];
	struct wcursor c = wcursor_of(buf, sizeof(buf));
	struct frame f = { .type = MSG_FILE_ATTACH, .tag = l->attach_tag };

	l->naming = false;
	if (l->conn && !l->named) {
		fail(l, l->attach_tag, -ETIMEDOUT, "once more",
		     "this machine's name service does not say who you are");
	} else if (l->conn) {
		msg_file_attach_encode(&c, &m);
		f.length = (u32)wcursor_len(&c);
		l->epoch = peers_epoch(l->relay->node->peers, l->target->name,
				       TLS_CONTROL);
		forward(l, &f, buf, false);
	}
	link_try_free(l);
}

static const struct rec_volume_row *find_volume(struct request *r,
						const char *name)
{
	const struct rec_volume_row *v = NULL;

	if (r->node->catalog)
		v = catalog_volume(r->node->catalog, name);
	if (!v)
		request_fail(r, -ENOENT, name,
			     "see what there is with: virgo volume list",
			     "the cloud has no such volume");
	else if (!span_equal(v->kind, span_of("export")))
		request_fail(r, -EOPNOTSUPP, name, "virgo mount",
			     "only volumes of nodes can be used without a mount");
	else
		return v;
	return NULL;
}

static void attach(struct file_relay *fr, struct request *r)
{
	const struct rec_volume_row *v;
	char name[sizeof(((struct link *)0)->volume)];
	char node[NODE_NAME_MAX + 1];
	struct msg_file_attach m;
	struct link *l;

	if (!request_decode(r, file_attach, &m))
		return;
	if (link_of(fr, r->conn)) {
		request_fail(r, -EBUSY, "files", NULL,
			     "this connection has attached a volume");
		return;
	}
	if (!span_to_cstr(m.volume, name, sizeof(name)))
		name[0] = 0;
	v = find_volume(r, name);
	if (!v)
		return;
	span_to_cstr(v->node, node, sizeof(node));
	l = calloc(1, sizeof(*l));
	if (!l || !(l->target = target_of(fr, node))) {
		free(l);
		request_fail(r, -ENOMEM, name, NULL, "out of memory");
		return;
	}
	l->relay = fr;
	l->conn = conn_get(r->conn);
	l->attach_tag = r->frame->tag;
	l->uid = r->uid;
	l->gid = conn_ucred(r->conn)->gid;
	snprintf(l->volume, sizeof(l->volume), "%s", name);
	l->next = fr->links;
	fr->links = l;
	l->naming = true;
	l->work = (struct work){ .run = find_names, .done = names_found };
	workers_submit(fr->namers, &l->work);
}

/* --- what may pass --- */

/* The open file that a request names, 0 for none; false when it is malformed.
 * *@who: it begins with a user's slot.
 */
static bool file_of(const struct request *r, u64 *file, bool *who)
{
	struct msg_file_getattr get;
	struct msg_file_setattr set;
	u32 len = r->frame->length;

	*file = 0;
	*who = true;
	switch (r->frame->type) {
	case MSG_FILE_GETATTR:
		if (msg_file_getattr_decode(&get, r->payload, len))
			return false;
		*file = get.file;
		return true;
	case MSG_FILE_SETATTR:
		if (msg_file_setattr_decode(&set, r->payload, len))
			return false;
		*file = set.file;
		return true;
	case MSG_FILE_LOOKUP:
	case MSG_FILE_READLINK:
	case MSG_FILE_OPEN:
	case MSG_FILE_CREATE:
	case MSG_FILE_READDIR:
		return len >= 4;
	default: /* read, write, fsync, release */
		*who = false;
		if (len < 8)
			return false;
		*file = get_u64(r->payload);
		return *file != 0;
	}
}

void file_relay_request(struct request *r)
{
	struct file_relay *fr = r->node->file_relay;
	struct link *l;
	u64 file;
	bool who;

	if (r->frame->type == MSG_FILE_ATTACH) {
		attach(fr, r);
		return;
	}
	l = link_of(fr, r->conn);
	if (!l || l->naming)
		request_fail(r, -ENOTCONN, "files", NULL,
			     "no volume is attached");
	else if (!file_of(r, &file, &who))
		request_fail(r, -EBADMSG, "files", NULL, "malformed message");
	else if (file && !forget_file(l, file,
				      r->frame->type == MSG_FILE_RELEASE))
		request_fail(r, -EBADF, l->volume, NULL,
			     "the file is not open here");
	else if (l->calls >= CALLS_MAX)
		request_fail(r, -EBUSY, l->volume, NULL,
			     "too many requests are under way");
	else
		forward(l, r->frame, r->payload, who);
}

struct file_relay *file_relay_new(struct node *n)
{
	struct file_relay *fr = calloc(1, sizeof(*fr));

	if (!fr)
		return NULL;
	fr->node = n;
	fr->namers = workers_new(n->loop, NAMERS, NULL);
	if (!fr->namers) {
		free(fr);
		return NULL;
	}
	service_on_close(n, on_close);
	return fr;
}

void file_relay_free(struct file_relay *fr)
{
	struct link *l;
	struct target *t;

	if (!fr)
		return;
	workers_free(fr->namers);
	while ((l = fr->links)) {
		fr->links = l->next;
		if (l->conn)
			conn_put(l->conn);
		free(l);
	}
	while ((t = fr->targets)) {
		fr->targets = t->next;
		free(t);
	}
	free(fr);
}
