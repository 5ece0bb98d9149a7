// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Membership datagrams, the queue of news, suspicion timeouts, and what one
 * node does with single datagrams. Whole clouds are in tests/sim.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "swim_impl.h"

/* ---- datagrams ---- */

/* Golden: these bytes may never change while SWIM_VERSION is 1. */
static const u8 golden[] = {
	0x01, 0x01, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* from */
	0x78, 0x56, 0x34, 0x12,				      /* incarnation */
	0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80,	      /* change */
	0xdd, 0xcc, 0xbb, 0xaa,				      /* seq */
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,	      /* about */
	0x03, 'a',  'b',  'c',				      /* digest */
	0x02, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* suspect 9 */
	0x05, 0x00, 0x00, 0x00,				/* at incarnation 5 */
	0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* by 7 */
	0x03, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* down 10 */
	0x06, 0x00, 0x00, 0x00,
};

static const struct swim_packet sample = {
	.kind = SWIM_PING,
	.from = 0x0102030405060708,
	.incarnation = 0x12345678,
	.change = 0x8000000000000002,
	.seq = 0xaabbccdd,
	.about = 0x1112131415161718,
	.digest = (const u8 *)"abc",
	.digest_len = 3,
};

static const struct swim_item suspect9 = { 9, 7, 5, SWIM_SUSPECT };
static const struct swim_item down10 = { 10, 0, 6, SWIM_DOWN };

Test(swim_packet, golden_bytes)
{
	u8 out[SWIM_PACKET_MAX];
	struct wcursor c = wcursor_of(out, sizeof(out));

	swim_packet_begin(&c, &sample);
	cr_assert(swim_packet_add(&c, &suspect9));
	cr_assert(swim_packet_add(&c, &down10));
	cr_assert_eq(wcursor_len(&c), sizeof(golden));
	cr_assert_arr_eq(out, golden, sizeof(golden));
}

Test(swim_packet, there_and_back)
{
	struct swim_packet p;
	struct swim_item it;

	cr_assert_eq(swim_packet_decode(&p, golden, sizeof(golden)), 0);
	cr_assert_eq(p.kind, SWIM_PING);
	cr_assert_eq(p.from, sample.from);
	cr_assert_eq(p.incarnation, sample.incarnation);
	cr_assert_eq(p.change, sample.change);
	cr_assert_eq(p.seq, sample.seq);
	cr_assert_eq(p.about, sample.about);
	cr_assert_eq(p.digest_len, 3);
	cr_assert_arr_eq(p.digest, "abc", 3);
	cr_assert(swim_item_next(&p.items, &it));
	cr_assert_eq(it.id, 9);
	cr_assert_eq(it.by, 7);
	cr_assert_eq(it.state, SWIM_SUSPECT);
	cr_assert(swim_item_next(&p.items, &it));
	cr_assert_eq(it.id, 10);
	cr_assert_eq(it.incarnation, 6);
	cr_assert_not(swim_item_next(&p.items, &it));
}

Test(swim_packet, every_truncation_is_refused_or_ends_between_items)
{
	static const size_t whole[] = { 38, 59, sizeof(golden) };
	struct swim_packet p;
	size_t len, i;

	for (len = 0; len <= sizeof(golden); len++) {
		bool good = false;

		for (i = 0; i < ARRAY_SIZE(whole); i++)
			good |= len == whole[i];
		cr_assert_eq(swim_packet_decode(&p, golden, len),
			     good ? 0 : -EBADMSG, "length %zu", len);
	}
}

static void refused_with(size_t at, u8 value)
{
	struct swim_packet p;
	u8 data[sizeof(golden)];

	memcpy(data, golden, sizeof(data));
	data[at] = value;
	cr_assert_eq(swim_packet_decode(&p, data, sizeof(data)), -EBADMSG,
		     "byte %zu as %u", at, value);
}

Test(swim_packet, bytes_out_of_place_are_refused)
{
	struct swim_packet p;
	u8 data[sizeof(golden)];

	refused_with(0, 2); /* version */
	refused_with(1, 0); /* kind */
	refused_with(1, SWIM_KIND_END);
	memcpy(data, golden, sizeof(data));
	memset(data + 10, 0xff, 4); /* incarnation that none could exceed */
	cr_assert_eq(swim_packet_decode(&p, data, sizeof(data)), -EBADMSG);
	memcpy(data, golden, sizeof(data));
	memset(data + 2, 0, 8); /* from nobody */
	cr_assert_eq(swim_packet_decode(&p, data, sizeof(data)), -EBADMSG);
	memcpy(data, golden, sizeof(data));
	memset(data + 39, 0, 8); /* about nobody */
	cr_assert_eq(swim_packet_decode(&p, data, sizeof(data)), -EBADMSG);
	refused_with(38, SWIM_UNKNOWN); /* item states */
	refused_with(38, SWIM_DOWN + 1);
	refused_with(34, SWIM_DIGEST_MAX + 1);
}

Test(swim_packet, longer_than_allowed_is_refused)
{
	u8 data[SWIM_PACKET_MAX + SWIM_ITEM_MAX];
	struct wcursor c = wcursor_of(data, sizeof(data));
	struct swim_packet p;

	swim_packet_begin(&c, &sample);
	while (swim_packet_add(&c, &down10) &&
	       wcursor_len(&c) <= SWIM_PACKET_MAX)
		;
	cr_assert_eq(swim_packet_decode(&p, data, wcursor_len(&c)), -EBADMSG);
}

/* ---- news ---- */

static struct swim_update updates[8];

static struct swim_gossip queue(void)
{
	return (struct swim_gossip){ .update = updates, .max = 8 };
}

static u32 fill(struct swim_gossip *g, size_t room, u64 skip)
{
	u8 out[SWIM_PACKET_MAX];
	struct wcursor c = wcursor_of(out, room);

	gossip_fill(g, &c, 3, skip);
	return (u32)wcursor_len(&c) / 13;
}

Test(gossip, an_item_is_sent_so_often_and_then_forgotten)
{
	struct swim_gossip g = queue();

	gossip_put(&g, &down10);
	cr_assert_eq(fill(&g, 100, 0), 1);
	cr_assert_eq(fill(&g, 100, 0), 1);
	cr_assert_eq(fill(&g, 100, 0), 1);
	cr_assert_eq(fill(&g, 100, 0), 0);
	cr_assert_eq(g.count, 0);
}

Test(gossip, the_least_sent_goes_first)
{
	struct swim_gossip g = queue();
	struct swim_item it = down10;

	gossip_put(&g, &it);
	fill(&g, 100, 0);
	it.id = 11;
	gossip_put(&g, &it);
	cr_assert_eq(fill(&g, 13, 0), 1);
	cr_assert_eq(g.update[0].sent, 1);
	cr_assert_eq(g.update[1].sent, 1);
}

Test(gossip, one_about_a_member_but_several_suspicions)
{
	struct swim_gossip g = queue();
	struct swim_item it = suspect9;

	gossip_put(&g, &it);
	it.by = 8;
	gossip_put(&g, &it);
	cr_assert_eq(g.count, 2);
	gossip_put(&g, &it);
	cr_assert_eq(g.count, 2);
	it.state = SWIM_UP;
	gossip_put(&g, &it);
	cr_assert_eq(g.count, 1);
	gossip_drop(&g, 9);
	cr_assert_eq(g.count, 0);
}

Test(gossip, a_full_queue_drops_the_most_sent)
{
	struct swim_gossip g = queue();
	struct swim_item it = down10;
	u16 i;

	gossip_put(&g, &it);
	fill(&g, 100, 0);
	for (i = 0; i < 8; i++) {
		it.id = 20 + i;
		gossip_put(&g, &it);
	}
	cr_assert_eq(g.count, 8);
	for (i = 0; i < 8; i++)
		cr_assert_neq(g.update[i].item.id, 10);
}

Test(gossip, who_is_skipped_stays)
{
	struct swim_gossip g = queue();

	gossip_put(&g, &down10);
	cr_assert_eq(fill(&g, 100, 10), 0);
	cr_assert_eq(g.count, 1);
}

/* ---- suspicions ---- */

static u64 due_after(u8 wanted, u8 confirmations)
{
	struct swim_suspicion room[1];
	struct swim_suspicions t = { .at = room, .max = 1 };
	u8 i;

	cr_assert(suspicion_start(&t, 5, 100, 1000, 600, 1600, wanted));
	for (i = 0; i < confirmations; i++)
		suspicion_confirm(&room[0], 101 + i);
	return room[0].due_us - 1000;
}

/* most - (most - least) * log(c + 1) / log(k + 1), to a thousandth */
Test(suspicion, timeouts_are_lifeguards)
{
	cr_assert_eq(due_after(0, 0), 1600);
	cr_assert_eq(due_after(0, 2), 1600);
	cr_assert_eq(due_after(1, 0), 1600);
	cr_assert_eq(due_after(1, 1), 600);
	cr_assert_eq(due_after(2, 1), 970);
	cr_assert_eq(due_after(2, 2), 600);
	cr_assert_eq(due_after(3, 0), 1600);
	cr_assert_eq(due_after(3, 1), 1100);
	cr_assert_eq(due_after(3, 2), 808);
	cr_assert_eq(due_after(3, 3), 600);
	cr_assert_eq(due_after(200, 7), 600);
}

Test(suspicion, nobody_confirms_twice)
{
	struct swim_suspicion room[1];
	struct swim_suspicions t = { .at = room, .max = 1 };

	cr_assert(suspicion_start(&t, 5, 100, 0, 600, 1600, 3));
	cr_assert_not(suspicion_confirm(&room[0], 100));
	cr_assert(suspicion_confirm(&room[0], 101));
	cr_assert_not(suspicion_confirm(&room[0], 101));
	cr_assert_not(suspicion_start(&t, 6, 100, 0, 600, 1600, 3));
	suspicion_end(&t, 5);
	cr_assert_null(suspicion_find(&t, 5));
	cr_assert_eq(suspicion_next_us(&t), SWIM_NEVER);
}

/* ---- one node ---- */

static struct {
	u8 data[64][SWIM_PACKET_MAX];
	size_t len[64];
	u64 to[64];
	bool reply[64];
	u32 sent;
	u32 changes;
	enum swim_state now;
	u64 heard;
	u32 random;
} out;

static u32 op_random(void *arg)
{
	return out.random++;
}

static void op_send(void *arg, u64 to, bool reply, const u8 *data, size_t len)
{
	u32 at = out.sent++ % 64;

	memcpy(out.data[at], data, len);
	out.len[at] = len;
	out.to[at] = to;
	out.reply[at] = reply;
}

static void op_changed(void *arg, u64 id, enum swim_state old,
		       enum swim_state now)
{
	out.changes++;
	out.now = now;
}

static void op_heard(void *arg, u64 change)
{
	out.heard = change;
}

static void op_digest(void *arg, u64 id, const u8 *data, size_t len)
{
}

static void op_round_trip(void *arg, u64 id, u32 us)
{
}

static const struct swim_ops ops = { op_random, op_send,   op_changed,
				     op_heard,	op_digest, op_round_trip };

static const struct swim_limits limits = { .members = 4,
					   .suspicions = 2,
					   .updates = 8 };

/* Node 1 at incarnation 10, with members 2, 3 and 4 up at 20. */
static struct swim *node(void)
{
	struct swim *s = swim_init(malloc(swim_bytes(&limits)), &limits, 1, 10,
				   &ops, NULL, 1000);
	u64 id;

	for (id = 2; id <= 4; id++)
		cr_assert_eq(swim_add(s, id, SWIM_UP, 20), 0);
	return s;
}

static int hear(struct swim *s, u64 now_us, enum swim_kind kind, u64 from,
		u32 incarnation, u64 about, const struct swim_item *it)
{
	u8 data[SWIM_PACKET_MAX];
	struct wcursor c = wcursor_of(data, sizeof(data));
	struct swim_packet p = { .kind = kind,
				 .from = from,
				 .incarnation = incarnation,
				 .seq = 77,
				 .about = about };

	swim_packet_begin(&c, &p);
	if (it)
		swim_packet_add(&c, it);
	return swim_receive(s, now_us, data, wcursor_len(&c));
}

Test(swim, limits_and_members)
{
	struct swim *s = node();
	enum swim_state state;

	cr_assert_eq(swim_bytes(&(struct swim_limits){ 0, 1, 8 }), 0);
	cr_assert_eq(swim_bytes(&(struct swim_limits){ 1, 0, 8 }), 0);
	cr_assert_eq(swim_bytes(&(struct swim_limits){ 1, 1, 7 }), 0);
	cr_assert_eq(swim_add(s, 1, SWIM_UP, 0), -EINVAL);
	cr_assert_eq(swim_add(s, 0, SWIM_UP, 0), -EINVAL);
	cr_assert_eq(swim_add(s, 9, SWIM_SUSPECT, 0), -EINVAL);
	cr_assert_eq(swim_add(s, 3, SWIM_UP, 0), -EEXIST);
	cr_assert_eq(swim_add(s, 9, SWIM_UNKNOWN, 0), 0);
	cr_assert_eq(swim_add(s, 10, SWIM_UP, 0), -ENOSPC);
	cr_assert_eq(swim_remove(s, 3), 0);
	cr_assert_eq(swim_remove(s, 3), -ENOENT);
	cr_assert_eq(swim_count(s), 3);
	cr_assert_eq(swim_count_in(s, SWIM_UP), 2);
	cr_assert_eq(swim_at(s, 1, &state), 4);
	cr_assert_eq(state, SWIM_UP);
}

Test(swim, a_ping_is_answered_to_where_it_came_from)
{
	struct swim *s = node();
	struct swim_packet p;

	cr_assert_eq(hear(s, 2000, SWIM_PING, 2, 20, 1, NULL), 0);
	cr_assert_eq(out.sent, 1);
	cr_assert_eq(out.to[0], 2);
	cr_assert(out.reply[0]);
	cr_assert_eq(swim_packet_decode(&p, out.data[0], out.len[0]), 0);
	cr_assert_eq(p.kind, SWIM_ACK);
	cr_assert_eq(p.seq, 77);
	cr_assert_eq(p.about, 1);
}

Test(swim, a_ping_for_another_is_not_answered)
{
	cr_assert_eq(hear(node(), 2000, SWIM_PING, 2, 20, 3, NULL), 0);
	cr_assert_eq(out.sent, 0);
}

Test(swim, a_stranger_gets_an_answer_and_changes_nothing)
{
	struct swim *s = node();
	struct swim_item it = { 3, 0, 20, SWIM_DOWN };

	cr_assert_eq(hear(s, 2000, SWIM_PING, 99, 1, 1, &it), -ENOENT);
	cr_assert_eq(out.sent, 1);
	cr_assert_eq(swim_state_of(s, 3), SWIM_UP);
	cr_assert_eq(swim_count(s), 3);
}

Test(swim, its_own_datagram_is_refused)
{
	cr_assert_eq(hear(node(), 2000, SWIM_PING, 1, 10, 1, NULL), -ELOOP);
	cr_assert_eq(out.sent, 0);
}

Test(swim, which_claim_holds)
{
	static const struct {
		struct swim_item it;
		enum swim_state then;
		bool news;
	} step[] = {
		{ { 3, 2, 19, SWIM_SUSPECT }, SWIM_UP, false }, /* old */
		{ { 3, 0, 20, SWIM_UP }, SWIM_UP, false },	/* known */
		{ { 3, 2, 20, SWIM_SUSPECT }, SWIM_SUSPECT, true },
		{ { 3, 0, 20, SWIM_UP }, SWIM_SUSPECT, false },
		{ { 3, 0, 21, SWIM_UP }, SWIM_UP, true }, /* refuted */
		{ { 3, 2, 20, SWIM_SUSPECT }, SWIM_UP, false },
		{ { 3, 0, 20, SWIM_DOWN }, SWIM_UP, false },
		{ { 3, 0, 21, SWIM_DOWN }, SWIM_DOWN, true },
		{ { 3, 2, 21, SWIM_SUSPECT }, SWIM_DOWN, false },
		{ { 3, 0, 21, SWIM_UP }, SWIM_DOWN, false },
		{ { 3, 2, 22, SWIM_SUSPECT }, SWIM_SUSPECT, true },
		{ { 3, 0, 23, SWIM_UP }, SWIM_UP, true },
	};
	struct swim *s = node();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(step); i++) {
		u32 before = out.changes;

		hear(s, 2000, SWIM_GOSSIP, 2, 20, 0, &step[i].it);
		cr_assert_eq(swim_state_of(s, 3), step[i].then, "step %zu", i);
		cr_assert_eq(out.changes > before, step[i].news, "step %zu", i);
	}
}

Test(swim, an_accusation_is_refuted_at_once)
{
	struct swim *s = node();
	struct swim_item it = { 1, 2, 10, SWIM_SUSPECT };
	struct swim_packet p;

	hear(s, 2000, SWIM_PING, 2, 20, 1, &it);
	cr_assert_eq(swim_incarnation(s), 11);
	cr_assert_eq(swim_health(s), 1);
	cr_assert_eq(swim_packet_decode(&p, out.data[0], out.len[0]), 0);
	cr_assert_eq(p.incarnation, 11);
	/* One of an earlier life is answered, and not our fault. */
	it.incarnation = 50;
	hear(s, 2000, SWIM_PING, 2, 20, 1, &it);
	cr_assert_eq(swim_incarnation(s), 51);
	cr_assert_eq(swim_health(s), 1);
	/* An old one is ignored. */
	hear(s, 2000, SWIM_PING, 2, 20, 1, &it);
	cr_assert_eq(swim_incarnation(s), 51);
}

Test(swim, a_suspect_is_told_first_in_the_answer)
{
	struct swim *s = node();
	struct swim_item it = { 3, 2, 20, SWIM_SUSPECT };
	struct swim_packet p;
	struct swim_item told;

	hear(s, 2000, SWIM_GOSSIP, 2, 20, 0, &it);
	out.sent = 0;
	hear(s, 2000, SWIM_PING, 3, 20, 1, NULL);
	cr_assert_eq(swim_packet_decode(&p, out.data[0], out.len[0]), 0);
	cr_assert(swim_item_next(&p.items, &told));
	cr_assert_eq(told.id, 3);
	cr_assert_eq(told.state, SWIM_SUSPECT);
	cr_assert_eq(told.incarnation, 20);
}

Test(swim, a_full_table_of_suspicions_takes_no_more)
{
	struct swim *s = node();
	struct swim_item it = { 2, 4, 20, SWIM_SUSPECT };

	hear(s, 2000, SWIM_GOSSIP, 4, 20, 0, &it);
	it.id = 3;
	hear(s, 2000, SWIM_GOSSIP, 4, 20, 0, &it);
	it.id = 4;
	it.by = 2;
	hear(s, 2000, SWIM_GOSSIP, 2, 20, 0, &it);
	cr_assert_eq(swim_count_in(s, SWIM_SUSPECT), 2);
	cr_assert_eq(swim_state_of(s, 4), SWIM_UP);
}

Test(swim, the_highest_change_wins_and_spreads)
{
	struct swim *s = node();
	u8 data[SWIM_PACKET_MAX];
	struct wcursor c = wcursor_of(data, sizeof(data));
	struct swim_packet p = {
		.kind = SWIM_GOSSIP, .from = 2, .incarnation = 20, .change = 9
	};

	swim_packet_begin(&c, &p);
	cr_assert_eq(swim_receive(s, 2000, data, wcursor_len(&c)), 0);
	cr_assert_eq(out.heard, 9);
	cr_assert_eq(swim_change(s), 9);
	cr_assert_leq(swim_next_us(s), 2000 + 25000);
	swim_set_change(s, 2000, 8);
	cr_assert_eq(swim_change(s), 9);
}

/* Nobody answers: suspect after the questions, down after the timeout. */
Test(swim, silence_ends_in_down)
{
	struct swim *s = node();
	u64 now = 1000;

	while (!swim_count_in(s, SWIM_SUSPECT) && now < 5000000)
		swim_run(s, now = swim_next_us(s));
	cr_assert_geq(now, 500000);
	while (swim_count_in(s, SWIM_DOWN) < 3 && now < 20000000)
		swim_run(s, now = swim_next_us(s));
	cr_assert_eq(swim_count_in(s, SWIM_DOWN), 3);
}

/* A node that was stopped for ten seconds does not believe all others dead. */
Test(swim, a_stopped_node_gives_the_others_the_time_it_missed)
{
	struct swim *s = node();
	struct swim_item it = { 3, 2, 20, SWIM_SUSPECT };

	hear(s, 2000, SWIM_GOSSIP, 2, 20, 0, &it);
	swim_run(s, 10000000);
	cr_assert_eq(swim_count_in(s, SWIM_DOWN), 0);
	cr_assert_eq(swim_state_of(s, 3), SWIM_SUSPECT);
	cr_assert_eq(swim_health(s), 1);
}

Test(swim, who_leaves_says_so_and_falls_silent)
{
	struct swim *s = node();
	struct swim_packet p;
	struct swim_item it;

	swim_leave(s, 2000);
	cr_assert_geq(out.sent, 3);
	cr_assert_eq(swim_packet_decode(&p, out.data[0], out.len[0]), 0);
	cr_assert(swim_item_next(&p.items, &it));
	cr_assert_eq(it.id, 1);
	cr_assert_eq(it.state, SWIM_DOWN);
	out.sent = 0;
	cr_assert_eq(hear(s, 3000, SWIM_PING, 2, 20, 1, NULL), 0);
	swim_run(s, 9000000);
	cr_assert_eq(out.sent, 0);
	cr_assert_eq(swim_next_us(s), SWIM_NEVER);
}

Test(swim, pages_hold_all_in_order_and_end)
{
	struct swim_limits big = { .members = 300,
				   .suspicions = 2,
				   .updates = 8 };
	struct swim *s = swim_init(malloc(swim_bytes(&big)), &big, 1, 10, &ops,
				   NULL, 1000);
	u64 id, cursor = 0, seen = 0;
	struct swim_packet p;
	struct swim_item it;
	u32 pages = 0;

	for (id = 2; id <= 250; id++)
		swim_add(s, id, id % 3 ? SWIM_UP : SWIM_UNKNOWN, 5);
	do {
		out.sent = 0;
		hear(s, 2000, SWIM_SYNC, 2, 5, cursor, NULL);
		cr_assert_eq(swim_packet_decode(&p, out.data[0], out.len[0]),
			     0);
		cr_assert_eq(p.kind, SWIM_PAGE);
		cr_assert_eq(p.seq, 77);
		while (swim_item_next(&p.items, &it)) {
			cr_assert_neq(it.id % 3, 0);
			seen++;
		}
		cr_assert(p.about == 0 || p.about > cursor);
		cursor = p.about;
	} while (cursor && ++pages < 10);
	cr_assert_eq(cursor, 0);
	cr_assert_eq(seen, swim_count_in(s, SWIM_UP));
}
