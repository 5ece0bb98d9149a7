// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A pool of threads; the contract is in workers.h. One queue under one mutex.
 * A submission wakes at most one sleeping thread, and none when a thread is
 * about to look at the queue anyway, so that a burst costs few wake-ups.
 *
 * A thread that ran out of work looks for more for a short while before it
 * sleeps, giving way to others between looks: on a small machine a wake-up costs
 * more than most file operations. One thread at a time does so, and after a few
 * looks in vain, or one in which others kept the CPU for long, it sleeps at once
 * for a while; so an idle pool costs nothing.
 */
#include "workers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SPIN_US = 50,
	SPIN_CROWDED_US = 250,
	SPIN_CROWDED_MAX = 6, /* each doubles the rest */
	SPIN_MISSES = 4,
	SPIN_REST = 256,
};

struct workers {
	struct loop *loop;
	void (*start)(void);
	unsigned int max;
	bool may_spin;
	pthread_t *threads;
	atomic_uint queued; /* written under the lock, a hint without it */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t more;
	struct work *first;
	struct work **last;
	unsigned int count; /* threads there are */
	unsigned int idle; /* of these, waiting on `more` */
	bool spinning; /* one of the others looks at `queued` by itself */
	unsigned int spin_misses; /* in a row */
	unsigned int spin_crowded; /* in a row others kept the CPU */
	unsigned int spin_rest; /* sleeps until it is tried again */
	bool ending;
};

static void run_done(struct post *p)
{
	struct work *w = (struct work *)((char *)p - offsetof(struct work, post));

	w->done(w);
}

/* Looks for work without sleeping; called and returns with the lock held. */
static void spin(struct workers *ws)
{
	u64 start;
	u64 before;
	u64 now;

	if (ws->spinning || !ws->may_spin)
		return;
	if (ws->spin_rest) {
		ws->spin_rest--;
		return;
	}
	ws->spinning = true;
	pthread_mutex_unlock(&ws->lock);
	start = before = now = loop_clock_us();
	do {
		if (atomic_load_explicit(&ws->queued, memory_order_relaxed))
			break;
		before = now;
		sched_yield();
		now = loop_clock_us();
	} while (now - start < SPIN_US && now - before < SPIN_CROWDED_US);
	pthread_mutex_lock(&ws->lock);
	ws->spinning = false;
	if (now - before >= SPIN_CROWDED_US) {
		ws->spin_misses = SPIN_MISSES;
		if (ws->spin_crowded < SPIN_CROWDED_MAX)
			ws->spin_crowded++;
	} else if (ws->first) {
		ws->spin_misses = 0;
		ws->spin_crowded = 0;
	} else {
		ws->spin_misses++;
	}
	if (ws->spin_misses >= SPIN_MISSES) {
		ws->spin_misses = 0;
		ws->spin_rest = SPIN_REST << ws->spin_crowded;
	}
}

/* Takes the next piece of work, waiting for it; NULL at the end. */
static struct work *take(struct workers *ws)
{
	struct work *w;

	pthread_mutex_lock(&ws->lock);
	if (!ws->first && !ws->ending)
		spin(ws);
	while (!ws->first && !ws->ending) {
		ws->idle++;
		pthread_cond_wait(&ws->more, &ws->lock);
		ws->idle--;
	}
	w = ws->first;
	if (w) {
		ws->first = w->next;
		ws->queued--;
		if (!ws->first)
			ws->last = &ws->first;
	}
	pthread_mutex_unlock(&ws->lock);
	return w;
}

static void *work_on(void *arg)
{
	struct workers *ws = arg;
	struct work *w;

	if (ws->start)
		ws->start();
	while ((w = take(ws))) {
		w->run(w);
		loop_post(ws->loop, &w->post);
	}
	return NULL;
}

struct workers *workers_new(struct loop *l, unsigned int max,
			    void (*start)(void))
{
	struct workers *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return NULL;
	ws->threads = calloc(max, sizeof(*ws->threads));
	if (!ws->threads) {
		free(ws);
		return NULL;
	}
	ws->loop = l;
	ws->start = start;
	ws->may_spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	ws->max = max;
	ws->last = &ws->first;
	pthread_mutex_init(&ws->lock, NULL);
	pthread_cond_init(&ws->more, NULL);
	return ws;
}

/* Signals are the loop's business, so a worker blocks them all. */
static bool add_thread(struct workers *ws)
{
	sigset_t all, old;
	bool ok;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ok = pthread_create(&ws->threads[ws->count], NULL, work_on, ws) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ok)
		ws->count++;
	return ok;
}

void workers_submit(struct workers *ws, struct work *w)
{
	bool wake;

	w->next = NULL;
	w->post.run = run_done;
	pthread_mutex_lock(&ws->lock);
	*ws->last = w;
	ws->last = &w->next;
	ws->queued++;
	/* The one that spins takes one; only more than that needs a sleeper. */
	wake = ws->idle > 0 && ws->queued > ws->spinning;
	/* Without any thread the work would never run. */
	if (ws->queued > ws->idle + ws->spinning && ws->count < ws->max)
		if (!add_thread(ws) && !ws->count)
			abort();
	pthread_mutex_unlock(&ws->lock);
	if (wake)
		pthread_cond_signal(&ws->more);
}

void workers_free(struct workers *ws)
{
	unsigned int i;

	if (!ws)
		return;
	pthread_mutex_lock(&ws->lock);
	ws->ending = true;
	pthread_mutex_unlock(&ws->lock);
	pthread_cond_broadcast(&ws->more);
	for (i = 0; i < ws->count; i++)
		pthread_join(ws->threads[i], NULL);
	pthread_cond_destroy(&ws->more);
	pthread_mutex_destroy(&ws->lock);
	free(ws->threads);
	free(ws);
}
