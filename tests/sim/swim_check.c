// SPDX-License-Identifier: GPL-2.0-or-later
/* What holds of a struct swim between any two calls. */
#include "swim_sim.h"
#include "swim_impl.h"

static const char *members_wrong(const struct swim *s)
{
	u32 in[SWIM_DOWN + 1] = { 0 };
	u32 suspects = 0, i;

	if (s->count > s->max)
		return "more members than room";
	for (i = 0; i < s->count; i++) {
		const struct swim_member *m = &s->member[i];

		if (m->id == 0 || m->id == s->self)
			return "a member without number, or itself";
		if (i && m[-1].id >= m->id)
			return "members out of order";
		if (m->state > SWIM_DOWN)
			return "a member in no state";
		in[m->state]++;
		if (m->state != SWIM_SUSPECT)
			continue;
		suspects++;
		if (!suspicion_find((struct swim_suspicions *)&s->suspicions,
				    m->id))
			return "a suspect without suspicion";
	}
	if (memcmp(in, s->in_state, sizeof(in)))
		return "states miscounted";
	if (suspects != s->suspicions.count)
		return "a suspicion without suspect";
	return NULL;
}

static const char *suspicions_wrong(const struct swim *s)
{
	u16 i;
	u8 j, k;

	for (i = 0; i < s->suspicions.count; i++) {
		const struct swim_suspicion *p = &s->suspicions.at[i];

		if (!p->count || p->count > p->wanted + 1)
			return "more confirmations than wanted";
		for (j = 0; j < p->count; j++)
			for (k = 0; k < j; k++)
				if (p->by[j] == p->by[k])
					return "confirmed twice by one";
		if (p->count == 1 && p->wanted &&
		    p->due_us != p->start_us + p->most_us)
			return "a suspect without its full time";
		if (p->wanted && p->count == p->wanted + 1 &&
		    p->due_us != p->start_us + p->least_us)
			return "a confirmed suspect with more time than is due";
		if (p->due_us < p->start_us + p->least_us ||
		    p->due_us > p->start_us + p->most_us)
			return "a suspicion outside its bounds";
	}
	return NULL;
}

static const char *gossip_wrong(const struct swim *s)
{
	u16 i, j;

	if (s->gossip.count > s->gossip.max)
		return "more news than room";
	for (i = 0; i < s->gossip.count; i++) {
		const struct swim_update *a = &s->gossip.update[i];

		if (a->taken)
			return "news left marked";
		if (a->item.id != s->self && !swim_find(s, a->item.id))
			return "news of no member";
		for (j = 0; j < i; j++) {
			const struct swim_update *b = &s->gossip.update[j];

			if (a->item.id == b->item.id &&
			    (a->item.state != SWIM_SUSPECT ||
			     b->item.state != SWIM_SUSPECT ||
			     a->item.by == b->item.by))
				return "two pieces of news of one member";
		}
	}
	if (!s->left && (s->gossip.count || s->change_left) &&
	    s->gossip_due_us == SWIM_NEVER && swim_alive(s) > 1)
		return "news that nobody will be told";
	return NULL;
}

static const char *probes_wrong(const struct swim *s)
{
	u32 i, j;

	for (i = 0; i < SWIM_PROBES; i++) {
		const struct swim_probe *p = &s->probe[i];

		if (!p->target)
			continue;
		if (!swim_find(s, p->target))
			return "a question to no member";
		if (p->stage >= SWIM_STAGES || p->nacks > p->helpers)
			return "a question gone wrong";
		for (j = 0; j < i; j++)
			if (s->probe[j].target == p->target)
				return "asked twice at once";
	}
	return NULL;
}

const char *swim_wrong(const struct swim *s)
{
	const char *wrong = members_wrong(s);

	if (!wrong)
		wrong = suspicions_wrong(s);
	if (!wrong)
		wrong = gossip_wrong(s);
	if (!wrong)
		wrong = probes_wrong(s);
	if (!wrong && s->health > SWIM_HEALTH_MOST)
		wrong = "health out of range";
	return wrong;
}
