// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory of a cache: pages of 64 KiB, each cut into slots of its class. Classes
 * grow by a twelfth and are rounded so that they fill their page. The directory
 * has an entry for every page that the budget allows; its number and an offset
 * make a handle.
 *
 * A page is in the list of its class (those with room first), in the list of
 * empty pages, or the index has it. What was never used of a page is not touched.
 */
#include "cache_impl.h"

enum page_state { ENTRY_FREE, ENTRY_CLASS, ENTRY_EMPTY, ENTRY_LEAVING };

static void make_classes(struct cache *c)
{
	u32 size = CACHE_SLOT_MIN;
	u32 k = 0;

	while (size < CACHE_SLOT_MAX) {
		u32 slots = CACHE_PAGE_BYTES / size;

		c->classes[k].slot_bytes = CACHE_PAGE_BYTES / slots & ~7u;
		c->classes[k].slots_per_page = slots;
		size = c->classes[k].slot_bytes;
		size = (size + (size / 12 < 8 ? 8 : size / 12)) & ~7u;
		k++;
	}
	c->classes[k].slot_bytes = CACHE_SLOT_MAX;
	c->classes[k].slots_per_page = CACHE_PAGE_BYTES / CACHE_SLOT_MAX;
	c->classes_count = k + 1;
}

int slab_init(struct cache *c)
{
	struct cache_memory *m = &c->memory;
	u32 segments = c->pages_max / 8 + 1;

	make_classes(c);
	c->entries = c->pages_max + 1;
	c->entry_next = 1;
	c->segments_max = segments;
	c->pages = m->table_get(m->arg, c->entries * sizeof(*c->pages));
	c->segments = m->table_get(m->arg, segments * sizeof(*c->segments));
	return c->pages && c->segments ? 0 : -ENOMEM;
}

void slab_end(struct cache *c)
{
	struct cache_memory *m = &c->memory;
	u32 i;

	for (i = 1; c->pages && i < c->entry_next; i++)
		if (c->pages[i].memory)
			m->page_put(m->arg, c->pages[i].memory);
	if (c->pages)
		m->table_put(m->arg, c->pages, c->entries * sizeof(*c->pages));
	if (c->segments)
		m->table_put(m->arg, c->segments,
			     c->segments_max * sizeof(*c->segments));
	c->pages = NULL;
	c->segments = NULL;
}

u8 *page_take(struct cache *c)
{
	u8 *memory;

	if (c->empty) {
		struct cache_page *p = &c->pages[c->empty];
		u32 entry = c->empty;

		c->empty = p->next;
		c->empty_count--;
		memory = p->memory;
		p->memory = NULL;
		p->state = ENTRY_FREE;
		p->next = c->entry_free;
		c->entry_free = entry;
		return memory;
	}
	if (c->pages_held >= c->pages_max)
		return NULL;
	memory = c->memory.page_get(c->memory.arg);
	if (memory)
		c->pages_held++;
	return memory;
}

u32 class_for(const struct cache *c, u32 bytes)
{
	u32 low = 0, high = c->classes_count - 1;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (c->classes[middle].slot_bytes >= bytes)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static bool has_room(const struct cache *c, const struct cache_page *p)
{
	return p->free || p->bump < c->classes[p->class].slots_per_page;
}

static void list_remove(struct cache *c, u32 page)
{
	struct cache_page *p = &c->pages[page];
	struct cache_class *k = &c->classes[p->class];

	if (p->prev)
		c->pages[p->prev].next = p->next;
	else
		k->page_first = p->next;
	if (p->next)
		c->pages[p->next].prev = p->prev;
	else
		k->page_last = p->prev;
}

static void list_add(struct cache *c, u32 page, bool first)
{
	struct cache_page *p = &c->pages[page];
	struct cache_class *k = &c->classes[p->class];

	p->next = first ? k->page_first : 0;
	p->prev = first ? 0 : k->page_last;
	if (p->prev)
		c->pages[p->prev].next = page;
	else
		k->page_first = page;
	if (p->next)
		c->pages[p->next].prev = page;
	else
		k->page_last = page;
}

/* A page of class @k with all its slots vacant; false when there is none. */
static bool page_add(struct cache *c, u32 k)
{
	u8 *memory = page_take(c);
	struct cache_page *p;
	u32 page = c->entry_free;

	if (!memory)
		return false;
	if (page)
		c->entry_free = c->pages[page].next;
	else
		page = c->entry_next++;
	p = &c->pages[page];
	memset(p, 0, sizeof(*p));
	p->memory = memory;
	p->class = (u8)k;
	p->state = ENTRY_CLASS;
	list_add(c, page, true);
	c->classes[k].pages++;
	return true;
}

static void page_is_empty(struct cache *c, u32 page)
{
	struct cache_page *p = &c->pages[page];

	if (p->state == ENTRY_CLASS)
		list_remove(c, page);
	c->classes[p->class].pages--;
	p->state = ENTRY_EMPTY;
	p->next = c->empty;
	c->empty = page;
	c->empty_count++;
}

u32 slot_vacant(struct cache *c, u32 k)
{
	struct cache_class *class = &c->classes[k];
	u32 page = class->page_first;
	struct cache_page *p = &c->pages[page];
	struct cache_vacant *v;
	u32 handle;

	if (!page || !has_room(c, p)) {
		if (!page_add(c, k))
			return 0;
		page = class->page_first;
		p = &c->pages[page];
	}
	if (p->free) {
		handle = handle_of(page, (p->free - 1u) * class->slot_bytes);
		v = slot_at(c, handle);
		p->free = v->next;
	} else {
		handle = handle_of(page, p->bump * class->slot_bytes);
		p->bump++;
	}
	p->used++;
	class->slots_used++;
	if (!has_room(c, p) && class->page_last != page) {
		list_remove(c, page);
		list_add(c, page, false);
	}
	return handle;
}

void slot_give(struct cache *c, u32 handle, u32 k)
{
	struct cache_page *p = &c->pages[page_of(handle)];
	struct cache_class *class = &c->classes[k];
	struct cache_vacant *v = slot_at(c, handle);
	bool full = !has_room(c, p);

	class->slots_used--;
	v->bits = CACHE_SLOT_FREE;
	v->next = p->free;
	p->free = (u16)(((handle & 8191) << 3) / class->slot_bytes + 1);
	p->used--;
	if (p->state != ENTRY_CLASS)
		return;
	if (!p->used) {
		page_is_empty(c, page_of(handle));
	} else if (full && class->page_first != page_of(handle)) {
		list_remove(c, page_of(handle));
		list_add(c, page_of(handle), true);
	}
}

/*
 * Each time a class has evicted a page's worth of items, it is asked whether
 * another class would miss a page less.
 */
static bool take_from_donor(struct cache *c, u32 k, bool must)
{
	struct cache_class *class = &c->classes[k];
	u32 donor;

	if (!must && (c->fixed || class->window_evictions <
					  class->slots_per_page))
		return false;
	donor = lru_donor(c, k, must);
	class->window_evictions = 0;
	if (donor == CACHE_CLASSES_MAX || !page_reclaim(c, donor))
		return false;
	c->stats.pages_moved++;
	return true;
}

u32 slot_take(struct cache *c, u32 k)
{
	u32 handle = slot_vacant(c, k);
	u32 i;

	for (i = 0; !handle && i < CACHE_TRIES; i++) {
		if (!take_from_donor(c, k, false) && !lru_evict(c, k) &&
		    !take_from_donor(c, k, true))
			break;
		handle = slot_vacant(c, k);
	}
	if (!handle) {
		c->stats.out_of_memory++;
		c->classes[k].out_of_memory++;
	}
	return handle;
}

static void part_moved(struct cache *c, u32 from, u32 to)
{
	struct cache_part *p = slot_at(c, to);
	struct cache_item *owner = cache_at(c, p->owner);
	u32 at = get_u32(first_part(owner));

	if (at == from) {
		put_u32(first_part(owner), to);
		return;
	}
	for (;;) {
		struct cache_part *before = slot_at(c, at);

		if (before->next == from) {
			before->next = to;
			return;
		}
		at = before->next;
	}
}

static void item_moved(struct cache *c, u32 from, u32 to)
{
	struct cache_item *it = cache_at(c, to);
	u32 at;

	index_moved(c, from, to, item_hash(c, it));
	lru_moved(c, from, to);
	if (!(it->bits & CACHE_PARTS))
		return;
	for (at = get_u32(first_part(it)); at;) {
		struct cache_part *p = slot_at(c, at);

		p->owner = to;
		at = p->next;
	}
}

/* Moves what is at @from, in a page that is leaving, to another page; without
 * room for it the item goes.
 */
static void slot_rescue(struct cache *c, u32 from)
{
	struct cache_item *it = slot_at(c, from);
	struct cache_class *class = &c->classes[it->class];
	bool part = it->bits == CACHE_SLOT_PART;
	u32 owner = part ? ((struct cache_part *)it)->owner : from;
	u32 to = 0;

	if (!item_is_gone(c, cache_at(c, owner)) && class->page_first &&
	    has_room(c, &c->pages[class->page_first]))
		to = slot_vacant(c, it->class);
	if (!to) {
		item_drop(c, owner);
		return;
	}
	memcpy(slot_at(c, to), it, class->slot_bytes);
	if (part)
		part_moved(c, from, to);
	else
		item_moved(c, from, to);
	slot_give(c, from, it->class);
	c->stats.relocations++;
}

static u32 page_to_leave(const struct cache *c, u32 k)
{
	u32 page = c->classes[k].page_first;

	while (page && c->pages[page].pins)
		page = c->pages[page].next;
	return page;
}

bool page_reclaim(struct cache *c, u32 k)
{
	struct cache_class *class = &c->classes[k];
	u32 page = page_to_leave(c, k);
	struct cache_page *p = &c->pages[page];
	u32 vacant, i;

	if (!page)
		return false;
	list_remove(c, page);
	p->state = ENTRY_LEAVING;
	/* The coldest make room in the other pages, as many as stay. */
	vacant = (class->pages - 1) * class->slots_per_page -
		 (class->slots_used - p->used);
	while (class->pages > 1 && vacant < p->used && lru_evict(c, k))
		vacant = (class->pages - 1) * class->slots_per_page -
			 (class->slots_used - p->used);
	for (i = 0; i < p->bump; i++) {
		u32 handle = handle_of(page, i * class->slot_bytes);
		u16 bits = *(u16 *)slot_at(c, handle);

		if (bits != CACHE_SLOT_FREE)
			slot_rescue(c, handle);
	}
	page_is_empty(c, page);
	return true;
}

u32 cache_shrinkable(const struct cache *c)
{
	return c->pages_held - c->segments_count > c->pages_floor ?
		       c->pages_held - c->segments_count - c->pages_floor :
		       0;
}

u32 cache_shrink(struct cache *c, u32 pages)
{
	u32 can = cache_shrinkable(c);
	u32 given = 0;

	if (pages > can)
		pages = can;
	while (given < pages) {
		u32 donor;
		u8 *memory;

		if (!c->empty) {
			donor = lru_donor(c, CACHE_CLASSES_MAX, true);
			if (donor == CACHE_CLASSES_MAX ||
			    !page_reclaim(c, donor))
				break;
		}
		memory = page_take(c);
		c->pages_held--;
		c->memory.page_put(c->memory.arg, memory);
		given++;
	}
	return given;
}
