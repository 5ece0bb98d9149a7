// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The last step of giving memory back: while this machine stays short of it
 * although virgo-nbd has compressed what is cold, one lease at a time is recalled,
 * the one that is used least. Its borrower moves it to another lender and goes on;
 * nothing is taken from it here.
 */
#include <stdlib.h>

#include "audit.h"
#include "log.h"
#include "memory_impl.h"

enum {
	LOOK_US = 5000000,
	PATIENCE_US = 20000000, /* for compression, or for the end of a peak */
};

static struct lease *recalled(const struct memory *m)
{
	struct lease *l = m->leases;

	while (l && !l->recalled)
		l = l->next;
	return l;
}

static void recall_none(struct memory *m)
{
	struct lease *l;

	m->short_since_us = 0;
	for (l = m->leases; l; l = l->next)
		l->recalled = false;
}

/* What is compressed was not used; of two alike the one that gives more. */
static bool used_less(const struct lease *a, const struct lease *b)
{
	u64 left = a->compressed_bytes / MEMORY_PAGE * b->held_bytes;
	u64 right = b->compressed_bytes / MEMORY_PAGE * a->held_bytes;

	return left != right ? left > right : a->held_bytes > b->held_bytes;
}

static struct lease *least_used(const struct memory *m)
{
	struct lease *best = NULL;
	struct lease *l;

	for (l = m->leases; l; l = l->next)
		if (!l->pending && l->held_bytes &&
		    (!best || used_less(l, best)))
			best = l;
	return best;
}

static void looked(struct memory *m, void *arg)
{
	u64 now = loop_clock_us();
	struct lease *l;

	if (!m->memory_short || !m->bytes) {
		recall_none(m);
		return;
	}
	if (!m->short_since_us)
		m->short_since_us = now;
	if (now - m->short_since_us < PATIENCE_US || memory_leaving(m))
		return;
	l = recalled(m);
	if (!l) {
		l = least_used(m);
		if (!l)
			return;
		l->recalled = true;
		log_notice("memory is short: %s is asked to move %s",
			   l->borrower, l->name);
		audit_write(m->node->audit, l->borrower, NULL, "memory recall",
			    l->name, "ok");
	}
	memory_leave_ask(m, l->borrower);
}

static void on_look(struct timer *t)
{
	struct memory *m = (struct memory *)((char *)t -
					     offsetof(struct memory, pressure));

	if (m->count && m->known)
		memory_refresh(m, looked, NULL);
	loop_arm(m->node->loop, t, LOOK_US);
}

void memory_pressure_watch(struct memory *m)
{
	m->pressure.fire = on_look;
	loop_arm(m->node->loop, &m->pressure, LOOK_US);
}

void memory_pressure_end(struct memory *m)
{
	loop_disarm(m->node->loop, &m->pressure);
}
