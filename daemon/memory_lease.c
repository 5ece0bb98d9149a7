// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What borrowers ask. Who they are is what their certificate says: name and stem
 * come from the connection. A lease is granted here, made by virgo-nbd, and
 * answered when it is in virgo-nbd's table; nothing of this needs the home node.
 */
#include <stdlib.h>
#include <time.h>

#include "advertise.h"
#include "audit.h"
#include "catalog.h"
#include "conf.h"
#include "loads.h"
#include "log.h"
#include "memory_impl.h"
#include "policy.h"

struct borrower {
	const char *name;
	char stem[STEM_DIGITS + 1];
};

static void borrower_of(const struct request *r, struct borrower *out)
{
	out->name = r->peer;
	snprintf(out->stem, sizeof(out->stem), "%.*s", STEM_DIGITS,
		 conn_peer(r->conn)->serial);
}

static const char *in_mib(u64 bytes, char out[32])
{
	snprintf(out, 32, "%llu MiB", (unsigned long long)(bytes >> 20));
	return out;
}

/* Whether @boot says that the borrower's kernel is this one: then lending gives it
 * nothing, and its swap can wait for memory that only it could free. Who does not
 * say, as versions before this one, is believed to be elsewhere.
 */
static bool is_here(const struct memory *m, struct span boot)
{
	return m->boot[0] && span_equal(boot, span_of(m->boot)) &&
	       !policy_conf(m->node->policy)->memory_same_machine;
}

/* 0 when this node lends at all, and to this one, which is on @boot. */
static int may_borrow(const struct memory *m, const struct borrower *b,
		      struct span boot, struct failure *f)
{
	const struct conf_cloud *conf = policy_conf(m->node->policy);
	const char *self = m->node->local.node;

	if (!strcmp(b->name, self))
		return failure_set(f, -EINVAL, "memory", "another node",
				   "a machine does not borrow from itself");
	if (is_here(m, boot))
		return failure_set(f, -EINVAL, "memory",
				   "a node on another machine; to try it out: "
				   "[memory] same_machine of virgo_cloud.conf "
				   "there", "%s is on the same machine as %s, "
				   "which would borrow from itself", self,
				   b->name);
	if (!m->bytes)
		return failure_set(f, -EOPNOTSUPP, "memory",
				   "'virgo memory lend SIZE' there",
				   "%s lends no memory", self);
	if (memory_leaving(m))
		return failure_set(f, -ESHUTDOWN, "memory", "another node",
				   m->off ? "%s is taking its memory back" :
					    "%s is being drained", self);
	if (!conf_list_has(&conf->memory_allow, "*") &&
	    !conf_list_has(&conf->memory_allow, b->name))
		return failure_set(f, -EACCES, "memory",
				   "[memory] allow of virgo_cloud.conf there",
				   "%s does not lend to %s", self, b->name);
	if (!m->known)
		return failure_set(f, -EAGAIN, "memory", "again in a moment",
				   "%s cannot lend now: %s", self,
				   memory_nbd_why(m->nbd)[0] ?
					   memory_nbd_why(m->nbd) :
					   "virgo-nbd is starting");
	return 0;
}

/* Bytes that @b may lease now; @f says what limits them. */
static u64 room_for(const struct memory *m, const struct borrower *b,
		    struct failure *f)
{
	const struct conf_cloud *conf = policy_conf(m->node->policy);
	const char *self = m->node->local.node;
	u64 lent = memory_lent_bytes(m) + m->others_bytes;
	struct load load = loads_now(m->node->loads);
	u64 promised = lent > m->held_bytes ? lent - m->held_bytes : 0;
	const struct lease *l;
	u64 theirs = 0;
	u64 room = m->bytes > lent ? m->bytes - lent : 0;
	u64 spare = load.memory_free_bytes;
	char have[32];

	failure_set(f, -ENOSPC, "memory", "a smaller size, or another node",
		    "%s has %s left to lend", self, in_mib(room, have));
	spare = spare > promised ? spare - promised : 0;
	spare = spare > m->reserve_bytes ? spare - m->reserve_bytes : 0;
	if (spare < room) {
		room = spare / MEMORY_PAGE * MEMORY_PAGE;
		failure_set(f, -ENOSPC, "memory",
			    "a smaller size, or another node",
			    "%s can spare %s now beside its reserve", self,
			    in_mib(room, have));
	}
	for (l = m->leases; l; l = l->next)
		if (!strcmp(l->borrower, b->name))
			theirs += l->bytes;
	if (conf->memory_quota_bytes &&
	    (theirs >= conf->memory_quota_bytes ||
	     conf->memory_quota_bytes - theirs < room)) {
		room = theirs < conf->memory_quota_bytes ?
			       conf->memory_quota_bytes - theirs : 0;
		failure_set(f, -EDQUOT, "memory",
			    "a smaller size, another node, or [memory] quota "
			    "of virgo_cloud.conf there",
			    "%s's quota for one borrower leaves %s", self,
			    in_mib(room, have));
	}
	if (m->count >= LEASES_MAX) {
		room = 0;
		failure_set(f, -ENOSPC, "memory", "another node",
			    "%s has %d leases already", self, LEASES_MAX);
	}
	return room;
}

static void serve_query(struct request *r)
{
	struct memory *m = r->node->memory;
	char addresses[ADVERTISED_LIST_MAX + 1];
	struct msg_memory_offer o = { .tls = 1 };
	struct msg_memory_query q;
	struct borrower b;
	struct failure f = { 0 };

	if (!request_decode(r, memory_query, &q))
		return;
	borrower_of(r, &b);
	memory_addresses(m, addresses, sizeof(addresses));
	o.addresses = span_of(addresses);
	o.pool_bytes = m->bytes;
	o.reserve_bytes = m->reserve_bytes;
	o.lent_bytes = memory_lent_bytes(m);
	o.held_bytes = m->held_bytes;
	o.leaving = memory_leaving(m);
	if (!may_borrow(m, &b, q.boot, &f))
		o.free_bytes = room_for(m, &b, &f);
	if (!o.free_bytes)
		o.why = span_of(f.what);
	request_reply(r, MEMORY_OFFER, memory_offer, &o);
}

/* Leasing */

struct granting {
	struct memory *memory;
	struct conn *conn;
	u64 tag;
	char export[EXPORT_TEXT_MAX + 1];
};

static void reply_leased(struct memory *m, struct conn *c, u64 tag,
			 const struct lease *l)
{
	char addresses[ADVERTISED_LIST_MAX + 1];
	char export[EXPORT_TEXT_MAX + 24];
	struct msg_memory_leased r = { .name = span_of(l->name),
				       .generation = l->generation,
				       .bytes = l->bytes,
				       .tls = 1 };

	snprintf(export, sizeof(export), "%s@%llu", l->export,
		 (unsigned long long)l->generation);
	memory_addresses(m, addresses, sizeof(addresses));
	r.export = span_of(export);
	r.addresses = span_of(addresses);
	conn_reply(c, tag, MEMORY_LEASED, memory_leased, &r);
}

static void write_down(struct memory *m, const char *who, const char *action,
		       const char *name, u64 bytes, const struct failure *f)
{
	char object[128];
	char size[32];

	snprintf(object, sizeof(object), "%s, %s", name, in_mib(bytes, size));
	audit_write_failure(m->node->audit, who, NULL, action, object, f);
}

static void on_added(void *arg, int ret, const char *rest, char *lines)
{
	struct granting *g = arg;
	struct memory *m = g->memory;
	struct lease *l = memory_find_export(m, g->export);
	struct failure f = { 0 };

	if (!ret && l) {
		l->generation = strtoull(rest, NULL, 10);
		l->since_s = (u64)time(NULL);
		l->pending = false;
		log_info("%s@%llu: lent", l->export,
			 (unsigned long long)l->generation);
		write_down(m, l->borrower, "memory lease", l->name, l->bytes,
			   NULL);
		reply_leased(m, g->conn, g->tag, l);
		memory_loans_changed(m);
		if (memory_leaving(m))
			memory_leave_begin(m);
	} else {
		failure_set(&f, ret == -EPIPE || !l ? -EAGAIN : ret, "memory",
			    "again in a moment", "%s: virgo-nbd could not make "
			    "the export: %s", m->node->local.node,
			    strerror(ret ? -ret : EAGAIN));
		if (l) {
			write_down(m, l->borrower, "memory lease", l->name,
				   l->bytes, &f);
			memory_lease_drop(m, l);
		}
		conn_reply_failure(g->conn, g->tag, &f);
		memory_leave_look(m);
	}
	conn_put(g->conn);
	free(g);
}

static int grant(struct request *r, const struct borrower *b,
		 const char *purpose, const char *name, u64 bytes,
		 struct failure *f)
{
	struct memory *m = r->node->memory;
	struct lease *l = memory_lease_new(m, purpose, b->name, b->stem, name,
					   bytes);
	struct granting *g = calloc(1, sizeof(*g));
	int ret = -ENOMEM;

	if (l && g) {
		*g = (struct granting){ .memory = m,
					.conn = conn_get(r->conn),
					.tag = r->frame->tag };
		strcpy(g->export, l->export);
		ret = memory_nbd_ask(m->nbd, on_added, g, "add %s %llu %s:%s",
				     l->export, (unsigned long long)bytes,
				     b->name, b->stem);
		if (!ret)
			return 0;
		conn_put(g->conn);
	}
	free(g);
	if (l)
		memory_lease_drop(m, l);
	return failure_set(f, ret == -ENOTCONN ? -EAGAIN : ret, "memory",
			   "again in a moment", "%s cannot lend now: %s",
			   r->node->local.node, strerror(-ret));
}

static bool good_name(const char *s)
{
	size_t len = strlen(s);

	return len && len == strspn(s, "abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789._-");
}

static int check_asked(const struct msg_memory_lease *q, char *name,
		       char *purpose, struct failure *f)
{
	if (!span_to_cstr(q->name, name, MEMORY_NAME_MAX + 1) ||
	    !good_name(name))
		return failure_set(f, -EINVAL, "memory", "a name like swap-1",
				   "a lease's name is 1 to %d letters, digits, "
				   "dots, dashes and underscores",
				   MEMORY_NAME_MAX);
	if (!span_to_cstr(q->purpose, purpose, 8) ||
	    (strcmp(purpose, "swap") && strcmp(purpose, "disk")))
		return failure_set(f, -EINVAL, "memory", "swap or disk",
				   "memory is lent as swap or as disk");
	if (!q->bytes || q->bytes % MEMORY_PAGE)
		return failure_set(f, -EINVAL, "memory", "a size like 512M",
				   "a size is a multiple of %d bytes",
				   MEMORY_PAGE);
	return 0;
}

/* @l has that name already: the same again, or something else? */
static int lease_again(struct request *r, const struct lease *l,
		       const char *purpose, u64 bytes, struct failure *f)
{
	if (l->pending)
		return failure_set(f, -EAGAIN, "memory", "again in a moment",
				   "%s is being made", l->name);
	if (l->bytes != bytes || strcmp(l->purpose, purpose))
		return failure_set(f, -EEXIST, "memory",
				   "another name, or release that one first",
				   "%s has lent %s already, as %s of %llu bytes",
				   r->node->local.node, l->name, l->purpose,
				   (unsigned long long)l->bytes);
	reply_leased(r->node->memory, r->conn, r->frame->tag, l);
	return 0;
}

static void serve_lease(struct request *r)
{
	struct memory *m = r->node->memory;
	char name[MEMORY_NAME_MAX + 1] = "";
	struct msg_memory_lease q;
	char purpose[8];
	const struct lease *l;
	struct borrower b;
	struct failure f;
	int ret;

	if (!request_decode(r, memory_lease, &q))
		return;
	borrower_of(r, &b);
	ret = check_asked(&q, name, purpose, &f);
	l = ret ? NULL : memory_find(m, b.name, b.stem, name);
	if (l) {
		ret = lease_again(r, l, purpose, q.bytes, &f);
	} else {
		if (!ret)
			ret = may_borrow(m, &b, q.boot, &f);
		if (!ret && room_for(m, &b, &f) < q.bytes)
			ret = f.code;
		if (!ret)
			ret = grant(r, &b, purpose, name, q.bytes, &f);
	}
	if (!ret)
		return;
	write_down(m, b.name, "memory lease", name[0] ? name : "-", q.bytes,
		   &f);
	request_fail_with(r, &f);
}

/* Releasing */

static void on_released(struct memory *m, int ret, void *arg)
{
	struct granting *g = arg;
	const struct msg_ok ok = {};
	struct failure f;

	if (!ret) {
		conn_reply(g->conn, g->tag, OK, ok, &ok);
	} else {
		failure_set(&f, ret == -EPIPE ? -EAGAIN : ret, "memory",
			    "again in a moment", "%s: %s: %s",
			    m->node->local.node, g->export, strerror(-ret));
		conn_reply_failure(g->conn, g->tag, &f);
	}
	conn_put(g->conn);
	free(g);
}

static void serve_release(struct request *r)
{
	struct memory *m = r->node->memory;
	char name[MEMORY_NAME_MAX + 1];
	struct msg_memory_release q;
	struct granting *g;
	struct borrower b;
	struct lease *l;

	if (!request_decode(r, memory_release, &q))
		return;
	borrower_of(r, &b);
	l = span_to_cstr(q.name, name, sizeof(name)) ?
		    memory_find(m, b.name, b.stem, name) : NULL;
	if ((!m->known && m->bytes) || (l && l->pending)) {
		request_fail(r, -EAGAIN, "memory", "again in a moment",
			     "%s: virgo-nbd has not answered yet",
			     r->node->local.node);
		return;
	}
	if (!l || (q.generation && q.generation != l->generation)) {
		request_ok(r);
		return;
	}
	g = calloc(1, sizeof(*g));
	if (g) {
		*g = (struct granting){ .memory = m,
					.conn = conn_get(r->conn),
					.tag = r->frame->tag };
		strcpy(g->export, l->export);
		if (!memory_remove(m, l, on_released, g)) {
			write_down(m, b.name, "memory release", l->name,
				   l->bytes, NULL);
			return;
		}
		conn_put(g->conn);
		free(g);
	}
	request_fail(r, -EAGAIN, "memory", "again in a moment",
		     "%s cannot take it back now", r->node->local.node);
}

static void serve_leases(struct request *r)
{
	struct memory *m = r->node->memory;
	struct msg_memory_lease_list list = { .leaving = memory_leaving(m) };
	struct borrower b;
	struct rec_lease rec;
	struct wcursor w;
	struct lease *l;
	size_t size = 0;
	u8 *buf;

	borrower_of(r, &b);
	if (!m->known && m->bytes) {
		request_fail(r, -EAGAIN, "memory", "again in a moment",
			     "%s: virgo-nbd does not answer",
			     r->node->local.node);
		return;
	}
	for (l = m->leases; l; l = l->next) {
		memory_record(m, l, &rec);
		size += 4 + rec_lease_size(&rec);
	}
	buf = malloc(size + 1);
	w = wcursor_of(buf, buf ? size : 0);
	for (l = m->leases; l; l = l->next) {
		if (l->pending || strcmp(l->borrower, b.name) ||
		    strcmp(l->stem, b.stem))
			continue;
		memory_record(m, l, &rec);
		rec_lease_append(&w, &rec);
	}
	list.leases = (struct span){ buf, (u32)wcursor_len(&w) };
	request_reply(r, MEMORY_LEASE_LIST, memory_lease_list, &list);
	free(buf);
}

static const struct service services[] = {
	{ MSG_MEMORY_QUERY, FROM_PEER, serve_query },
	{ MSG_MEMORY_LEASE, FROM_PEER, serve_lease },
	{ MSG_MEMORY_RELEASE, FROM_PEER, serve_release },
	{ MSG_MEMORY_LEASES, FROM_PEER, serve_leases },
};

void memory_lease_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
}
