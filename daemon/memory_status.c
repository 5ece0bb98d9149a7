// SPDX-License-Identifier: GPL-2.0-or-later
/* What programs of this machine ask about lent memory: how it is, and, as root,
 * to lend more, less or none.
 */
#include <stdlib.h>

#include "audit.h"
#include "loads.h"
#include "log.h"
#include "memory_impl.h"
#include "policy.h"

/* A list that grows; BORROWED comes from whoever borrows. */
struct list {
	u8 *data;
	size_t len;
	size_t room;
	bool failed;
};

static struct wcursor make_room(struct list *l, size_t more)
{
	size_t room = l->room ? l->room : 1024;
	u8 *p;

	while (room < l->len + more)
		room *= 2;
	p = room > l->room ? realloc(l->data, room) : l->data;
	if (!p) {
		l->failed = true;
		return wcursor_of(l->data, 0);
	}
	l->data = p;
	l->room = room;
	return wcursor_of(l->data + l->len, room - l->len);
}

static void add_borrowed(void *arg, const struct rec_borrowed *b)
{
	struct list *l = arg;
	struct wcursor w = make_room(l, 4 + rec_borrowed_size(b));

	rec_borrowed_append(&w, b);
	if (!l->failed)
		l->len += wcursor_len(&w);
}

static void add_lease(struct list *l, const struct rec_lease *r)
{
	struct wcursor w = make_room(l, 4 + rec_lease_size(r));

	rec_lease_append(&w, r);
	if (!l->failed)
		l->len += wcursor_len(&w);
}

struct asking {
	struct conn *conn;
	u64 tag;
};

static const char *state_of(const struct memory *m)
{
	return !m->bytes	     ? "off" :
	       memory_leaving(m)     ? "leaving" :
	       m->known		     ? "lending" :
				       "starting";
}

static void reply_status(struct memory *m, void *arg)
{
	struct asking *a = arg;
	struct list leases = { 0 }, borrowed = { 0 };
	struct msg_memory_status_reply r = {
		.state = span_of(state_of(m)),
		.why = span_of(memory_nbd_why(m->nbd)),
		.pool_bytes = m->bytes,
		.reserve_bytes = m->reserve_bytes,
		.lent_bytes = memory_lent_bytes(m),
		.held_bytes = m->held_bytes,
		.memory_bytes = m->memory_bytes,
		.compressed_bytes = m->compressed_bytes,
		.locked = m->locked,
		.connections = m->connections,
	};
	struct rec_lease rec;
	struct lease *l;

	for (l = m->leases; l; l = l->next) {
		memory_record(m, l, &rec);
		add_lease(&leases, &rec);
	}
	if (m->fill)
		m->fill(m->node, add_borrowed, &borrowed);
	if (r.lent_bytes > r.held_bytes)
		r.zero_bytes = r.lent_bytes - r.held_bytes;
	r.leases = (struct span){ leases.data, (u32)leases.len };
	r.borrowed = (struct span){ borrowed.data, (u32)borrowed.len };
	conn_reply(a->conn, a->tag, MEMORY_STATUS_REPLY, memory_status_reply,
		   &r);
	free(leases.data);
	free(borrowed.data);
	conn_put(a->conn);
	free(a);
}

static void serve_status(struct request *r)
{
	struct asking *a = calloc(1, sizeof(*a));

	if (!a) {
		request_fail(r, -ENOMEM, "memory status", NULL,
			     "out of memory");
		return;
	}
	a->conn = conn_get(r->conn);
	a->tag = r->frame->tag;
	memory_refresh(r->node->memory, reply_status, a);
}

static int check_lend(const struct memory *m, const struct msg_memory_lend *q,
		      struct failure *f)
{
	struct load load = loads_now(m->node->loads);
	u64 lent = memory_lent_bytes(m);

	if (q->bytes % MEMORY_PAGE)
		return failure_set(f, -EINVAL, "memory lend", "a size like 4G",
				   "not a multiple of %d bytes", MEMORY_PAGE);
	if (load.memory_bytes && (q->bytes > load.memory_bytes ||
				  q->reserve_bytes > load.memory_bytes - q->bytes))
		return failure_set(f, -EINVAL, "memory lend", "a smaller size",
				   "this machine has %llu MiB, less than what is "
				   "to be lent and kept free",
				   (unsigned long long)(load.memory_bytes >> 20));
	if (q->bytes && q->bytes < lent)
		return failure_set(f, -EBUSY, "memory lend",
				   "at least that, or 'virgo memory lend off', "
				   "which asks the borrowers to move",
				   "%llu MiB are lent already",
				   (unsigned long long)(lent >> 20));
	return 0;
}

/* Off: the memory lent stays what it is, and OFF is when none is. */
static void take_back(struct memory *m, bool once)
{
	m->once = once && (m->once || !m->off);
	if (m->bytes)
		m->off = true;
}

static void serve_lend(struct request *r)
{
	struct memory *m = r->node->memory;
	struct msg_memory_lend q;
	char object[64];
	struct failure f = { 0 };
	int ret;

	if (!request_decode(r, memory_lend, &q))
		return;
	ret = check_lend(m, &q, &f);
	if (!ret && q.bytes) {
		m->bytes = q.bytes;
		m->reserve_bytes = q.reserve_bytes;
		m->off = false;
	} else if (!ret) {
		take_back(m, q.once);
	}
	if (!ret && !q.once)
		ret = memory_store(m, &f);
	if (q.bytes)
		snprintf(object, sizeof(object), "%llu MiB, reserve %llu MiB",
			 (unsigned long long)(q.bytes >> 20),
			 (unsigned long long)(q.reserve_bytes >> 20));
	audit_write_failure(r->node->audit, r->node->local.node, "root",
			    "memory lend",
			    q.bytes ? object : "off",
			    ret ? &f : NULL);
	if (!ret && !q.bytes && memory_leave_wait(m, r, q.wait_s))
		ret = failure_set(&f, -ENOMEM, "memory lend", NULL,
				  "out of memory");
	if (ret) {
		request_fail_with(r, &f);
		return;
	}
	if (q.bytes)
		request_ok(r);
	memory_settle(m);
}

static const struct service services[] = {
	{ MSG_MEMORY_LEND, FROM_ROOT, serve_lend },
	{ MSG_MEMORY_STATUS, FROM_LOCAL, serve_status },
};

void memory_status_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
}
