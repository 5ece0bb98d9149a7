/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether this machine's clock can be believed. Time limits of connections, jobs
 * and membership do not use it; certificates, invitations, removals and the audit
 * do. Every node tells the others its time with its load; when most of those that
 * are up differ from ours, the clock here is the wrong one: that is logged with the
 * difference, and the home node signs nothing until it is right. A clock that is
 * set while virgod runs is noticed within a second or two.
 */
#ifndef VIRGO_DAEMON_WALLCLOCK_H
#define VIRGO_DAEMON_WALLCLOCK_H

#include "failure.h"
#include "node.h"

enum { WALLCLOCK_SKEW_MAX_S = 60 };

struct wallclock;

/* NULL when memory is out. */
struct wallclock *wallclock_new(struct node *n);
void wallclock_free(struct wallclock *w);

/* 0, or -EKEYEXPIRED and @f when the other nodes say that this clock is wrong. */
int wallclock_check(const struct node *n, const char *object, struct failure *f);
/* True when at least one other node that is up agrees: what is old may be thrown
 * away for being old.
 */
bool wallclock_confirmed(const struct node *n);
/* Adds to @f, which is about node @name, how far its clock and this one differ, if
 * they are known to.
 */
void wallclock_explain(const struct node *n, const char *name,
		       struct failure *f);

/* "10 years", "1 day", "90 s" of @s, which may be negative. */
void wallclock_text(s64 s, char *out, size_t size);

#endif
