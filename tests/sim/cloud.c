// SPDX-License-Identifier: GPL-2.0-or-later
/* Nodes of a simulated cloud; the contract is in swim_sim.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "swim_sim.h"

void cloud_fail(struct cloud *c, const char *fmt, ...)
{
	u64 at = world_now_us(c->world);
	va_list ap;
	int n;

	if (c->failure[0])
		return;
	n = snprintf(c->failure, sizeof(c->failure),
		     "at %llu.%06llu s: ", (unsigned long long)at / 1000000,
		     (unsigned long long)at % 1000000);
	va_start(ap, fmt);
	vsnprintf(c->failure + n, sizeof(c->failure) - (size_t)n, fmt, ap);
	va_end(ap);
}

static u32 index_of(u64 id)
{
	return (u32)(id >> 40) - 1;
}

/* After every call into a node. */
static void settle(struct cloud_node *n)
{
	struct cloud *c = n->cloud;
	u32 node = (u32)(n - c->node);
	const char *wrong = c->check ? swim_wrong(n->swim) : NULL;

	if (wrong)
		cloud_fail(c, "node %u: %s", node, wrong);
	if (swim_incarnation(n->swim) > n->highest)
		n->highest = swim_incarnation(n->swim);
	if (swim_change(n->swim) > c->highest_change)
		cloud_fail(c, "node %u made up a change", node);
	if (swim_change(n->swim) < n->heard)
		cloud_fail(c, "node %u went back to an older change", node);
	n->heard = swim_change(n->swim);
	world_wake_at(c->world, node, swim_next_us(n->swim));
}

static u32 op_random(void *arg)
{
	struct cloud_node *n = arg;

	return world_random(n->cloud->world);
}

static void op_send(void *arg, u64 to, bool reply, const u8 *data, size_t len)
{
	struct cloud_node *n = arg;
	struct cloud *c = n->cloud;
	const char *wrong = NULL;

	if (c->check)
		wrong = model_sent(&n->model, n->swim, to, data, len);
	if (wrong)
		cloud_fail(c, "node %u: %s", (u32)(n - c->node), wrong);
	if (index_of(to) >= c->nodes)
		return;
	world_send(c->world, (u32)(n - c->node), index_of(to), data, len);
}

static void op_changed(void *arg, u64 id, enum swim_state old,
		       enum swim_state now)
{
	struct cloud_node *n = arg;
	struct cloud *c = n->cloud;
	u32 subject = index_of(id);
	struct cloud_event e = { .at_us = world_now_us(c->world),
				 .observer = (u32)(n - c->node),
				 .subject = subject,
				 .now = now };

	if (swim_incarnation_of(n->swim, id) > c->node[subject].highest)
		cloud_fail(c, "node %u knows an incarnation %u never had",
			   e.observer, subject);
	if (old == now)
		cloud_fail(c, "node %u was told of no change", e.observer);
	if (c->seen)
		c->seen(c, &e);
}

static void op_heard_change(void *arg, u64 change)
{
	struct cloud_node *n = arg;

	if (change != swim_change(n->swim) || change <= n->heard)
		cloud_fail(n->cloud, "told of another change than known");
}

static void op_digest(void *arg, u64 id, const u8 *data, size_t len)
{
	struct cloud_node *n = arg;

	if (len != sizeof(id) || memcmp(data, &id, len))
		cloud_fail(n->cloud, "a digest was mixed up");
}

static void op_round_trip(void *arg, u64 id, u32 us)
{
	struct cloud_node *n = arg;

	n->model.timed = id;
	if (us < 2 * world_net(n->cloud->world)->delay_least_us)
		cloud_fail(n->cloud, "a round trip faster than the network");
}

static const struct swim_ops node_ops = {
	.random = op_random,
	.send = op_send,
	.changed = op_changed,
	.heard_change = op_heard_change,
	.digest = op_digest,
	.round_trip = op_round_trip,
};

static void on_wake(void *arg, u32 node)
{
	struct cloud *c = arg;
	struct cloud_node *n = &c->node[node];
	const char *wrong = NULL;

	if (c->check)
		model_begin(&n->model, n->swim);
	swim_run(n->swim, world_now_us(c->world));
	if (c->check)
		wrong = model_ran(&n->model, n->swim, world_now_us(c->world));
	if (wrong)
		cloud_fail(c, "node %u: %s", node, wrong);
	settle(n);
}

static void on_deliver(void *arg, u32 node, u32 from, const u8 *data,
		       size_t len)
{
	struct cloud *c = arg;
	struct cloud_node *n = &c->node[node];
	int want = from < c->nodes ? 0 : -ENOENT;
	const char *wrong = NULL;

	if (c->check)
		model_begin(&n->model, n->swim);
	if (swim_receive(n->swim, world_now_us(c->world), data, len) != want)
		cloud_fail(c, "node %u: a datagram of %u was not judged right",
			   node, from);
	if (c->check)
		wrong = model_received(&n->model, n->swim, data, len);
	if (wrong)
		cloud_fail(c, "node %u: %s", node, wrong);
	settle(n);
}

static const struct world_ops cloud_ops = { on_wake, on_deliver };

static void begin(struct cloud_node *n, enum swim_state others)
{
	struct cloud *c = n->cloud;
	struct swim_limits limits = { .members = c->nodes,
				      .suspicions = 64,
				      /* So few that some make room for others. */
				      .updates = c->nodes <= 16 ? 12 : 64 };
	u32 i;

	if (!n->memory)
		n->memory = malloc(swim_bytes(&limits));
	if (!n->memory) {
		perror("sim");
		exit(1);
	}
	n->swim = swim_init(n->memory, &limits, n->id, n->born, &node_ops, n,
			    world_now_us(c->world));
	swim_set_digest(n->swim, &n->id, sizeof(n->id));
	for (i = 0; i < c->nodes; i++)
		if (&c->node[i] != n)
			swim_add(n->swim, c->node[i].id, others,
				 others == SWIM_UP ? c->node[i].born : 0);
	n->on = true;
	n->heard = 0;
	if (!n->swim->pulling)
		cloud_fail(c, "a node began and asks for no pages");
	settle(n);
}

struct cloud *cloud_new(u32 nodes, u64 seed, bool converged)
{
	struct cloud *c = calloc(1, sizeof(*c));
	u32 i;

	if (!c || !(c->node = calloc(nodes, sizeof(*c->node)))) {
		perror("sim");
		exit(1);
	}
	c->world = world_new(nodes, seed, &cloud_ops, c);
	c->nodes = nodes;
	c->check = true;
	for (i = 0; i < nodes; i++)
		c->node[i] = (struct cloud_node){
			.cloud = c,
			.id = ((u64)(i + 1) << 40) + world_random(c->world),
			.born = 100,
			.highest = 100,
		};
	for (i = 0; i < nodes; i++)
		begin(&c->node[i], converged ? SWIM_UP : SWIM_UNKNOWN);
	return c;
}

void cloud_free(struct cloud *c)
{
	u32 i;

	for (i = 0; i < c->nodes; i++)
		free(c->node[i].memory);
	world_free(c->world);
	free(c->node);
	free(c);
}

void cloud_kill(struct cloud *c, u32 node)
{
	c->node[node].on = false;
	world_power(c->world, node, false);
}

void cloud_start(struct cloud *c, u32 node, bool clock_back)
{
	struct cloud_node *n = &c->node[node];

	world_power(c->world, node, true);
	n->born = clock_back ? 1 : n->highest + 100;
	if (n->born > n->highest)
		n->highest = n->born;
	begin(n, SWIM_UNKNOWN);
}

/* @node gets a page as of a cloud with more members than fit on one. */
void cloud_long_page(struct cloud *c, u32 node)
{
	struct cloud_node *n = &c->node[node];
	u32 from = (node + 1) % c->nodes;
	u8 data[SWIM_PACKET_MAX];
	struct wcursor w = wcursor_of(data, sizeof(data));
	const struct swim_packet p = {
		.kind = SWIM_PAGE,
		.from = c->node[from].id,
		.incarnation = c->node[from].highest,
		.change = swim_change(n->swim),
		.seq = n->swim->pulling ? n->swim->pull_seq : n->swim->sync_seq,
		.about = n->id,
	};
	u64 cursor = n->swim->sync_cursor;
	bool pulling = n->swim->pulling;

	swim_packet_begin(&w, &p);
	on_deliver(c, node, from, data, wcursor_len(&w));
	if (!pulling && n->swim->sync_cursor != n->id)
		cloud_fail(c, "%u asks for the same page again", node);
	n->swim->sync_cursor = cursor;
}

/* @node gets a question out of the blue that calls everybody down. */
static void ask(struct cloud *c, u32 node, u32 from)
{
	struct cloud_node *n = &c->node[node];
	u8 data[SWIM_PACKET_MAX];
	struct wcursor w = wcursor_of(data, sizeof(data));
	const struct swim_packet p = {
		.kind = SWIM_PING,
		.from = from < c->nodes ? c->node[from].id :
					  ((u64)(from + 1) << 40) + 1,
		.incarnation = from < c->nodes ? c->node[from].highest : 1,
		.change = swim_change(n->swim),
		.seq = world_random(c->world),
		.about = n->id,
	};
	u32 i;

	swim_packet_begin(&w, &p);
	for (i = 0; i < c->nodes && from >= c->nodes; i++)
		swim_packet_add(&w, &(struct swim_item){
					    .state = SWIM_DOWN,
					    .id = c->node[i].id,
					    .incarnation = c->node[i].highest });
	on_deliver(c, node, from, data, wcursor_len(&w));
}

void cloud_leave(struct cloud *c, u32 node)
{
	struct cloud_node *n = &c->node[node];

	if (c->check)
		model_begin(&n->model, n->swim);
	swim_leave(n->swim, world_now_us(c->world));
	settle(n);
	ask(c, node, (node + 1) % c->nodes); /* it says nothing any more */
	cloud_kill(c, node);
}

void cloud_stranger(struct cloud *c, u32 node)
{
	ask(c, node, c->nodes + 7);
}

void cloud_set_change(struct cloud *c, u32 node, u64 change)
{
	struct cloud_node *n = &c->node[node];

	if (change > c->highest_change)
		c->highest_change = change;
	if (c->check)
		model_begin(&n->model, n->swim);
	swim_set_change(n->swim, world_now_us(c->world), change);
	settle(n);
}

void cloud_forget(struct cloud *c, u32 node, u32 subject)
{
	struct cloud_node *n = &c->node[node];

	if (node == subject)
		return;
	if (swim_remove(n->swim, c->node[subject].id))
		cloud_fail(c, "%u cannot forget %u", node, subject);
	settle(n);
	if (swim_add(n->swim, c->node[subject].id, SWIM_UNKNOWN, 0))
		cloud_fail(c, "%u cannot take %u back", node, subject);
	settle(n);
}

enum swim_state cloud_sees(const struct cloud *c, u32 observer, u32 subject)
{
	return swim_state_of(c->node[observer].swim, c->node[subject].id);
}

static const char *const state_name[] = { "unknown", "up", "suspect", "down" };

bool cloud_agrees(struct cloud *c, bool say)
{
	u32 a, b;

	for (a = 0; a < c->nodes; a++) {
		if (!c->node[a].on)
			continue;
		if (swim_change(c->node[a].swim) != c->highest_change) {
			if (say)
				cloud_fail(c, "%u missed a change", a);
			return false;
		}
		for (b = 0; b < c->nodes; b++) {
			enum swim_state is = c->node[b].on ? SWIM_UP
							   : SWIM_DOWN;

			if (a == b || cloud_sees(c, a, b) == is)
				continue;
			if (say)
				cloud_fail(c, "%u sees %u %s, which is %s", a,
					   b, state_name[cloud_sees(c, a, b)],
					   state_name[is]);
			return false;
		}
	}
	return true;
}
