// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a node is reached. While it answers, datagrams go to where its own came
 * from; while it does not, to that and to its addresses in the catalog in turn,
 * since it may have moved. Host names are looked up by a thread, one node at a
 * time, and again when the node is not heard of.
 */
#include <pthread.h>
#include <stdlib.h>

#include "log.h"
#include "membership_impl.h"

struct lookup {
	struct post post;
	struct membership *m;
	u64 id;
	char list[ADDRESSES_TEXT_MAX];
	struct address found[ADDRESS_MAX];
	int count;
};

static void take(struct entry *e, const struct address *a, int count)
{
	struct address *copy = NULL;

	if (count > 0) {
		copy = malloc((size_t)count * sizeof(*a));
		if (!copy)
			return; /* keep what we have */
		memcpy(copy, a, (size_t)count * sizeof(*a));
	}
	free(e->listed);
	e->listed = copy;
	e->listed_count = count > 0 ? (u32)count : 0;
	e->turn = 0;
}

void entry_resolve(struct membership *m, struct entry *e)
{
	struct address a[ADDRESS_MAX];
	int n = address_resolve(e->addresses, VIRGO_PORT, false, a,
				ADDRESS_MAX);

	e->named = e->lookup_wanted = n == -EAGAIN;
	if (n == -EAGAIN)
		entry_lookup_next(m);
	else
		take(e, a, n);
}

static void looked_up(struct post *p)
{
	struct lookup *k =
		(struct lookup *)((char *)p - offsetof(struct lookup, post));
	struct membership *m = k->m;
	struct entry *e = entry_numbered(m, k->id);

	m->looking = false;
	/* The node may have gone, or moved, in the meantime. */
	if (e && !strcmp(e->addresses, k->list)) {
		if (k->count > 0)
			take(e, k->found, k->count);
		else
			log_info("no address found for node %s at %s", e->name,
				 k->list);
	}
	free(k);
	entry_lookup_next(m);
}

static void *lookup_main(void *arg)
{
	struct lookup *k = arg;

	k->count = address_resolve(k->list, VIRGO_PORT, true, k->found,
				   ADDRESS_MAX);
	loop_post(k->m->node->loop, &k->post);
	return NULL;
}

static bool lookup_begin(struct membership *m, const struct entry *e)
{
	struct lookup *k = calloc(1, sizeof(*k));
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	if (!k)
		return false;
	k->post.run = looked_up;
	k->m = m;
	k->id = e->id;
	memcpy(k->list, e->addresses, sizeof(k->list));
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&thread, &attr, lookup_main, k);
	pthread_attr_destroy(&attr);
	if (ret)
		free(k);
	return !ret;
}

void entry_lookup_next(struct membership *m)
{
	u64 now = loop_clock_us();
	u32 i;

	for (i = 0; i < m->count && !m->looking; i++) {
		struct entry *e = m->entry[i];

		if (!e->lookup_wanted || now < e->lookup_again_us)
			continue;
		e->lookup_again_us = now + LOOKUP_AGAIN_US;
		e->lookup_wanted = false;
		m->looking = lookup_begin(m, e);
	}
}

void entry_send(struct membership *m, struct entry *e, const u8 *data,
		size_t len)
{
	u32 ways = e->listed_count + e->was_heard;
	u32 tried;

	if (e->was_heard && e->shown.state == SWIM_UP) {
		udp_send(m->udp, &e->heard, data, len);
		return;
	}
	for (tried = 0; tried < ways; tried++) {
		u32 at = e->turn++ % ways;
		const struct address *a = at < e->listed_count ? &e->listed[at]
							       : &e->heard;

		if (udp_send(m->udp, a, data, len))
			return;
	}
}
