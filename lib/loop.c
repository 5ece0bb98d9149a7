// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The event loop; the contract is in loop.h.
 *
 * Watches live in a table of slots. An epoll event carries slot and a
 * generation, so an event that was fetched before its watch went away, or whose
 * slot was used again, is recognised and dropped. Timers are a binary heap of
 * pointers with the place kept in the timer. Posts are a list under a mutex and
 * one eventfd. All else belongs to the loop's thread.
 */
#include "loop.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_PER_WAIT = 64,
	SPIN_DEFAULT_US = 50,
	SPIN_MISSES = 4,
	SPIN_REST = 256,
	SPIN_CROWDED_US = 250,
	SPIN_CROWDED_MAX = 6, /* each doubles the rest */
};

struct slot {
	struct watch *watch; /* NULL: free */
	u32 generation;
	u32 next_free; /* index + 1 */
};

struct loop {
	int epoll_fd;
	bool stopped;
	u64 now_us;

	struct slot *slots;
	u32 slot_count;
	u32 free_slot; /* index + 1; 0: none */

	struct timer **heap; /* heap[1..timers] */
	u32 timers;
	u32 heap_size;

	struct post *defer_first;
	struct post **defer_last;

	int expected;
	u32 spin_us;
	u32 spin_misses; /* in a row */
	u32 spin_crowded; /* in a row others kept the CPU */
	u32 spin_rest; /* waits until it is tried again */
	bool may_spin;

	struct watch wake;
	atomic_bool posted; /* a hint, read without the lock */
	pthread_mutex_t post_lock; /* guards all below */
	struct post *post_first;
	struct post **post_last;
	bool woken; /* the eventfd has been written for the list as it is */
	bool spinning; /* the loop looks at `posted` by itself */
};

u64 loop_clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000 + (u64)ts.tv_nsec / 1000;
}

u64 loop_now_us(const struct loop *l)
{
	return l->now_us;
}

static void run_posts(struct loop *l)
{
	struct post *p;

	pthread_mutex_lock(&l->post_lock);
	p = l->post_first;
	l->post_first = NULL;
	l->post_last = &l->post_first;
	l->woken = false;
	atomic_store_explicit(&l->posted, false, memory_order_relaxed);
	pthread_mutex_unlock(&l->post_lock);
	while (p) {
		struct post *next = p->next;

		p->run(p);
		p = next;
	}
}

static void woken(struct watch *w, u32 events)
{
	struct loop *l = (struct loop *)((char *)w - offsetof(struct loop, wake));
	u64 count;

	/* Read before the list is taken: a later post must write it again. */
	if (read(w->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	run_posts(l);
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return NULL;
	pthread_mutex_init(&l->post_lock, NULL);
	l->post_last = &l->post_first;
	l->defer_last = &l->defer_first;
	l->spin_us = SPIN_DEFAULT_US;
	l->may_spin = sysconf(_SC_NPROCESSORS_ONLN) > 1;
	l->now_us = loop_clock_us();
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->wake.ready = woken;
	if (l->epoll_fd >= 0 && l->wake.fd >= 0 &&
	    loop_watch(l, &l->wake, EPOLLIN) == 0)
		return l;
	err = errno;
	loop_free(l);
	errno = err;
	return NULL;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	if (l->wake.fd >= 0)
		close(l->wake.fd);
	pthread_mutex_destroy(&l->post_lock);
	free(l->slots);
	free(l->heap);
	free(l);
}

void loop_stop(struct loop *l)
{
	l->stopped = true;
}

/* Gives a free slot's index + 1, or 0 when memory is out. */
static u32 slot_take(struct loop *l)
{
	u32 at = l->free_slot;

	if (!at) {
		u32 count = l->slot_count ? l->slot_count * 2 : 64;
		struct slot *s = realloc(l->slots, count * sizeof(*s));
		u32 i;

		if (!s)
			return 0;
		l->slots = s;
		for (i = count; i-- > l->slot_count;) {
			s[i] = (struct slot){ .next_free = l->free_slot };
			l->free_slot = i + 1;
		}
		l->slot_count = count;
		at = l->free_slot;
	}
	l->free_slot = l->slots[at - 1].next_free;
	return at;
}

static int watch_control(struct loop *l, struct watch *w, int op)
{
	struct epoll_event ev = { .events = w->events };

	ev.data.u64 = (u64)l->slots[w->slot - 1].generation << 32 | w->slot;
	return epoll_ctl(l->epoll_fd, op, w->fd, &ev) ? -errno : 0;
}

int loop_watch(struct loop *l, struct watch *w, u32 events)
{
	u32 at = slot_take(l);
	int ret;

	if (!at)
		return -ENOMEM;
	w->slot = at;
	w->events = events;
	l->slots[at - 1].watch = w;
	ret = watch_control(l, w, EPOLL_CTL_ADD);
	if (ret) {
		l->slots[at - 1].watch = NULL;
		l->slots[at - 1].next_free = l->free_slot;
		l->free_slot = at;
		w->slot = 0;
	}
	return ret;
}

int loop_rewatch(struct loop *l, struct watch *w, u32 events)
{
	if (!w->slot)
		return -ENOENT;
	if (w->events == events)
		return 0;
	w->events = events;
	return watch_control(l, w, EPOLL_CTL_MOD);
}

void loop_unwatch(struct loop *l, struct watch *w)
{
	struct slot *s;

	if (!w->slot)
		return;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
	s = &l->slots[w->slot - 1];
	s->watch = NULL;
	s->generation++;
	s->next_free = l->free_slot;
	l->free_slot = w->slot;
	w->slot = 0;
}

static void heap_put(struct loop *l, u32 at, struct timer *t)
{
	l->heap[at] = t;
	t->place = at;
}

static void heap_up(struct loop *l, u32 at)
{
	struct timer *t = l->heap[at];

	for (; at > 1 && l->heap[at / 2]->due_us > t->due_us; at /= 2)
		heap_put(l, at, l->heap[at / 2]);
	heap_put(l, at, t);
}

static void heap_down(struct loop *l, u32 at)
{
	struct timer *t = l->heap[at];

	for (;;) {
		u32 child = at * 2;

		if (child > l->timers)
			break;
		if (child < l->timers &&
		    l->heap[child + 1]->due_us < l->heap[child]->due_us)
			child++;
		if (l->heap[child]->due_us >= t->due_us)
			break;
		heap_put(l, at, l->heap[child]);
		at = child;
	}
	heap_put(l, at, t);
}

void loop_disarm(struct loop *l, struct timer *t)
{
	u32 at = t->place;
	struct timer *last;

	if (!at)
		return;
	t->place = 0;
	last = l->heap[l->timers--];
	if (last == t)
		return;
	heap_put(l, at, last);
	heap_up(l, at);
	heap_down(l, last->place);
}

void loop_arm(struct loop *l, struct timer *t, u64 delay_us)
{
	loop_disarm(l, t);
	if (l->timers + 2 > l->heap_size) {
		u32 size = l->heap_size ? l->heap_size * 2 : 64;
		struct timer **h = realloc(l->heap, size * sizeof(*h));

		/* A lost timer would hang a connection for ever. */
		if (!h)
			abort();
		l->heap = h;
		l->heap_size = size;
	}
	t->due_us = loop_clock_us() + delay_us;
	heap_put(l, ++l->timers, t);
	heap_up(l, l->timers);
}

static void fire_timers(struct loop *l)
{
	/* A timer armed again from its own fire() waits for the next round. */
	u64 until = l->now_us;

	while (l->timers && l->heap[1]->due_us <= until) {
		struct timer *t = l->heap[1];

		loop_disarm(l, t);
		t->fire(t);
	}
}

/* Runs deferred work, also what that work defers itself. */
static void run_deferred(struct loop *l)
{
	while (l->defer_first) {
		struct post *p = l->defer_first;

		l->defer_first = p->next;
		if (!l->defer_first)
			l->defer_last = &l->defer_first;
		p->run(p);
	}
}

static int wait_ms(struct loop *l, int timeout_ms)
{
	u64 left;

	if (l->stopped) /* by deferred work, a moment ago */
		return 0;
	if (!l->timers)
		return timeout_ms;
	if (l->heap[1]->due_us <= l->now_us)
		return 0;
	left = (l->heap[1]->due_us - l->now_us + 999) / 1000;
	if (timeout_ms >= 0 && left > (u64)timeout_ms)
		return timeout_ms;
	return left > 3600000 ? 3600000 : (int)left;
}

/* Spinning pays only while answers come within the spin; after SPIN_MISSES that
 * did not, or one in which others kept the CPU for long, the next SPIN_REST waits
 * sleep at once.
 */
static bool may_spin_now(struct loop *l, int timeout_ms)
{
	if (l->expected <= 0 || !l->may_spin || timeout_ms == 0)
		return false;
	if (l->spin_rest) {
		l->spin_rest--;
		return false;
	}
	return true;
}

static bool posts_due(struct loop *l)
{
	return atomic_load_explicit(&l->posted, memory_order_relaxed);
}

/* After this returned for the end of a spin, posts wake the loop again; what was
 * posted before it is in the list.
 */
static void set_spinning(struct loop *l, bool on)
{
	pthread_mutex_lock(&l->post_lock);
	l->spinning = on;
	pthread_mutex_unlock(&l->post_lock);
}

/* Polls until something came or @until; false when giving way took so long that
 * this thread would have been better off asleep, woken when there is something.
 */
static bool poll_until(struct loop *l, struct epoll_event *ev, u64 until, int *n)
{
	u64 now = loop_clock_us();

	for (;;) {
		u64 before = now;

		*n = epoll_wait(l->epoll_fd, ev, EVENTS_PER_WAIT, 0);
		if (*n || posts_due(l))
			return true;
		sched_yield();
		now = loop_clock_us();
		if (now - before > SPIN_CROWDED_US)
			return false;
		if (now >= until)
			return true;
	}
}

static int spin(struct loop *l, struct epoll_event *ev)
{
	bool pays;
	int n;

	set_spinning(l, true);
	pays = poll_until(l, ev, loop_clock_us() + l->spin_us, &n);
	set_spinning(l, false);
	if (!pays) {
		l->spin_misses = SPIN_MISSES;
		if (l->spin_crowded < SPIN_CROWDED_MAX)
			l->spin_crowded++;
	} else if (n || posts_due(l)) {
		l->spin_misses = 0;
		l->spin_crowded = 0;
	} else {
		l->spin_misses++;
	}
	if (l->spin_misses >= SPIN_MISSES) {
		l->spin_misses = 0;
		l->spin_rest = SPIN_REST << l->spin_crowded;
	}
	return n;
}

/* Fetches events, polling for a while first when answers are due: on a small
 * virtual machine a sleeping thread's wake-up costs more than a request.
 */
static int fetch(struct loop *l, struct epoll_event *ev, int timeout_ms)
{
	int n;

	if (may_spin_now(l, timeout_ms)) {
		n = spin(l, ev);
		if (n || posts_due(l))
			return n;
	}
	return epoll_wait(l->epoll_fd, ev, EVENTS_PER_WAIT, timeout_ms);
}

int loop_step(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[EVENTS_PER_WAIT];
	int n;
	int i;

	run_deferred(l);
	l->now_us = loop_clock_us();
	n = fetch(l, ev, wait_ms(l, timeout_ms));
	if (n < 0 && errno != EINTR)
		return -errno;
	l->now_us = loop_clock_us();
	if (posts_due(l))
		run_posts(l);
	for (i = 0; i < n; i++) {
		u32 at = (u32)ev[i].data.u64;
		struct slot *s = &l->slots[at - 1];

		if (s->watch && s->generation == (u32)(ev[i].data.u64 >> 32))
			s->watch->ready(s->watch, ev[i].events);
	}
	fire_timers(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int ret = 0;

	l->stopped = false;
	while (!l->stopped && !ret)
		ret = loop_step(l, -1);
	l->stopped = false; /* steps that follow wait again */
	return ret;
}

void loop_post(struct loop *l, struct post *p)
{
	const u64 one = 1;
	bool wake;

	p->next = NULL;
	pthread_mutex_lock(&l->post_lock);
	*l->post_last = p;
	l->post_last = &p->next;
	atomic_store_explicit(&l->posted, true, memory_order_relaxed);
	wake = !l->woken && !l->spinning;
	if (wake)
		l->woken = true;
	pthread_mutex_unlock(&l->post_lock);
	/* The counter cannot overflow: it grows once a list. */
	if (wake && write(l->wake.fd, &one, sizeof(one)) < 0)
		return;
}

void loop_defer(struct loop *l, struct post *p)
{
	p->next = NULL;
	*l->defer_last = p;
	l->defer_last = &p->next;
}

void loop_expect(struct loop *l, int delta)
{
	l->expected += delta;
}

void loop_set_spin(struct loop *l, u32 spin_us)
{
	l->spin_us = spin_us;
}
