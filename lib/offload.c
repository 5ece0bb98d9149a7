// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A thread for blocking work; the contract is in offload.h. The list of all work
 * belongs to the loop's thread, the list of waiting work to the lock.
 */
#include "offload.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct offload {
	struct loop *loop;
	struct offload_work *all;
	u32 pending;
	bool started;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	struct offload_work *waiting, **last;
	bool stop;
};

static void done(struct post *p)
{
	struct offload_work *w =
		(void *)((u8 *)p - offsetof(struct offload_work, post));

	*w->prev = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->owner->pending--;
	w->done(w);
}

static void *work(void *arg)
{
	struct offload *o = arg;
	struct offload_work *w;

	pthread_mutex_lock(&o->lock);
	for (;;) {
		while (!o->stop && !o->waiting)
			pthread_cond_wait(&o->wake, &o->lock);
		if (o->stop)
			break;
		w = o->waiting;
		o->waiting = w->next_waiting;
		if (!o->waiting)
			o->last = &o->waiting;
		pthread_mutex_unlock(&o->lock);
		w->run(w);
		loop_post(o->loop, &w->post);
		pthread_mutex_lock(&o->lock);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

struct offload *offload_new(struct loop *l)
{
	struct offload *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->loop = l;
	o->last = &o->waiting;
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->wake, NULL);
	return o;
}

/* With all signals blocked: they are the loop's. */
static int start(struct offload *o)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&o->thread, NULL, work, o);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	o->started = !ret;
	return ret ? -EAGAIN : 0;
}

int offload_run(struct offload *o, struct offload_work *w)
{
	if (!o->started && start(o))
		return -EAGAIN;
	w->owner = o;
	w->post.run = done;
	w->next_waiting = NULL;
	w->next = o->all;
	w->prev = &o->all;
	if (w->next)
		w->next->prev = &w->next;
	o->all = w;
	o->pending++;
	pthread_mutex_lock(&o->lock);
	*o->last = w;
	o->last = &w->next_waiting;
	pthread_cond_signal(&o->wake);
	pthread_mutex_unlock(&o->lock);
	return 0;
}

u32 offload_pending(const struct offload *o)
{
	return o->pending;
}

void offload_free(struct offload *o, void (*drop)(struct offload_work *w))
{
	struct offload_work *next;

	if (!o)
		return;
	if (o->started) {
		pthread_mutex_lock(&o->lock);
		o->stop = true;
		pthread_cond_signal(&o->wake);
		pthread_mutex_unlock(&o->lock);
		pthread_join(o->thread, NULL);
	}
	for (struct offload_work *w = o->all; w; w = next) {
		next = w->next;
		drop(w);
	}
	pthread_cond_destroy(&o->wake);
	pthread_mutex_destroy(&o->lock);
	free(o);
}
