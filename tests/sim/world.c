// SPDX-License-Identifier: GPL-2.0-or-later
/* The simulated world; the contract is in world.h. A binary heap of events, in
 * order of time and then of making, so that a run does not depend on memory.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

struct packet {
	u32 from;
	u32 len;
	u8 data[];
};

struct event {
	u64 at_us;
	u64 order;
	struct packet *packet; /* NULL: a wake-up */
	u32 node;
	u32 wish; /* a wake-up whose node has since wished anew is void */
};

struct place {
	u64 stalled_us;
	u64 wake_us;
	u32 wish;
	u8 side;
	bool off;
};

struct world {
	const struct world_ops *ops;
	void *arg;
	u64 now_us;
	u64 random[2];
	struct world_net net;
	u32 parted[2];
	struct place *place;
	u32 nodes;
	struct event *heap;
	size_t count, room;
	u64 order;
	u64 sent, sent_bytes;
};

static void *must(void *p)
{
	if (!p) {
		perror("sim");
		exit(1);
	}
	return p;
}

static u64 splitmix(u64 *x)
{
	u64 z = (*x += 0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

struct world *world_new(u32 nodes, u64 seed, const struct world_ops *ops,
			void *arg)
{
	struct world *w = must(calloc(1, sizeof(*w)));

	w->ops = ops;
	w->arg = arg;
	w->now_us = WORLD_BEGIN_US;
	w->random[0] = splitmix(&seed);
	w->random[1] = splitmix(&seed);
	w->nodes = nodes;
	w->place = must(calloc(nodes, sizeof(*w->place)));
	w->net = (struct world_net){ .delay_least_us = 100,
				     .delay_most_us = 2000 };
	return w;
}

void world_free(struct world *w)
{
	size_t i;

	for (i = 0; i < w->count; i++)
		free(w->heap[i].packet);
	free(w->heap);
	free(w->place);
	free(w);
}

u64 world_now_us(const struct world *w)
{
	return w->now_us;
}

/* xoroshiro128+ (Blackman, Vigna), the upper half. */
u32 world_random(struct world *w)
{
	u64 a = w->random[0], b = w->random[1], sum = a + b;

	b ^= a;
	w->random[0] = (a << 24 | a >> 40) ^ b ^ b << 16;
	w->random[1] = b << 37 | b >> 27;
	return (u32)(sum >> 32);
}

u32 world_below(struct world *w, u32 below)
{
	return (u32)((u64)world_random(w) * below >> 32);
}

bool world_chance(struct world *w, u32 ppm)
{
	return ppm && world_below(w, 1000000) < ppm;
}

struct world_net *world_net(struct world *w)
{
	return &w->net;
}

void world_side(struct world *w, u32 node, u8 side)
{
	w->place[node].side = side;
}

void world_part(struct world *w, u32 a, u32 b)
{
	w->parted[0] = a;
	w->parted[1] = b;
}

void world_power(struct world *w, u32 node, bool on)
{
	w->place[node].off = !on;
	w->place[node].stalled_us = 0;
	w->place[node].wish++;
	w->place[node].wake_us = 0;
}

void world_stall(struct world *w, u32 node, u64 until_us)
{
	w->place[node].stalled_us = until_us;
}

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at_us < b->at_us ||
	       (a->at_us == b->at_us && a->order < b->order);
}

static void push(struct world *w, const struct event *e)
{
	size_t at = w->count++;

	if (w->count > w->room) {
		w->room = w->room ? w->room * 2 : 1024;
		w->heap = must(realloc(w->heap, w->room * sizeof(*w->heap)));
	}
	while (at && earlier(e, &w->heap[(at - 1) / 2])) {
		w->heap[at] = w->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	w->heap[at] = *e;
}

static void pop(struct world *w, struct event *out)
{
	struct event last = w->heap[--w->count];
	size_t at = 0, child;

	*out = w->heap[0];
	while ((child = 2 * at + 1) < w->count) {
		if (child + 1 < w->count &&
		    earlier(&w->heap[child + 1], &w->heap[child]))
			child++;
		if (!earlier(&w->heap[child], &last))
			break;
		w->heap[at] = w->heap[child];
		at = child;
	}
	if (w->count)
		w->heap[at] = last;
}

void world_wake_at(struct world *w, u32 node, u64 at_us)
{
	struct place *p = &w->place[node];

	if (at_us < w->now_us)
		at_us = w->now_us;
	if (p->wake_us == at_us)
		return;
	p->wake_us = at_us;
	p->wish++;
	if (at_us != ~(u64)0)
		push(w, &(struct event){ .at_us = at_us,
					 .order = w->order++,
					 .node = node,
					 .wish = p->wish });
}

static void post(struct world *w, u32 from, u32 to, const u8 *data, size_t len)
{
	const struct world_net *n = &w->net;
	struct packet *packet = must(malloc(sizeof(*packet) + len));
	u32 delay = n->delay_least_us;

	if (n->delay_most_us > delay)
		delay += world_below(w, n->delay_most_us - delay);
	if (world_chance(w, n->late_ppm))
		delay *= 10;
	packet->from = from;
	packet->len = (u32)len;
	memcpy(packet->data, data, len);
	push(w, &(struct event){ .at_us = w->now_us + delay,
				 .order = w->order++,
				 .packet = packet,
				 .node = to });
}

void world_send(struct world *w, u32 from, u32 to, const u8 *data, size_t len)
{
	w->sent++;
	w->sent_bytes += len;
	if (world_chance(w, w->net.loss_ppm))
		return;
	post(w, from, to, data, len);
	if (world_chance(w, w->net.double_ppm))
		post(w, from, to, data, len);
}

u64 world_sent(const struct world *w)
{
	return w->sent;
}

u64 world_sent_bytes(const struct world *w)
{
	return w->sent_bytes;
}

static bool passes(const struct world *w, u32 from, u32 to)
{
	const u32 *cut = w->parted;

	if (cut[0] != cut[1] && ((from == cut[0] && to == cut[1]) ||
				 (from == cut[1] && to == cut[0])))
		return false;
	return w->place[from].side == w->place[to].side;
}

static void happen(struct world *w, struct event *e)
{
	struct place *p = &w->place[e->node];

	if (p->off || (e->packet ? !passes(w, e->packet->from, e->node)
				 : e->wish != p->wish)) {
		free(e->packet);
		return;
	}
	if (p->stalled_us > w->now_us) { /* later, in the same order */
		e->at_us = p->stalled_us;
		push(w, e);
		return;
	}
	if (e->packet) {
		w->ops->deliver(w->arg, e->node, e->packet->from,
				e->packet->data, e->packet->len);
		free(e->packet);
		return;
	}
	p->wake_us = 0;
	w->ops->wake(w->arg, e->node);
}

void world_run(struct world *w, u64 until_us)
{
	struct event e;

	while (w->count && w->heap[0].at_us <= until_us) {
		pop(w, &e);
		w->now_us = e.at_us;
		happen(w, &e);
	}
	w->now_us = until_us;
}
