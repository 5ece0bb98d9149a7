/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What guard.c (clients, the loop) and guard_leg.c (legs) share. */
#ifndef VIRGO_NBD_GUARD_IMPL_H
#define VIRGO_NBD_GUARD_IMPL_H

#include "dialler.h"
#include "genl.h"
#include "guard.h"

enum {
	TICK_MS = 50,
	TICK_QUIET_MS = 5, /* while a moment without requests is waited for */
	SILENT_MS = 1500, /* requests wait and none is answered */
	TIMEOUT_S = 3, /* the kernel's, for one request */
	DIAL_MS = 3000,
	DIAL_AGAIN_MS = 200,
	STEP_MS = 60, /* the kernel tells of a death before it notes it */
	STEP_MAX_MS = 1000, /* it does not tell when nothing waits */
};

struct leg {
	struct guard_leg told; /* as clients see it */
	bool used;
	int client; /* place of who waits for the answer to ATTACH; -1 */
	int conns[GUARD_SOCKETS_MAX]; /* what the kernel has; -1: unknown */
	int fresh[GUARD_SOCKETS_MAX]; /* dialled, not given to the kernel */
	u32 fresh_count;
	u32 asked; /* connections ordered and not answered */
	u32 turn; /* orders of before are void */
	u16 flags; /* of the export */
	int stat; /* /sys/block/nbdN/stat; -1 */
	u64 done; /* requests answered */
	u64 records; /* under the present keys, at most */
	u64 records_then; /* as above, when these keys were new */
	u32 inflight;
	u32 silent_ms;
	u64 since_ms; /* in this state */
	u64 dial_at_ms; /* 0: not wanted */
	u32 step; /* of rotating: which connection */
	u64 step_at_ms; /* when to go on with it; 0: none under way */
	bool waits; /* for a quiet moment before the next step */
	u64 excused_until_ms; /* its silence is our own doing */
	bool struck; /* rotating, and the kernel ended a fresh connection */
};

struct guard {
	struct genl *genl;
	int listener;
	int dialler;
	int clients[GUARD_CLIENTS_MAX]; /* -1: free */
	bool watches[GUARD_CLIENTS_MAX];
	struct leg legs[GUARD_LEGS_MAX];
	u64 rotate_after;
	u64 now_ms;
	bool changed; /* tell who watches */
	bool ended;
};

/* Sends an answer to the client at @place, if it is there. */
void guard_answer(struct guard *g, int place, const struct guard_message *m);

/* Each gives 0 or a negative errno; @why may be filled. */
int legs_attach(struct guard *g, const struct guard_leg *l, int client);
int legs_adopt(struct guard *g, const struct guard_leg *l);
int legs_drop(struct guard *g, const struct guard_leg *l);
void legs_mirror(struct guard *g, const struct guard_leg *l);
bool legs_any(const struct guard *g);
/* How long the loop may sleep; -1: until something comes. */
int legs_sleep_ms(const struct guard *g);
/* News of the kernel, of the dialler, and of time. */
void legs_link_dead(struct guard *g, int index);
void legs_dialled(struct guard *g, const struct dial_result *r, int conn);
void legs_tick(struct guard *g, u32 elapsed_ms);

#endif
