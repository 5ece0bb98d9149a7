/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of programs know of each other; see program.h.
 *
 *	program.c		their state, what the peer says
 *	program_reader.c	what the reader is told and says
 *	program_file.c		descriptors
 */
#ifndef VIRGO_KMOD_PROGRAM_STATE_H
#define VIRGO_KMOD_PROGRAM_STATE_H

#include "program.h"

/* One direction is data's, the other only says that its reader is gone. */
struct program_stream {
	u8 *ring; /* PROGRAM_WINDOW bytes, from the first that came */
	u32 at, len; /* what of it is unread */
	u32 allowed; /* the peer may send as much more */
	u32 owed; /* allowed by the reader, not passed on */
	u32 may_send; /* our reader may */
	u32 credit; /* to be told to our reader */
	bool end, end_told; /* the peer's FRAME_EOF */
};

struct program {
	struct list_head link; /* in programs.list, or empty: it is over */
	struct programs *all; /* its connection is counted if !serving */
	bool serving;
	u64 tag; /* on the connection */
	u64 own_tag; /* by whoever asked here; serving: the same */
	bool begun; /* JOB_START has passed */
	struct conn_out *first, *last; /* to be read */
	struct program_stream stream[JOB_STREAMS];
	u64 signals; /* bit n - 1 for signal n */
	bool resized, cancelled;
	u16 rows, cols;
	char user[USER_NAME_BYTES];
	struct port port; /* of whoever asked */
};

static inline struct port *program_port(struct program *p)
{
	return p->serving ? &p->all->port : &p->port;
}

/* Whether data of @stream comes from the peer. */
static inline bool program_hears(const struct program *p, u32 stream)
{
	return p->serving == (stream == 0);
}

void port_init(struct port *port);
void port_free(struct port *port);
/* The reader has something new. Under the lock. */
void port_tell(struct port *port);

/* All under the lock. */

struct program *program_find(struct programs *ps, u64 tag, bool serving);
/* Off the list; one that was served is freed. */
void program_over(struct program *p);
void program_free(struct program *p);
/* Whether there is something for the reader. */
bool program_has(const struct program *p);
/* The next frame for the reader, or NULL; ERR_PTR(-ENOMEM). */
struct conn_out *program_next(struct program *p);
/*
 * A frame of our reader's, already checked for its type and tag; takes @out, with
 * the payload behind the header's room, except on error: -EINVAL, -E2BIG,
 * -ENOMEM; -EPIPE it begins and the connection has ended.
 */
int program_say(struct program *p, struct frame *f, struct conn_out *out);

#endif
