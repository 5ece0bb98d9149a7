/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What guard.c (clients, the loop) and guard_leg.c (legs) share. */
#ifndef VIRGO_NBD_GUARD_IMPL_H
#define VIRGO_NBD_GUARD_IMPL_H

#include "dialler.h"
#include "genl.h"
#include "guard.h"

enum {
	TICK_MS = 50,
	SILENT_MS = 1500, /* requests wait and none is answered */
	/* The kernel's, for one request, however many are answered meanwhile: long
	 * where we would notice silence ourselves. The last leg's is short, since
	 * what was under way on a connection that was lost is sent again only then.
	 */
	TIMEOUT_MS = 15000,
	TIMEOUT_ALONE_MS = 3000,
	DIAL_MS = 3000,
	DIAL_AGAIN_MS = 200,
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
	u32 inflight;
	u32 silent_ms;
	u32 timeout_ms; /* as the kernel was told; 0: not yet */
	u64 since_ms; /* in this state */
	u64 dial_at_ms; /* 0: not wanted */
};

struct guard {
	struct genl *genl;
	int listener;
	int dialler;
	int clients[GUARD_CLIENTS_MAX]; /* -1: free */
	bool watches[GUARD_CLIENTS_MAX];
	struct leg legs[GUARD_LEGS_MAX];
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
