/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event loop of every VIRGO program: descriptors, timers and work posted by
 * other threads, over epoll. One thread runs it; only loop_post() may be called
 * from another. Watches and timers are embedded in the owner's struct, never
 * allocated here.
 */
#ifndef VIRGO_LIB_LOOP_H
#define VIRGO_LIB_LOOP_H

#include <sys/epoll.h>

#include "env.h"

struct loop;

/* Something that watches a descriptor. @ready gets the EPOLL* bits that came.
 * It may remove itself or any other watch, and may free the struct after
 * loop_unwatch(): an event already fetched for a removed watch is dropped.
 */
struct watch {
	int fd;
	void (*ready)(struct watch *w, u32 events);
	u32 events; /* owned by the loop */
	u32 slot; /* owned by the loop */
};

/* Something that happens at a time. Armed again from its own @fire or not. */
struct timer {
	void (*fire)(struct timer *t);
	u64 due_us; /* owned by the loop */
	u32 place; /* owned by the loop; 0 while not armed */
};

/* One piece of work from another thread. The struct must live until @run. */
struct post {
	void (*run)(struct post *p);
	struct post *next; /* owned by the loop */
};

/* NULL with errno. Free it after loop_run() returned and all watches went. */
struct loop *loop_new(void);
void loop_free(struct loop *l);

/* Runs until loop_stop(); 0, or a negative errno if epoll failed. */
int loop_run(struct loop *l);
/* Runs what is ready, waiting at most @timeout_ms (-1 without end). */
int loop_step(struct loop *l, int timeout_ms);
void loop_stop(struct loop *l);

/* CLOCK_MONOTONIC as of the last wake-up; loop_clock_us() reads it anew. */
u64 loop_now_us(const struct loop *l);
u64 loop_clock_us(void);

/* 0 or a negative errno. @events are EPOLLIN, EPOLLOUT, EPOLLRDHUP; level
 * triggered. loop_rewatch() changes them, 0 allowed. loop_unwatch() must come
 * before the descriptor is closed, and is harmless twice.
 */
int loop_watch(struct loop *l, struct watch *w, u32 events);
int loop_rewatch(struct loop *l, struct watch *w, u32 events);
void loop_unwatch(struct loop *l, struct watch *w);

/* Arms @t to fire in @delay_us, replacing an earlier time. */
void loop_arm(struct loop *l, struct timer *t, u64 delay_us);
/* Harmless when not armed. */
void loop_disarm(struct loop *l, struct timer *t);
static inline bool timer_armed(const struct timer *t)
{
	return t->place != 0;
}

/* From any thread: run @p in the loop's thread soon, in order of posting. */
void loop_post(struct loop *l, struct post *p);

/* From the loop's thread: run @p at the end of this round, before the loop may
 * sleep. Deferring the same @p twice before it ran is the caller's error.
 */
void loop_defer(struct loop *l, struct post *p);

/* Adaptive spin: while @expected answers are due, the loop polls without
 * sleeping for up to @spin_us after the last event. Counts add up; call with
 * +1 when a request goes out and -1 when its answer came. Spinning is off
 * while the machine has only one CPU.
 */
void loop_expect(struct loop *l, int delta);
void loop_set_spin(struct loop *l, u32 spin_us);

#endif
