// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions to the name service; the contract is in nameservice.h. A question that
 * several ask is asked once. It is in one list from when it is asked until its
 * answer was taken: new, with a thread, or answered. Who gives up waiting leaves it
 * there, so that a service that is slow, rather than dead, gets an answer through.
 */
#include "nameservice.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>

#include "loop.h"

enum { BUFFER = 64 << 10, STACK_BYTES = 512 << 10 };

#define KEPT_US (60 * 1000000ull) /* an answer that came too late */

enum stage { NEW, ASKED, ANSWERED };

struct question {
	TAILQ_ENTRY(question) entry;
	enum nameservice_what what;
	enum file_id_kind kind;
	u32 id;
	char name[IDNAME_MAX];
	enum stage stage;
	u32 waiting; /* who takes the answer */
	u64 since_us; /* asked; or, answered */
	struct nameservice_answer answer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static pthread_cond_t answered;
static TAILQ_HEAD(, question) list = TAILQ_HEAD_INITIALIZER(list);
static u32 open_count;
static u32 threads;
static u32 idle;
static u32 unasked; /* questions without a thread yet */

/* --- in a thread --- */

static void find_name(const struct question *q, char *buf,
		      struct nameservice_answer *a)
{
	struct passwd pw, *p = NULL;
	struct group gr, *g = NULL;

	if (q->kind == FILE_ID_USER) {
		if (getpwuid_r(q->id, &pw, buf, BUFFER, &p) == 0 && p)
			snprintf(a->name, IDNAME_MAX, "%s", p->pw_name);
	} else if (getgrgid_r(q->id, &gr, buf, BUFFER, &g) == 0 && g) {
		snprintf(a->name, IDNAME_MAX, "%s", g->gr_name);
	}
	a->found = p || g;
}

static void find_number(const struct question *q, char *buf,
			struct nameservice_answer *a)
{
	struct passwd pw, *p = NULL;
	struct group gr, *g = NULL;

	if (q->kind == FILE_ID_USER) {
		if (getpwnam_r(q->name, &pw, buf, BUFFER, &p) == 0 && p)
			a->id = p->pw_uid;
	} else if (getgrnam_r(q->name, &gr, buf, BUFFER, &g) == 0 && g) {
		a->id = g->gr_gid;
	}
	a->found = p || g;
}

static void find_account(const struct question *q, char *buf,
			 struct nameservice_answer *a)
{
	struct passwd pw, *p = NULL;

	if (getpwnam_r(q->name, &pw, buf, BUFFER, &p) || !p)
		return;
	a->found = true;
	a->id = p->pw_uid;
	a->gid = p->pw_gid;
	a->group_count = FILE_GROUPS_MAX;
	if (getgrouplist(p->pw_name, p->pw_gid, a->groups, &a->group_count) < 0)
		a->group_count = FILE_GROUPS_MAX;
}

static struct question *next_new(void)
{
	struct question *q;

	TAILQ_FOREACH(q, &list, entry)
		if (q->stage == NEW)
			return q;
	return NULL;
}

static void *work(void *arg)
{
	static void (*const find[])(const struct question *q, char *buf,
				    struct nameservice_answer *a) = {
		[NAMESERVICE_NAME] = find_name,
		[NAMESERVICE_NUMBER] = find_number,
		[NAMESERVICE_ACCOUNT] = find_account,
	};
	char buf[BUFFER];
	struct question *q;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (!(q = next_new())) {
			idle++;
			pthread_cond_wait(&asked, &lock);
			idle--;
		}
		q->stage = ASKED;
		unasked--;
		pthread_mutex_unlock(&lock);
		find[q->what](q, buf, &q->answer);
		pthread_mutex_lock(&lock);
		q->stage = ANSWERED;
		q->since_us = loop_clock_us();
		pthread_cond_broadcast(&answered);
	}
	return NULL;
}

/* --- who asks --- */

static void init(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&answered, &attr);
	pthread_condattr_destroy(&attr);
}

/* Signals are the loop's business, so such a thread blocks them all. */
static void more_threads(void)
{
	pthread_attr_t attr;
	sigset_t all, old;
	pthread_t thread;

	if (unasked <= idle || threads == NAMESERVICE_THREADS)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	if (pthread_create(&thread, &attr, work, NULL) == 0)
		threads++;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void drop(struct question *q)
{
	TAILQ_REMOVE(&list, q, entry);
	open_count--;
	free(q);
}

/* Room for one more: answers that nobody came back for go. */
static bool make_room(u64 now)
{
	struct question *q, *next;

	for (q = TAILQ_FIRST(&list); q; q = next) {
		next = TAILQ_NEXT(q, entry);
		if (q->stage == ANSWERED && !q->waiting &&
		    (now - q->since_us > KEPT_US ||
		     open_count == NAMESERVICE_OPEN_MAX))
			drop(q);
	}
	return open_count < NAMESERVICE_OPEN_MAX;
}

static struct question *question_of(enum nameservice_what what,
				    enum file_id_kind kind, const char *name,
				    u32 id)
{
	u64 now = loop_clock_us();
	struct question *q;

	if (!make_room(now))
		return NULL;
	TAILQ_FOREACH(q, &list, entry)
		if (q->what == what && q->kind == kind && q->id == id &&
		    !strcmp(q->name, name))
			return q;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->what = what;
	q->kind = kind;
	q->id = id;
	snprintf(q->name, sizeof(q->name), "%s", name);
	q->since_us = now;
	TAILQ_INSERT_TAIL(&list, q, entry);
	open_count++;
	unasked++;
	more_threads();
	pthread_cond_signal(&asked);
	return q;
}

/* Until when to wait for @q. */
static u64 patience(const struct question *q)
{
	const u64 limit = NAMESERVICE_WAIT_MS * 1000ull;
	u64 now = loop_clock_us();
	const struct question *o;

	if (now - q->since_us > limit)
		return 0;
	TAILQ_FOREACH(o, &list, entry)
		if (o->stage != ANSWERED && now - o->since_us > limit)
			return now + NAMESERVICE_HURRY_MS * 1000;
	return q->since_us + limit;
}

int nameservice_ask(enum nameservice_what what, enum file_id_kind kind,
		    const char *name, u32 id, struct nameservice_answer *out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct question *q;
	struct timespec at;
	int ret = 0;
	u64 until;

	pthread_once(&once, init);
	pthread_mutex_lock(&lock);
	q = question_of(what, kind, name ? name : "", id);
	if (!q) {
		pthread_mutex_unlock(&lock);
		return -ENOMEM;
	}
	q->waiting++;
	until = patience(q);
	at.tv_sec = (time_t)(until / 1000000);
	at.tv_nsec = (long)(until % 1000000) * 1000;
	while (q->stage != ANSWERED && !ret)
		ret = -pthread_cond_timedwait(&answered, &lock, &at);
	if (q->stage == ANSWERED) {
		*out = q->answer;
		ret = 0;
	}
	if (--q->waiting == 0 && q->stage == ANSWERED)
		drop(q);
	pthread_mutex_unlock(&lock);
	return ret;
}
