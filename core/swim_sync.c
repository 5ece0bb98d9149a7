// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Views by the page. In quiet times a node asks some member for one page of
 * what it knows every few periods, a constant cost that repairs what gossip
 * missed. A node that starts, or hears that it was thought down,
 * pulls all pages, one after the other at a bounded rate.
 */
#include "swim_impl.h"

void swim_pull(struct swim *s, u64 now_us)
{
	if (s->pulling)
		return;
	s->pulling = true;
	s->pull_tries = 0;
	s->pull_cursor = 0;
	s->pull_due_us = now_us;
	if (s->pull_last_us && now_us < s->pull_last_us + SWIM_PULL_AGAIN_US)
		s->pull_due_us = s->pull_last_us + SWIM_PULL_AGAIN_US;
}

void swim_page(struct swim *s, const struct swim_packet *p)
{
	u32 at = swim_place(s, p->about);
	u8 data[SWIM_PACKET_MAX];
	struct wcursor c = wcursor_of(data, sizeof(data));
	struct swim_packet page = { .kind = SWIM_PAGE,
				    .from = s->self,
				    .incarnation = s->incarnation,
				    .change = s->change,
				    .seq = p->seq };
	u32 room = (SWIM_PACKET_MAX - SWIM_HEAD_BYTES) / (SWIM_ITEM_MAX - 8);
	u32 end = s->count - at > room ? at + room : s->count;

	page.about = end < s->count ? s->member[end].id : 0;
	swim_packet_begin(&c, &page);
	for (; at < end; at++) {
		const struct swim_member *m = &s->member[at];
		struct swim_item it = { .id = m->id,
					.incarnation = m->incarnation,
					/* A suspicion travels on its own. */
					.state = m->state == SWIM_DOWN
							 ? SWIM_DOWN
							 : SWIM_UP };

		if (m->state != SWIM_UNKNOWN)
			swim_packet_add(&c, &it);
	}
	s->ops->send(s->arg, p->from, true, data, wcursor_len(&c));
}

void swim_paged(struct swim *s, u64 now_us, const struct swim_packet *p)
{
	if (s->pulling && s->pull_seq == p->seq) {
		s->pull_tries = 0;
		s->pull_cursor = p->about;
		s->pull_due_us = now_us + SWIM_PULL_PACE_US;
		s->pulling = p->about != 0;
		if (!s->pulling)
			s->pull_last_us = now_us;
	} else if (s->sync_seq == p->seq) {
		s->sync_cursor = p->about;
	}
}

static u32 ask_page(struct swim *s, u64 cursor)
{
	struct swim_member *m = swim_pick(s, 0, SWIM_SUSPECT);

	if (m)
		swim_emit(s, SWIM_SYNC, m->id, false, ++s->seq, cursor, NULL);
	return s->seq;
}

static void reconnect(struct swim *s)
{
	u32 n = s->in_state[SWIM_DOWN] ? s->count : 0;
	u32 at = n ? s->ops->random(s->arg) % n : 0;

	for (; n--; at++) {
		struct swim_member *m = &s->member[at % s->count];

		if (m->state != SWIM_DOWN)
			continue;
		swim_emit(s, SWIM_PING, m->id, false, ++s->seq, m->id, NULL);
		return;
	}
}

static void pull_run(struct swim *s, u64 now_us)
{
	if (s->pull_tries++ == SWIM_PULL_TRIES) {
		s->pulling = false;
		s->pull_last_us = now_us;
		return;
	}
	s->pull_seq = ask_page(s, s->pull_cursor);
	s->pull_due_us = now_us + swim_timeout_us(s) * 2;
}

void swim_sync_run(struct swim *s, u64 now_us)
{
	if (s->pulling && s->pull_due_us <= now_us)
		pull_run(s, now_us);
	if (s->sync_due_us <= now_us) {
		s->sync_due_us =
			now_us + (u64)swim_period_us(s) * SWIM_SYNC_PERIODS;
		s->sync_seq = ask_page(s, s->sync_cursor);
	}
	if (s->reconnect_due_us <= now_us) {
		s->reconnect_due_us = now_us + (u64)swim_period_us(s) *
						       SWIM_RECONNECT_PERIODS;
		reconnect(s);
	}
}

u64 swim_sync_next_us(const struct swim *s)
{
	u64 next = s->sync_due_us;

	if (s->reconnect_due_us < next)
		next = s->reconnect_due_us;
	if (s->pulling && s->pull_due_us < next)
		next = s->pull_due_us;
	return next;
}
