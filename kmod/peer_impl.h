/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of connections to nodes know of each other; see peer.h.
 *
 *	peer.c		their frames, and what they ask of us
 *	peer_call.c	what we ask of them
 *	peer_adopt.c	how they come, and the descriptor of who brought them
 */
#ifndef VIRGO_KMOD_PEER_IMPL_H
#define VIRGO_KMOD_PEER_IMPL_H

#include "conn.h"
#include "peer.h"
#include "program.h"

struct peer {
	struct conn conn;
	struct programs programs;
	char node[NODE_NAME_BYTES]; /* never changes */
	struct mutex lock;
	struct list_head calls; /* under lock */
	u32 call_count; /* under lock */
	u64 next_tag; /* under lock */
	bool ended; /* under lock: no more calls */
	atomic_t jobs; /* of the other side, under way here */
	atomic_t asked; /* without having heard anything since */
};

static inline struct peer *peer_of(struct conn *c)
{
	return container_of(c, struct peer, conn);
}

extern const struct conn_ops peer_ops;

/* Gives the answer to who waits for it, in io; false when nobody does any more. */
bool peer_answered(struct peer *p, const struct frame *f, const u8 *payload);
/* No call waits any longer, and none is made. */
void peer_calls_end(struct peer *p);

#endif
