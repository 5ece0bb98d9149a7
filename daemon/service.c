// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dispatch of requests; the contract is in service.h. Connections of programs
 * and of nodes end here alike: service_conn_ops is what listen.c gives them.
 */
#include "service.h"

#include <stdarg.h>
#include <stdlib.h>

#include "listen.h"
#include "log.h"

enum { TYPES = 448, CLOSERS = 16 };

struct services {
	const struct service *by_type[TYPES];
	void (*closers[CLOSERS])(struct node *n, struct conn *c);
	int closer_count;
	void (*drainers[CLOSERS])(struct node *n, struct conn *c);
	int drainer_count;
};

struct services *services_new(void)
{
	return calloc(1, sizeof(struct services));
}

void services_free(struct services *s)
{
	free(s);
}

void service_add(struct node *n, const struct service *table, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		assert(table[i].type < TYPES);
		assert(!n->services->by_type[table[i].type]);
		n->services->by_type[table[i].type] = &table[i];
	}
}

void service_on_close(struct node *n,
		      void (*closed)(struct node *n, struct conn *c))
{
	assert(n->services->closer_count < CLOSERS);
	n->services->closers[n->services->closer_count++] = closed;
}

void service_on_drained(struct node *n,
			void (*drained)(struct node *n, struct conn *c))
{
	assert(n->services->drainer_count < CLOSERS);
	n->services->drainers[n->services->drainer_count++] = drained;
}

void request_ok(struct request *r)
{
	const struct msg_ok m = {};

	request_reply(r, OK, ok, &m);
}

void request_fail_with(struct request *r, const struct failure *f)
{
	conn_reply_failure(r->conn, r->frame->tag, f);
}

void request_fail(struct request *r, int code, const char *object,
		  const char *remedy, const char *what_fmt, ...)
{
	struct failure f;
	char what[sizeof(f.what)];
	va_list ap;

	va_start(ap, what_fmt);
	vsnprintf(what, sizeof(what), what_fmt, ap);
	va_end(ap);
	failure_set(&f, code, object, remedy, "%s", what);
	request_fail_with(r, &f);
}

/* Which of the sources in enum service_from this connection is. */
static unsigned int from_of(const struct conn *c, uid_t *uid, const char **peer)
{
	const struct tls_peer *tls = conn_peer(c);

	*uid = (uid_t)-1;
	*peer = NULL;
	if (!tls) {
		*uid = conn_ucred(c)->uid;
		return FROM_LOCAL | (*uid == 0 ? FROM_ROOT : 0);
	}
	if (tls->class == TLS_JOIN)
		return FROM_JOINER;
	*peer = tls->node;
	return FROM_PEER;
}

/* "node change" for NODE_CHANGE, as people say it. */
static const char *spoken(const char *name, char out[64])
{
	size_t i;

	for (i = 0; name && name[i] && i < 63; i++)
		out[i] = name[i] == '_' ? ' ' : (char)(name[i] | 0x20);
	out[i] = '\0';
	return i ? out : "request";
}

void service_dispatch(struct node *n, struct conn *c, const struct frame *f,
		      const u8 *payload)
{
	const struct service *s = f->type < TYPES ?
					  n->services->by_type[f->type] :
					  NULL;
	struct request r = { .node = n,
			     .conn = c,
			     .frame = f,
			     .payload = payload };
	unsigned int from = from_of(c, &r.uid, &r.peer);
	char name[64];

	spoken(wire_name(f->type), name);
	r.from = from & FROM_ROOT ? FROM_ROOT : (enum service_from)from;
	/* Errors about nothing we asked must not be answered with errors. */
	if (f->flags & FRAME_REPLY)
		return;
	if (!s)
		request_fail(&r, -EOPNOTSUPP, name,
			     "install the same version on all nodes",
			     "this node does not know message %u", f->type);
	else if (!(s->from & from))
		request_fail(&r, -EPERM, name, from & FROM_LOCAL && s->from & FROM_ROOT ?
			     "run it as root" : NULL,
			     "not allowed from here");
	else
		s->handle(&r);
}

void service_closed(struct node *n, struct conn *c)
{
	int i;

	for (i = 0; i < n->services->closer_count; i++)
		n->services->closers[i](n, c);
}

void service_drained(struct node *n, struct conn *c)
{
	int i;

	for (i = 0; i < n->services->drainer_count; i++)
		n->services->drainers[i](n, c);
}
