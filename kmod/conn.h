/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TCP connection that the kernel serves. What the bytes mean is its
 * protocol's (struct conn_ops); this moves them.
 *
 * One work item, io, receives; nothing else does, so it needs no lock for that. The
 * socket's callbacks queue it, on the processor that took the packet; others queue
 * it when they have something to send. Each pass receives what there is, has the
 * protocol take all whole requests of it, and sends all answers at once. It rests
 * when the peer reads too slowly (CONN_UNSENT_MAX) and yields after CONN_PASSES. Who
 * may sleep sends himself unless somebody does already (conn_send_here()), which
 * saves a wake-up; what is left then is io's.
 *
 * States: NEW, OPEN, CLOSING, DEAD, in this order. conn_close() may be called in any
 * context, any number of times; another work item, release, does it: takes the
 * callbacks away, waits for io, tells the protocol, lets go of the socket.
 *
 * References: one of the list of the instance, given back by release; one of
 * whoever made it; more by conn_get(). They keep the struct, not the socket.
 * Socket callbacks need none: release ends them first.
 *
 * Locks: conn.tx (the socket's sending side) outside the socket's own and conn.lock;
 * conn.lock (outgoing queue, state) inside conns.lock (list, count); nothing inside
 * these.
 */
#ifndef VIRGO_KMOD_CONN_H
#define VIRGO_KMOD_CONN_H

#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/net.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <net/sock.h>

struct conn;
struct instance;

enum {
	CONN_UNSENT_MAX = 1 << 20,
	CONN_PASSES = 16,
};

/* Bytes to send, made by conn_out_new(). */
struct conn_out {
	struct list_head link;
	u32 len;
	u32 sent;
	u8 data[];
};

struct conn_ops {
	/* Takes whole requests from the front of @data and gives how many bytes
	 * that were; a negative errno closes the connection. When less than one
	 * is there, @need may be set to the bytes of the whole one. With
	 * conn.again it is called again, perhaps without new bytes, once the
	 * peer has taken what was sent; with conn.finish the connection ends
	 * then. In io.
	 */
	ssize_t (*received)(struct conn *c, const u8 *data, size_t len,
			    size_t *need);
	/* The socket is about to go and io has ended. May sleep. */
	void (*closed)(struct conn *c);
	/* The last reference is gone: frees what @c is in. Any context. */
	void (*free)(struct conn *c);
	/* Nothing was received for the idle time, or it stalled. In a work item. */
	void (*idle)(struct conn *c);
	size_t in_max; /* no request is longer */
	bool plain; /* TCP's own sockets, which nobody else waits at */
	/* What was asked for before the peer's end of sending is still sent. */
	bool answers_end;
};

enum conn_state { CONN_NEW, CONN_OPEN, CONN_CLOSING, CONN_DEAD };

struct conn {
	struct kref ref;
	struct instance *in; /* counted */
	const struct conn_ops *ops;
	struct socket *sock; /* until DEAD */
	struct work_struct io;
	struct work_struct release;
	struct delayed_work idle;
	u32 idle_ms; /* 0: may be idle for ever; under lock, READ_ONCE to peek */
	u32 stall_ms; /* 0: may be in the middle of something; the same */
	unsigned long heard; /* jiffies of the last byte */
	unsigned long taken; /* jiffies when the peer last took what was queued */
	bool midway; /* bytes of it wait, here or there, for more or to be taken */

	/* As they were before us; called by ours. */
	void (*data_ready)(struct sock *sk);
	void (*state_change)(struct sock *sk);
	void (*write_space)(struct sock *sk);

	/* io's own. */
	u8 *in_buf;
	size_t in_size, in_len;
	bool dry; /* the socket has no more than was received */
	/* Set by the protocol; within: more of a request is to come. */
	bool again, finish, within;

	struct mutex tx;
	struct list_head sending; /* under tx */

	spinlock_t lock;
	enum conn_state state; /* under lock; READ_ONCE to peek */
	int why; /* errno that closed it, 0: somebody did; for closed() */
	struct list_head out; /* under lock */
	u32 unsent; /* under lock: of out and sending */
	wait_queue_head_t gone; /* woken at DEAD */
	wait_queue_head_t room; /* and when unsent falls below its limit */

	struct list_head link; /* in conns.list */
};

/* Those of one instance. */
struct conns {
	spinlock_t lock;
	struct list_head list;
	u32 count;
	u32 budget_slot; /* of the variable that bounds them */
	bool ended; /* no more are taken */
	wait_queue_head_t none;
};

void conns_init(struct conns *cs);
/* Closes all and waits until all are dead. May sleep. */
void conns_end(struct conns *cs);

/*
 * Starts serving @sock, whose callbacks it takes over and which it releases in
 * the end; @c is zeroed memory of the caller's, freed by ops->free. On success
 * the caller has a reference. -ENOTCONN, -EBUSY the socket has another user,
 * -EUSERS too many connections, -ENODEV the instance ends: then @sock and @c
 * remain the caller's. May sleep.
 */
int conn_start(struct conn *c, struct instance *in, struct socket *sock,
	       const struct conn_ops *ops, u32 idle_ms);
struct conn *conn_get(struct conn *c);
void conn_put(struct conn *c);
void conn_close(struct conn *c);
/* How long the peer may be silent, and how long a part of a request or an answer may
 * wait for him; 0: for ever. Any context.
 */
void conn_set_patience(struct conn *c, u32 idle_ms, u32 stall_ms);
/* The same, with a negative errno to be found in conn.why if it was open. */
void conn_fail(struct conn *c, int why);

/* A buffer for @len bytes at out->data, or NULL. May sleep. */
struct conn_out *conn_out_new(size_t len);
void conn_out_free(struct conn_out *out);
/* @out with its first @len bytes, in less memory: what a peer does not read is counted
 * by its bytes. Takes @out. May sleep.
 */
struct conn_out *conn_out_cut(struct conn_out *out, size_t len);
/*
 * Sends @out after what was queued before. 0 and @out is taken, or -ENOTCONN,
 * or, if @bounded, -ENOBUFS when too much is queued. Any context.
 */
int conn_send(struct conn *c, struct conn_out *out, bool bounded);
/* The same, at once if nobody else is sending. May sleep; not from received(). */
int conn_send_here(struct conn *c, struct conn_out *out, bool bounded);
/* The same from received(): sent when that has returned. 0 or -ENOTCONN. */
int conn_answer(struct conn *c, struct conn_out *out);
/*
 * The same for @len bytes in @count vectors, from received() only: they are sent
 * at once as far as possible, and only the rest is copied. @iov is used up. 0,
 * or a negative errno that is to close the connection. May sleep.
 */
int conn_send_now(struct conn *c, struct kvec *iov, u32 count, u32 len);
/* Whether the peer has taken enough for more to be sent. In io. */
bool conn_may_send(struct conn *c);

#endif
