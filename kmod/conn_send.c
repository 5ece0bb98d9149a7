// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections: what goes; lifetimes and locks are in conn.h. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "conn_impl.h"
#include "core/env.h"

enum { VECTORS = 16, UNUSED_MAX = 256 };

struct conn_out *conn_out_new(size_t len)
{
	struct conn_out *out = kvmalloc(sizeof(*out) + len, GFP_KERNEL);

	if (out) {
		out->len = len;
		out->sent = 0;
	}
	return out;
}

void conn_out_free(struct conn_out *out)
{
	kvfree(out);
}

struct conn_out *conn_out_cut(struct conn_out *out, size_t len)
{
	struct conn_out *small = NULL;

	if (out->len - len > UNUSED_MAX)
		small = conn_out_new(len);
	out->len = len;
	if (!small)
		return out;
	memcpy(small->data, out->data, len);
	conn_out_free(out);
	return small;
}

/* Nobody queues io once the state is not OPEN. Under the lock. */
static int enqueue(struct conn *c, struct conn_out *out, bool bounded)
{
	if (c->state != CONN_OPEN)
		return -ENOTCONN;
	if (bounded && c->unsent > CONN_UNSENT_MAX)
		return -ENOBUFS;
	list_add_tail(&out->link, &c->out);
	WRITE_ONCE(c->unsent, c->unsent + out->len);
	return 0;
}

int conn_send(struct conn *c, struct conn_out *out, bool bounded)
{
	int ret;

	spin_lock_bh(&c->lock);
	ret = enqueue(c, out, bounded);
	if (!ret)
		conn_wake(c);
	spin_unlock_bh(&c->lock);
	return ret;
}

int conn_answer(struct conn *c, struct conn_out *out)
{
	int ret;

	spin_lock_bh(&c->lock);
	ret = enqueue(c, out, false);
	spin_unlock_bh(&c->lock);
	return ret;
}

/* Under tx. */
static void take_queued(struct conn *c)
{
	spin_lock_bh(&c->lock);
	list_splice_tail_init(&c->out, &c->sending);
	spin_unlock_bh(&c->lock);
}

/* Not once release may wait for io. */
static void leave_to_io(struct conn *c)
{
	spin_lock_bh(&c->lock);
	if (c->state == CONN_OPEN)
		conn_wake(c);
	spin_unlock_bh(&c->lock);
}

/* Takes @sent bytes off the front. io may wait for the room, too. */
static void advance(struct conn *c, u32 sent)
{
	struct conn_out *out, *next;
	bool was_full;

	WRITE_ONCE(c->taken, jiffies);
	spin_lock_bh(&c->lock);
	was_full = c->unsent > CONN_UNSENT_MAX;
	WRITE_ONCE(c->unsent, c->unsent - sent);
	was_full &= c->unsent <= CONN_UNSENT_MAX;
	spin_unlock_bh(&c->lock);
	if (was_full) {
		wake_up_all(&c->room);
		leave_to_io(c);
	}
	list_for_each_entry_safe(out, next, &c->sending, link) {
		u32 n = min(sent, out->len - out->sent);

		out->sent += n;
		sent -= n;
		if (out->sent < out->len)
			break;
		list_del(&out->link);
		conn_out_free(out);
	}
}

/* 1 when something was sent, 0 when nothing is to be, or the peer does not take
 * more now. Under tx.
 */
static int send_some(struct conn *c)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	struct kvec iov[VECTORS] NOT_CLEARED;
	struct conn_out *out;
	size_t len = 0;
	int count = 0;
	int ret;

	take_queued(c);
	list_for_each_entry(out, &c->sending, link) {
		if (count == VECTORS)
			break;
		iov[count].iov_base = out->data + out->sent;
		iov[count].iov_len = out->len - out->sent;
		len += iov[count++].iov_len;
	}
	if (!count)
		return 0;
	ret = kernel_sendmsg(c->sock, &msg, iov, count, len);
	if (ret == -EAGAIN || ret == -EINTR)
		return 0; /* TCP has noted that it is to tell us of room */
	if (ret <= 0)
		return ret ? ret : -EPIPE;
	advance(c, ret);
	return 1;
}

int conn_send_queued(struct conn *c)
{
	int ret;

	if (!conn_unsent(c))
		return 0;
	mutex_lock(&c->tx);
	ret = send_some(c);
	mutex_unlock(&c->tx);
	return ret;
}

int conn_send_here(struct conn *c, struct conn_out *out, bool bounded)
{
	int ret;

	spin_lock_bh(&c->lock);
	ret = enqueue(c, out, bounded);
	spin_unlock_bh(&c->lock);
	if (ret)
		return ret;
	/* Whoever has it may have looked into the queue before. */
	if (!mutex_trylock(&c->tx)) {
		leave_to_io(c);
		return 0;
	}
	/* While it is OPEN the socket stays: release waits for tx. */
	if (READ_ONCE(c->state) == CONN_OPEN)
		ret = send_some(c);
	mutex_unlock(&c->tx);
	if (ret < 0)
		conn_fail(c, ret);
	else if (conn_unsent(c))
		leave_to_io(c);
	return 0;
}

bool conn_may_send(struct conn *c)
{
	return conn_unsent(c) <= CONN_UNSENT_MAX;
}

/* Drops @sent bytes from the front of the vectors. */
static void skip(struct kvec **iov, u32 *count, u32 sent)
{
	while (*count && sent >= (*iov)->iov_len) {
		sent -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (*count) {
		(*iov)->iov_base += sent;
		(*iov)->iov_len -= sent;
	}
}

static int copy_to_queue(struct conn *c, const struct kvec *iov, u32 count,
			 u32 len)
{
	struct conn_out *out = conn_out_new(len);
	u8 *to;
	int ret;
	u32 i;

	if (!out)
		return -ENOMEM;
	to = out->data;
	for (i = 0; i < count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	ret = conn_send(c, out, false);
	if (ret)
		conn_out_free(out);
	return ret;
}

int conn_send_now(struct conn *c, struct kvec *iov, u32 count, u32 len)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	int ret = -EAGAIN;

	mutex_lock(&c->tx);
	if (!conn_unsent(c))
		ret = kernel_sendmsg(c->sock, &msg, iov, count, len);
	mutex_unlock(&c->tx);
	if (ret == -EAGAIN || ret == -EINTR)
		ret = 0;
	if (ret < 0)
		return ret;
	if (ret == len)
		return 0;
	skip(&iov, &count, ret);
	return copy_to_queue(c, iov, count, len - ret);
}

void conn_drop_queued(struct conn *c)
{
	struct conn_out *out, *next;

	take_queued(c);
	list_for_each_entry_safe(out, next, &c->sending, link)
		conn_out_free(out);
	INIT_LIST_HEAD(&c->sending);
}
