// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A pool of threads; the contract is in workers.h. One queue under one mutex.
 * A submission wakes at most one sleeping thread, and none when a thread is
 * about to look at the queue anyway, so that a burst costs few wake-ups.
 */
#include "workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct workers {
	struct loop *loop;
	void (*start)(void);
	unsigned int max;
	pthread_t *threads;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t more;
	struct work *first;
	struct work **last;
	unsigned int count; /* threads there are */
	unsigned int idle; /* of these, waiting on `more` */
	unsigned int queued;
	bool ending;
};

static void run_done(struct post *p)
{
	struct work *w = (struct work *)((char *)p - offsetof(struct work, post));

	w->done(w);
}

/* Takes the next piece of work, waiting for it; NULL at the end. */
static struct work *take(struct workers *ws)
{
	struct work *w;

	pthread_mutex_lock(&ws->lock);
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
	wake = ws->idle > 0;
	/* Without any thread the work would never run. */
	if (ws->queued > ws->idle && ws->count < ws->max)
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
