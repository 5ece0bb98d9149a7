// SPDX-License-Identifier: GPL-2.0-or-later
/* Blocking work away from the loop: order, threads, and what is left at the end. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <semaphore.h>

#include "offload.h"

struct item {
	struct offload_work work; /* first */
	int number;
	pthread_t ran_in;
};

static struct loop *loop;
static struct offload *off;
static int order[64];
static int done_count;
static int dropped;
static sem_t gate;
static sem_t inside;

static void run(struct offload_work *w)
{
	((struct item *)w)->ran_in = pthread_self();
}

static void done(struct offload_work *w)
{
	struct item *i = (void *)w;

	cr_assert_not(pthread_equal(i->ran_in, pthread_self()));
	order[done_count++] = i->number;
}

static void run_and_wait(struct offload_work *w)
{
	sem_post(&inside);
	sem_wait(&gate);
	((struct item *)w)->number = 1;
}

static void drop(struct offload_work *w)
{
	dropped++;
}

static void setup(void)
{
	loop = loop_new();
	cr_assert(loop);
	off = offload_new(loop);
	cr_assert(off);
	sem_init(&gate, 0, 0);
	sem_init(&inside, 0, 0);
}

static void teardown(void)
{
	loop_free(loop);
}

TestSuite(offload, .init = setup, .fini = teardown);

Test(offload, work_is_done_in_order_and_ends_in_the_loop)
{
	struct item items[32];

	for (int i = 0; i < 32; i++) {
		items[i] = (struct item){ .work = { .run = run, .done = done },
					  .number = i };
		cr_assert_eq(offload_run(off, &items[i].work), 0);
	}
	cr_assert_eq(offload_pending(off), 32);
	while (done_count < 32)
		cr_assert_geq(loop_step(loop, 5000), 0);
	for (int i = 0; i < 32; i++)
		cr_assert_eq(order[i], i);
	cr_assert_eq(offload_pending(off), 0);
	offload_free(off, drop);
	cr_assert_eq(dropped, 0);
}

static void again(struct offload_work *w)
{
	done(w);
	if (done_count < 5)
		cr_assert_eq(offload_run(off, w), 0);
}

Test(offload, work_may_be_handed_over_again_from_its_end)
{
	struct item item = { .work = { .run = run, .done = again } };

	cr_assert_eq(offload_run(off, &item.work), 0);
	while (done_count < 5)
		cr_assert_geq(loop_step(loop, 5000), 0);
	offload_free(off, drop);
	cr_assert_eq(dropped, 0);
}

static void *open_gate(void *arg)
{
	for (int i = 0; i < 3; i++)
		sem_post(&gate);
	return NULL;
}

Test(offload, freeing_waits_for_what_runs_and_drops_the_rest)
{
	struct item items[3];
	pthread_t opener;

	for (int i = 0; i < 3; i++) {
		items[i] = (struct item){ .work = { .run = run_and_wait,
						    .done = done } };
		cr_assert_eq(offload_run(off, &items[i].work), 0);
	}
	sem_wait(&inside);
	pthread_create(&opener, NULL, open_gate, NULL);
	offload_free(off, drop);
	pthread_join(opener, NULL);
	cr_assert_eq(dropped, 3);
	cr_assert_eq(done_count, 0);
	/* It was inside when we began to free. */
	cr_assert_eq(items[0].number, 1);
}

Test(offload, nothing_handed_over_needs_no_thread)
{
	offload_free(off, drop);
	offload_free(NULL, drop);
	cr_assert_eq(dropped, 0);
}
