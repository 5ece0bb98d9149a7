// SPDX-License-Identifier: GPL-2.0-or-later
/* This machine's clock beside the others'; the contract is in wallclock.h. */
#include "wallclock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "identity.h"
#include "log.h"
#include "membership.h"

enum {
	LOOK_US = 1000000,
	JUMP_US = 2000000,
	NODES_MAX = 256, /* whose opinion is asked for: enough for a majority */
};

static const char remedy[] = "sudo timedatectl set-ntp true";

struct wallclock {
	struct node *node;
	struct timer timer;
	s64 ahead_us; /* of the monotonic clock, at the last look */
	s64 skew_s;   /* of most others' clocks against this one */
	u32 others;   /* how many told theirs */
	bool wrong;
};

void wallclock_text(s64 s, char *out, size_t size)
{
	static const struct {
		s64 unit_s;
		const char *one, *many;
	} units[] = {
		{ 365 * 86400, "year", "years" },
		{ 86400, "day", "days" },
		{ 3600, "hour", "hours" },
		{ 60, "minute", "minutes" },
		{ 1, "second", "seconds" },
	};
	size_t i = 0;
	s64 n;

	s = s < 0 ? -s : s;
	while (i + 1 < ARRAY_SIZE(units) && s + units[i].unit_s / 20 < units[i].unit_s)
		i++;
	n = (s + units[i].unit_s / 2) / units[i].unit_s;
	snprintf(out, size, "%lld %s", (long long)n,
		 n == 1 ? units[i].one : units[i].many);
}

static s64 ahead_us(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return (s64)wall.tv_sec * 1000000 + wall.tv_nsec / 1000 -
	       (s64)loop_clock_us();
}

/* The other's clock minus this one, in seconds. */
static s64 skew_of(const struct member *m)
{
	return m->ahead_s - ahead_us() / 1000000;
}

static int by_value(const void *a, const void *b)
{
	s64 x = *(const s64 *)a, y = *(const s64 *)b;

	return (x > y) - (x < y);
}

/* The median of what the other nodes' clocks show, minus this one. */
static void ask_around(struct wallclock *w)
{
	s64 skew[NODES_MAX];
	const struct member *m;
	size_t at = 0;

	w->others = 0;
	w->skew_s = 0;
	while (w->others < NODES_MAX &&
	       (m = membership_next(w->node->membership, &at)))
		if (m->time_known && m->state == SWIM_UP)
			skew[w->others++] = skew_of(m);
	if (!w->others)
		return;
	qsort(skew, w->others, sizeof(*skew), by_value);
	/* Of two in the middle the one nearer to this clock. */
	w->skew_s = skew[w->others / 2];
	if (!(w->others % 2) &&
	    llabs(skew[w->others / 2 - 1]) < llabs(w->skew_s))
		w->skew_s = skew[w->others / 2 - 1];
}

static bool is_wrong(const struct wallclock *w)
{
	return llabs(w->skew_s) > WALLCLOCK_SKEW_MAX_S;
}

static void judge(struct wallclock *w)
{
	char text[40];
	bool was = w->wrong;

	ask_around(w);
	w->wrong = is_wrong(w);
	if (w->wrong == was)
		return;
	wallclock_text(w->skew_s, text, sizeof(text));
	if (w->wrong)
		log_warning("the clock here is %s %s %s. Try: %s", text,
			    w->skew_s < 0 ? "ahead of" : "behind",
			    w->others > 1 ? "most other nodes'" :
					    "the other node's",
			    remedy);
	else
		log_notice("the clock here agrees with the other nodes' again");
	renewal_look(w->node->renewal);
}

static void look(struct timer *t)
{
	struct wallclock *w = (struct wallclock *)((char *)t -
						   offsetof(struct wallclock,
							    timer));
	s64 now = ahead_us();
	s64 jump = now - w->ahead_us;
	char text[40];

	w->ahead_us = now;
	if (llabs(jump) > JUMP_US) {
		wallclock_text(jump / 1000000, text, sizeof(text));
		log_warning("the clock here was set %s by %s",
			    jump < 0 ? "back" : "forward", text);
		renewal_look(w->node->renewal);
	}
	judge(w);
	loop_arm(w->node->loop, &w->timer, LOOK_US);
}

struct wallclock *wallclock_new(struct node *n)
{
	struct wallclock *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->node = n;
	w->ahead_us = ahead_us();
	w->timer.fire = look;
	loop_arm(n->loop, &w->timer, LOOK_US);
	return w;
}

void wallclock_free(struct wallclock *w)
{
	if (!w)
		return;
	loop_disarm(w->node->loop, &w->timer);
	free(w);
}

int wallclock_check(const struct node *n, const char *object, struct failure *f)
{
	const struct wallclock *w = n->wallclock;
	char text[40];

	if (!w || !w->wrong)
		return 0;
	wallclock_text(w->skew_s, text, sizeof(text));
	return failure_set(f, -EKEYEXPIRED, object, remedy,
			   "the home node's clock is %s %s %s, so what it signs now would be valid at the wrong time",
			   text, w->skew_s < 0 ? "ahead of" : "behind",
			   w->others > 1 ? "most other nodes'" :
					   "the other node's");
}

bool wallclock_confirmed(const struct node *n)
{
	const struct wallclock *w = n->wallclock;

	return w && w->others && !w->wrong;
}

void wallclock_explain(const struct node *n, const char *name,
		       struct failure *f)
{
	const struct member *m =
		n->membership ? membership_find(n->membership, name) : NULL;
	size_t at = strlen(f->what);
	char text[40];
	s64 skew;

	if (!m || !m->time_known)
		return;
	skew = skew_of(m);
	if (llabs(skew) <= WALLCLOCK_SKEW_MAX_S)
		return;
	wallclock_text(skew, text, sizeof(text));
	snprintf(f->what + at, sizeof(f->what) - at,
		 "; its clock is %s %s this node's", text,
		 skew < 0 ? "behind" : "ahead of");
	snprintf(f->remedy, sizeof(f->remedy), "where it is wrong: %s", remedy);
}
