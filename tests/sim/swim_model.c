// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules of a single step; the contract is in swim_model.h. */
#include "swim_model.h"

void model_begin(struct swim_model *m, const struct swim *s)
{
	memcpy(m->member, s->member, s->count * sizeof(*s->member));
	memcpy(m->suspicion, s->suspicions.at,
	       s->suspicions.count * sizeof(*s->suspicions.at));
	memcpy(m->probe, s->probe, sizeof(m->probe));
	m->count = s->count;
	m->suspicions = s->suspicions.count;
	m->suspicions_max = s->suspicions.max;
	m->self = s->self;
	m->incarnation = s->incarnation;
	m->health = s->health;
	m->change = s->change;
	m->next_us = swim_next_us(s);
	m->timeout_us = swim_timeout_us(s);
	m->left = s->left;
	m->sync_due_us = s->sync_due_us;
	m->pull_seq = s->pull_seq;
	m->pulling = s->pulling;
	m->askable = s->count - s->in_state[SWIM_DOWN];
	m->acked = 0;
	m->sent = m->pages_asked = m->paged = 0;
	m->timed = 0;
}

static struct swim_member *find(struct swim_model *m, u64 id)
{
	u32 i;

	for (i = 0; i < m->count; i++)
		if (m->member[i].id == id)
			return &m->member[i];
	return NULL;
}

/* A claim about another member, as the table in swim.c has it. */
static void claim(struct swim_model *m, const struct swim_item *it, bool page)
{
	struct swim_member *p = find(m, it->id);
	bool newer, same;

	if (!p)
		return;
	newer = it->incarnation > p->incarnation;
	same = it->incarnation == p->incarnation;
	switch (it->state) {
	case SWIM_UP:
		if (!newer && !(same && p->state == SWIM_UNKNOWN))
			return;
		break;
	case SWIM_SUSPECT:
		if (!newer && !(same && p->state < SWIM_SUSPECT))
			return;
		if (p->state != SWIM_SUSPECT &&
		    m->suspicions++ == m->suspicions_max) {
			m->suspicions--;
			return;
		}
		break;
	default:
		if (!newer && !(same && p->state != SWIM_DOWN))
			return;
		if (page && (p->state == SWIM_UP || p->state == SWIM_SUSPECT))
			return;
	}
	if (p->state == SWIM_SUSPECT && it->state != SWIM_SUSPECT)
		m->suspicions--;
	p->state = it->state;
	p->incarnation = it->incarnation;
}

static bool told(const struct swim_model *m, const struct swim *s, u64 id,
		 u8 state, u32 incarnation)
{
	u16 i;

	for (i = 0; i < s->gossip.count; i++) {
		const struct swim_item *it = &s->gossip.update[i].item;

		if (it->id == id && it->state == state &&
		    it->incarnation == incarnation)
			return true;
	}
	/* It may have been sent often enough, or made room for others as new. */
	if (m->sent >= swim_times(s))
		return true;
	if (s->gossip.count < s->gossip.max)
		return false;
	for (i = 0; i < s->gossip.count; i++)
		if (s->gossip.update[i].sent > m->sent)
			return false;
	return true;
}

/* Claims about the node itself: what it is to be called from now on. */
struct own {
	u32 incarnation;
	u32 accused; /* times, of now */
	bool down;
};

static void claim_own(struct own *o, const struct swim_item *it)
{
	if (it->incarnation < o->incarnation ||
	    it->incarnation == SWIM_INCARNATION_MAX ||
	    (it->state == SWIM_UP && it->incarnation == o->incarnation))
		return;
	o->accused += it->state != SWIM_UP &&
		      it->incarnation == o->incarnation;
	o->incarnation = it->incarnation + 1;
	o->down |= it->state == SWIM_DOWN;
}

static const char *self_wrong(const struct swim_model *m, const struct own *o,
			      const struct swim *s, const struct swim_packet *p)
{
	u32 worst = m->health + o->accused;

	if (s->incarnation != o->incarnation)
		return "it does not refute as it should";
	if (o->incarnation != m->incarnation &&
	    !told(m, s, s->self, SWIM_UP, s->incarnation))
		return "its refutation is not told";
	/* An answer may have made it better at the same time. */
	if (worst > SWIM_HEALTH_MOST)
		worst = SWIM_HEALTH_MOST;
	if (p->kind != SWIM_ACK && s->health != worst)
		return "being accused does not count against its health";
	if (o->down && !s->pulling && p->kind != SWIM_PAGE)
		return "it was thought down and does not ask what it missed";
	return NULL;
}

static const char *members_wrong(struct swim_model *m, const struct swim *s,
				 const struct swim_member *before, bool page)
{
	u32 i;

	if (s->count != m->count)
		return "a datagram made or ended a member";
	for (i = 0; i < m->count; i++) {
		const struct swim_member *is = &s->member[i];
		const struct swim_member *should = &m->member[i];

		if (is->state != should->state ||
		    is->incarnation != should->incarnation)
			return "a claim was judged wrongly";
		if (page || (is->state == before[i].state &&
			     is->incarnation == before[i].incarnation))
			continue;
		if (!told(m, s, is->id, is->state, is->incarnation))
			return "news are not passed on";
	}
	return NULL;
}

static const struct swim_probe *asking(const struct swim_probe *list, u64 id)
{
	u32 i;

	for (i = 0; i < SWIM_PROBES; i++)
		if (list[i].target == id)
			return &list[i];
	return NULL;
}

/* Pages: the one asked for is given whole, and the next one is asked for. */
static const char *pages_wrong(const struct swim_model *m, const struct swim *s,
			       const struct swim_packet *p)
{
	u32 i, known = 0;

	for (i = 0; i < s->count; i++)
		known += s->member[i].id >= p->about &&
			 s->member[i].state != SWIM_UNKNOWN;
	if (p->kind == SWIM_SYNC && m->paged != known)
		return "a page is not whole";
	if (p->kind != SWIM_PAGE || !m->pulling || p->seq != m->pull_seq)
		return NULL;
	if (s->pulling != (p->about != 0) ||
	    (s->pulling && s->pull_cursor != p->about))
		return "after a page it does not ask for the next";
	return NULL;
}

const char *model_received(struct swim_model *m, const struct swim *s,
			   const u8 *data, size_t len)
{
	struct swim_member before[MODEL_NODES];
	struct own o = { .incarnation = m->incarnation };
	struct swim_packet p;
	struct swim_item it;
	const char *wrong;
	bool page, member;

	if (swim_packet_decode(&p, data, len))
		return "the simulator made a bad datagram";
	if (m->left)
		return m->sent ? "it left, and answers" : NULL;
	memcpy(before, m->member, sizeof(before));
	page = p.kind == SWIM_PAGE;
	member = find(m, p.from) != NULL;
	if (member) {
		claim(m, &(struct swim_item){ .id = p.from,
					      .state = SWIM_UP,
					      .incarnation = p.incarnation },
		      false);
		while (swim_item_next(&p.items, &it)) {
			if (it.id == m->self)
				claim_own(&o, &it);
			else
				claim(m, &it, page);
		}
	}
	if (s->change != (p.change > m->change ? p.change : m->change))
		return "the highest change is another";
	if (p.kind == SWIM_PING && p.about == m->self &&
	    (m->acked != p.from || m->acked_seq != p.seq))
		return "a question was not answered";
	if (m->timed && asking(m->probe, m->timed)->stage)
		return "the round trip of a repeated question counts";
	wrong = members_wrong(m, s, before, page);
	if (!wrong)
		wrong = self_wrong(m, &o, s, &p);
	return wrong || !member ? wrong : pages_wrong(m, s, &p);
}

const char *model_sent(struct swim_model *m, const struct swim *s, u64 to,
		       const u8 *data, size_t len)
{
	enum swim_state how = swim_state_of(s, to);
	u32 incarnation = swim_incarnation_of(s, to);
	struct swim_packet p;
	struct swim_item it;
	bool told_how = false;

	m->sent++;
	if (swim_packet_decode(&p, data, len))
		return "it sent a bad datagram";
	if (m->left)
		return "it left, and sends";
	if (p.kind == SWIM_ACK && p.about == s->self) {
		m->acked = to;
		m->acked_seq = p.seq;
	}
	m->pages_asked += p.kind == SWIM_SYNC;
	if (p.kind == SWIM_PAGE) {
		while (swim_item_next(&p.items, &it))
			m->paged += (it.state == SWIM_DOWN) ==
				    (swim_state_of(s, it.id) == SWIM_DOWN);
		return NULL;
	}
	if (s->left)
		return NULL;
	while (swim_item_next(&p.items, &it)) {
		if (it.id == to && it.state == how &&
		    it.incarnation == incarnation)
			told_how = true;
		else if (how == SWIM_DOWN && it.id != to && it.id != s->self)
			return "who seems down is told of others";
	}
	if (how >= SWIM_SUSPECT && !told_how)
		return "a suspect is not told";
	return NULL;
}

static bool room_to_ask(const struct swim *s)
{
	return asking(s->probe, 0) != NULL;
}

/* A node that ran late gives everyone the time that it missed. */
static const char *late_wrong(const struct swim_model *m, const struct swim *s,
			      u64 late_us)
{
	u32 i;

	for (i = 0; i < m->suspicions; i++) {
		const struct swim_suspicion *p = &m->suspicion[i];
		const struct swim_probe *own = asking(m->probe, p->id);

		/* Its own question, unanswered in time, may confirm one. */
		if (own && own->due_us <= m->next_us)
			continue;
		if (p->due_us > m->next_us &&
		    swim_state_of(s, p->id) == SWIM_DOWN)
			return "it ran late and calls a suspect down";
	}
	for (i = 0; i < SWIM_PROBES; i++) {
		const struct swim_probe *was = &m->probe[i];
		const struct swim_probe *is;

		if (!was->target || was->due_us <= m->next_us)
			continue;
		is = asking(s->probe, was->target);
		if (!is || is->seq != was->seq || is->stage != was->stage ||
		    is->due_us != was->due_us + late_us)
			return "it ran late and asks no more";
	}
	return NULL;
}

const char *model_ran(const struct swim_model *m, const struct swim *s,
		      u64 now_us)
{
	u32 i;

	if (m->left)
		return NULL;
	if (s->incarnation != m->incarnation || s->change != m->change)
		return "time alone raised a number";
	for (i = 0; i < m->count; i++) {
		const struct swim_member *was = &m->member[i];
		const struct swim_member *is = &s->member[i];

		if (was->incarnation != is->incarnation ||
		    (was->state != is->state && is->state <= SWIM_UP))
			return "time alone made a member better";
		if (was->state == is->state)
			continue;
		if (was->state != SWIM_UNKNOWN &&
		    !told(m, s, is->id, is->state, is->incarnation) &&
		    swim_alive(s) > 1)
			return "what it found out is not told";
		if (is->state == SWIM_SUSPECT && room_to_ask(s) &&
		    !asking(s->probe, is->id))
			return "a suspect is asked no more";
	}
	for (i = 0; i < SWIM_PROBES; i++)
		if (s->probe[i].target && !asking(m->probe, s->probe[i].target) &&
		    swim_state_of(s, s->probe[i].target) == SWIM_DOWN)
			return "who is down is asked in the round";
	if (m->sync_due_us <= now_us && m->askable && !m->pages_asked &&
	    s->in_state[SWIM_DOWN] < s->count)
		return "no page is asked for";
	if (now_us > m->next_us && now_us - m->next_us > m->timeout_us)
		return late_wrong(m, s, now_us - m->next_us);
	return NULL;
}
