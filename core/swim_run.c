// SPDX-License-Identifier: LGPL-2.1-or-later
/* Set-up, what is due when, and what the owner may ask; see swim.h. */
#include "swim_impl.h"

static bool limits_good(const struct swim_limits *l)
{
	return l->members && l->members <= 1u << 20 && l->suspicions &&
	       l->updates >= 8;
}

size_t swim_bytes(const struct swim_limits *l)
{
	if (!limits_good(l))
		return 0;
	return sizeof(struct swim) + l->members * sizeof(struct swim_member) +
	       l->suspicions * sizeof(struct swim_suspicion) +
	       l->updates * sizeof(struct swim_update);
}

struct swim *swim_init(void *memory, const struct swim_limits *l, u64 self,
		       u32 incarnation, const struct swim_ops *ops, void *arg,
		       u64 now_us)
{
	struct swim *s = memory;
	u32 period;

	memset(s, 0, sizeof(*s));
	s->ops = ops;
	s->arg = arg;
	s->self = self;
	s->incarnation = incarnation < SWIM_INCARNATION_MAX
				 ? incarnation
				 : SWIM_INCARNATION_MAX - 1;
	s->max = l->members;
	s->member = (struct swim_member *)(s + 1);
	s->suspicions.max = l->suspicions;
	s->suspicions.at = (struct swim_suspicion *)(s->member + l->members);
	s->gossip.max = l->updates;
	s->gossip.update =
		(struct swim_update *)(s->suspicions.at + l->suspicions);
	s->seq = ops->random(arg);
	period = swim_period_us(s);
	s->probe_due_us = now_us + ops->random(arg) % period;
	s->sync_due_us = now_us + ops->random(arg) % (period * 8) + period;
	s->reconnect_due_us = now_us + ops->random(arg) % (period * 5) + period;
	s->gossip_due_us = SWIM_NEVER;
	swim_pull(s, now_us);
	return s;
}

u64 swim_next_us(const struct swim *s)
{
	u64 due[] = { s->probe_due_us, s->gossip_due_us, swim_probe_next_us(s),
		      suspicion_next_us(&s->suspicions), swim_sync_next_us(s) };
	u64 next = SWIM_NEVER;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(due) && !s->left; i++)
		if (due[i] < next)
			next = due[i];
	return next;
}

/* This node was not run for a while (stopped, suspended, starved): answers may
 * lie unread, so everyone gets the time that was missed.
 */
static void forgive(struct swim *s, u64 late_us)
{
	u16 i;

	swim_worse(s, 1);
	swim_probe_shift(s, late_us);
	for (i = 0; i < s->suspicions.count; i++) {
		s->suspicions.at[i].start_us += late_us;
		s->suspicions.at[i].due_us += late_us;
	}
}

static void gossip_run(struct swim *s, u64 now_us)
{
	u32 i;

	/* Alone: news from now would be false when the others are back. */
	if (swim_alive(s) == 1)
		s->gossip.count = s->change_left = 0;
	for (i = 0; i < SWIM_FANOUT && (s->gossip.count || s->change_left); i++)
		swim_emit(s, SWIM_GOSSIP, swim_pick(s, 0, SWIM_SUSPECT)->id,
			  false, 0, 0, NULL);
	s->gossip_due_us = s->gossip.count || s->change_left
				   ? now_us + swim_gossip_us(s)
				   : SWIM_NEVER;
}

void swim_run(struct swim *s, u64 now_us)
{
	u64 next = swim_next_us(s);
	struct swim_suspicion *p;

	if (s->left)
		return;
	if (now_us > next && now_us - next > swim_timeout_us(s))
		forgive(s, now_us - next);
	swim_probe_run(s, now_us);
	while ((p = suspicion_due(&s->suspicions, now_us)))
		swim_suspicion_over(s, now_us, p->id);
	if (s->probe_due_us <= now_us) {
		s->probe_due_us =
			now_us + (u64)swim_period_us(s) * (1 + s->health);
		swim_probe_tick(s, now_us);
	}
	swim_sync_run(s, now_us);
	if (s->gossip_due_us <= now_us)
		gossip_run(s, now_us);
}

void swim_leave(struct swim *s, u64 now_us)
{
	struct swim_item gone = { .state = SWIM_DOWN,
				  .id = s->self,
				  .incarnation = s->incarnation };
	u16 i, times = swim_times(s);

	if (s->left)
		return;
	for (i = 0; i < times; i++) {
		struct swim_member *m = swim_pick(s, 0, SWIM_SUSPECT);

		if (m)
			swim_emit(s, SWIM_GOSSIP, m->id, false, 0, 0, &gone);
	}
	s->left = true;
}

void swim_set_digest(struct swim *s, const void *data, size_t len)
{
	s->digest_len = len < SWIM_DIGEST_MAX ? (u8)len : SWIM_DIGEST_MAX;
	memcpy(s->digest, data, s->digest_len);
}

u64 swim_change(const struct swim *s)
{
	return s->change;
}

u64 swim_self(const struct swim *s)
{
	return s->self;
}

u32 swim_incarnation(const struct swim *s)
{
	return s->incarnation;
}

enum swim_state swim_state_of(const struct swim *s, u64 id)
{
	const struct swim_member *m = swim_find(s, id);

	return m ? m->state : SWIM_UNKNOWN;
}

u32 swim_incarnation_of(const struct swim *s, u64 id)
{
	const struct swim_member *m = swim_find(s, id);

	return m ? m->incarnation : 0;
}

u32 swim_count(const struct swim *s)
{
	return s->count;
}

u32 swim_count_in(const struct swim *s, enum swim_state state)
{
	return s->in_state[state];
}

u64 swim_at(const struct swim *s, u32 place, enum swim_state *state)
{
	*state = s->member[place].state;
	return s->member[place].id;
}

u32 swim_health(const struct swim *s)
{
	return s->health;
}
