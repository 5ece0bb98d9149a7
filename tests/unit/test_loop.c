// SPDX-License-Identifier: GPL-2.0-or-later
/* The event loop: watches, timers, deferred and posted work. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "loop.h"

static struct loop *loop;

static void set_up(void)
{
	loop = loop_new();
	cr_assert_not_null(loop);
}

static void tear_down(void)
{
	loop_free(loop);
}

TestSuite(loop, .init = set_up, .fini = tear_down, .timeout = 20);

struct probe {
	struct watch watch;
	struct probe *other;
	int ready;
};

static void probe_ready(struct watch *w, u32 events)
{
	struct probe *p = (struct probe *)w;

	p->ready++;
	if (p->other)
		loop_unwatch(loop, &p->other->watch);
	loop_unwatch(loop, w);
}

static void pipe_with_byte(int fd[2])
{
	cr_assert_eq(pipe(fd), 0);
	cr_assert_eq(write(fd[1], "x", 1), 1);
}

Test(loop, event_of_a_watch_removed_in_the_same_round_is_dropped)
{
	struct probe a = { .watch.ready = probe_ready };
	struct probe b = { .watch.ready = probe_ready };
	int fa[2], fb[2];

	pipe_with_byte(fa);
	pipe_with_byte(fb);
	a.watch.fd = fa[0];
	b.watch.fd = fb[0];
	a.other = &b;
	b.other = &a;
	cr_assert_eq(loop_watch(loop, &a.watch, EPOLLIN), 0);
	cr_assert_eq(loop_watch(loop, &b.watch, EPOLLIN), 0);
	cr_assert_eq(loop_step(loop, 1000), 0);
	cr_assert_eq(a.ready + b.ready, 1);
}

Test(loop, many_watches_and_slots_used_again)
{
	enum { N = 300 };
	struct probe p[N];
	int fd[N][2];
	int i;
	int round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < N; i++) {
			pipe_with_byte(fd[i]);
			p[i] = (struct probe){ .watch.fd = fd[i][0],
					       .watch.ready = probe_ready };
			cr_assert_eq(loop_watch(loop, &p[i].watch, EPOLLIN), 0);
		}
		for (i = 0; i < 10; i++)
			cr_assert_eq(loop_step(loop, 0), 0);
		for (i = 0; i < N; i++) {
			cr_assert_eq(p[i].ready, 1);
			close(fd[i][0]);
			close(fd[i][1]);
		}
	}
}

struct alarm {
	struct timer timer;
	u32 value;
	u32 *last;
	int *count;
};

static void alarm_fire(struct timer *t)
{
	struct alarm *a = (struct alarm *)t;

	cr_assert_geq(a->value, *a->last);
	*a->last = a->value;
	(*a->count)++;
}

Test(loop, timers_fire_in_order_and_disarmed_ones_do_not)
{
	enum { N = 500 };
	static struct alarm a[N];
	u32 last = 0;
	int count = 0;
	int i;

	srand(1);
	for (i = 0; i < N; i++) {
		u32 delay = (u32)rand() % 20 * 1000;

		a[i] = (struct alarm){ .timer.fire = alarm_fire,
				       .value = delay,
				       .last = &last,
				       .count = &count };
		loop_arm(loop, &a[i].timer, delay);
	}
	for (i = 0; i < N; i += 2)
		loop_disarm(loop, &a[i].timer);
	for (i = 0; i < 1000 && count < N / 2; i++)
		cr_assert_eq(loop_step(loop, 100), 0);
	cr_assert_eq(count, N / 2);
	for (i = 0; i < N; i++)
		cr_assert_not(timer_armed(&a[i].timer));
}

static int ran;

static void run(struct post *p)
{
	ran++;
}

static void run_and_defer(struct post *p)
{
	static struct post second = { .run = run };

	ran++;
	loop_defer(loop, &second);
}

Test(loop, deferred_work_runs_before_the_loop_sleeps)
{
	struct post p = { .run = run_and_defer };

	ran = 0;
	loop_defer(loop, &p);
	cr_assert_eq(loop_step(loop, 0), 0);
	cr_assert_eq(ran, 2);
}

enum { POSTS = 20000 };
static struct post posts[2][POSTS];

static void *poster(void *arg)
{
	struct post *p = arg;
	int i;

	for (i = 0; i < POSTS; i++) {
		p[i].run = run;
		loop_post(loop, &p[i]);
	}
	return NULL;
}

Test(loop, posts_from_two_threads_all_run)
{
	pthread_t t[2];
	int i;

	ran = 0;
	for (i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&t[i], NULL, poster, posts[i]), 0);
	while (ran < 2 * POSTS)
		cr_assert_eq(loop_step(loop, 5000), 0);
	for (i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	cr_assert_eq(ran, 2 * POSTS);
}

static void stop(struct post *p)
{
	loop_stop(loop);
}

static void too_late(struct timer *t)
{
	ran++;
	loop_stop(loop);
}

Test(loop, stopped_by_deferred_work_ends_at_once)
{
	struct timer t = { .fire = too_late };
	struct post p = { .run = stop };

	ran = 0;
	loop_arm(loop, &t, 5000000);
	loop_defer(loop, &p);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(ran, 0);
	loop_disarm(loop, &t);
}
