/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which node should run the next job. Integers only; randomness and time are
 * passed in.
 *
 * The default is when the job can be expected to be done: (requests in flight +
 * 1) times the service time learned from jobs that ended there, weighted by how
 * idle the node is. Round robin and random are what the original VIRGO did;
 * idle looks at nothing but free processors.
 */
#ifndef VIRGO_CORE_CHOOSE_H
#define VIRGO_CORE_CHOOSE_H

#include "env.h"

enum choose_policy {
	CHOOSE_SERVICE,
	CHOOSE_IDLE,
	CHOOSE_ROUND_ROBIN,
	CHOOSE_RANDOM,
	CHOOSE_POLICIES
};

#define CHOOSE_NEVER (~(u64)0) /* the score of a node that is not fit */

struct choose_node {
	bool fit;	/* up and not draining; others are ranked last */
	u32 in_flight;	/* jobs asked of it that have not ended */
	u32 cpus;	/* 0 counts as 1 */
	u32 idle_ppm;	/* of all its processors; CHOOSE_IDLE_UNKNOWN */
	u64 service_us; /* 0 counts as 1 */
	u64 score;	/* out: the lower the better */
};

enum {
	CHOOSE_IDLE_UNKNOWN = 500000, /* for a node not heard of */
	CHOOSE_IDLE_LEAST = 10000,    /* a busy node is not infinitely bad */
};

/* Scores every node under @policy. @turn counts choices, for round robin, which
 * goes through the fit nodes by place.
 */
void choose_score(enum choose_policy policy, struct choose_node *n, u32 count,
		  u32 turn, u32 (*random)(void *arg), void *arg);

/*
 * Writes the places of all nodes into @order, best score first, those that are
 * not fit last; equals by turns. When @look is not 0, only that many fit nodes
 * drawn at random compete for the first place: with many nodes and old news
 * everyone would otherwise run to the same one (the power of two choices).
 */
void choose_rank(const struct choose_node *n, u32 count, u32 turn, u32 look,
		 u32 (*random)(void *arg), void *arg, u32 *order);

/* What is learned of a node's service time. Zero at first. */
struct choose_learned {
	u64 service_us; /* mean of recent jobs, the newest counting 1/8 */
	u64 at_us;	/* of the newest; 0: nothing learned */
};

/* After so long without a job, half of what sets a node apart is forgotten, so
 * that one that was slow, or had a long job, is tried again.
 */
enum { CHOOSE_FORGET_US = 30000000 };

void choose_learn(struct choose_learned *l, u64 now_us, u64 took_us);
/* What to expect of it, @mean_us being the mean over all nodes with jobs;
 * within a factor of 8 of that.
 */
u64 choose_expect(const struct choose_learned *l, u64 now_us, u64 mean_us);

/* A node that might hold a new volume. */
struct choose_store {
	bool fit;
	bool own; /* who asks is there itself */
	u64 bytes_free;
	u32 idle_ppm;
};

/*
 * The place of the node that should hold it, @count when none is fit: the one
 * with the most room, where being idle counts for at most a factor of two; but
 * the asker's own when that is within an eighth of the best, for its files are
 * then a network nearer. Equals: the first.
 */
u32 choose_store(const struct choose_store *n, u32 count);

#endif
