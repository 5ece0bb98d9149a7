/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Suspicions in progress, with Lifeguard's timeouts: the fewer members have
 * confirmed from their own experience, the longer the suspect may take to
 * refute. A bounded table; a suspicion for which there is no room is not taken
 * up (the member stays up here and will be asked again).
 */
#ifndef VIRGO_CORE_SWIM_SUSPICION_H
#define VIRGO_CORE_SWIM_SUSPICION_H

#include "env.h"

enum {
	SUSPICION_CONFIRM = 3, /* confirmations that shorten it to the least */
};

struct swim_suspicion {
	u64 id;
	u64 by[SUSPICION_CONFIRM + 1];
	u64 start_us;
	u64 due_us;
	u32 least_us;
	u32 most_us;
	u8 count;  /* of @by, the first suspector among them */
	u8 wanted; /* confirmations possible in this cloud */
};

struct swim_suspicions {
	struct swim_suspicion *at; /* the owner's memory */
	u16 count;
	u16 max;
};

/* NULL when there is none. */
struct swim_suspicion *suspicion_find(struct swim_suspicions *t, u64 id);
/* False when the table is full. There must be none of @id yet. */
bool suspicion_start(struct swim_suspicions *t, u64 id, u64 by, u64 now_us,
		     u32 least_us, u32 most_us, u8 wanted);
/* True when @by had not been counted yet and counts. */
bool suspicion_confirm(struct swim_suspicion *p, u64 by);
/* Harmless when there is none. */
void suspicion_end(struct swim_suspicions *t, u64 id);
/* One whose time is up, or NULL. */
struct swim_suspicion *suspicion_due(struct swim_suspicions *t, u64 now_us);
/* When the next is due; all ones when there is none. */
u64 suspicion_next_us(const struct swim_suspicions *t);

#endif
