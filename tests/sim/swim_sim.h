/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cloud of core/swim.h nodes in a simulated world. Every call into a node is
 * followed by a check of its invariants; one that fails is remembered as the
 * cloud's failure, with the time.
 */
#ifndef VIRGO_TESTS_SIM_SWIM_SIM_H
#define VIRGO_TESTS_SIM_SWIM_SIM_H

#include "swim.h"
#include "swim_model.h"
#include "world.h"

struct cloud_node {
	struct cloud *cloud;
	struct swim *swim;
	void *memory;
	u64 id;
	u32 born;    /* incarnation given at the last start */
	u32 highest; /* incarnation it ever had */
	bool on;
	u64 heard;   /* highest change it was told of or told itself */
	struct swim_model model;
};

struct cloud_event {
	u64 at_us;
	u32 observer;
	u32 subject;
	enum swim_state now;
};

struct cloud {
	struct world *world;
	u32 nodes;
	struct cloud_node *node; /* in order of id */
	u64 highest_change;
	bool check; /* all invariants at each step */
	char failure[256];
	/* Called at every change of state anybody sees; may be NULL. */
	void (*seen)(struct cloud *c, const struct cloud_event *e);
	void *arg;
};

/* NULL, or what is wrong with it. */
const char *swim_wrong(const struct swim *s);

/* @converged: all begin knowing that all others are up. */
struct cloud *cloud_new(u32 nodes, u64 seed, bool converged);
void cloud_free(struct cloud *c);

void cloud_kill(struct cloud *c, u32 node);
/* Starts it anew, knowing only who exists. @clock_back: with an incarnation
 * below its last.
 */
void cloud_start(struct cloud *c, u32 node, bool clock_back);
void cloud_leave(struct cloud *c, u32 node);
void cloud_set_change(struct cloud *c, u32 node, u64 change);
/* @node gets a datagram of a number that is no member, full of lies. */
void cloud_stranger(struct cloud *c, u32 node);
void cloud_long_page(struct cloud *c, u32 node);
/* @node's catalog loses @subject and gets it back at once. */
void cloud_forget(struct cloud *c, u32 node, u32 subject);
/* How @observer sees @subject. */
enum swim_state cloud_sees(const struct cloud *c, u32 observer, u32 subject);
/* Remembers the first failure. */
void cloud_fail(struct cloud *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* True when everyone on sees everyone on up and all others down, and knows the
 * highest change; else, if @say, the failure says who does not.
 */
bool cloud_agrees(struct cloud *c, bool say);

/* The scenarios; each gives its failure in @failure (256 bytes), "" if none. */
void scenario_kill(u64 seed, u32 nodes, char *failure);
void scenario_split(u64 seed, u32 nodes, char *failure);
void scenario_slow(u64 seed, u32 nodes, char *failure);
void scenario_chaos(u64 seed, u32 nodes, char *failure);

struct many_result {
	u64 most_us; /* until all who live saw all who died */
	u64 false_down; /* times a living node was seen down */
};
/* @dead of them die at the same time. */
void scenario_many(u64 seed, u32 nodes, u32 dead, u32 loss_ppm,
		   struct many_result *r, char *failure);

struct scale_result {
	u64 detect_first_us, detect_median_us, detect_99_us, detect_last_us;
	u64 killed, seen;
	u64 false_down; /* times a living node was seen down */
	u64 false_suspect;
	u64 bytes_per_second;	 /* a node, sealed, with UDP and IP headers */
	u64 datagrams_per_1000s; /* a node */
};
void scenario_scale(u64 seed, u32 nodes, u32 loss_ppm, u32 seconds,
		    struct scale_result *r, char *failure);

#endif
