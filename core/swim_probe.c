// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Questions and answers. A probe asks directly, again, again with three
 * helpers, and again with three others; with one datagram in twenty lost, a
 * probe of a living member fails once in some 10^8 times, so that even in a
 * large cloud false suspicions cost next to nothing. An answer to any of the
 * questions, even late, ends it.
 */
#include "swim_impl.h"

static bool being_asked(const struct swim *s, u64 target)
{
	u32 i;

	for (i = 0; i < SWIM_PROBES; i++)
		if (s->probe[i].target == target)
			return true;
	return false;
}

struct swim_member *swim_pick(struct swim *s, u64 except,
			      enum swim_state worst)
{
	u32 tries = s->count ? 16 : 0;
	u32 i, at;

	while (tries--) {
		struct swim_member *m =
			&s->member[s->ops->random(s->arg) % s->count];

		if (m->state <= worst && m->id != except)
			return m;
	}
	/* Few are that well: whoever comes next in order. */
	at = s->count ? s->ops->random(s->arg) % s->count : 0;
	for (i = 0; i < s->count; i++, at++) {
		struct swim_member *m = &s->member[at % s->count];

		if (m->state <= worst && m->id != except)
			return m;
	}
	return NULL;
}

static void ask_directly(struct swim *s, const struct swim_probe *p)
{
	struct swim_item accuse = { .state = SWIM_DOWN,
				    .id = p->target,
				    .incarnation = p->accuse };

	swim_emit(s, SWIM_PING, p->target, false, p->seq, p->target,
		  p->accuse ? &accuse : NULL);
}

static void ask_helpers(struct swim *s, struct swim_probe *p)
{
	u64 asked[SWIM_HELPERS] = { 0 };
	u32 tries, n = 0, i;

	for (tries = 0; n < SWIM_HELPERS && tries < 2 * SWIM_HELPERS; tries++) {
		struct swim_member *m = swim_pick(s, p->target, SWIM_UP);

		if (!m)
			return;
		for (i = 0; i < n && asked[i] != m->id; i++)
			;
		if (i < n)
			continue;
		asked[n++] = m->id;
		p->helpers++;
		swim_emit(s, SWIM_PING_REQ, m->id, false, p->seq, p->target,
			  NULL);
	}
}

bool swim_ask(struct swim *s, u64 now_us, u64 target, u32 accuse)
{
	u32 i;

	if (being_asked(s, target))
		return true;
	for (i = 0; i < SWIM_PROBES; i++) {
		struct swim_probe *p = &s->probe[i];

		if (p->target)
			continue;
		*p = (struct swim_probe){ .target = target,
					  .sent_us = now_us,
					  .due_us = now_us + swim_timeout_us(s),
					  .seq = ++s->seq,
					  .accuse = accuse };
		ask_directly(s, p);
		return true;
	}
	return false;
}

/* A failed probe is held against our own health when not one of the helpers, who
 * should have answered for themselves, did. Some that did not may have died with
 * the one that was asked after: when half of a cloud dies, counting each of them
 * made the others so patient that it took 8 s to be noticed.
 */
static void probe_failed(struct swim *s, u64 now_us, struct swim_probe *p)
{
	struct swim_member *m = swim_find(s, p->target);

	if (p->helpers && !p->nacks)
		swim_worse(s, 1);
	p->target = 0;
	swim_unanswered(s, now_us, m);
}

/* The next living member above this node, around the end. One that has not yet
 * answered may be the first of several that died, so the one behind it is asked
 * meanwhile.
 */
static struct swim_member *successor(struct swim *s)
{
	u32 at = swim_place(s, s->self);
	u32 i;

	for (i = 0; i < s->count; i++, at++) {
		struct swim_member *m = &s->member[at % s->count];

		if (m->state <= SWIM_UP && !being_asked(s, m->id))
			return m;
	}
	return NULL;
}

static void probe_next(struct swim *s, u64 now_us, struct swim_probe *p)
{
	u32 timeout = swim_timeout_us(s);

	if (++p->stage == SWIM_STAGES) {
		probe_failed(s, now_us, p);
		return;
	}
	if (p->stage == SWIM_STAGES - 2) {
		struct swim_member *behind = successor(s);

		if (behind)
			swim_ask(s, now_us, behind->id, 0);
	}
	p->due_us = now_us + timeout;
	ask_directly(s, p);
	if (p->stage >= SWIM_STAGES - 2) {
		p->due_us += timeout / 2;
		ask_helpers(s, p);
	}
}

void swim_asked_for(struct swim *s, u64 now_us, const struct swim_packet *p)
{
	u32 i;

	/* A known member only: we are no reflector. */
	if (!swim_find(s, p->about))
		return;
	for (i = 0; i < SWIM_RELAYS; i++) {
		struct swim_relay *r = &s->relay[i];

		if (r->target)
			continue;
		*r = (struct swim_relay){ .target = p->about,
					  .origin = p->from,
					  .due_us = now_us +
						    swim_timeout_us(s) / 5 * 6,
					  .seq = ++s->seq,
					  .origin_seq = p->seq };
		swim_emit(s, SWIM_PING, r->target, false, r->seq, r->target,
			  NULL);
		return;
	}
}

static void relay_end(struct swim *s, struct swim_relay *r, enum swim_kind kind)
{
	u64 target = r->target;

	r->target = 0;
	swim_emit(s, kind, r->origin, false, r->origin_seq, target, NULL);
}

static void probe_answered(struct swim *s, u64 now_us, struct swim_probe *p,
			   const struct swim_packet *a)
{
	if (a->kind == SWIM_NACK) {
		p->nacks += p->nacks < p->helpers;
		return;
	}
	if (p->stage == 0 && a->from == p->target)
		s->ops->round_trip(s->arg, p->target,
				   (u32)(now_us - p->sent_us));
	swim_better(s);
	p->target = 0;
}

void swim_answered(struct swim *s, u64 now_us, const struct swim_packet *p)
{
	u32 i;

	for (i = 0; i < SWIM_PROBES; i++)
		if (s->probe[i].target == p->about && p->about &&
		    s->probe[i].seq == p->seq) {
			probe_answered(s, now_us, &s->probe[i], p);
			return;
		}
	for (i = 0; i < SWIM_RELAYS; i++)
		if (s->relay[i].target == p->from && p->kind == SWIM_ACK &&
		    s->relay[i].seq == p->seq) {
			relay_end(s, &s->relay[i], SWIM_ACK);
			return;
		}
}

void swim_probe_forget(struct swim *s, u64 id)
{
	u32 i;

	for (i = 0; i < SWIM_PROBES; i++)
		if (s->probe[i].target == id)
			s->probe[i].target = 0;
	for (i = 0; i < SWIM_RELAYS; i++)
		if (s->relay[i].target == id || s->relay[i].origin == id)
			s->relay[i].target = 0;
}

static void round_begin(struct swim *s, u32 mask)
{
	struct swim_round *r = &s->round;

	/* a - 1 divisible by 4 and c odd: every value comes once. */
	r->mask = mask;
	r->x = s->ops->random(s->arg) & mask;
	r->a = (s->ops->random(s->arg) & ~3u) + 1;
	r->c = s->ops->random(s->arg) | 1;
	r->left = mask + 1;
}

/* The next of the random round that is worth asking; looks at a bounded number
 * and goes on from there the next time.
 */
static struct swim_member *round_next(struct swim *s)
{
	struct swim_round *r = &s->round;
	u32 mask = 0, looked;

	while (mask + 1 < s->count)
		mask = mask * 2 + 1;
	for (looked = 0; s->count && looked < 64; looked++) {
		struct swim_member *m;

		if (!r->left || r->mask != mask)
			round_begin(s, mask);
		r->x = (r->a * r->x + r->c) & r->mask;
		r->left--;
		if (r->x >= s->count)
			continue;
		m = &s->member[r->x];
		if (m->state != SWIM_DOWN && !being_asked(s, m->id))
			return m;
	}
	return NULL;
}

void swim_probe_tick(struct swim *s, u64 now_us)
{
	struct swim_member *m = s->watch_next ? successor(s) : NULL;

	s->watch_next = !s->watch_next;
	if (!m)
		m = round_next(s);
	if (m)
		swim_ask(s, now_us, m->id, 0);
}

void swim_probe_run(struct swim *s, u64 now_us)
{
	u32 i;

	for (i = 0; i < SWIM_RELAYS; i++)
		if (s->relay[i].target && s->relay[i].due_us <= now_us)
			relay_end(s, &s->relay[i], SWIM_NACK);
	for (i = 0; i < SWIM_PROBES; i++)
		if (s->probe[i].target && s->probe[i].due_us <= now_us)
			probe_next(s, now_us, &s->probe[i]);
}

u64 swim_probe_next_us(const struct swim *s)
{
	u64 next = SWIM_NEVER;
	u32 i;

	for (i = 0; i < SWIM_RELAYS; i++)
		if (s->relay[i].target && s->relay[i].due_us < next)
			next = s->relay[i].due_us;
	for (i = 0; i < SWIM_PROBES; i++)
		if (s->probe[i].target && s->probe[i].due_us < next)
			next = s->probe[i].due_us;
	return next;
}

void swim_probe_shift(struct swim *s, u64 late_us)
{
	u32 i;

	for (i = 0; i < SWIM_RELAYS; i++)
		s->relay[i].due_us += late_us;
	for (i = 0; i < SWIM_PROBES; i++)
		s->probe[i].due_us += late_us;
}
