/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of memory objects know of each other; see extents.h. */
#ifndef VIRGO_DAEMON_EXTENTS_IMPL_H
#define VIRGO_DAEMON_EXTENTS_IMPL_H

#include <sys/queue.h>

#include "catalog.h"
#include "extent.h"
#include "extents.h"
#include "idnames.h"
#include "membership.h"
#include "peers.h"
#include "policy.h"
#include "service.h"
#include "workers.h"

enum {
	OBJECTS_MAX = 65536, /* made here, and runs kept here */
	OBJECTS_USER_MAX = 1024, /* of one user, likewise */
	OBJECT_BUCKETS = 1024,
	OP_BUCKETS = 256,
	MAKINGS_OF_CONN = 8, /* under way */
	TABLES_MAX = 256, /* of objects made elsewhere, remembered */
	LEASE_MIN_MS = 1000,
	LEASE_MAX_MS = 7 * 24 * 3600 * 1000,
	LEASE_STANDARD_MS = 60 * 1000,
};

#define MS_US 1000ull
#define SECOND_US 1000000ull
/* Of a run, as long as its maker does not renew it, which it does thrice in
 * that time.
 */
#define RUN_LEASE_US (60 * SECOND_US)

/* Extents in a row on one node. */
struct run {
	char node[NODE_NAME_MAX + 1];
	u64 generation;
	u32 first;
	u32 count;
	bool lost;
};

/* The translation table of an object. */
struct table {
	u64 bytes;
	u32 lease_ms;
	u32 count;
	struct run runs[];
};

/* An object made here. */
struct object {
	LIST_ENTRY(object) entry;
	struct handle handle;
	char owner[IDNAME_MAX];
	struct conn *holder; /* of the program that made it; NULL: gone */
	u64 used_us;
	u64 renew_us; /* when its runs are to be renewed */
	u32 renewing; /* answers awaited */
	bool last_look; /* its lease has ended unless these say otherwise */
	struct table *table;
};

struct making; /* extents_make.c: an object on its way */
struct kept; /* extents_keeper.c: a run that is kept here */
struct op; /* extents_ops.c: a local program's request */
struct target; /* extents_ops.c: a node that requests go to */

struct remembered { /* a table of another node */
	struct handle handle;
	struct table *table; /* NULL: free */
	u64 used; /* the oldest goes */
};

struct extents {
	struct node *node;
	struct workers *namer;
	bool ending;
	struct timer second; /* armed while there is something to look after */

	LIST_HEAD(, object) objects[OBJECT_BUCKETS];
	u32 object_count;

	LIST_HEAD(, kept) kept[OBJECT_BUCKETS];
	LIST_HEAD(, kept) wiping; /* ended, their bytes not yet cleared */
	struct timer wipe;
	u32 kept_count;
	u64 kept_bytes; /* of the budget, those being wiped too */
	u64 touched_bytes; /* of them those that take memory */

	LIST_HEAD(, making) makings;
	LIST_HEAD(, op) ops[OP_BUCKETS];
	struct target *targets;
	struct remembered remembered[TABLES_MAX];
	u64 uses;
};

/* --- extents.c --- */

static inline u32 handle_bucket(const struct handle *h)
{
	return (u32)(handle_random(h) % OBJECT_BUCKETS);
}

/* False when @s is no handle. */
bool extents_handle(struct span s, struct handle *out);
/* Answers with @f what user @user at node @from (NULL: this one) may not do, and
 * records it.
 */
void extents_refuse(struct request *r, const char *user, const char *action,
		    const struct failure *f);
/* The user in a request of another node, admitted by [allow]; false when it was
 * refused.
 */
bool extents_user(struct request *r, struct span said, const char *action,
		  char out[IDNAME_MAX]);
/* "object <first digits>": handles are secrets, so not all of one is shown. */
const char *extents_name(const struct handle *h, char out[32]);
/* -ESTALE and @f: there is no such object any more. */
int extents_stale(const struct handle *h, struct failure *f,
		  const char *why);
/* Looks after leases from now on. */
void extents_watch(struct extents *x);

/* --- extents_keeper.c: each fills @f on failure --- */

/* What @user may still have here. */
u64 keeper_room(const struct extents *x, const char *user);
/* Keeps a run for node @maker. -ENOMEM, -EDQUOT, -EEXIST. */
int keeper_keep(struct extents *x, const struct handle *h, const char *user,
	       const char *maker, u32 first, u64 bytes, struct failure *f);
/* The bytes of a range, whose place was checked against the table: *@out of
 * @range's length, or NULL where nothing was ever written (then they are zero).
 * -ESTALE, -EACCES.
 */
int keeper_get(struct extents *x, const struct handle *h, const char *user,
	      u64 generation, const struct extent_range *range,
	      const u8 **out, struct failure *f);
/* The same, written. -ENOMEM too. */
int keeper_set(struct extents *x, const struct handle *h, const char *user,
	      u64 generation, const struct extent_range *range, const u8 *data,
	      struct failure *f);
/* Answers MALLOC_GET with what keeper_get() gave. */
void keeper_answer(struct conn *c, u64 tag, const u8 *data, u32 len);
/* @maker still needs it: whether it was used since asked last. -ESTALE. */
int keeper_renew(struct extents *x, const struct handle *h, const char *maker,
		bool *used);
/* Lets go of what is kept of it for @maker, if anything. */
void keeper_drop(struct extents *x, const struct handle *h, const char *maker);
/* MALLOC_SET and MALLOC_GET of other nodes. */
void keeper_peer_set(struct request *r);
void keeper_peer_get(struct request *r);
/* Runs whose lease has ended. */
void keeper_tick(struct extents *x, u64 now_us);
void keeper_free(struct extents *x);
void keeper_serve(struct extents *x);

/* --- extents_object.c --- */

struct object *object_find(struct extents *x, const struct handle *h);
/* The object if @user may use it; else NULL and @f: -ESTALE, -EACCES. */
struct object *object_of(struct extents *x, const struct handle *h,
			 const char *user, struct failure *f);
/* Whether @user may make another; else -EDQUOT or -ENOMEM and @f. */
int object_admit(struct extents *x, const char *user, struct failure *f);
/* Takes @table over. NULL when memory is out. */
struct object *object_add(struct extents *x, const struct handle *h,
			  const char *user, struct conn *holder,
			  struct table *table);
/* Ends it everywhere, then answers @c's request @tag; @c may be NULL. */
void object_end(struct extents *x, struct object *o, struct conn *c, u64 tag);
/* Lets go of the runs of @t; as object_end(). */
void object_drop_runs(struct extents *x, const struct handle *h,
		      const struct table *t, struct conn *c, u64 tag);
/* Answers MALLOC_MAP. */
void object_tell(struct extents *x, const struct object *o, struct conn *c,
		 u64 tag);
/* Answers MALLOC_LIST. */
void object_list(struct extents *x, const char *user, struct conn *c, u64 tag);
void object_tick(struct extents *x, u64 now_us);
/* A connection has closed. */
void object_let_go(struct extents *x, const struct conn *c);
/* MALLOC_MAP and MALLOC_FREE of other nodes. */
void object_peer_map(struct request *r);
void object_peer_free(struct request *r);
void object_free_all(struct extents *x);

/* --- extents_make.c --- */

/* Makes an object for @user and answers @c's request @tag. */
void make_begin(struct extents *x, const char *user,
		const struct msg_malloc *m, struct conn *c, u64 tag);

/* --- extents_table.c --- */

/* What another node said; NULL when it makes no sense or memory is out. */
struct table *table_read(const struct msg_malloc_table *m);
/* Takes @table over. */
void table_remember(struct extents *x, const struct handle *h,
		    struct table *table);
/* NULL when it is not known; valid until the next call. */
const struct table *table_recall(struct extents *x, const struct handle *h);
void table_forget(struct extents *x, const struct handle *h);
void tables_free(struct extents *x);

/* --- extents_ops.c --- */

void ops_serve(struct extents *x);
void ops_free(struct extents *x);

#endif
