/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What one call may do to a struct swim, written down a second time and as
 * plainly as swim.c's opening comment says it. Gossip heals most mistakes of a
 * single node, so that a cloud reaches the right end with a wrong rule in it;
 * this looks at each step instead. For small clouds: it copies all members.
 */
#ifndef VIRGO_TESTS_SIM_SWIM_MODEL_H
#define VIRGO_TESTS_SIM_SWIM_MODEL_H

#include "swim_impl.h"

enum { MODEL_NODES = 16, MODEL_SUSPICIONS = 64 };

struct swim_model { /* as it was before the call */
	struct swim_member member[MODEL_NODES];
	struct swim_suspicion suspicion[MODEL_SUSPICIONS];
	struct swim_probe probe[SWIM_PROBES];
	u32 count;
	u16 suspicions;
	u16 suspicions_max;
	u64 self;
	u32 incarnation;
	u32 health;
	u64 change;
	u64 next_us;
	u32 timeout_us;
	bool left;
	u64 sync_due_us;
	u32 pull_seq;
	bool pulling;
	u32 askable; /* members that are not down */
	/* What the call sent. */
	u64 acked; /* who was told last that we live, and for which question */
	u32 acked_seq;
	u32 sent;
	u32 pages_asked;
	u32 paged; /* members on the page it gave */
	u64 timed; /* whose round trip was told; the owner sets it */
};

/* Before a call. */
void model_begin(struct swim_model *m, const struct swim *s);
/* At each datagram that the call sends; NULL or what is wrong with it. */
const char *model_sent(struct swim_model *m, const struct swim *s, u64 to,
		       const u8 *data, size_t len);
/* After swim_receive(); NULL or what is wrong. */
const char *model_received(struct swim_model *m, const struct swim *s,
			   const u8 *data, size_t len);
/* After swim_run(). */
const char *model_ran(const struct swim_model *m, const struct swim *s,
		      u64 now_us);

#endif
