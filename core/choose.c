// SPDX-License-Identifier: LGPL-2.1-or-later
/* Choice of a node; the contract is in choose.h. */
#include "choose.h"

enum {
	SERVICE_MOST_US = 1
			  << 26, /* 67 s; beyond, jobs count as equally long */
	QUEUE_MOST = 1 << 20,
	QUEUE_UNIT = 16, /* of an empty queue */
	NEWEST_SHIFT = 3,
	APART_SHIFT = 3,
};

static u32 idle_of(const struct choose_node *n)
{
	if (n->idle_ppm > 1000000)
		return 1000000;
	return n->idle_ppm > CHOOSE_IDLE_LEAST ? n->idle_ppm
					       : CHOOSE_IDLE_LEAST;
}

/* Jobs that stand in front of each processor, with the new one, in 16ths. */
static u32 queue_of(const struct choose_node *n)
{
	u32 cpus = n->cpus ? n->cpus : 1;
	u64 queue = div_u64((u64)QUEUE_UNIT * n->in_flight, cpus) + QUEUE_UNIT;

	return queue < QUEUE_MOST ? (u32)queue : QUEUE_MOST;
}

/* At most 2^20 * 2^26 * 10^5 < 2^63. */
static u64 score_by_service(const struct choose_node *n)
{
	u64 service = n->service_us ? n->service_us : 1;
	u32 busy = 1000000000 / idle_of(n); /* 1,000 when idle, to 100,000 */

	if (service > SERVICE_MOST_US)
		service = SERVICE_MOST_US;
	return queue_of(n) * service * busy;
}

/* Idle processors, the more the better; jobs just sent do not show yet. */
static u64 score_by_idle(const struct choose_node *n)
{
	u32 cpus = n->cpus ? n->cpus : 1;
	u64 free = (u64)idle_of(n) * (cpus < 4096 ? cpus : 4096);
	u64 taken = (u64)1000000 * (n->in_flight < 4096 ? n->in_flight : 4096);

	return ((u64)1 << 40) + taken - free;
}

static u32 count_fit(const struct choose_node *n, u32 count)
{
	u32 i, fit = 0;

	for (i = 0; i < count; i++)
		fit += n[i].fit;
	return fit;
}

void choose_score(enum choose_policy policy, struct choose_node *n, u32 count,
		  u32 turn, u32 (*random)(void *arg), void *arg)
{
	u32 fit = count_fit(n, count);
	u32 i, nth = 0;

	for (i = 0; i < count; i++) {
		n[i].score = CHOOSE_NEVER;
		if (!n[i].fit)
			continue;
		if (policy == CHOOSE_SERVICE)
			n[i].score = score_by_service(&n[i]);
		else if (policy == CHOOSE_IDLE)
			n[i].score = score_by_idle(&n[i]);
		else if (policy == CHOOSE_ROUND_ROBIN)
			n[i].score = (nth + fit - turn % fit) % fit;
		else
			n[i].score = random(arg);
		nth++;
	}
}

struct ranking {
	const struct choose_node *node;
	u32 *order;
	u32 count;
	u32 turn;
};

/* True when place @a comes behind place @b; equals by turns. */
static bool behind(const struct ranking *r, u32 a, u32 b)
{
	if (r->node[a].score != r->node[b].score)
		return r->node[a].score > r->node[b].score;
	return (a + r->turn) % r->count > (b + r->turn) % r->count;
}

static void sift(const struct ranking *r, u32 at, u32 count)
{
	u32 moved = r->order[at], child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count &&
		    behind(r, r->order[child + 1], r->order[child]))
			child++;
		if (!behind(r, r->order[child], moved))
			break;
		r->order[at] = r->order[child];
		at = child;
	}
	r->order[at] = moved;
}

static void sort(const struct ranking *r)
{
	u32 i, last;

	for (i = r->count / 2; i-- > 0;)
		sift(r, i, r->count);
	for (i = r->count; i-- > 1;) {
		last = r->order[i];
		r->order[i] = r->order[0];
		r->order[0] = last;
		sift(r, 0, i);
	}
}

static void move_to_front(u32 *order, u32 at)
{
	u32 first = order[at];

	for (; at; at--)
		order[at] = order[at - 1];
	order[0] = first;
}

void choose_rank(const struct choose_node *n, u32 count, u32 turn, u32 look,
		 u32 (*random)(void *arg), void *arg, u32 *order)
{
	struct ranking r = { n, order, count, turn };
	u32 fit = count_fit(n, count);
	u32 i, best = fit;

	for (i = 0; i < count; i++)
		order[i] = i;
	if (count)
		sort(&r);
	if (!look || look >= fit)
		return;
	/* In order of score, so the smallest of the places drawn is best. */
	for (i = 0; i < look; i++) {
		u32 at = random(arg) % fit;

		best = at < best ? at : best;
	}
	move_to_front(order, best);
}

void choose_learn(struct choose_learned *l, u64 now_us, u64 took_us)
{
	if (took_us > SERVICE_MOST_US)
		took_us = SERVICE_MOST_US;
	if (!l->at_us)
		l->service_us = took_us;
	else
		l->service_us = l->service_us -
				(l->service_us >> NEWEST_SHIFT) +
				(took_us >> NEWEST_SHIFT);
	l->at_us = now_us ? now_us : 1;
}

u64 choose_expect(const struct choose_learned *l, u64 now_us, u64 mean_us)
{
	u64 least = mean_us >> APART_SHIFT, most = mean_us << APART_SHIFT;
	u64 service = l->service_us, age = 0;

	if (!l->at_us)
		return mean_us;
	if (now_us > l->at_us)
		age = div_u64(now_us - l->at_us, CHOOSE_FORGET_US);
	service = service < least ? least : service > most ? most : service;
	if (age > 63)
		return mean_us;
	return service > mean_us ? mean_us + ((service - mean_us) >> age)
				 : mean_us - ((mean_us - service) >> age);
}

/* At most 2^44 * 2000 < 2^56. */
static u64 store_score(const struct choose_store *n)
{
	u32 idle = n->idle_ppm < 1000000 ? n->idle_ppm / 1000 : 1000;

	return n->fit ? (n->bytes_free >> 20) * (1000 + idle) + 1 : 0;
}

u32 choose_store(const struct choose_store *n, u32 count)
{
	u64 best = 0;
	u32 i, at = count;

	for (i = 0; i < count; i++)
		if (store_score(&n[i]) > best) {
			best = store_score(&n[i]);
			at = i;
		}
	for (i = 0; i < count; i++)
		if (n[i].fit && n[i].own &&
		    store_score(&n[i]) >= best - (best >> 3))
			at = i;
	return at;
}
