// SPDX-License-Identifier: GPL-2.0-or-later
/* Choice of a node: who is first under each policy, and what is learned. */
#include <criterion/criterion.h>

#include "choose.h"

static u32 random_state = 12345;

static u32 next_random(void *arg)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

static u32 first(enum choose_policy policy, struct choose_node *n, u32 count,
		 u32 turn, u32 look)
{
	u32 order[64];

	choose_score(policy, n, count, turn, next_random, NULL);
	choose_rank(n, count, turn, look, next_random, NULL, order);
	return order[0];
}

static struct choose_node idle(u32 percent)
{
	return (struct choose_node){ .fit = true,
				     .cpus = 1,
				     .idle_ppm = percent * 10000,
				     .service_us = 1000 };
}

/* The case the issue names: 20 of 20 go to the third. */
Test(choose, the_idle_node_gets_every_single_job)
{
	u32 turn;

	for (turn = 0; turn < 20; turn++) {
		struct choose_node n[] = { idle(10), idle(50), idle(90) };

		cr_assert_eq(first(CHOOSE_SERVICE, n, 3, turn, 0), 2);
		cr_assert_eq(first(CHOOSE_IDLE, n, 3, turn, 0), 2);
	}
}

Test(choose, jobs_in_flight_weigh)
{
	struct choose_node n[] = { idle(90), idle(90) };

	n[0].in_flight = 1;
	cr_assert_eq(first(CHOOSE_SERVICE, n, 2, 0, 0), 1);
	n[0].cpus = 8; /* they share eight processors */
	n[1].in_flight = 1;
	cr_assert_eq(first(CHOOSE_SERVICE, n, 2, 0, 0), 0);
}

Test(choose, the_faster_node_gets_more)
{
	struct choose_node n[] = { idle(90), idle(90) };

	n[0].service_us = 3000;
	cr_assert_eq(first(CHOOSE_SERVICE, n, 2, 0, 0), 1);
	n[1].in_flight = 1;
	cr_assert_eq(first(CHOOSE_SERVICE, n, 2, 0, 0), 1);
	n[1].in_flight = 3;
	cr_assert_eq(first(CHOOSE_SERVICE, n, 2, 0, 0), 0);
}

Test(choose, who_is_not_fit_is_last)
{
	struct choose_node n[] = { idle(10), idle(90), idle(50) };
	enum choose_policy p;
	u32 order[3];

	n[1].fit = false;
	for (p = 0; p < CHOOSE_POLICIES; p++) {
		choose_score(p, n, 3, 7, next_random, NULL);
		choose_rank(n, 3, 7, 2, next_random, NULL, order);
		cr_assert_eq(order[2], 1);
		cr_assert_eq(n[1].score, CHOOSE_NEVER);
	}
	n[0].fit = n[2].fit = false;
	for (p = 0; p < CHOOSE_POLICIES; p++)
		choose_score(p, n, 3, 7, next_random, NULL);
	choose_rank(n, 0, 7, 2, next_random, NULL, order);
}

Test(choose, round_robin_is_fair_among_the_fit)
{
	struct choose_node n[] = { idle(1), idle(2), idle(3), idle(4) };
	u32 got[4] = { 0 }, turn;

	n[1].fit = false;
	for (turn = 0; turn < 30; turn++)
		got[first(CHOOSE_ROUND_ROBIN, n, 4, turn, 0)]++;
	cr_assert_eq(got[0], 10);
	cr_assert_eq(got[1], 0);
	cr_assert_eq(got[2], 10);
	cr_assert_eq(got[3], 10);
}

Test(choose, random_reaches_all)
{
	struct choose_node n[] = { idle(1), idle(2), idle(3) };
	u32 got[3] = { 0 }, turn, i;

	for (turn = 0; turn < 3000; turn++)
		got[first(CHOOSE_RANDOM, n, 3, turn, 0)]++;
	for (i = 0; i < 3; i++)
		cr_assert(got[i] > 900 && got[i] < 1100, "%u", got[i]);
}

Test(choose, equals_take_turns)
{
	struct choose_node n[] = { idle(90), idle(90), idle(90) };
	u32 got[3] = { 0 }, turn;

	for (turn = 0; turn < 30; turn++)
		got[first(CHOOSE_SERVICE, n, 3, turn, 0)]++;
	cr_assert_eq(got[0], 10);
	cr_assert_eq(got[1], 10);
}

/* Two choices of 50: the best does not get everything, the worst nothing. */
Test(choose, two_choices_spread)
{
	struct choose_node n[50];
	u32 got[50] = { 0 }, turn, i;

	for (i = 0; i < 50; i++)
		n[i] = idle(50 + i);
	for (turn = 0; turn < 5000; turn++)
		got[first(CHOOSE_SERVICE, n, 50, turn, 2)]++;
	cr_assert_lt(got[49], 400);
	cr_assert_gt(got[49], 100);
	cr_assert_lt(got[0], 20);
}

Test(choose, the_whole_order_is_sorted)
{
	struct choose_node n[64];
	u32 order[64], seen = 0, i;

	for (i = 0; i < 64; i++)
		n[i] = idle(1 + next_random(NULL) % 99);
	choose_score(CHOOSE_SERVICE, n, 64, 5, next_random, NULL);
	choose_rank(n, 64, 5, 0, next_random, NULL, order);
	for (i = 1; i < 64; i++)
		cr_assert_leq(n[order[i - 1]].score, n[order[i]].score);
	for (i = 0; i < 64; i++)
		seen += order[i];
	cr_assert_eq(seen, 64 * 63 / 2);
}

Test(choose, extremes_do_not_overflow)
{
	struct choose_node n[] = { idle(0), idle(100) };
	u32 order[2];

	n[0].in_flight = 0xffffffff;
	n[0].service_us = ~(u64)0;
	n[0].cpus = 0;
	n[1].idle_ppm = 0xffffffff;
	n[1].service_us = 0;
	choose_score(CHOOSE_SERVICE, n, 2, 0, next_random, NULL);
	choose_rank(n, 2, 0, 0, next_random, NULL, order);
	cr_assert_eq(order[0], 1);
	cr_assert_lt(n[0].score, CHOOSE_NEVER);
}

enum { S = 1000000 };

Test(choose, service_time_is_learned_and_forgotten)
{
	struct choose_learned l = { 0 };
	int i;

	cr_assert_eq(choose_expect(&l, 1 * S, 5000), 5000);
	choose_learn(&l, 1 * S, 8000);
	cr_assert_eq(choose_expect(&l, 1 * S, 5000), 8000);
	for (i = 0; i < 100; i++)
		choose_learn(&l, 1 * S, 16000);
	cr_assert(choose_expect(&l, 1 * S, 5000) > 15900);
	cr_assert(choose_expect(&l, 1 * S + CHOOSE_FORGET_US, 5000) < 10600);
	cr_assert_eq(choose_expect(&l, 1 * S + 64ull * CHOOSE_FORGET_US, 5000),
		     5000);
	/* One long job does not condemn a node. */
	choose_learn(&l, 1 * S, 3600ull * S);
	cr_assert_eq(choose_expect(&l, 1 * S, 5000), 40000);
}

static struct choose_store store(u64 gib, u32 idle_percent)
{
	return (struct choose_store){ .fit = true,
				      .bytes_free = gib << 30,
				      .idle_ppm = idle_percent * 10000 };
}

Test(choose, a_volume_goes_where_there_is_room)
{
	struct choose_store n[] = { store(10, 90), store(100, 10),
				    store(60, 100) };

	cr_assert_eq(choose_store(n, 3), 2); /* idle counts, up to twice */
	n[2].idle_ppm = 0;
	cr_assert_eq(choose_store(n, 3), 1);
	n[1].fit = false;
	cr_assert_eq(choose_store(n, 3), 2);
	n[0].own = true; /* much less room: the network is the lesser evil */
	cr_assert_eq(choose_store(n, 3), 2);
	n[0] = store(58, 0);
	n[0].own = true;
	cr_assert_eq(choose_store(n, 3), 0);
	n[0].fit = n[2].fit = false;
	cr_assert_eq(choose_store(n, 3), 3, "none is fit");
	n[1] = store(0, 0); /* full, but all there is */
	cr_assert_eq(choose_store(n, 3), 1);
	n[0] = n[1] = n[2] = store(1ull << 30, 100); /* an absurd claim */
	cr_assert_eq(choose_store(n, 3), 0);
}
