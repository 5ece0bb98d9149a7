/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections of this machine's programs to their virgod, by way of /dev/virgo:
 * for whoever can open the device, wherever virgod's own socket is out of reach.
 *
 * Both ends are unix sockets that the caller makes, so that virgod's end shows who
 * that is (SO_PEERCRED), as with a connection to its own socket. virgod is told
 * over netlink that somebody waits, and takes its end with VIRGO_IOC_ACCEPT; until
 * then the end stands in a queue, and what the caller has said waits in it. Nothing
 * of virgod's refers to the module.
 *
 * Locks: locals.lock around the queue and local.theirs; nothing is taken inside.
 */
#ifndef VIRGO_KMOD_LOCAL_H
#define VIRGO_KMOD_LOCAL_H

#include <linux/list.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include "core/frame.h"

struct file;
struct instance;
struct socket;

struct locals {
	spinlock_t lock;
	struct list_head waiting; /* locals whose other end nobody has taken */
	u32 count; /* of them */
};

/* Of one open file. Its functions are called between local_enter() and
 * local_leave(), one caller at a time; may sleep.
 */
struct local {
	struct instance *in;
	unsigned long busy; /* bit 0 */
	wait_queue_head_t wait; /* for it, and for news */
	bool news;
	wait_queue_entry_t entry; /* in the socket's queue */
	struct socket *sock; /* NULL: not connected */
	kuid_t uid; /* as whom it is connected */
	u64 tag; /* the latest */
	struct list_head link;
	struct file *theirs; /* while it is in the queue */
	bool timed;
	unsigned long until; /* jiffies, if timed */
};

void locals_init(struct locals *ls);
void local_init(struct local *l, struct instance *in);
/* Nobody uses it any more. */
void local_end(struct local *l);

/*
 * Makes the caller the one who uses @l, connected to virgod, for @ms from now at
 * most, 0: as long as it takes. 0, or: -ENOTCONN no virgod listens, -EPERM it is
 * connected as another user, -EBUSY too many wait for virgod, -ETIMEDOUT, -EINTR
 * killed, -ENOMEM and what making sockets gives.
 */
int local_enter(struct local *l, u32 ms);
/* @failed: the connection is of no use any more. */
void local_leave(struct local *l, bool failed);

/*
 * Sends a frame of type @type with a new tag, l->tag: @head_len bytes and then
 * @body, which may be NULL. 0, or a negative errno after which the connection is of
 * no use: -ECONNRESET, -EFAULT, -ETIMEDOUT, -EINTR.
 */
int local_send(struct local *l, u16 type, const void *head, size_t head_len,
	       struct iov_iter *body);
/* The header of the next answer, whose f->length bytes are to be taken. Errors as
 * of local_send(), and -EPROTO.
 */
int local_answer(struct local *l, struct frame *f);
int local_take(struct local *l, void *data, size_t len);
int local_take_to(struct local *l, struct iov_iter *to);

/* For virgod: a descriptor, not to block, of the end of one who waits; -EAGAIN:
 * nobody does; -EMFILE, -ENFILE.
 */
int local_accept(struct instance *in);

#endif
