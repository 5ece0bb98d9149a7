// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of inodes; the contract is in inode.h. */
#include "inode.h"

#include <stdlib.h>

enum { BUCKETS_FIRST = 1024 };

struct inodes {
	struct inode **buckets;
	u32 size; /* a power of two */
	u32 count;
};

struct inodes *inodes_new(void)
{
	struct inodes *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->size = BUCKETS_FIRST;
	t->buckets = calloc(t->size, sizeof(struct inode *));
	if (t->buckets)
		return t;
	free(t);
	return NULL;
}

static void destroy(struct inode *i)
{
	while (i->locks) {
		struct lockrange *l = i->locks;

		i->locks = l->next;
		free(l);
	}
	free(i->last);
	free(i);
}

void inodes_free(struct inodes *t)
{
	u32 at;

	if (!t)
		return;
	for (at = 0; at < t->size; at++)
		while (t->buckets[at]) {
			struct inode *i = t->buckets[at];

			t->buckets[at] = i->chain;
			destroy(i);
		}
	free(t->buckets);
	free(t);
}

/* A handle ends with its seal, which is as good as random. */
static struct inode **bucket(struct inodes *t, struct span handle)
{
	u32 h = handle.len < 4 ? 0 : get_u32(handle.data + handle.len - 4);

	return &t->buckets[h & (t->size - 1)];
}

static void grow(struct inodes *t)
{
	struct inode **old = t->buckets;
	u32 size = t->size;
	struct inode **new = calloc(size * 2, sizeof(*new));
	u32 at;

	if (!new)
		return;
	t->buckets = new;
	t->size = size * 2;
	for (at = 0; at < size; at++)
		while (old[at]) {
			struct inode *i = old[at];
			struct inode **b = bucket(t, inode_handle(i));

			old[at] = i->chain;
			i->chain = *b;
			*b = i;
		}
	free(old);
}

struct inode *inodes_find(struct inodes *t, const struct volume *v,
			  struct span handle)
{
	struct inode *i = *bucket(t, handle);

	while (i && (i->volume != v || !span_equal(inode_handle(i), handle)))
		i = i->chain;
	return i;
}

struct inode *inodes_get(struct inodes *t, struct volume *v,
			 struct span handle)
{
	struct inode **b = bucket(t, handle);
	struct inode *i = inodes_find(t, v, handle);

	if (!i) {
		i = calloc(1, sizeof(*i) + handle.len);
		if (!i)
			return NULL;
		i->volume = v;
		i->handle_len = (u16)handle.len;
		memcpy(i->handle, handle.data, handle.len);
		i->chain = *b;
		*b = i;
		if (++t->count > t->size)
			grow(t);
	}
	i->holds++;
	return i;
}

void inode_hold(struct inode *i)
{
	i->holds++;
}

static void unchain(struct inodes *t, struct inode *i)
{
	struct inode **b = bucket(t, inode_handle(i));

	while (*b != i)
		b = &(*b)->chain;
	*b = i->chain;
	t->count--;
}

static void try_free(struct inodes *t, struct inode *i)
{
	if (i->lookups || i->holds)
		return;
	unchain(t, i);
	destroy(i);
}

void inode_put(struct inodes *t, struct inode *i)
{
	if (!i)
		return;
	i->holds--;
	try_free(t, i);
}

void inode_looked_up(struct inode *i)
{
	i->lookups++;
}

void inode_forget(struct inodes *t, struct inode *i, u64 n)
{
	i->lookups -= n < i->lookups ? n : i->lookups;
	try_free(t, i);
}

void inode_named(struct inode *i, const struct inode *dir, const char *name)
{
	size_t len = dir ? strlen(name) : 0;
	struct lastname *last;

	if (dir && inode_is_named(i, dir, name))
		return;
	free(i->last);
	i->last = NULL;
	if (!dir)
		return;
	last = malloc(sizeof(*last) + dir->handle_len + len);
	if (!last)
		return; /* an open then goes unchecked, as by handle alone */
	last->dir_len = dir->handle_len;
	last->name_len = (u8)len;
	memcpy(last->bytes, dir->handle, dir->handle_len);
	memcpy(last->bytes + dir->handle_len, name, len);
	i->last = last;
}

bool inode_is_named(const struct inode *i, const struct inode *dir,
		    const char *name)
{
	const struct lastname *last = i->last;

	return last && last->dir_len == dir->handle_len &&
	       last->name_len == strlen(name) &&
	       !memcmp(last->bytes, dir->handle, dir->handle_len) &&
	       !memcmp(last->bytes + last->dir_len, name, last->name_len);
}

bool inode_still(struct inode *i, const struct rec_attr *a)
{
	bool same = i->cached && i->version.mtime_s == a->mtime_s &&
		    i->version.mtime_ns == a->mtime_ns &&
		    i->version.ctime_s == a->ctime_s &&
		    i->version.ctime_ns == a->ctime_ns &&
		    i->version.size == a->size;

	i->cached = true;
	i->version.mtime_s = a->mtime_s;
	i->version.mtime_ns = a->mtime_ns;
	i->version.ctime_s = a->ctime_s;
	i->version.ctime_ns = a->ctime_ns;
	i->version.size = a->size;
	return same;
}

void inode_changed(struct inode *i)
{
	i->cached = false;
}

/* Takes the part from @start to @end out of @l, which overlaps it; what is left
 * behind the end becomes an entry of its own. False without memory.
 */
static bool cut(struct lockrange **at, u64 start, u64 end)
{
	struct lockrange *l = *at;

	if (l->start >= start && l->end <= end) {
		*at = l->next;
		free(l);
		return true;
	}
	if (l->start < start && l->end > end) {
		struct lockrange *rest = malloc(sizeof(*rest));

		if (!rest)
			return false;
		*rest = *l;
		rest->start = end + 1;
		l->next = rest;
		l->end = start - 1;
	} else if (l->start < start) {
		l->end = start - 1;
	} else {
		l->start = end + 1;
	}
	return true;
}

int inode_lock(struct inode *i, struct file *f, u64 owner, u32 pid, u8 type,
	       u64 start, u64 end)
{
	struct lockrange **at = &i->locks;
	struct lockrange *new;

	while (*at) {
		struct lockrange *l = *at;

		if (l->owner == owner && l->start <= end && l->end >= start &&
		    !cut(at, start, end))
			return -ENOMEM;
		if (*at == l)
			at = &l->next;
	}
	if (type == FILE_LOCK_NONE)
		return 0;
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct lockrange){ .next = i->locks,
				   .file = f,
				   .owner = owner,
				   .start = start,
				   .end = end,
				   .pid = pid,
				   .type = type };
	i->locks = new;
	return 0;
}

bool inode_unlock_owner(struct inode *i, const struct file *f, u64 owner)
{
	struct lockrange **at = &i->locks;
	bool any = false;

	while (*at) {
		struct lockrange *l = *at;

		if (f ? l->file != f : l->owner != owner) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		free(l);
		any = true;
	}
	return any;
}

void inode_seen(struct inode *i, const struct rec_attr *a)
{
	if (S_ISDIR(a->mode) && !i->attr_us)
		i->attr = *a;
}
