// SPDX-License-Identifier: LGPL-2.1-or-later
/* Suspicions and their timeouts; the contract is in swim_suspicion.h. */
#include "swim_suspicion.h"

struct swim_suspicion *suspicion_find(struct swim_suspicions *t, u64 id)
{
	u16 i;

	for (i = 0; i < t->count; i++)
		if (t->at[i].id == id)
			return &t->at[i];
	return NULL;
}

/*
 * Lifeguard, section 4.2: most - (most - least) * log(c + 1) / log(k + 1), here
 * in 1024ths, row k (confirmations wanted) and column c (had).
 */
static u32 timeout_us(const struct swim_suspicion *p)
{
	static const u16 shorter[SUSPICION_CONFIRM + 1]
				[SUSPICION_CONFIRM + 1] = {
					{ 0, 0, 0, 0 },
					{ 0, 1024, 1024, 1024 },
					{ 0, 646, 1024, 1024 },
					{ 0, 512, 812, 1024 },
				};
	u64 span = p->most_us - p->least_us;

	return p->most_us -
	       (u32)((span * shorter[p->wanted][p->count - 1]) >> 10);
}

bool suspicion_start(struct swim_suspicions *t, u64 id, u64 by, u64 now_us,
		     u32 least_us, u32 most_us, u8 wanted)
{
	struct swim_suspicion *p;

	if (t->count == t->max)
		return false;
	p = &t->at[t->count++];
	*p = (struct swim_suspicion){
		.id = id,
		.by = { by },
		.count = 1,
		.start_us = now_us,
		.least_us = least_us,
		.most_us = most_us,
		.wanted = wanted < SUSPICION_CONFIRM ? wanted
						     : SUSPICION_CONFIRM,
	};
	p->due_us = now_us + timeout_us(p);
	return true;
}

bool suspicion_confirm(struct swim_suspicion *p, u64 by)
{
	u8 i;

	if (p->count > p->wanted)
		return false;
	for (i = 0; i < p->count; i++)
		if (p->by[i] == by)
			return false;
	p->by[p->count++] = by;
	p->due_us = p->start_us + timeout_us(p);
	return true;
}

void suspicion_end(struct swim_suspicions *t, u64 id)
{
	struct swim_suspicion *p = suspicion_find(t, id);

	if (p)
		*p = t->at[--t->count];
}

struct swim_suspicion *suspicion_due(struct swim_suspicions *t, u64 now_us)
{
	u16 i;

	for (i = 0; i < t->count; i++)
		if (t->at[i].due_us <= now_us)
			return &t->at[i];
	return NULL;
}

u64 suspicion_next_us(const struct swim_suspicions *t)
{
	u64 next = ~(u64)0;
	u16 i;

	for (i = 0; i < t->count; i++)
		if (t->at[i].due_us < next)
			next = t->at[i].due_us;
	return next;
}
