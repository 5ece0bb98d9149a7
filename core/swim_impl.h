/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What struct swim is made of; for swim.c (members and what is known of them),
 * swim_probe.c (questions and answers), swim_run.c (what is due when) and the
 * simulator's invariants.
 */
#ifndef VIRGO_CORE_SWIM_IMPL_H
#define VIRGO_CORE_SWIM_IMPL_H

#include "swim_gossip.h"
#include "swim_suspicion.h"

enum {
	/* Up to 64 nodes are asked often enough to see a death within 3 s; a
	 * large cloud pays a question a second and node.
	 */
	SWIM_PERIOD_LEAST_US = 200000,
	SWIM_PERIOD_MOST_US = 1000000,
	SWIM_PERIOD_STEP_US = 2000, /* longer for each node above 64 */
	SWIM_PERIOD_NODES = 64,
	SWIM_TIMEOUT_MOST_US = 200000,
	SWIM_GOSSIP_MOST_US = 250000,
	SWIM_FANOUT = 3,     /* gossip datagrams an interval */
	SWIM_HELPERS = 3,    /* indirect questions at a time */
	SWIM_STAGES = 4,     /* of a probe; the last two ask helpers too */
	SWIM_PROBES = 12,    /* questions of our own outstanding */
	SWIM_RELAYS = 24,    /* questions for others outstanding */
	SWIM_CONFIRMERS = 4, /* who look for themselves at a new suspect */
	SWIM_HEALTH_MOST = 8,
	SWIM_SYNC_PERIODS = 8,	    /* between pages in quiet times */
	SWIM_RECONNECT_PERIODS = 5, /* between tries to reach who is down */
	SWIM_PULL_PACE_US = 50000,
	SWIM_PULL_TRIES = 8,
	SWIM_PULL_AGAIN_US = 10000000,
};

#define SWIM_NEVER (~(u64)0)

struct swim_member {
	u64 id;
	u32 incarnation;
	u8 state;
};

struct swim_probe { /* free while !target */
	u64 target;
	u64 sent_us;
	u64 due_us; /* of the next stage, or the end */
	u32 seq;
	u32 accuse; /* tell it that it is seen down at this incarnation */
	u8 stage;
	u8 helpers; /* asked */
	u8 nacks;   /* helpers that answered for themselves */
};

struct swim_relay { /* free while !target */
	u64 target;
	u64 origin;
	u64 due_us;
	u32 seq;
	u32 origin_seq;
};

struct swim_round { /* a random order of all: x' = a x + c modulo mask + 1 */
	u32 mask;
	u32 x;
	u32 a;
	u32 c;
	u32 left;
};

struct swim {
	const struct swim_ops *ops;
	void *arg;
	u64 self;
	u32 incarnation;
	u32 health;
	bool left;

	struct swim_member *member; /* in order of id */
	u32 count;
	u32 max;
	u32 in_state[SWIM_DOWN + 1];

	struct swim_suspicions suspicions;
	struct swim_gossip gossip;
	u64 change;
	u16 change_left; /* datagrams still to be sent because of it */
	u8 digest[SWIM_DIGEST_MAX];
	u8 digest_len;

	struct swim_probe probe[SWIM_PROBES];
	struct swim_relay relay[SWIM_RELAYS];
	struct swim_round round;
	u32 seq;
	bool watch_next; /* the next probe is the successor's */

	u64 probe_due_us;
	u64 gossip_due_us;
	u64 reconnect_due_us;
	u64 sync_due_us;
	u64 sync_cursor;
	u32 sync_seq;

	bool pulling;
	u8 pull_tries;
	u32 pull_seq;
	u64 pull_cursor;
	u64 pull_due_us;
	u64 pull_last_us;
};

/* swim.c */
struct swim_member *swim_find(const struct swim *s, u64 id);
u32 swim_place(const struct swim *s, u64 id); /* of the first not below @id */
u32 swim_alive(const struct swim *s); /* this node and all not seen down */
u32 swim_period_us(const struct swim *s);
u32 swim_timeout_us(const struct swim *s);
u32 swim_gossip_us(const struct swim *s);
u16 swim_times(const struct swim *s); /* how often news are passed on */
void swim_worse(struct swim *s, u32 by);
void swim_better(struct swim *s);
/* Sends @kind with what is to be spread; @to is told first how it is seen. */
void swim_emit(struct swim *s, enum swim_kind kind, u64 to, bool reply, u32 seq,
	       u64 about, const struct swim_item *first);
/* The member proved to live at @incarnation. */
void swim_proof(struct swim *s, u64 now_us, u64 id, u32 incarnation);
/* News, from a page (@page) or from gossip. */
void swim_apply(struct swim *s, u64 now_us, const struct swim_item *it,
		bool page);
/* This node's own questions to @m went unanswered. */
void swim_unanswered(struct swim *s, u64 now_us, struct swim_member *m);
void swim_suspicion_over(struct swim *s, u64 now_us, u64 id);

/* swim_probe.c */
/* A random member in a state up to @worst, but not @except; NULL: there is none. */
struct swim_member *swim_pick(struct swim *s, u64 except,
			      enum swim_state worst);
/* Starts asking @target unless that goes on already; false when no room. */
bool swim_ask(struct swim *s, u64 now_us, u64 target, u32 accuse);
void swim_answered(struct swim *s, u64 now_us, const struct swim_packet *p);
void swim_asked_for(struct swim *s, u64 now_us, const struct swim_packet *p);
void swim_probe_forget(struct swim *s, u64 id);
void swim_probe_tick(struct swim *s, u64 now_us);
void swim_probe_run(struct swim *s, u64 now_us);
u64 swim_probe_next_us(const struct swim *s);
void swim_probe_shift(struct swim *s, u64 late_us);

/* swim_sync.c */
void swim_page(struct swim *s, const struct swim_packet *p);
void swim_paged(struct swim *s, u64 now_us, const struct swim_packet *p);
void swim_sync_run(struct swim *s, u64 now_us);
u64 swim_sync_next_us(const struct swim *s);

#endif
