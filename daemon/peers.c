// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections to other nodes and the exchanges on them; the contract is in
 * peers.h.
 *
 * A peer is one (node, class). It dials its addresses in turn:
 *
 *	IDLE -> RESOLVING -> DIALLING -> UP -> IDLE
 *
 * and an exchange started meanwhile waits with its frames. A host name is looked
 * up in a thread of its own, since that may block; the answer is posted back.
 * An exchange ends with the first reply without FRAME_MORE, with
 * peers_forget(), or with its connection. Reply functions never run inside
 * peers_call(): what fails at once is reported from a deferred call.
 */
#include "peers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "address.h"
#include "chunks.h"
#include "log.h"
#include "wallclock.h"

enum {
	BUCKETS = 1024,
	IDLE_US = 300 * 1000000, /* an unused connection is closed after this */
	NAME_LIST_MAX = 512,
};

enum peer_state { IDLE, RESOLVING, DIALLING, UP };

struct held { /* a frame that waits for the connection */
	struct held *next;
	struct frame frame;
	u8 payload[];
};

struct call {
	struct call *next; /* in its bucket */
	struct call *next_of_peer;
	struct call **prev_of_peer;
	struct peer *peer;
	u64 tag;
	peer_reply_fn *reply;
	void *arg;
	struct held *held;
	struct held **held_last;
};

struct peer {
	struct peer *next;
	struct peers *all;
	char name[NODE_NAME_MAX + 1];
	enum tls_class class;
	enum peer_state state;
	u64 epoch;
	struct conn *conn;
	struct call *calls;
	struct address address[ADDRESS_MAX];
	int addresses;
	int next_address;
	struct failure why; /* of the last attempt */
	struct post give_up;
	bool giving_up;
	struct timer idle;
	peer_secured_fn *secured; /* of class TLS_MODULE, until it was called */
	void *secured_arg;
};

struct peers {
	struct node *node;
	peer_address_fn *addresses;
	void *arg;
	struct peer *list;
	struct call *bucket[BUCKETS];
	u64 tag;
	u64 epochs;
	int lookups; /* threads that will still post */
};

struct lookup {
	struct post post;
	struct peer *peer;
	char list[NAME_LIST_MAX];
	struct address address[ADDRESS_MAX];
	int count;
};

static void dial_next(struct peer *p);

static struct call **call_slot(struct peers *all, u64 tag)
{
	struct call **at = &all->bucket[tag % BUCKETS];

	while (*at && (*at)->tag != tag)
		at = &(*at)->next;
	return at;
}

static void call_free(struct call *c)
{
	struct call **at = call_slot(c->peer->all, c->tag);

	*at = c->next;
	*c->prev_of_peer = c->next_of_peer;
	if (c->next_of_peer)
		c->next_of_peer->prev_of_peer = c->prev_of_peer;
	while (c->held) {
		struct held *h = c->held;

		c->held = h->next;
		free(h);
	}
	if (!c->peer->calls)
		loop_arm(c->peer->all->node->loop, &c->peer->idle, IDLE_US);
	free(c);
}

/* Ends every exchange of @p with @why. A reply function may start new ones,
 * which must not end with these.
 */
static void fail_calls(struct peer *p, const struct failure *why)
{
	struct call *list = p->calls;
	struct failure f = *why;

	p->calls = NULL;
	if (list)
		list->prev_of_peer = &list;
	while (list) {
		peer_reply_fn *reply = list->reply;
		void *arg = list->arg;

		call_free(list);
		reply(arg, NULL, NULL, &f);
	}
}

static void secured(struct peer *p, int fd, struct tls_session *tls,
		    const struct failure *why)
{
	peer_secured_fn *fn = p->secured;

	p->secured = NULL;
	if (fn) {
		fn(p->secured_arg, fd, tls, why);
	} else if (fd >= 0) {
		close(fd);
		tls_session_free(tls);
	}
}

/* Nobody is connected, and nobody will be. */
static void fail_all(struct peer *p)
{
	fail_calls(p, &p->why);
	secured(p, -1, NULL, &p->why);
}

static void run_give_up(struct post *post)
{
	struct peer *p = (struct peer *)((char *)post - offsetof(struct peer,
								 give_up));

	p->giving_up = false;
	fail_all(p);
}

/* Fails the waiting exchanges, but not from inside the caller. */
static void give_up(struct peer *p)
{
	p->state = IDLE;
	if (p->giving_up)
		return;
	p->giving_up = true;
	loop_defer(p->all->node->loop, &p->give_up);
}

/* The calls of @p, the newest of which is first, in order of their making. */
static void reverse_calls(struct peer *p)
{
	struct call *list = p->calls;

	p->calls = NULL;
	while (list) {
		struct call *call = list;

		list = call->next_of_peer;
		call->next_of_peer = p->calls;
		call->prev_of_peer = &p->calls;
		if (p->calls)
			p->calls->prev_of_peer = &call->next_of_peer;
		p->calls = call;
	}
}

static void peer_opened(struct conn *c)
{
	struct peer *p = conn_arg(c);
	struct call *call;

	p->state = UP;
	p->epoch = ++p->all->epochs;
	reverse_calls(p);
	for (call = p->calls; call; call = call->next_of_peer) {
		while (call->held) {
			struct held *h = call->held;

			call->held = h->next;
			conn_send(c, &h->frame, h->payload, h->frame.length,
				  NULL, 0);
			free(h);
		}
		call->held_last = &call->held;
	}
}

static void peer_frame(struct conn *c, const struct frame *f, const u8 *payload)
{
	struct peer *p = conn_arg(c);
	struct call *call = *call_slot(p->all, f->tag);
	peer_reply_fn *reply;
	void *arg;

	if (!call || call->peer != p)
		return; /* forgotten meanwhile */
	reply = call->reply;
	arg = call->arg;
	if (f->flags & FRAME_REPLY && !(f->flags & FRAME_MORE))
		call_free(call);
	reply(arg, f, payload, NULL);
}

static void peer_closed(struct conn *c, const struct failure *why)
{
	struct peer *p = conn_arg(c);

	p->conn = NULL;
	p->why = *why;
	if (!p->why.code)
		p->why.code = -ECONNRESET;
	if (!p->why.what[0])
		snprintf(p->why.what, sizeof(p->why.what),
			 "the connection was closed");
	snprintf(p->why.object, sizeof(p->why.object), "%s", p->name);
	if (p->why.code == -EACCES || p->why.code == -EKEYEXPIRED)
		wallclock_explain(p->all->node, p->name, &p->why);
	if (!p->why.remedy[0] && p->state == DIALLING && p->why.code != -EACCES)
		snprintf(p->why.remedy, sizeof(p->why.remedy),
			 "virgo doctor %s", p->name);
	/* A refusal is the same at every address of the node. */
	if (p->state == DIALLING && p->next_address < p->addresses &&
	    p->why.code != -EACCES) {
		dial_next(p);
		return;
	}
	p->state = IDLE;
	fail_all(p);
}

/* on_closed follows: by then there is nothing that could fail. */
static void peer_secured(struct conn *c, int fd, struct tls_session *tls)
{
	struct peer *p = conn_arg(c);

	p->state = UP;
	secured(p, fd, tls, NULL);
}

static const struct conn_ops peer_ops = {
	.on_open = peer_opened,
	.on_frame = peer_frame,
	.on_secured = peer_secured,
	.on_closed = peer_closed,
};

static void dial_next(struct peer *p)
{
	struct node *n = p->all->node;

	while (p->next_address < p->addresses) {
		const struct address *a = &p->address[p->next_address++];

		p->state = DIALLING;
		p->conn = conn_dial(n->loop, (const struct sockaddr *)&a->sa,
				    a->len, n->identity, p->class, p->name,
				    NULL, &n->local, &peer_ops, p);
		if (p->conn)
			return;
		failure_set(&p->why, -ENOMEM, p->name, NULL,
			    "cannot connect: out of memory or descriptors");
	}
	give_up(p);
}

static void resolved(struct peer *p, int count)
{
	if (count > 0) {
		p->addresses = count;
		p->next_address = 0;
		dial_next(p);
		return;
	}
	failure_set(&p->why, -EHOSTUNREACH, p->name,
		    "virgo node list shows the addresses it announced",
		    "none of its addresses can be resolved");
	give_up(p);
}

static void lookup_done(struct post *post)
{
	struct lookup *k = (struct lookup *)post;
	struct peer *p = k->peer;

	p->all->lookups--;
	memcpy(p->address, k->address, sizeof(p->address));
	resolved(p, k->count);
	free(k);
}

static void *lookup_main(void *arg)
{
	struct lookup *k = arg;

	k->count = address_resolve(k->list, VIRGO_PORT, true, k->address,
				   ADDRESS_MAX);
	loop_post(k->peer->all->node->loop, &k->post);
	return NULL;
}

static void look_up(struct peer *p, const char *list)
{
	struct lookup *k = calloc(1, sizeof(*k));
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	if (!k) {
		resolved(p, 0);
		return;
	}
	k->peer = p;
	k->post.run = lookup_done;
	snprintf(k->list, sizeof(k->list), "%s", list);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&thread, &attr, lookup_main, k);
	pthread_attr_destroy(&attr);
	if (ret) {
		free(k);
		resolved(p, 0);
		return;
	}
	p->all->lookups++;
}

static void peer_start(struct peer *p)
{
	char list[NAME_LIST_MAX];
	int n;

	p->state = RESOLVING;
	if (!p->all->node->identity) {
		failure_set(&p->why, -ENOTCONN, p->name,
			    "virgo init, or virgo join",
			    "this machine is not part of a cloud yet");
		give_up(p);
		return;
	}
	if (!p->all->addresses(p->all->arg, p->name, list, sizeof(list))) {
		failure_set(&p->why, -ENOENT, p->name, "virgo node list",
			    "the cloud has no node of this name");
		give_up(p);
		return;
	}
	n = address_resolve(list, VIRGO_PORT, false, p->address, ADDRESS_MAX);
	if (n == -EAGAIN)
		look_up(p, list);
	else
		resolved(p, n);
}

static void peer_idle(struct timer *t)
{
	struct peer *p = (struct peer *)((char *)t - offsetof(struct peer,
							      idle));

	if (p->conn && !p->calls)
		conn_finish(p->conn);
}

static struct peer *peer_find(struct peers *all, const char *name,
			      enum tls_class class)
{
	struct peer *p;

	for (p = all->list; p; p = p->next)
		if (p->class == class && !strcmp(p->name, name))
			break;
	return p;
}

u64 peers_epoch(const struct peers *all, const char *name,
		enum tls_class class)
{
	const struct peer *p;

	for (p = all->list; p; p = p->next)
		if (p->class == class && !strcmp(p->name, name))
			return p->state == UP ? p->epoch : 0;
	return 0;
}

static struct peer *peer_get(struct peers *all, const char *name,
			     enum tls_class class)
{
	struct peer *p = peer_find(all, name, class);

	if (p || strlen(name) > NODE_NAME_MAX)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->all = all;
	p->class = class;
	p->give_up.run = run_give_up;
	p->idle.fire = peer_idle;
	snprintf(p->name, sizeof(p->name), "%s", name);
	p->next = all->list;
	all->list = p;
	return p;
}

struct peers *peers_new(struct node *n, peer_address_fn *addresses, void *arg)
{
	struct peers *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->node = n;
	p->addresses = addresses;
	p->arg = arg;
	return p;
}

static void peer_cut(struct peer *p, const struct failure *why)
{
	p->next_address = p->addresses; /* not the next one instead */
	if (p->conn)
		conn_close(p->conn, why);
}

void peers_free(struct peers *all)
{
	struct loop *l;
	struct peer *p;

	if (!all)
		return;
	l = all->node->loop;
	for (p = all->list; p; p = p->next)
		peer_cut(p, NULL);
	/* Closings, deferred failures and lookups all end in the loop. */
	do {
		loop_step(l, all->lookups ? 100 : 0);
		for (p = all->list; p && !p->conn && !p->giving_up; p = p->next)
			;
	} while (all->lookups || p);
	while ((p = all->list)) {
		all->list = p->next;
		loop_disarm(l, &p->idle);
		free(p);
	}
	free(all);
}

static int hold(struct call *c, const struct frame *f, const void *payload,
		size_t len)
{
	struct held *h = malloc(sizeof(*h) + len);

	if (!h)
		return -ENOMEM;
	h->next = NULL;
	h->frame = *f;
	h->frame.length = (u32)len;
	if (len)
		memcpy(h->payload, payload, len);
	*c->held_last = h;
	c->held_last = &h->next;
	return 0;
}

static int call_send(struct call *c, const struct frame *f, const void *payload,
		     size_t len)
{
	struct frame out = *f;

	out.tag = c->tag;
	if (c->peer->state == UP)
		return conn_send(c->peer->conn, &out, payload, len, NULL, 0);
	return hold(c, &out, payload, len);
}

u64 peers_call(struct peers *all, const char *name, enum tls_class class,
	       u16 type, const void *payload, size_t len, peer_reply_fn *reply,
	       void *arg)
{
	struct peer *p = peer_get(all, name, class);
	const struct frame f = { .type = type };
	struct call **bucket;
	struct call *c;
	u64 tag;

	if (!p)
		return 0;
	c = calloc(1, sizeof(*c));
	if (!c)
		return 0;
	c->tag = tag = ++all->tag;
	c->peer = p;
	c->reply = reply;
	c->arg = arg;
	c->held_last = &c->held;
	bucket = &all->bucket[tag % BUCKETS];
	c->next = *bucket;
	*bucket = c;
	c->next_of_peer = p->calls;
	c->prev_of_peer = &p->calls;
	if (p->calls)
		p->calls->prev_of_peer = &c->next_of_peer;
	p->calls = c;
	loop_disarm(all->node->loop, &p->idle);
	if (call_send(c, &f, payload, len)) {
		call_free(c);
		return 0;
	}
	if (p->state == IDLE && !p->giving_up)
		peer_start(p);
	return tag;
}

int peers_secure(struct peers *all, const char *name, peer_secured_fn *fn,
		 void *arg)
{
	struct peer *p = peer_get(all, name, TLS_MODULE);

	if (!p)
		return -ENOMEM;
	p->secured = fn;
	p->secured_arg = arg;
	if (p->state == IDLE && !p->giving_up)
		peer_start(p);
	return 0;
}

void peers_secure_forget(struct peers *all, const char *name)
{
	struct peer *p = peer_find(all, name, TLS_MODULE);

	if (p)
		p->secured = NULL;
}

int peers_send(struct peers *all, u64 tag, const struct frame *f,
	       const void *payload, size_t len)
{
	struct call *c = *call_slot(all, tag);

	return c ? call_send(c, f, payload, len) : -ENOENT;
}

size_t peers_queued(struct peers *all, u64 tag)
{
	struct call *c = *call_slot(all, tag);

	return c && c->peer->conn ? conn_queued(c->peer->conn) : 0;
}

void peers_forget(struct peers *all, u64 tag)
{
	struct call *c = *call_slot(all, tag);

	if (c)
		call_free(c);
}

void peers_cut(struct peers *all, const char *name, const struct failure *why)
{
	struct peer *p;

	for (p = all->list; p; p = p->next)
		if (!strcmp(p->name, name))
			peer_cut(p, why);
}

u32 peers_round_trip_us(struct peers *all, const char *name)
{
	struct peer *p;

	for (p = all->list; p; p = p->next)
		if (!strcmp(p->name, name) && p->state == UP &&
		    conn_round_trip_us(p->conn))
			return conn_round_trip_us(p->conn);
	return 0;
}
