// SPDX-License-Identifier: GPL-2.0-or-later
/* What the simulated clouds go through; see swim_sim.h. */
#include <stdio.h>
#include <stdlib.h>

#include "swim_sim.h"

enum { MS = 1000, S = 1000000 };

static void run_for(struct cloud *c, u64 us)
{
	world_run(c->world, world_now_us(c->world) + us);
}

static void finish(struct cloud *c, char *failure)
{
	memcpy(failure, c->failure, sizeof(c->failure));
	cloud_free(c);
}

struct first { /* when somebody first suspected @subject */
	u32 subject;
	u64 at_us;
};

static void nobody_dies_alive(struct cloud *c, const struct cloud_event *e)
{
	struct first *first = c->arg;

	if (first && e->subject == first->subject && !first->at_us &&
	    e->now == SWIM_SUSPECT)
		first->at_us = e->at_us;
	if (e->now == SWIM_DOWN && c->node[e->subject].on)
		cloud_fail(c, "%u sees %u down, which lives", e->observer,
			   e->subject);
}

/* How many others see it down. */
static u32 told_of(const struct cloud *c, u32 node)
{
	u32 i, n = 0;

	for (i = 0; i < c->nodes; i++)
		n += i != node && cloud_sees(c, i, node) == SWIM_DOWN;
	return n;
}

/* One is killed, comes back and leaves; each time all others see it in time. */
void scenario_kill(u64 seed, u32 nodes, char *failure)
{
	struct cloud *c = cloud_new(nodes, seed, true);
	u32 victim = world_below(c->world, nodes);
	u32 teller = (victim + 1) % nodes;
	struct first first = { .subject = victim };
	u64 killed;

	c->check = nodes <= 16;
	c->seen = nobody_dies_alive;
	run_for(c, 500 * MS + world_below(c->world, 2 * S));
	cloud_kill(c, victim);
	killed = world_now_us(c->world);
	c->arg = &first;
	run_for(c, 3 * S);
	c->arg = NULL;
	/* Two periods until who watches it asks, half a second until it is
	 * clear that no answer comes, and the interval of the news.
	 */
	if (!first.at_us || first.at_us > killed + 1100 * MS)
		cloud_fail(c, "nobody suspected %u in time", victim);
	cloud_agrees(c, true);

	cloud_start(c, victim, false);
	run_for(c, 2 * S);
	cloud_set_change(c, teller, seed | 1);
	run_for(c, 1 * S);
	cloud_agrees(c, true);

	c->seen = NULL; /* it says itself that it is down, still running */
	cloud_leave(c, victim);
	run_for(c, 1 * S);
	if (told_of(c, victim) * 10 < (nodes - 1) * 9)
		cloud_fail(c, "%u left and few were told", victim);
	run_for(c, 2 * S);
	cloud_agrees(c, true);
	finish(c, failure);
}

static void mishap(struct cloud *c)
{
	struct world *w = c->world;
	u32 node = world_below(w, c->nodes), i;
	bool on = c->node[node].on;

	switch (world_below(w, 10)) {
	case 0:
	case 1:
		if (on)
			cloud_kill(c, node);
		else
			cloud_start(c, node, world_chance(w, 200000));
		break;
	case 2:
		if (on)
			cloud_leave(c, node);
		else
			cloud_start(c, node, false);
		break;
	case 3:
		for (i = 0; i < c->nodes; i++)
			world_side(w, i, (u8)world_below(w, 2));
		break;
	case 4:
		for (i = 0; i < c->nodes; i++)
			world_side(w, i, 0);
		break;
	case 5:
		if (on)
			world_stall(w, node,
				    world_now_us(w) + world_below(w, 8 * S));
		break;
	case 6:
		if (on)
			cloud_set_change(c, node,
					 c->highest_change + world_below(w, 3));
		break;
	case 8: /* what is known already, or older, changes nothing */
		if (on)
			cloud_set_change(c, node, c->highest_change / 2);
		if (on)
			cloud_stranger(c, node);
		if (on && c->node[(node + 1) % c->nodes].on)
			cloud_long_page(c, node);
		break;
	case 7:
		if (on)
			cloud_forget(c, node, world_below(w, c->nodes));
		break;
	default:
		world_net(w)->loss_ppm = world_below(w, 400000);
		world_net(w)->late_ppm = world_below(w, 200000);
		world_net(w)->double_ppm = world_below(w, 100000);
	}
}

/* Whatever happened, once the network is whole again all agree on the truth. */
void scenario_chaos(u64 seed, u32 nodes, char *failure)
{
	struct cloud *c = cloud_new(nodes, seed, seed & 1);
	u32 mishaps = 5 + world_below(c->world, 15);
	u32 i, waited;

	c->check = nodes <= 16;
	world_net(c->world)->delay_most_us =
		1 * MS + world_below(c->world, 40 * MS);
	for (i = 0; i < mishaps; i++) {
		run_for(c, world_below(c->world, 2500 * MS));
		mishap(c);
	}
	for (i = 0; i < nodes; i++) {
		world_side(c->world, i, 0);
		world_stall(c->world, i, 0);
	}
	world_net(c->world)->loss_ppm = 0;
	/* A change known only to a node that died with it is nobody's. */
	for (i = 0; i < nodes && !c->node[i].on; i++)
		;
	if (i == nodes)
		cloud_start(c, i = 0, false);
	cloud_set_change(c, i, c->highest_change + 1);
	for (waited = 0; waited < 60 && !cloud_agrees(c, false); waited++)
		run_for(c, 1 * S);
	cloud_agrees(c, true);
	finish(c, failure);
}

struct split {
	bool whole; /* but for one pair */
	u8 side[64];
};

static void friends_stay(struct cloud *c, const struct cloud_event *e)
{
	const struct split *k = c->arg;

	if (e->now == SWIM_DOWN && k->side[e->observer] == k->side[e->subject])
		cloud_fail(c, "%u sees %u down, on its own side", e->observer,
			   e->subject);
	if (e->now == SWIM_SUSPECT && k->whole)
		cloud_fail(c, "%u suspects %u, which others can reach",
			   e->observer, e->subject);
}

/* Two that cannot reach each other can be reached by others, so nobody is
 * suspected. Then the network falls in two; each side loses the other and
 * nobody of its own, then and when it is one again.
 */
void scenario_split(u64 seed, u32 nodes, char *failure)
{
	struct cloud *c = cloud_new(nodes, seed, true);
	struct split k = { .whole = true };
	u32 i;

	c->check = nodes <= 16;
	c->seen = friends_stay;
	c->arg = &k;
	world_part(c->world, 0, 1 + world_below(c->world, nodes - 1));
	run_for(c, 15 * S);
	world_part(c->world, 0, 0);

	k.whole = false;
	for (i = 0; i < nodes; i++) {
		k.side[i] = (u8)world_below(c->world, 2);
		world_side(c->world, i, k.side[i]);
	}
	run_for(c, 20 * S);
	for (i = 1; i < nodes; i++)
		if (cloud_sees(c, 0, i) !=
		    (k.side[0] == k.side[i] ? SWIM_UP : SWIM_DOWN))
			cloud_fail(c, "0 is wrong about %u", i);
	for (i = 0; i < nodes; i++)
		world_side(c->world, i, 0);
	run_for(c, 20 * S);
	cloud_agrees(c, true);
	finish(c, failure);
}

/* No answer for less than a question and a suspicion take is forgiven. */
static void nobody_sees_down(struct cloud *c, const struct cloud_event *e)
{
	if (e->now == SWIM_DOWN)
		cloud_fail(c, "%u sees %u down, which was away for a moment",
			   e->observer, e->subject);
}

static void healthy_see_healthy(struct cloud *c, const struct cloud_event *e)
{
	if (e->now == SWIM_DOWN && e->observer && e->subject)
		cloud_fail(c, "%u sees %u down, and both are well", e->observer,
			   e->subject);
}

/* Node 0 stands still now and then, as on an overloaded machine, and a few
 * datagrams get lost: it may be called down, but through it nobody else. When
 * all is well again nobody is impatient or slow, and being away for less than a
 * second makes nobody down.
 */
void scenario_slow(u64 seed, u32 nodes, char *failure)
{
	struct cloud *c = cloud_new(nodes, seed, true);
	u32 i;

	c->check = nodes <= 16;
	c->seen = healthy_see_healthy;
	world_net(c->world)->loss_ppm = 20000;
	for (i = 0; i < 20; i++) {
		u64 stall_us = world_below(c->world, 4 * S);

		world_stall(c->world, 0, world_now_us(c->world) + stall_us);
		run_for(c, stall_us + world_below(c->world, 1 * S));
	}
	for (i = 0; i < 30 && !cloud_agrees(c, false); i++)
		run_for(c, 1 * S);
	cloud_agrees(c, true);

	world_net(c->world)->loss_ppm = 0;
	run_for(c, 10 * S);
	for (i = 0; i < nodes; i++)
		if (swim_health(c->node[i].swim))
			cloud_fail(c, "%u does not feel better", i);
	c->seen = nobody_sees_down;
	for (i = 0; i < 5; i++) {
		world_stall(c->world, 0,
			    world_now_us(c->world) + 800 * MS +
				    world_below(c->world, 200 * MS));
		run_for(c, 4 * S);
	}
	finish(c, failure);
}

static void count_false(struct cloud *c, const struct cloud_event *e)
{
	struct many_result *r = c->arg;

	r->false_down += e->now == SWIM_DOWN && c->node[e->subject].on;
}

/* True once everyone who lives sees everyone who died down. */
static bool all_noticed(const struct cloud *c)
{
	u32 a, b;

	for (a = 0; a < c->nodes; a++)
		for (b = 0; c->node[a].on && b < c->nodes; b++)
			if (!c->node[b].on && cloud_sees(c, a, b) != SWIM_DOWN)
				return false;
	return true;
}

void scenario_many(u64 seed, u32 nodes, u32 dead, u32 loss_ppm,
		   struct many_result *r, char *failure)
{
	struct cloud *c = cloud_new(nodes, seed, true);
	u64 began;

	*r = (struct many_result){ 0 };
	c->check = nodes <= 16;
	c->seen = count_false;
	c->arg = r;
	world_net(c->world)->loss_ppm = loss_ppm;
	run_for(c, 10 * S + world_below(c->world, 2 * S));
	while (dead) {
		u32 victim = world_below(c->world, nodes);

		if (!c->node[victim].on)
			continue;
		cloud_kill(c, victim);
		dead--;
	}
	began = world_now_us(c->world);
	while (!all_noticed(c) && world_now_us(c->world) < began + 60 * S)
		run_for(c, 10 * MS);
	r->most_us = world_now_us(c->world) - began;
	run_for(c, 5 * S);
	finish(c, failure);
}

struct scale {
	struct scale_result *r;
	u64 *killed_us; /* by node; 0 while it lives */
	u64 *delay_us;	/* of each sighting */
	size_t seen, room;
};

static void on_scale(struct cloud *c, const struct cloud_event *e)
{
	struct scale *k = c->arg;
	u64 killed = k->killed_us[e->subject];

	if (!killed) {
		k->r->false_down += e->now == SWIM_DOWN;
		k->r->false_suspect += e->now == SWIM_SUSPECT;
	} else if (e->now == SWIM_DOWN && k->seen < k->room) {
		k->delay_us[k->seen++] = e->at_us - killed;
	}
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static void sum_up(struct scale *k)
{
	struct scale_result *r = k->r;

	r->seen = k->seen;
	if (!k->seen)
		return;
	qsort(k->delay_us, k->seen, sizeof(*k->delay_us), by_value);
	r->detect_first_us = k->delay_us[0];
	r->detect_median_us = k->delay_us[k->seen / 2];
	r->detect_99_us = k->delay_us[k->seen * 99 / 100];
	r->detect_last_us = k->delay_us[k->seen - 1];
}

enum {
	SCALE_DEATHS = 3,
	SCALE_SETTLE_S = 15, /* the pages pulled at the start have come */
	/* What sealing, UDP and IPv4 add to a datagram. */
	SCALE_SEALED_BYTES = 44 + 8 + 20,
};

/* Quiet for @seconds, measuring the cost; then some die, one after the other.
 */
void scenario_scale(u64 seed, u32 nodes, u32 loss_ppm, u32 seconds,
		    struct scale_result *r, char *failure)
{
	struct cloud *c = cloud_new(nodes, seed, true);
	struct scale k = { .r = r, .room = (size_t)nodes * SCALE_DEATHS };
	u64 sent, bytes;
	u32 i;

	memset(r, 0, sizeof(*r));
	k.killed_us = calloc(nodes, sizeof(u64));
	k.delay_us = calloc(k.room, sizeof(u64));
	if (!k.killed_us || !k.delay_us) {
		perror("sim");
		exit(1);
	}
	c->check = nodes <= 16;
	c->seen = on_scale;
	c->arg = &k;
	world_net(c->world)->loss_ppm = loss_ppm;
	run_for(c, SCALE_SETTLE_S * S);
	sent = world_sent(c->world);
	bytes = world_sent_bytes(c->world);
	run_for(c, (u64)seconds * S);
	sent = world_sent(c->world) - sent;
	bytes = world_sent_bytes(c->world) - bytes + sent * SCALE_SEALED_BYTES;
	r->bytes_per_second = bytes / nodes / seconds;
	r->datagrams_per_1000s = sent * 1000 / nodes / seconds;
	for (i = 0; i < SCALE_DEATHS; i++) {
		u32 victim = world_below(c->world, nodes);

		run_for(c, world_below(c->world, 2 * S));
		if (!c->node[victim].on)
			continue;
		cloud_kill(c, victim);
		r->killed++;
		k.killed_us[victim] = world_now_us(c->world);
	}
	run_for(c, 20 * S);
	sum_up(&k);
	for (i = 0; i < nodes; i++)
		if (k.killed_us[i] && loss_ppm <= 50000 && c->node[0].on &&
		    cloud_sees(c, 0, i) != SWIM_DOWN)
			cloud_fail(c, "node %u died unnoticed by node 0", i);
	free(k.killed_us);
	free(k.delay_us);
	finish(c, failure);
}
