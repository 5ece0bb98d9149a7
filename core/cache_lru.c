// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What stays in a cache: a segmented LRU for each size class, as memcached's.
 * New items come to the head of HOT. What leaves HOT or WARM by its tail goes to
 * the head of WARM if it was fetched twice meanwhile, else to COLD; memory is
 * made at COLD's tail. Nothing runs in the background: every new item pays for
 * the few steps that keep the lists in proportion.
 */
#include "cache_impl.h"

static void set_list(struct cache_item *it, enum cache_list list)
{
	it->bits = (u16)((it->bits & ~(CACHE_LIST_0 | CACHE_LIST_1)) |
			 (u16)list << 1);
}

void lru_add(struct cache *c, u32 handle, enum cache_list list)
{
	struct cache_item *it = cache_at(c, handle);
	struct cache_class *k = &c->classes[it->class];

	set_list(it, list);
	it->newer = 0;
	it->older = k->newest[list];
	if (it->older)
		cache_at(c, it->older)->newer = handle;
	else
		k->oldest[list] = handle;
	k->newest[list] = handle;
	k->items[list]++;
}

void lru_remove(struct cache *c, u32 handle)
{
	struct cache_item *it = cache_at(c, handle);
	struct cache_class *k = &c->classes[it->class];
	enum cache_list list = cache_list_of(it);

	if (it->newer)
		cache_at(c, it->newer)->older = it->older;
	else
		k->newest[list] = it->older;
	if (it->older)
		cache_at(c, it->older)->newer = it->newer;
	else
		k->oldest[list] = it->newer;
	k->items[list]--;
}

void lru_moved(struct cache *c, u32 from, u32 to)
{
	struct cache_item *it = cache_at(c, to);
	struct cache_class *k = &c->classes[it->class];
	enum cache_list list = cache_list_of(it);

	if (it->newer)
		cache_at(c, it->newer)->older = to;
	else
		k->newest[list] = to;
	if (it->older)
		cache_at(c, it->older)->newer = to;
	else
		k->oldest[list] = to;
}

static void move(struct cache *c, u32 handle, enum cache_list list)
{
	lru_remove(c, handle);
	lru_add(c, handle, list);
}

/* What is at the tail of HOT or WARM leaves it, or starts anew in WARM. */
static void leave(struct cache *c, struct cache_class *k, enum cache_list list)
{
	u32 handle = k->oldest[list];
	struct cache_item *it = cache_at(c, handle);

	if (!(it->bits & CACHE_ACTIVE)) {
		move(c, handle, CACHE_COLD);
		c->stats.moves_to_cold++;
		k->moves_to_cold++;
		return;
	}
	it->bits &= (u16)~CACHE_ACTIVE;
	move(c, handle, CACHE_WARM);
	if (list == CACHE_WARM) {
		c->stats.moves_within++;
		k->moves_within++;
	} else {
		c->stats.moves_to_warm++;
		k->moves_to_warm++;
	}
}

void lru_balance(struct cache *c, u32 k)
{
	struct cache_class *class = &c->classes[k];
	u64 all = (u64)class->items[CACHE_HOT] + class->items[CACHE_WARM] +
		  class->items[CACHE_COLD];
	int steps;

	for (steps = 0; steps < 2; steps++)
		if ((u64)class->items[CACHE_HOT] * 100 > all * c->hot_percent)
			leave(c, class, CACHE_HOT);
	for (steps = 0; steps < 2; steps++)
		if ((u64)class->items[CACHE_WARM] * 100 > all * c->warm_percent)
			leave(c, class, CACHE_WARM);
}

void cache_bump(struct cache *c, u32 handle)
{
	struct cache_item *it = cache_at(c, handle);
	struct cache_class *k = &c->classes[it->class];
	enum cache_list list = cache_list_of(it);

	k->hits[list]++;
	if (it->bits & CACHE_ACTIVE)
		return;
	if (!(it->bits & CACHE_FETCHED)) {
		it->bits |= CACHE_FETCHED;
		return;
	}
	it->touched = c->now;
	if (list != CACHE_COLD) {
		it->bits |= CACHE_ACTIVE;
		return;
	}
	move(c, handle, CACHE_WARM);
	c->stats.moves_to_warm++;
	k->moves_to_warm++;
}

void cache_update(struct cache *c, u32 handle)
{
	cache_at(c, handle)->touched = c->now;
}

static void count_eviction(struct cache *c, struct cache_class *k,
			   const struct cache_item *it)
{
	if (item_is_gone(c, it)) {
		c->stats.reclaimed++;
		k->reclaimed++;
		if (!(it->bits & CACHE_FETCHED)) {
			c->stats.expired_unfetched++;
			k->expired_unfetched++;
		}
		return;
	}
	k->window_evictions++;
	k->evicted++;
	k->evicted_nonzero += it->expires != 0;
	k->evicted_age = c->now - it->touched;
	c->stats.evictions++;
	if (!(it->bits & CACHE_FETCHED)) {
		c->stats.evicted_unfetched++;
		k->evicted_unfetched++;
	}
	if (it->bits & CACHE_ACTIVE) {
		c->stats.evicted_active++;
		k->evicted_active++;
	}
}

/* A list whose tail is held is passed over: it would give no slot. */
static u32 victim(const struct cache *c, const struct cache_class *k,
		  enum cache_list list)
{
	u32 handle = k->oldest[list];
	u32 i;

	for (i = 0; handle && i < CACHE_TRIES; i++) {
		const struct cache_item *it = cache_at(c, handle);

		if (!cache_held(it))
			return handle;
		handle = it->newer;
	}
	return 0;
}

bool lru_evict(struct cache *c, u32 k)
{
	struct cache_class *class = &c->classes[k];
	u32 handle = victim(c, class, CACHE_COLD);

	if (!handle)
		handle = victim(c, class, CACHE_HOT);
	if (!handle)
		handle = victim(c, class, CACHE_WARM);
	if (!handle)
		return false;
	count_eviction(c, class, cache_at(c, handle));
	item_drop(c, handle);
	return true;
}

static u32 coldest(const struct cache_class *k)
{
	return k->oldest[CACHE_COLD] ? k->oldest[CACHE_COLD] :
	       k->oldest[CACHE_HOT] ? k->oldest[CACHE_HOT] :
				      k->oldest[CACHE_WARM];
}

bool lru_age(const struct cache *c, u32 k, u32 *age)
{
	u32 handle = coldest(&c->classes[k]);

	if (handle)
		*age = c->now - cache_at(c, handle)->touched;
	return handle != 0;
}

/* How many versions were stored since the class's coldest item: tells apart what
 * became cold within one second.
 */
static u64 versions_since(const struct cache *c, u32 k)
{
	return c->unique - cache_unique(cache_at(c, coldest(&c->classes[k])));
}

u32 lru_donor(const struct cache *c, u32 k, bool must)
{
	u32 best = CACHE_CLASSES_MAX;
	u32 best_age = 0, own_age = 0, age, d;

	for (d = 0; d < c->classes_count; d++) {
		if (d == k || !c->classes[d].pages || !lru_age(c, d, &age))
			continue;
		if (best == CACHE_CLASSES_MAX || age > best_age ||
		    (age == best_age &&
		     versions_since(c, d) > versions_since(c, best))) {
			best = d;
			best_age = age;
		}
	}
	if (must || best == CACHE_CLASSES_MAX)
		return best;
	if (!lru_age(c, k, &own_age) || best_age > own_age + own_age / 4 + 1)
		return best;
	if (best_age + 1 >= own_age && own_age + 1 >= best_age &&
	    versions_since(c, best) / 2 > versions_since(c, k))
		return best;
	return CACHE_CLASSES_MAX;
}
