// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Members and what is known of them. A claim about a member is (state,
 * incarnation); which of two claims holds:
 *
 *	up(i)		beats anything below i, and unknown
 *	suspect(i)	beats up(i) and anything below i
 *	down(i)		beats everything up to i
 *
 * Only a member itself raises its incarnation, when it hears that it is
 * suspected or down. What beat something here is passed on by gossip.
 */
#include "swim_impl.h"

u32 swim_place(const struct swim *s, u64 id)
{
	u32 low = 0, high = s->count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;

		if (s->member[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct swim_member *swim_find(const struct swim *s, u64 id)
{
	u32 at = swim_place(s, id);

	return at < s->count && s->member[at].id == id ? &s->member[at] : NULL;
}

u32 swim_alive(const struct swim *s)
{
	return 1 + s->count - s->in_state[SWIM_DOWN];
}

u32 swim_period_us(const struct swim *s)
{
	u32 n = swim_alive(s);
	u32 most = (SWIM_PERIOD_MOST_US - SWIM_PERIOD_LEAST_US) /
		   SWIM_PERIOD_STEP_US;

	if (n <= SWIM_PERIOD_NODES)
		return SWIM_PERIOD_LEAST_US;
	n -= SWIM_PERIOD_NODES;
	return SWIM_PERIOD_LEAST_US +
	       SWIM_PERIOD_STEP_US * (n < most ? n : most);
}

u32 swim_timeout_us(const struct swim *s)
{
	u32 half = swim_period_us(s) / 2;

	return (half < SWIM_TIMEOUT_MOST_US ? half : SWIM_TIMEOUT_MOST_US) *
	       (1 + s->health);
}

u32 swim_gossip_us(const struct swim *s)
{
	u32 half = swim_period_us(s) / 2;

	return half < SWIM_GOSSIP_MOST_US ? half : SWIM_GOSSIP_MOST_US;
}

u16 swim_times(const struct swim *s)
{
	u32 n = swim_alive(s);
	u16 times = 6;

	/* Each of n nodes told sends as many copies to random others: who gets
	 * none of them, one in e^times, hears by its own probes or a page.
	 */
	for (; n; n >>= 1)
		times++;
	return times;
}

void swim_worse(struct swim *s, u32 by)
{
	s->health = s->health + by < SWIM_HEALTH_MOST ? s->health + by
						      : SWIM_HEALTH_MOST;
}

void swim_better(struct swim *s)
{
	s->health -= s->health > 0;
}

static void spread_soon(struct swim *s, u64 now_us)
{
	u64 due = now_us + s->ops->random(s->arg) % (swim_gossip_us(s) / 4);

	if (s->gossip_due_us == SWIM_NEVER)
		s->gossip_due_us = due;
}

static void spread(struct swim *s, u64 now_us, enum swim_state state, u64 id,
		   u32 incarnation, u64 by)
{
	gossip_put(&s->gossip, &(struct swim_item){ .state = (u8)state,
						    .id = id,
						    .incarnation = incarnation,
						    .by = by });
	spread_soon(s, now_us);
}

void swim_emit(struct swim *s, enum swim_kind kind, u64 to, bool reply, u32 seq,
	       u64 about, const struct swim_item *first)
{
	const struct swim_member *m = swim_find(s, to);
	bool digest = kind == SWIM_PING || kind == SWIM_ACK;
	u8 data[SWIM_PACKET_MAX];
	struct wcursor c = wcursor_of(data, sizeof(data));
	struct swim_packet p = {
		.kind = kind,
		.from = s->self,
		.incarnation = s->incarnation,
		.change = s->change,
		.seq = seq,
		.about = about,
		.digest = s->digest,
		.digest_len = digest ? s->digest_len : 0,
	};
	struct swim_item how = { .id = to };

	swim_packet_begin(&c, &p);
	if (m && m->state >= SWIM_SUSPECT) {
		how.state = m->state;
		how.incarnation = m->incarnation;
		how.by = m->state == SWIM_SUSPECT ? s->self : 0;
		swim_packet_add(&c, &how);
	}
	if (first)
		swim_packet_add(&c, first);
	/* Who seems down may be on the other side of a partition, where our
	 * news of its friends are wrong.
	 */
	if (how.state != SWIM_DOWN)
		gossip_fill(&s->gossip, &c, swim_times(s), how.state ? to : 0);
	s->change_left -= s->change_left > 0;
	s->ops->send(s->arg, to, reply, data, wcursor_len(&c));
}

static void set_state(struct swim *s, struct swim_member *m,
		      enum swim_state state, u32 incarnation)
{
	enum swim_state old = m->state;

	m->incarnation = incarnation;
	if (state != SWIM_SUSPECT)
		suspicion_end(&s->suspicions, m->id);
	if (old == state)
		return;
	m->state = (u8)state;
	s->in_state[old]--;
	s->in_state[state]++;
	s->ops->changed(s->arg, m->id, old, state);
}

/* False when a claim at @incarnation that the member is up tells nothing new.
 */
static bool up(struct swim *s, struct swim_member *m, u32 incarnation)
{
	if (m->state == SWIM_UNKNOWN ? incarnation < m->incarnation
				     : incarnation <= m->incarnation)
		return false;
	set_state(s, m, SWIM_UP, incarnation);
	return true;
}

void swim_proof(struct swim *s, u64 now_us, u64 id, u32 incarnation)
{
	struct swim_member *m = swim_find(s, id);

	if (m && up(s, m, incarnation))
		spread(s, now_us, SWIM_UP, id, incarnation, 0);
}

/* All but the suspect and the first suspector may confirm. */
static u8 confirmers(u32 alive)
{
	if (alive > SUSPICION_CONFIRM + 2)
		return SUSPICION_CONFIRM;
	return alive > 2 ? (u8)(alive - 2) : 0;
}

/* Starts or confirms a suspicion; true when that is news. */
static bool suspect(struct swim *s, u64 now_us, struct swim_member *m,
		    u32 incarnation, u64 by)
{
	u32 alive = swim_alive(s), able;
	u32 least = swim_period_us(s) / 2 * 7;
	struct swim_suspicion *p = suspicion_find(&s->suspicions, m->id);

	if (m->state == SWIM_SUSPECT && incarnation == m->incarnation)
		return suspicion_confirm(p, by);
	if (incarnation < m->incarnation ||
	    (m->state == SWIM_DOWN && incarnation == m->incarnation))
		return false;
	suspicion_end(&s->suspicions, m->id);
	if (!suspicion_start(&s->suspicions, m->id, by, now_us, least,
			     least / 2 * 5, confirmers(alive)))
		return false;
	set_state(s, m, SWIM_SUSPECT, incarnation);
	/* A few look for themselves, so that a true suspicion is confirmed
	 * soon and a false one refuted soon, in a cloud of any size. Other
	 * suspects are not counted on: many may have died together.
	 */
	able = swim_alive(s) - s->in_state[SWIM_SUSPECT];
	if (by != s->self && s->ops->random(s->arg) % able < SWIM_CONFIRMERS)
		swim_ask(s, now_us, m->id, 0);
	return true;
}

void swim_unanswered(struct swim *s, u64 now_us, struct swim_member *m)
{
	if (m->state == SWIM_UNKNOWN) {
		/* Nobody has claimed anything yet: nothing to refute. */
		set_state(s, m, SWIM_DOWN, m->incarnation);
		return;
	}
	if (m->state == SWIM_DOWN)
		return;
	if (suspect(s, now_us, m, m->incarnation, s->self))
		spread(s, now_us, SWIM_SUSPECT, m->id, m->incarnation, s->self);
	if (m->state == SWIM_SUSPECT)
		swim_ask(s, now_us, m->id, 0);
}

void swim_suspicion_over(struct swim *s, u64 now_us, u64 id)
{
	struct swim_member *m = swim_find(s, id);

	set_state(s, m, SWIM_DOWN, m->incarnation);
	spread(s, now_us, SWIM_DOWN, id, m->incarnation, 0);
}

/* Somebody claims something about this node. */
static void about_self(struct swim *s, u64 now_us, const struct swim_item *it)
{
	bool accused = it->state != SWIM_UP;

	if (it->incarnation < s->incarnation ||
	    (!accused && it->incarnation == s->incarnation) ||
	    it->incarnation == SWIM_INCARNATION_MAX)
		return;
	/* Being accused of now, not as an earlier life: perhaps we are slow. */
	if (accused && it->incarnation == s->incarnation)
		swim_worse(s, 1);
	s->incarnation = it->incarnation + 1;
	spread(s, now_us, SWIM_UP, s->self, s->incarnation, 0);
	if (it->state == SWIM_DOWN)
		swim_pull(s, now_us);
}

static bool down(struct swim *s, u64 now_us, struct swim_member *m,
		 u32 incarnation, bool page)
{
	if (incarnation < m->incarnation ||
	    (m->state == SWIM_DOWN && incarnation == m->incarnation))
		return false;
	if (page && (m->state == SWIM_UP || m->state == SWIM_SUSPECT)) {
		/* An old view, perhaps of the other side of a partition: ask
		 * before believing, and let it refute.
		 */
		swim_ask(s, now_us, m->id, incarnation);
		return false;
	}
	set_state(s, m, SWIM_DOWN, incarnation);
	return true;
}

void swim_apply(struct swim *s, u64 now_us, const struct swim_item *it,
		bool page)
{
	struct swim_member *m;
	bool news;

	if (it->id == s->self) {
		about_self(s, now_us, it);
		return;
	}
	m = swim_find(s, it->id);
	if (!m)
		return;
	switch (it->state) {
	case SWIM_UP:
		news = up(s, m, it->incarnation);
		break;
	case SWIM_SUSPECT:
		news = suspect(s, now_us, m, it->incarnation, it->by);
		break;
	default:
		news = down(s, now_us, m, it->incarnation, page);
	}
	/* Whoever gets pages gets all; gossip is for what just happened. */
	if (news && !page)
		spread(s, now_us, it->state, it->id, it->incarnation, it->by);
}

static void hear_change(struct swim *s, u64 now_us, u64 change)
{
	if (change <= s->change)
		return;
	swim_set_change(s, now_us, change);
	s->ops->heard_change(s->arg, change);
}

static void take_items(struct swim *s, u64 now_us, struct swim_packet *p)
{
	bool page = p->kind == SWIM_PAGE;
	struct swim_item it;

	while (swim_item_next(&p->items, &it))
		swim_apply(s, now_us, &it, page);
}

int swim_receive(struct swim *s, u64 now_us, const u8 *data, size_t len)
{
	struct swim_packet p;
	bool member;

	if (swim_packet_decode(&p, data, len))
		return -EBADMSG;
	if (p.from == s->self)
		return -ELOOP;
	if (s->left)
		return 0;
	member = swim_find(s, p.from) != NULL;
	hear_change(s, now_us, p.change);
	if (member) {
		swim_proof(s, now_us, p.from, p.incarnation);
		take_items(s, now_us, &p);
		if (p.digest_len)
			s->ops->digest(s->arg, p.from, p.digest, p.digest_len);
	}
	switch (p.kind) {
	case SWIM_PING:
		if (p.about == s->self)
			swim_emit(s, SWIM_ACK, p.from, true, p.seq, s->self,
				  NULL);
		break;
	case SWIM_PING_REQ:
		if (member)
			swim_asked_for(s, now_us, &p);
		break;
	case SWIM_ACK:
	case SWIM_NACK:
		if (member)
			swim_answered(s, now_us, &p);
		break;
	case SWIM_SYNC:
		swim_page(s, &p);
		break;
	case SWIM_PAGE:
		if (member)
			swim_paged(s, now_us, &p);
		break;
	default:
		break;
	}
	return member ? 0 : -ENOENT;
}

void swim_set_change(struct swim *s, u64 now_us, u64 change)
{
	if (change <= s->change)
		return;
	s->change = change;
	s->change_left = swim_times(s);
	spread_soon(s, now_us);
}

int swim_add(struct swim *s, u64 id, enum swim_state state, u32 incarnation)
{
	u32 at = swim_place(s, id);

	if (!id || id == s->self || incarnation > SWIM_INCARNATION_MAX ||
	    (state != SWIM_UNKNOWN && state != SWIM_UP && state != SWIM_DOWN))
		return -EINVAL;
	if (at < s->count && s->member[at].id == id)
		return -EEXIST;
	if (s->count == s->max)
		return -ENOSPC;
	memmove(s->member + at + 1, s->member + at,
		(s->count - at) * sizeof(*s->member));
	s->member[at] = (struct swim_member){ .id = id,
					      .incarnation = incarnation,
					      .state = (u8)state };
	s->count++;
	s->in_state[state]++;
	return 0;
}

int swim_remove(struct swim *s, u64 id)
{
	struct swim_member *m = swim_find(s, id);
	u32 at = swim_place(s, id);

	if (!m)
		return -ENOENT;
	suspicion_end(&s->suspicions, id);
	gossip_drop(&s->gossip, id);
	swim_probe_forget(s, id);
	s->in_state[m->state]--;
	s->count--;
	memmove(m, m + 1, (s->count - at) * sizeof(*m));
	return 0;
}
