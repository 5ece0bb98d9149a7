// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accounts without waiting; the contract is in names.h. A question is an entry of
 * the table: hashed by what is asked, in a list by when it was last used. While
 * a thread works on it a task with copies of everything is under way, so neither
 * side sees the other's memory; the loop takes the result over. Threads are
 * started as questions come and stay. They share `struct crew`, which outlives
 * the table for the sake of one that hangs.
 */
#include "names.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

enum { BUCKETS = 1024, BUFFER = 64 << 10, TICK_US = 50000 };
enum { PATIENT_MS = 1000, IMPATIENT_MS = 50 };

#define FRESH_US (60 * 1000000ull)
#define HANGS_US (1000000ull)

enum what { OF_NAME, OF_NUMBER, OF_CALLER };

struct question {
	enum what what;
	enum file_id_kind kind;
	u32 id; /* of a caller: uid */
	u32 gid;
	char name[NAMES_BYTES];
};

struct entry {
	struct entry *chain;
	TAILQ_ENTRY(entry) used;
	struct question q;
	struct task *task; /* NULL: nobody is asked at the moment */
	u64 known_us; /* 0: never */
	u64 asked_us;
	struct names_answer answer;
	struct names_waiter *waiters;
};

struct task {
	struct post post;
	struct task *next;
	struct names *names;
	struct question q;
	struct names_answer answer;
};

struct crew {
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t work;
	struct task *first, **last; /* to do */
	int threads;
	int idle;
	bool closed;
	struct loop *loop;
};

struct names {
	struct loop *loop;
	void (*learnt)(void *arg);
	void *arg;
	struct crew *crew;
	struct entry *buckets[BUCKETS];
	TAILQ_HEAD(, entry) by_use; /* the longest unused first */
	u32 count;
	struct timer tick; /* while somebody waits */
};

/* In a thread */

static void name_of(enum file_id_kind kind, u32 id, char *buf, char *out)
{
	struct passwd pw, *p = NULL;
	struct group gr, *g = NULL;

	snprintf(out, NAMES_BYTES, "#%u", id);
	if (kind == FILE_ID_USER) {
		if (getpwuid_r(id, &pw, buf, BUFFER, &p) == 0 && p)
			snprintf(out, NAMES_BYTES, "%s", p->pw_name);
	} else if (getgrgid_r(id, &gr, buf, BUFFER, &g) == 0 && g) {
		snprintf(out, NAMES_BYTES, "%s", g->gr_name);
	}
}

static void find_account(const struct question *q, char *buf,
			 struct names_answer *a)
{
	struct passwd pw, *p = NULL;
	struct group gr, *g = NULL;
	char own[NAMES_BYTES];
	char *end;

	if (q->name[0] == '#') {
		a->number = (u32)strtoul(q->name + 1, &end, 10);
		if (*end || !q->name[1])
			return;
		name_of(q->kind, a->number, buf, own);
		a->found = own[0] == '#';
	} else if (q->kind == FILE_ID_USER) {
		if (getpwnam_r(q->name, &pw, buf, BUFFER, &p) == 0 && p)
			a->number = p->pw_uid;
	} else if (getgrnam_r(q->name, &gr, buf, BUFFER, &g) == 0 && g) {
		a->number = g->gr_gid;
	}
	a->found = a->found || p || g;
}

/* This machine's groups of the caller, which count where numbers do. */
static void find_groups(const struct question *q, struct names_answer *a)
{
	gid_t groups[FILE_GROUPS_MAX];
	int count = FILE_GROUPS_MAX;

	if (a->name[0] == '#')
		return;
	if (getgrouplist(a->name, q->gid, groups, &count) < 0)
		count = FILE_GROUPS_MAX;
	a->groups = malloc((size_t)count * sizeof(*a->groups));
	if (!a->groups)
		return;
	a->group_count = (u32)count;
	for (int i = 0; i < count; i++)
		a->groups[i] = groups[i];
}

static void ask(struct task *t, char *buf)
{
	const struct question *q = &t->q;

	switch (q->what) {
	case OF_NAME:
		find_account(q, buf, &t->answer);
		break;
	case OF_NUMBER:
		name_of(q->kind, q->id, buf, t->answer.name);
		break;
	case OF_CALLER:
		name_of(FILE_ID_USER, q->id, buf, t->answer.name);
		name_of(FILE_ID_GROUP, q->gid, buf, t->answer.group);
		find_groups(q, &t->answer);
		break;
	}
}

static void task_free(struct task *t)
{
	free(t->answer.groups);
	free(t);
}

static void *work(void *arg)
{
	static _Thread_local char buf[BUFFER];
	struct crew *c = arg;
	struct task *t;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->first && !c->closed) {
			c->idle++;
			pthread_cond_wait(&c->work, &c->lock);
			c->idle--;
		}
		if (c->closed)
			break;
		t = c->first;
		c->first = t->next;
		if (!c->first)
			c->last = &c->first;
		pthread_mutex_unlock(&c->lock);
		ask(t, buf);
		pthread_mutex_lock(&c->lock);
		if (c->closed)
			task_free(t);
		else
			loop_post(c->loop, &t->post);
	}
	if (--c->threads) {
		pthread_mutex_unlock(&c->lock);
		return NULL;
	}
	/* The last of a closed crew. */
	pthread_mutex_unlock(&c->lock);
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}

/* In the loop */

static void more_threads(struct crew *c)
{
	pthread_attr_t attr;
	pthread_t thread;

	if (c->idle || c->threads == NAMES_THREADS)
		return;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&thread, &attr, work, c) == 0)
		c->threads++;
	pthread_attr_destroy(&attr);
}

static void hand_over(struct crew *c, struct task *t)
{
	pthread_mutex_lock(&c->lock);
	*c->last = t;
	c->last = &t->next;
	more_threads(c);
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->lock);
}

static u32 hash(const struct question *q)
{
	u32 h = q->id * 2654435761u ^ q->gid * 40503u ^
		(u32)(q->what * 3 + q->kind);
	const char *p;

	for (p = q->name; *p; p++)
		h = (h ^ (u8)*p) * 16777619u;
	return (h ^ h >> 15) % BUCKETS;
}

static bool same(const struct question *a, const struct question *b)
{
	return a->what == b->what && a->kind == b->kind && a->id == b->id &&
	       a->gid == b->gid && !strcmp(a->name, b->name);
}

static struct entry *find(struct names *n, const struct question *q)
{
	struct entry *e = n->buckets[hash(q)];

	while (e && !same(&e->q, q))
		e = e->chain;
	return e;
}

static void drop(struct names *n, struct entry *e)
{
	struct entry **at = &n->buckets[hash(&e->q)];

	while (*at != e)
		at = &(*at)->chain;
	*at = e->chain;
	TAILQ_REMOVE(&n->by_use, e, used);
	n->count--;
	free(e->answer.groups);
	free(e);
}

/* Room for one more: the longest unused goes that nobody is asked about. */
static bool make_room(struct names *n)
{
	struct entry *e;

	if (n->count < NAMES_MAX)
		return true;
	TAILQ_FOREACH(e, &n->by_use, used)
		if (!e->task && !e->waiters) {
			drop(n, e);
			return true;
		}
	return false;
}

static struct entry *entry_of(struct names *n, const struct question *q)
{
	struct entry *e = find(n, q);
	u32 at = hash(q);

	if (e) {
		TAILQ_REMOVE(&n->by_use, e, used);
		TAILQ_INSERT_TAIL(&n->by_use, e, used);
		return e;
	}
	e = make_room(n) ? calloc(1, sizeof(*e)) : NULL;
	if (!e)
		return NULL;
	e->q = *q;
	e->chain = n->buckets[at];
	n->buckets[at] = e;
	TAILQ_INSERT_TAIL(&n->by_use, e, used);
	n->count++;
	return e;
}

static void tell(struct entry *e, const struct names_answer *a)
{
	struct names_waiter *list = e->waiters;

	e->waiters = NULL;
	while (list) {
		struct names_waiter *w = list;

		list = w->next;
		w->ready(w, a);
	}
}

/* A task came back. */
static void answered(struct post *p)
{
	struct task *t = (struct task *)((char *)p - offsetof(struct task, post));
	struct names *n = t->names;
	struct entry *e = find(n, &t->q);
	bool caller = t->q.what == OF_CALLER && !e->known_us;
	struct names_answer old = e->answer;

	e->task = NULL;
	e->known_us = loop_clock_us();
	e->answer = t->answer;
	t->answer = old;
	task_free(t);
	tell(e, &e->answer);
	if (caller)
		n->learnt(n->arg);
}

static void start(struct names *n, struct entry *e)
{
	struct task *t = calloc(1, sizeof(*t));

	if (!t)
		return; /* asked again by whoever comes next */
	t->post.run = answered;
	t->names = n;
	t->q = e->q;
	e->task = t;
	e->asked_us = loop_clock_us();
	hand_over(n->crew, t);
}

static void wait_in(struct names *n, struct entry *e, u32 wait_ms,
		    struct names_waiter *w)
{
	w->deadline_us = wait_ms ? loop_clock_us() + wait_ms * 1000ull : 0;
	w->next = e->waiters;
	e->waiters = w;
	if (wait_ms && !timer_armed(&n->tick))
		loop_arm(n->loop, &n->tick, TICK_US);
}

static const struct names_answer *look(struct names *n,
				       const struct question *q, u32 wait_ms,
				       struct names_waiter *w)
{
	/* For a question there is no room for: as if there were no account. */
	static const struct names_answer nothing = { .name = "#?" };
	struct entry *e = entry_of(n, q);

	if (!e)
		return &nothing;
	if (!e->task &&
	    (!e->known_us || loop_clock_us() - e->known_us > FRESH_US))
		start(n, e);
	if (e->known_us)
		return &e->answer;
	if (w)
		wait_in(n, e, wait_ms, w);
	return NULL;
}

const struct names_answer *names_account(struct names *n,
					 enum file_id_kind kind,
					 const char *name, u32 wait_ms,
					 struct names_waiter *w)
{
	struct question q = { .what = OF_NAME, .kind = kind };

	snprintf(q.name, sizeof(q.name), "%s", name);
	return look(n, &q, wait_ms, w);
}

const struct names_answer *names_name(struct names *n, enum file_id_kind kind,
				      u32 id, u32 wait_ms,
				      struct names_waiter *w)
{
	const struct question q = { .what = OF_NUMBER, .kind = kind, .id = id };

	return look(n, &q, wait_ms, w);
}

const struct names_answer *names_caller(struct names *n, u32 uid, u32 gid,
					bool *late)
{
	const struct question q = { .what = OF_CALLER, .id = uid, .gid = gid };
	const struct names_answer *a = look(n, &q, 0, NULL);
	const struct entry *e = a ? NULL : find(n, &q);

	*late = e && loop_clock_us() - e->asked_us > NAMES_WAIT_MS * 1000ull;
	return a;
}

u32 names_patience_ms(const struct names *n)
{
	u64 now = loop_clock_us();
	const struct entry *e;

	TAILQ_FOREACH(e, &n->by_use, used)
		if (e->task && now - e->asked_us > HANGS_US)
			return IMPATIENT_MS;
	return PATIENT_MS;
}

/* Moves those whose time is over to @late; true when others have a limit, too. */
static bool expire(struct entry *e, u64 now, struct names_waiter **late)
{
	struct names_waiter **at = &e->waiters;
	bool left = false;

	while (*at) {
		struct names_waiter *w = *at;

		if (!w->deadline_us || w->deadline_us > now) {
			left = left || w->deadline_us;
			at = &w->next;
			continue;
		}
		*at = w->next;
		w->next = *late;
		*late = w;
	}
	return left;
}

static void on_tick(struct timer *t)
{
	struct names *n = (struct names *)((char *)t -
					   offsetof(struct names, tick));
	struct names_waiter *late = NULL;
	u64 now = loop_clock_us();
	bool left = false;
	struct entry *e;

	TAILQ_FOREACH(e, &n->by_use, used)
		left = expire(e, now, &late) || left;
	if (left)
		loop_arm(n->loop, &n->tick, TICK_US);
	/* These may ask anew. */
	while (late) {
		struct names_waiter *w = late;

		late = w->next;
		w->ready(w, NULL);
	}
}

struct names *names_new(struct loop *l, void (*learnt)(void *arg), void *arg)
{
	struct names *n = calloc(1, sizeof(*n));

	if (n)
		n->crew = calloc(1, sizeof(*n->crew));
	if (!n || !n->crew) {
		free(n);
		return NULL;
	}
	pthread_mutex_init(&n->crew->lock, NULL);
	pthread_cond_init(&n->crew->work, NULL);
	n->crew->last = &n->crew->first;
	n->crew->loop = l;
	n->loop = l;
	n->learnt = learnt;
	n->arg = arg;
	n->tick.fire = on_tick;
	TAILQ_INIT(&n->by_use);
	return n;
}

/* Ends the threads that do not hang; @c is theirs then, if there are any. */
static void crew_close(struct crew *c)
{
	bool alone;

	pthread_mutex_lock(&c->lock);
	c->closed = true;
	while (c->first) {
		struct task *t = c->first;

		c->first = t->next;
		task_free(t);
	}
	alone = !c->threads;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->lock);
	if (!alone)
		return;
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void names_free(struct names *n)
{
	struct entry *e;

	if (!n)
		return;
	crew_close(n->crew);
	/* What was posted before that runs now, or would into freed memory. */
	loop_step(n->loop, 0);
	TAILQ_FOREACH(e, &n->by_use, used)
		tell(e, NULL);
	while ((e = TAILQ_FIRST(&n->by_use)))
		drop(n, e);
	loop_disarm(n->loop, &n->tick);
	free(n);
}
