/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A world for state machines that take time, datagrams and randomness from
 * outside: a clock that jumps from event to event, a network that loses,
 * delays, doubles and divides, and one seed from which everything follows. The
 * same seed gives the same run, byte for byte.
 *
 * A node is a number. The world wakes it when it asked to be, and hands it what
 * was sent to it. Time is in microseconds and begins at WORLD_BEGIN_US.
 */
#ifndef VIRGO_TESTS_SIM_WORLD_H
#define VIRGO_TESTS_SIM_WORLD_H

#include "env.h"

enum { WORLD_BEGIN_US = 1000000 };

struct world;

struct world_ops {
	void (*wake)(void *arg, u32 node);
	void (*deliver)(void *arg, u32 node, u32 from, const u8 *data,
			size_t len);
};

struct world_net {
	u32 loss_ppm;
	u32 double_ppm; /* datagrams that arrive twice */
	u32 delay_least_us;
	u32 delay_most_us;
	u32 late_ppm; /* datagrams that take ten times as long */
};

struct world *world_new(u32 nodes, u64 seed, const struct world_ops *ops,
			void *arg);
void world_free(struct world *w);

u64 world_now_us(const struct world *w);
u32 world_random(struct world *w);
/* Evenly from 0 to @below - 1; @below > 0. */
u32 world_below(struct world *w, u32 below);
/* True in @ppm of a million cases. */
bool world_chance(struct world *w, u32 ppm);

struct world_net *world_net(struct world *w);
/* Datagrams pass only between nodes on the same side; all begin on side 0. */
void world_side(struct world *w, u32 node, u8 side);

/* Nothing passes between these two; replaces the pair before, @a == @b ends it. */
void world_part(struct world *w, u32 a, u32 b);

/* What is sent to or from a node that is off gets lost, and it is not woken. */
void world_power(struct world *w, u32 node, bool on);
/* Nothing happens to the node until @until_us; what was sent waits for it. */
void world_stall(struct world *w, u32 node, u64 until_us);

/* Replaces an earlier wish. */
void world_wake_at(struct world *w, u32 node, u64 at_us);
void world_send(struct world *w, u32 from, u32 to, const u8 *data, size_t len);
/* Datagrams and bytes handed in by world_send(), lost ones too. */
u64 world_sent(const struct world *w);
u64 world_sent_bytes(const struct world *w);

/* Runs events up to @until_us, which is then the time. */
void world_run(struct world *w, u64 until_us);

#endif
