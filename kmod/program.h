/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs run on another node over its adopted connection: the messages of
 * core/msg_job.h from kernel to kernel. On both sides a descriptor stands for
 * what is said, read and written as a stream of whole frames:
 *
 *	program's descriptor -> struct program -> connection -> struct program
 *		-> the adopter's descriptor, the agent (virgod), which spawns
 *
 * A program here is state, not a queue. What the reader is still to be told is
 * the first answer, the last, a ring for each stream that comes in, and sums of
 * credit; a signal or a size of the window is only the latest. So its memory is
 * bounded whatever the peer sends and however slowly anybody reads: at most
 * PROGRAM_WINDOW a stream, by credit that is checked here in both directions. A
 * reader that allows more is owed the rest.
 *
 *	asked -> first answer -> ... -> last answer (a reply without FRAME_MORE)
 *
 * Whoever asked holds it by his descriptor; closing that cancels. Where it is
 * served it is the connection's, until the last answer, the agent has read that
 * it is cancelled, or the connection ends. The agent's descriptor ends the
 * connection, so without an agent programs end as lost.
 *
 * Locks: programs.lock around all programs of a connection; inside it conn.lock.
 * A descriptor's reading and writing are outside of it.
 */
#ifndef VIRGO_KMOD_PROGRAM_H
#define VIRGO_KMOD_PROGRAM_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "core/wire.h"
#include "fn.h"

struct conn;
struct conn_out;
struct instance;
struct program;

enum {
	PROGRAM_WINDOW = 128 << 10, /* bytes of one stream in the kernel */
	PROGRAM_ORDER_MAX = 128 << 10, /* JOB_START */
	PROGRAM_ANSWER_MAX = 4096, /* the first and the last */
};

/* One end's stream of frames to and from user space. */
struct port {
	struct mutex reading; /* around now */
	struct conn_out *now; /* being read */
	struct mutex writing; /* around what follows */
	u8 header[FRAME_HEADER_BYTES];
	u32 header_len;
	struct frame frame;
	struct conn_out *got; /* the frame, while its payload comes */
	u32 got_len;
	wait_queue_head_t wait;
	bool news; /* set under programs.lock; peeked at */
};

/* Those of one connection. */
struct programs {
	struct conn *conn; /* what this is embedded beside */
	const char *node; /* who is at its other end */
	struct mutex lock;
	struct list_head list; /* all that are not over */
	u32 asked; /* descriptors of those who ask */
	u32 served; /* in list */
	bool agent; /* its descriptor serves; never changes */
	bool ended; /* no more are taken */
	struct port port; /* the agent's */
};

/* @agent: programs of the other side are served by the connection's holder. */
void programs_init(struct programs *ps, struct conn *conn, const char *node,
		   bool agent);
/* The connection has ended, io with it. May sleep. */
void programs_end(struct programs *ps);
/* No reference to the connection is left. */
void programs_free(struct programs *ps);
/*
 * A frame of the peer, of type JOB_START to JOB_CANCEL or an answer. 0 or what is
 * to be answered: -EOPNOTSUPP not served, -EACCES, -EBUSY, -E2BIG, -ENOMEM,
 * -EBADMSG; -EPROTO it broke the rules and is to be cut off. In io.
 */
int programs_take(struct programs *ps, const struct frame *f,
		  const u8 *payload);

/* The descriptor of a program to be run over @ps, whose connection is counted
 * for it; -EBUSY there are too many, or another negative errno. @user: who asks.
 */
int program_open(struct programs *ps, const char *user);

/* File operations of the agent's descriptor. */
ssize_t programs_read(struct programs *ps, struct kiocb *iocb,
		      struct iov_iter *to);
ssize_t programs_write(struct programs *ps, struct kiocb *iocb,
		       struct iov_iter *from);
__poll_t programs_poll(struct programs *ps, struct file *file,
		       poll_table *wait);

#endif
