// SPDX-License-Identifier: GPL-2.0-or-later
/* Parts of mount.virgo that need no mount: inodes, locks, numbers, ACLs, owners. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "acl.h"
#include "idmap.h"
#include "names.h"
#include "inode.h"
#include "inumber.h"

static struct span handle(const char *s)
{
	return span_of(s);
}

Test(inodes, one_inode_a_handle_and_volume)
{
	struct inodes *t = inodes_new();
	struct volume *a = (void *)8, *b = (void *)16;
	struct inode *i = inodes_get(t, a, handle("handle-1"));
	struct inode *same = inodes_get(t, a, handle("handle-1"));
	struct inode *other = inodes_get(t, b, handle("handle-1"));
	struct inode *many[5000];
	char name[32];
	int n;

	cr_assert_eq(i, same);
	cr_assert_neq(i, other);
	for (n = 0; n < 5000; n++) { /* grows the table under them */
		snprintf(name, sizeof(name), "many-%d", n);
		many[n] = inodes_get(t, a, handle(name));
	}
	cr_assert_eq(inodes_get(t, a, handle("many-77")), many[77]);
	cr_assert_eq(inodes_get(t, a, handle("handle-1")), i);
	inode_put(t, i);
	inode_put(t, i);
	inode_looked_up(i);
	inode_put(t, same); /* the kernel still knows it */
	cr_assert_eq(inodes_get(t, a, handle("handle-1")), i);
	inode_put(t, i);
	inode_forget(t, i, 1);
	inodes_free(t);
}

Test(inodes, versions_decide_about_the_page_cache)
{
	struct inodes *t = inodes_new();
	struct inode *i = inodes_get(t, (void *)8, handle("h---"));
	struct rec_attr a = { .mtime_s = 5, .mtime_ns = 7, .size = 9 };

	cr_assert(!inode_still(i, &a), "nothing was cached yet");
	cr_assert(inode_still(i, &a));
	a.mtime_ns++;
	cr_assert(!inode_still(i, &a));
	cr_assert(inode_still(i, &a));
	a.ctime_ns++;
	cr_assert(!inode_still(i, &a));
	inode_changed(i);
	cr_assert(!inode_still(i, &a), "our own write makes it unknown");
	inodes_free(t);
}

Test(inodes, last_name)
{
	struct inodes *t = inodes_new();
	struct inode *dir = inodes_get(t, (void *)8, handle("dir1"));
	struct inode *dir2 = inodes_get(t, (void *)8, handle("dir2"));
	struct inode *i = inodes_get(t, (void *)8, handle("file"));

	cr_assert(!inode_is_named(i, dir, "a"));
	inode_named(i, dir, "a");
	cr_assert(inode_is_named(i, dir, "a"));
	cr_assert(!inode_is_named(i, dir, "ab"));
	cr_assert(!inode_is_named(i, dir2, "a"));
	inode_named(i, NULL, NULL);
	cr_assert(!inode_is_named(i, dir, "a"));
	inodes_free(t);
}

/* What of bytes 0 to 99 is locked, as a string of '-', 'r' and 'w'. */
static void picture(const struct inode *i, u64 owner, char out[101])
{
	const struct lockrange *l;

	memset(out, '-', 100);
	out[100] = '\0';
	for (l = i->locks; l; l = l->next)
		if (l->owner == owner)
			for (u64 at = l->start; at <= l->end && at < 100; at++) {
				cr_assert_eq(out[at], '-', "ranges overlap");
				out[at] = l->type == FILE_LOCK_READ ? 'r' : 'w';
			}
}

Test(locks, ranges_as_the_kernel_would_keep_them)
{
	struct inodes *t = inodes_new();
	struct inode *i = inodes_get(t, (void *)8, handle("file"));
	char want[101], got[101];
	unsigned int seed = 1;
	int n;

	memset(want, '-', 100);
	want[100] = '\0';
	for (n = 0; n < 20000; n++) {
		u64 start = (u64)rand_r(&seed) % 100;
		u64 end = start + (u64)rand_r(&seed) % (100 - start);
		u8 type = (u8)(rand_r(&seed) % 3);

		cr_assert_eq(inode_lock(i, NULL, 1, 0, type, start, end), 0);
		inode_lock(i, NULL, 2, 0, type, end, end); /* another's */
		memset(want + start, "rw-"[type], end - start + 1);
		picture(i, 1, got);
		cr_assert_str_eq(got, want);
	}
	inode_lock(i, NULL, 1, 0, FILE_LOCK_WRITE, 0, INT64_MAX);
	inode_lock(i, NULL, 1, 0, FILE_LOCK_NONE, 10, 20);
	cr_assert(inode_unlock_owner(i, NULL, 1));
	cr_assert(!inode_unlock_owner(i, NULL, 1));
	inodes_free(t);
}

Test(inumbers, unique_and_the_same_after_the_next_mount)
{
	char dir[] = "/tmp/virgo-inumbers-XXXXXX";
	struct inumbers *t;
	struct failure f;
	u64 first, second;
	char path[64];
	int n;

	cr_assert(mkdtemp(dir));
	cr_assert_eq(inumbers_new(&t, dir, &f), 0);
	cr_assert_eq(inumbers_show(t, 3, 12345), 3ull << 48 | 12345);
	first = inumbers_show(t, 3, 1ull << 60);
	second = inumbers_show(t, 3, (1ull << 60) + 1);
	cr_assert_neq(first, second);
	cr_assert_eq(first >> 48, 3);
	cr_assert_eq(inumbers_show(t, 3, 1ull << 60), first);
	cr_assert_neq(inumbers_show(t, 4, 1ull << 60), first);
	for (n = 0; n < 3000; n++)
		inumbers_show(t, 3, (1ull << 61) + (u64)n);
	second = inumbers_show(t, 3, (1ull << 61) + 2500);
	inumbers_free(t);
	cr_assert_eq(inumbers_new(&t, dir, &f), 0);
	cr_assert_eq(inumbers_show(t, 3, (1ull << 61) + 2500), second);
	cr_assert_eq(inumbers_show(t, 3, 1ull << 60), first);
	inumbers_free(t);
	for (n = 3; n < 5; n++) {
		snprintf(path, sizeof(path), "%s/%d", dir, n);
		unlink(path);
	}
	cr_assert_eq(rmdir(dir), 0);
}

Test(acl, finds_the_ids_and_nothing_else)
{
	u8 value[4 + 5 * ACL_ENTRY];
	const u16 tags[5] = { 0x01, 0x02, 0x04, 0x08, 0x20 };
	enum file_id_kind kind;
	size_t at = 0;
	u32 id;
	int n;

	put_u32(value, 2);
	for (n = 0; n < 5; n++) {
		put_u16(value + 4 + n * ACL_ENTRY, tags[n]);
		put_u16(value + 6 + n * ACL_ENTRY, 7);
		put_u32(value + 8 + n * ACL_ENTRY, 100 + (u32)n);
	}
	cr_assert(acl_next(value, sizeof(value), &at, &kind, &id));
	cr_assert(kind == FILE_ID_USER && id == 101);
	acl_put(value, at, 7);
	cr_assert(acl_next(value, sizeof(value), &at, &kind, &id));
	cr_assert_eq(id, 7);
	at += ACL_ENTRY;
	cr_assert(acl_next(value, sizeof(value), &at, &kind, &id));
	cr_assert(kind == FILE_ID_GROUP && id == 103);
	at += ACL_ENTRY;
	cr_assert(!acl_next(value, sizeof(value), &at, &kind, &id));
	at = 0;
	cr_assert(!acl_next(value, 3, &at, &kind, &id));
	put_u32(value, 1);
	cr_assert(!acl_next(value, sizeof(value), &at, &kind, &id));
}

Test(idmap, names_carry_owners_over)
{
	struct idmap *m = idmap_new();
	u32 id, root = 0, own = 3999001;

	cr_assert_eq(idmap_local(m, FILE_ID_USER, 4711), 65534);
	idmap_learn(m, FILE_ID_USER, 4711, &root);
	cr_assert_eq(idmap_local(m, FILE_ID_USER, 4711), 0);
	cr_assert_eq(idmap_local(m, FILE_ID_GROUP, 4711), 65534);
	cr_assert(idmap_remote(m, FILE_ID_USER, 0, &id) && id == 4711);
	idmap_learn(m, FILE_ID_USER, 4712, NULL);
	cr_assert_eq(idmap_local(m, FILE_ID_USER, 4712), 65534);
	cr_assert(!idmap_remote(m, FILE_ID_USER, 65534, &id),
		  "who is nobody here is not that account there");
	idmap_learn(m, FILE_ID_USER, 4712, &own); /* late, but not in vain */
	cr_assert_eq(idmap_local(m, FILE_ID_USER, 4712), 3999001);
	idmap_free(m);
}

struct asked {
	struct names_waiter waiter;
	bool done;
	bool known;
	struct names_answer answer;
};

static void ready(struct names_waiter *w, const struct names_answer *a)
{
	struct asked *q = (struct asked *)w;

	q->done = true;
	q->known = a;
	if (a)
		q->answer = *a;
}

static void count(void *arg)
{
	++*(int *)arg;
}

static struct names_answer account(struct loop *l, struct names *n,
				   const char *name)
{
	struct asked q = { .waiter.ready = ready };
	const struct names_answer *a = names_account(n, FILE_ID_USER, name, 0,
						     &q.waiter);

	if (a)
		return *a;
	while (!q.done)
		loop_step(l, 1000);
	cr_assert(q.known);
	a = names_account(n, FILE_ID_USER, name, 0, &q.waiter);
	cr_assert(a, "asked once, remembered");
	return q.answer;
}

Test(names, accounts_come_from_other_threads)
{
	struct loop *l = loop_new();
	int callers = 0;
	struct names *n = names_new(l, count, &callers);
	struct asked q = { .waiter.ready = ready };
	bool late;
	const struct names_answer *a;

	cr_assert(account(l, n, "root").found);
	cr_assert_eq(account(l, n, "root").number, 0);
	cr_assert(!account(l, n, "no-such-user-here").found);
	cr_assert(account(l, n, "#3999001").found);
	cr_assert_eq(account(l, n, "#3999001").number, 3999001);
	cr_assert(!account(l, n, "#0").found, "that number has a name here");
	cr_assert(!account(l, n, "#?").found);
	cr_assert_null(names_name(n, FILE_ID_GROUP, 0, 0, &q.waiter));
	while (!q.done)
		loop_step(l, 1000);
	cr_assert_str_eq(q.answer.name, "root");
	cr_assert_null(names_caller(n, 0, 3999001, &late));
	cr_assert(!late);
	while (!callers)
		loop_step(l, 1000);
	a = names_caller(n, 0, 3999001, &late);
	cr_assert_str_eq(a->name, "root");
	cr_assert_str_eq(a->group, "#3999001");
	cr_assert_geq(a->group_count, 1);
	names_free(n);
	loop_free(l);
}

Test(names, the_table_is_bounded_and_nobody_is_forgotten)
{
	struct loop *l = loop_new();
	int callers = 0;
	struct names *n = names_new(l, count, &callers);
	struct asked q = { .waiter.ready = ready };
	char name[32];
	int i;

	for (i = 0; i < 2 * NAMES_MAX; i++) {
		snprintf(name, sizeof(name), "#%d", 4000000 + i);
		cr_assert(account(l, n, name).found);
	}
	cr_assert_null(names_name(n, FILE_ID_USER, 0, 0, &q.waiter));
	names_free(n); /* tells who waits, with or without an answer */
	cr_assert(q.done);
	loop_free(l);
}
