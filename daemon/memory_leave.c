// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Taking lent memory back. Once a second while LEAVING every borrower that has
 * not said that it heard is asked to move, the table is read anew, and whoever
 * waits is told how far it is. Nothing with data in it is dropped here: when no
 * lease is left, virgo-nbd is ended.
 */
#include <stdlib.h>

#include "log.h"
#include "memory_impl.h"
#include "peers.h"

enum {
	TICK_US = 1000000,
	ASK_US = 5000000, /* one that could not be asked */
	ASK_AGAIN_US = 30000000, /* one that heard may have restarted since */
};

struct told {
	struct told *next;
	struct memory *memory;
	u64 call;
	u64 due_us; /* not asked before this */
	char borrower[NODE_NAME_MAX + 1];
	char why[128]; /* why it could not be asked; "": it heard */
};

struct waiter {
	struct waiter *next;
	struct conn *conn;
	u64 tag;
	u64 until_us;
};

static struct told *told_of(struct memory *m, const char *borrower)
{
	struct told *t = m->told;

	while (t && strcmp(t->borrower, borrower))
		t = t->next;
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->memory = m;
	strcpy(t->borrower, borrower);
	strcpy(t->why, "not asked yet");
	t->next = m->told;
	m->told = t;
	return t;
}

static void forget_told(struct memory *m)
{
	struct told *t;

	while ((t = m->told)) {
		m->told = t->next;
		if (t->call)
			peers_forget(m->node->peers, t->call);
		free(t);
	}
}

static void on_told(void *arg, const struct frame *f, const u8 *payload,
		    const struct failure *why)
{
	struct told *t = arg;
	struct msg_error e;
	struct failure g;
	bool heard = f && f->type == MSG_OK;

	t->call = 0;
	t->due_us = loop_clock_us() + (heard ? ASK_AGAIN_US : ASK_US);
	t->why[0] = '\0';
	if (heard)
		return;
	if (f && f->type == MSG_ERROR &&
	    !msg_error_decode(&e, payload, f->length)) {
		failure_from_message(&g, &e);
		why = &g;
	}
	snprintf(t->why, sizeof(t->why), "%.120s",
		 why ? why->what : "a malformed answer");
}

static bool is_asked_back(const struct memory *m, const struct lease *l,
			  const char *borrower)
{
	return !strcmp(l->borrower, borrower) && !l->pending &&
	       (l->recalled || memory_leaving(m));
}

static void tell(struct memory *m, struct told *t)
{
	struct msg_memory_leaving msg = {
		.why = span_of(!memory_leaving(m) ? "the node needs its memory" :
			       m->off ? "virgo memory lend off" :
					"the node is being drained"),
	};
	struct wcursor w, inner;
	struct rec_lease r;
	struct lease *l;
	size_t size = 0;
	u8 *list;
	u8 *buf;

	for (l = m->leases; l; l = l->next)
		if (is_asked_back(m, l, t->borrower)) {
			memory_record(m, l, &r);
			size += 4 + rec_lease_size(&r);
		}
	list = malloc(size + 1);
	buf = malloc(size + 256);
	inner = wcursor_of(list, list ? size : 0);
	w = wcursor_of(buf, buf ? size + 256 : 0);
	for (l = m->leases; l; l = l->next)
		if (is_asked_back(m, l, t->borrower)) {
			memory_record(m, l, &r);
			rec_lease_append(&inner, &r);
		}
	msg.leases = (struct span){ list, (u32)wcursor_len(&inner) };
	msg_memory_leaving_encode(&w, &msg);
	if (list && buf)
		t->call = peers_call(m->node->peers, t->borrower, TLS_CONTROL,
				     MSG_MEMORY_LEAVING, buf, wcursor_len(&w),
				     on_told, t);
	free(list);
	free(buf);
}

void memory_leave_ask(struct memory *m, const char *borrower)
{
	struct told *t = told_of(m, borrower);

	if (t && !t->call && loop_clock_us() >= t->due_us)
		tell(m, t);
}

static void tell_all(struct memory *m)
{
	struct lease *l;

	for (l = m->leases; l; l = l->next)
		if (!l->pending)
			memory_leave_ask(m, l->borrower);
}

/* "beta (cannot be reached), gamma" */
static void name_borrowers(struct memory *m, char *out, size_t size)
{
	struct lease *l, *before;
	const struct told *t;
	size_t len = 0;

	out[0] = '\0';
	for (l = m->leases; l; l = l->next) {
		for (before = m->leases; before != l; before = before->next)
			if (!strcmp(before->borrower, l->borrower))
				break;
		if (before != l || len >= size)
			continue;
		for (t = m->told; t && strcmp(t->borrower, l->borrower);)
			t = t->next;
		len += (size_t)snprintf(out + len, size - len, "%s%s%s%s%s",
					len ? ", " : "", l->borrower,
					t && t->why[0] ? " (" : "",
					t ? t->why : "",
					t && t->why[0] ? ")" : "");
	}
}

static u64 held_bytes(const struct memory *m)
{
	const struct lease *l;
	u64 sum = 0;

	for (l = m->leases; l; l = l->next)
		sum += l->held_bytes;
	return sum;
}

static void report(struct memory *m)
{
	char who[256];
	struct msg_memory_progress p = { .leases = m->count,
					 .held_bytes = held_bytes(m) };
	struct waiter *w;

	name_borrowers(m, who, sizeof(who));
	p.waiting_for = span_of(who);
	for (w = m->waiters; w; w = w->next)
		conn_message(w->conn, w->tag, FRAME_REPLY | FRAME_MORE, 0,
			     MEMORY_PROGRESS, memory_progress, &p);
}

static void answer(struct waiter *w, const struct failure *f)
{
	const struct msg_ok ok = {};

	if (f)
		conn_reply_failure(w->conn, w->tag, f);
	else
		conn_reply(w->conn, w->tag, OK, ok, &ok);
	conn_put(w->conn);
	free(w);
}

static void answer_all(struct memory *m, const struct failure *f)
{
	struct waiter *w;

	while ((w = m->waiters)) {
		m->waiters = w->next;
		answer(w, f);
	}
}

/* One that was never written to, and that nobody is connected to, holds up
 * nobody's data.
 */
static void drop_unused(struct memory *m)
{
	struct lease *l;

	for (l = m->leases; l; l = l->next)
		if (!l->pending && !l->held_bytes && !l->connections)
			memory_remove(m, l, NULL, NULL);
}

static void give_up_waiting(struct memory *m)
{
	struct waiter **at = &m->waiters;
	u64 now = loop_clock_us();
	struct waiter *w;
	struct failure f;
	char who[256];

	while ((w = *at)) {
		if (now < w->until_us) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		drop_unused(m);
		name_borrowers(m, who, sizeof(who));
		failure_set(&f, -ETIMEDOUT, "memory lend off",
			    "virgo swap off or virgo disk detach there; if a "
			    "node is lost for good: virgo node remove",
			    "%u leases with %llu MiB of data are still in use "
			    "by %s; they are asked on, and nothing is dropped",
			    m->count,
			    (unsigned long long)(held_bytes(m) >> 20), who);
		answer(w, &f);
	}
}

static void on_tick(struct timer *t)
{
	struct memory *m = (struct memory *)((char *)t -
					     offsetof(struct memory, tick));

	if (!memory_leaving(m)) {
		forget_told(m);
		return;
	}
	tell_all(m);
	memory_refresh(m, NULL, NULL);
	report(m);
	give_up_waiting(m);
	loop_arm(m->node->loop, &m->tick, TICK_US);
}

void memory_leave_begin(struct memory *m)
{
	if (timer_armed(&m->tick))
		return;
	m->tick.fire = on_tick;
	loop_arm(m->node->loop, &m->tick, 0);
}

static void on_ended(void *arg, int ret, const char *rest, char *lines)
{
	struct memory *m = arg;
	struct failure f;

	m->ending = false;
	/* Lost instead of answering: it may have ended, or not; look again. */
	if (ret)
		return;
	m->bytes = 0;
	m->off = false;
	m->known = false;
	memory_nbd_unkeep(m->nbd);
	if (m->stored && !m->once && memory_store(m, &f))
		log_error("%s: %s", f.object, f.what);
	log_notice("no memory is lent any more");
	answer_all(m, NULL);
}

void memory_leave_look(struct memory *m)
{
	struct failure f;

	if (!m->bytes) {
		answer_all(m, NULL);
		return;
	}
	if (!m->off) {
		failure_set(&f, -ECANCELED, "memory lend off", NULL,
			    "this node was told to lend again");
		answer_all(m, &f);
		return;
	}
	if (m->count || m->others_bytes || !m->known || m->ending)
		return;
	m->ending = !memory_nbd_ask(m->nbd, on_ended, m, "end");
}

int memory_leave_wait(struct memory *m, struct request *r, u32 wait_s)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->conn = conn_get(r->conn);
	w->tag = r->frame->tag;
	w->until_us = loop_clock_us() + wait_s * 1000000ull;
	w->next = m->waiters;
	m->waiters = w;
	return 0;
}

void memory_leave_free(struct memory *m)
{
	loop_disarm(m->node->loop, &m->tick);
	forget_told(m);
	answer_all(m, NULL);
}
