// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Three nodes in one process, on loopback addresses that no other test has:
 * they find each other, pass on load and change numbers, change keys, and
 * notice who leaves and who cannot be understood.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "membership.h"

enum { NODES = 3 };

static const char *const names[NODES] = { "alpha", "beta", "gamma" };
static struct loop *loop;
static struct node node[NODES];
static char state[NODES][64];
static char address[NODES][64];
static u64 news[NODES];
static u32 downs[NODES], left[NODES]; /* left: down without suspicion */
static const u8 key1[32] = "one", key2[32] = "two", other[32] = "other";

static void on_news(void *arg, u64 change)
{
	news[(struct node *)arg - node] = change;
}

static void on_change(void *arg, const struct member *now, enum swim_state old)
{
	cr_assert_neq(now->state, old);
	if (now->state != SWIM_DOWN)
		return;
	downs[(struct node *)arg - node]++;
	left[(struct node *)arg - node] += old == SWIM_UP;
}

static void begin(int i)
{
	struct node *n = &node[i];
	struct failure f = { 0 };
	int k;

	snprintf(state[i], sizeof(state[i]), "/tmp/test_membership.XXXXXX");
	cr_assert_not_null(mkdtemp(state[i]));
	snprintf(address[i], sizeof(address[i]), "127.%d.%d.%d",
		 1 + getpid() / 250 % 250, 1 + getpid() % 250, i + 1);
	*n = (struct node){ .loop = loop,
			    .state = state[i],
			    .port = 8747,
			    .local.node = names[i] };
	cr_assert_eq(membership_new(&n->membership, n, address[i], &f), 0, "%s",
		     f.what);
	membership_on_news(n->membership, on_news, n);
	membership_on_change(n->membership, on_change, n);
	for (k = 0; k <= i; k++) {
		membership_set_node(n->membership, names[k], address[k], false,
				    k == 0);
		membership_set_node(node[k].membership, names[i], address[i],
				    false, i == 0);
	}
}

static void setup(void)
{
	int i;

	loop = loop_new();
	for (i = 0; i < NODES; i++)
		begin(i);
}

static void teardown(void)
{
	char path[256];
	int i;

	for (i = 0; i < NODES; i++) {
		membership_free(node[i].membership);
		snprintf(path, sizeof(path), "%s/membership", state[i]);
		unlink(path);
		rmdir(state[i]);
	}
	loop_free(loop);
}

/* Golden: datagrams name nodes by these. */
Test(membership_number, of_a_name)
{
	cr_assert_eq(membership_number("alpha"), 0xec026fa5e96a612c);
	cr_assert_eq(membership_number("n01"), 0x570f8bdd73fc72cc);
	cr_assert_eq(membership_number("n10"), 0xe60d728a89ba0569);
}

TestSuite(membership, .init = setup, .fini = teardown);

static void all_keys(u32 number, const u8 *key)
{
	int i;

	for (i = 0; i < NODES; i++)
		membership_set_key(node[i].membership, number, key);
}

static bool sees(int who, int whom, enum swim_state want)
{
	return membership_find(node[who].membership, names[whom])->state ==
	       want;
}

static bool all_up(void)
{
	int a, b;

	for (a = 0; a < NODES; a++)
		for (b = 0; b < NODES; b++)
			if (!sees(a, b, SWIM_UP))
				return false;
	return true;
}

/* Runs the loop until @done, at most @seconds. */
#define within(seconds, done)                                                  \
	({                                                                     \
		u64 end_ = loop_clock_us() + (seconds)*1000000ull;             \
                                                                               \
		while (!(done) && loop_clock_us() < end_)                      \
			loop_step(loop, 20);                                   \
		(done);                                                        \
	})

Test(membership, without_a_key_nothing_is_said)
{
	cr_assert_not(within(1, !sees(0, 1, SWIM_UNKNOWN)));
}

Test(membership, nodes_find_each_other_and_measure)
{
	const struct member *m;
	size_t at = 0, n = 0;

	all_keys(1, key1);
	cr_assert(within(20, all_up()));
	cr_assert(within(
		5, membership_find(node[0].membership, "beta")->round_trip_us));
	while ((m = membership_next(node[0].membership, &at)))
		n += m->state == SWIM_UP &&
		     m->self == !strcmp(m->name, "alpha");
	cr_assert_eq(n, NODES);
	cr_assert_null(membership_find(node[0].membership, "delta"));
}

Test(membership, load_and_change_numbers_travel)
{
	struct load l = { 4, 900000, 1230, 7, 8ull << 30, 3ull << 30 };
	const struct member *m;

	membership_set_load(node[2].membership, &l);
	all_keys(1, key1);
	cr_assert(within(20, all_up()));
	m = membership_find(node[0].membership, "gamma");
	cr_assert(within(20, m->heard_us != 0));
	cr_assert_eq(m->load.cpus, 4);
	cr_assert_eq(m->load.idle_ppm, 900000);
	cr_assert_eq(m->load.load1_milli, 1230);
	cr_assert_eq(m->load.jobs, 7);
	cr_assert_eq(m->load.memory_bytes, 8ull << 30);
	cr_assert_eq(m->load.memory_free_bytes, 3ull << 30);

	membership_set_change(node[1].membership, 5ull << 40);
	cr_assert(within(20, news[0] && news[2]));
	cr_assert_eq(news[0], 5ull << 40);
	cr_assert_eq(news[1], 0);
}

Test(membership, who_leaves_is_down_at_once)
{
	all_keys(1, key1);
	cr_assert(within(20, all_up()));
	membership_free(node[2].membership);
	node[2].membership = NULL;
	cr_assert(within(20, sees(0, 2, SWIM_DOWN) && sees(1, 2, SWIM_DOWN)));
	cr_assert(left[0] && left[1]);
}

Test(membership, a_change_of_key_is_not_noticed)
{
	all_keys(1, key1);
	cr_assert(within(20, all_up()));
	downs[0] = downs[1] = 0;
	membership_set_key(node[0].membership, 2, key2);
	cr_assert_not(within(1, downs[0] || downs[1]));
	membership_set_key(node[1].membership, 2, key2);
	cr_assert_not(within(1, downs[0] || downs[1]));
	membership_set_key(node[2].membership, 2, key2);
	cr_assert_not(within(4, downs[0] || downs[1]));
	cr_assert(all_up());
}

Test(membership, a_missed_change_of_key_is_news)
{
	all_keys(1, key1);
	cr_assert(within(20, all_up()));
	membership_set_key(node[0].membership, 2, key2);
	membership_set_key(node[1].membership, 2, key2);
	news[2] = 1;
	cr_assert(within(20, news[2] == 0));
}

Test(membership, another_key_is_not_understood)
{
	membership_set_key(node[0].membership, 1, key1);
	membership_set_key(node[1].membership, 1, key1);
	membership_set_key(node[2].membership, 1, other);
	cr_assert(within(20, sees(0, 1, SWIM_UP)));
	cr_assert(within(20, sees(0, 2, SWIM_DOWN) && sees(1, 2, SWIM_DOWN)));
}

Test(membership, a_node_that_is_removed_is_forgotten)
{
	all_keys(1, key1);
	cr_assert(within(20, all_up()));
	membership_begin_pass(node[0].membership);
	membership_set_node(node[0].membership, "beta", address[1], true, true);
	membership_end_pass(node[0].membership);
	cr_assert_null(membership_find(node[0].membership, "gamma"));
	cr_assert_str_eq(
		member_state_name(membership_find(node[0].membership, "beta")),
		"draining");
	membership_remove_node(node[0].membership, "beta");
	cr_assert_null(membership_find(node[0].membership, "beta"));
	cr_assert_not(within(1, membership_find(node[0].membership, "beta")));
}

Test(membership, a_host_name_is_looked_up)
{
	membership_set_node(node[0].membership, "beta", "localhost:9", false,
			    false);
	membership_set_node(node[0].membership, "gamma", "no.such.host.invalid",
			    false, false);
	all_keys(1, key1);
	/* beta calls; from then on its own address is known. */
	cr_assert(within(20, sees(0, 1, SWIM_UP)));
}

Test(membership, a_life_has_a_higher_number_than_the_last)
{
	struct failure f = { 0 };
	char path[256], text[32];
	FILE *file;

	snprintf(path, sizeof(path), "%s/membership", state[0]);
	membership_free(node[0].membership);
	file = fopen(path, "w");
	fputs("9000000000000000000\n", file);
	fclose(file);
	cr_assert_eq(membership_new(&node[0].membership, &node[0], address[0],
				    &f),
		     0);
	file = fopen(path, "r");
	cr_assert_not_null(fgets(text, sizeof(text), file));
	cr_assert_str_eq(text, "9000000000000000001\n");
	fclose(file);
}
