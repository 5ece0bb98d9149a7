// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections: what comes, and their ends; lifetimes and locks are in conn.h. */
#include <linux/mm.h>
#include <linux/tcp.h>
#include <net/tcp_states.h>

#include "conn_buffer.h"
#include "conn_impl.h"
#include "vars.h"

/* The socket's callbacks. Those that were there before (TLS has its own) run
 * first. Softirq or process context.
 */

static void on_data(struct sock *sk)
{
	struct conn *c;

	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c) {
		if (!c->ops->plain)
			c->data_ready(sk);
		conn_wake(c);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

static void on_space(struct sock *sk)
{
	struct conn *c;

	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c) {
		c->write_space(sk);
		if (sk_stream_is_writeable(sk))
			conn_wake(c);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/* What came before the end is still to be read: io meets the end itself. */
static void on_state(struct sock *sk)
{
	struct conn *c;

	read_lock_bh(&sk->sk_callback_lock);
	c = sk->sk_user_data;
	if (c) {
		c->state_change(sk);
		conn_wake(c);
	}
	read_unlock_bh(&sk->sk_callback_lock);
}

/* The peer may have said all before it was accepted. */
static bool is_connected(const struct conn *c)
{
	int state = c->sock->sk->sk_state;

	return state == TCP_ESTABLISHED ||
	       (state == TCP_CLOSE_WAIT && c->ops->answers_end);
}

static int take_callbacks(struct conn *c)
{
	struct sock *sk = c->sock->sk;
	int ret = 0;

	write_lock_bh(&sk->sk_callback_lock);
	if (!is_connected(c)) {
		ret = -ENOTCONN;
	} else if (sk->sk_user_data) {
		ret = -EBUSY;
	} else {
		c->data_ready = sk->sk_data_ready;
		c->state_change = sk->sk_state_change;
		c->write_space = sk->sk_write_space;
		sk->sk_user_data = c;
		sk->sk_data_ready = on_data;
		sk->sk_state_change = on_state;
		sk->sk_write_space = on_space;
	}
	write_unlock_bh(&sk->sk_callback_lock);
	return ret;
}

static void give_callbacks_back(struct conn *c)
{
	struct sock *sk = c->sock->sk;

	write_lock_bh(&sk->sk_callback_lock);
	sk->sk_data_ready = c->data_ready;
	sk->sk_state_change = c->state_change;
	sk->sk_write_space = c->write_space;
	sk->sk_user_data = NULL;
	write_unlock_bh(&sk->sk_callback_lock);
	/* Callbacks also run where the socket is owned by a process. */
	lock_sock(sk);
	release_sock(sk);
}

/* Room for a request of @need bytes, at least for what is there. */
static int grow(struct conn *c, size_t need)
{
	size_t size = max_t(size_t, need, CONN_IN_BYTES);
	u8 *buf;

	if (size > c->ops->in_max)
		return -EMSGSIZE;
	if (size <= c->in_size)
		return 0;
	buf = conn_buffer_get(size);
	if (!buf)
		return -ENOMEM;
	if (c->in_len)
		memcpy(buf, c->in_buf, c->in_len);
	conn_buffer_put(c->in_buf, c->in_size);
	c->in_buf = buf;
	c->in_size = size;
	return 0;
}

/* An idle connection holds no buffer. */
static void drop_buffer(struct conn *c)
{
	conn_buffer_put(c->in_buf, c->in_size);
	c->in_buf = NULL;
	c->in_size = 0;
	c->in_len = 0;
}

static int run_protocol(struct conn *c)
{
	size_t need = 0;
	ssize_t used;

	c->again = false;
	used = c->ops->received(c, c->in_buf, c->in_len, &need);
	if (used < 0)
		return used;
	c->in_len -= used;
	memmove(c->in_buf, c->in_buf + used, c->in_len);
	if (c->again || c->finish)
		return 0;
	/* A request that fills the buffer and is not whole needs a larger one,
	 * whether or not the protocol knows how large.
	 */
	if (c->in_len == c->in_size && need <= c->in_size)
		need = c->in_size < c->ops->in_max ?
			min(c->in_size * 2, c->ops->in_max) : c->in_size + 1;
	return grow(c, need);
}

/* TCP gives all that it has, but stops at an urgent byte, and TLS at a record of
 * another kind, which is in the queue or was made ready: a receive that was not filled
 * has emptied it otherwise, and what comes later wakes io. So does the end, which may
 * have come before io began, though.
 */
static bool is_dry(struct conn *c)
{
	struct sock *sk = c->sock->sk;

	if (READ_ONCE(sk->sk_shutdown) & RCV_SHUTDOWN ||
	    READ_ONCE(sk->sk_err) ||
	    READ_ONCE(sk->sk_state) != TCP_ESTABLISHED ||
	    READ_ONCE(tcp_sk(sk)->urg_data))
		return false;
	return c->ops->plain ||
	       (skb_queue_empty_lockless(&sk->sk_receive_queue) &&
		!sk_is_readable(sk));
}

static int nothing_there(struct conn *c)
{
	if (!c->in_len)
		drop_buffer(c);
	return 0;
}

/* 1 when something was received, 0 when there was nothing. On a TLS socket a
 * record that is no data (an alert, a new key) fails with EIO, because no room
 * for its type is given.
 */
static int receive(struct conn *c)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	struct kvec iov;
	int ret;

	if (c->finish)
		return 0;
	if (c->again) {
		ret = run_protocol(c);
		return ret ? ret : 1;
	}
	if (c->dry)
		return nothing_there(c);
	ret = grow(c, c->in_len + 1);
	if (ret)
		return ret;
	iov.iov_base = c->in_buf + c->in_len;
	iov.iov_len = c->in_size - c->in_len;
	ret = kernel_recvmsg(c->sock, &msg, &iov, 1, iov.iov_len, MSG_DONTWAIT);
	if (ret == -EAGAIN || ret == -EINTR)
		return nothing_there(c);
	if (!ret && c->ops->answers_end) {
		c->finish = true;
		return 0;
	}
	if (ret <= 0)
		return ret ? ret : -ECONNRESET;
	c->dry = c->in_len + ret < c->in_size && is_dry(c);
	WRITE_ONCE(c->heard, jiffies);
	c->in_len += ret;
	ret = run_protocol(c);
	return ret ? ret : 1;
}

/* The work that looks for idle ones looks for it, too. */
static void watch_stall(struct conn *c)
{
	const bool midway = c->within || c->in_len || conn_unsent(c);
	const u32 ms = READ_ONCE(c->stall_ms);

	if (c->midway != midway)
		WRITE_ONCE(c->midway, midway);
	if (midway && ms)
		queue_delayed_work(virgo_ctl, &c->idle, msecs_to_jiffies(ms));
}

static void io(struct work_struct *work)
{
	struct conn *c = container_of(work, struct conn, io);
	int got = 1, sent = 1;
	int pass;

	c->dry = false;
	for (pass = 0; pass < CONN_PASSES && (got > 0 || sent > 0); pass++) {
		got = 0;
		if (READ_ONCE(c->state) != CONN_OPEN)
			return;
		if (conn_unsent(c) <= CONN_UNSENT_MAX)
			got = receive(c);
		if (got >= 0)
			sent = conn_send_queued(c);
		if (got < 0 || sent < 0 || (c->finish && !conn_unsent(c))) {
			conn_fail(c, min3(got, sent, 0));
			return;
		}
		cond_resched();
	}
	watch_stall(c);
	if (got > 0 || sent > 0)
		conn_wake(c);
}

enum { NEVER = MAX_JIFFY_OFFSET };

/* The jiffies that are left of @ms since @begin; with 0 for ever. */
static unsigned long left(u32 ms, unsigned long begin)
{
	const unsigned long limit = msecs_to_jiffies(ms);
	const unsigned long gone = jiffies - begin;

	if (!ms)
		return NEVER;
	return gone < limit ? limit - gone : 0;
}

static unsigned long later(unsigned long a, unsigned long b)
{
	return time_after(a, b) ? a : b;
}

/* How long it may still be as it is. One that begins to be midway now is met by the
 * time it could have stalled.
 */
static unsigned long patience(struct conn *c)
{
	const u32 idle_ms = READ_ONCE(c->idle_ms);
	const u32 stall_ms = READ_ONCE(c->stall_ms);
	unsigned long idle_left = left(idle_ms, READ_ONCE(c->heard));

	if (READ_ONCE(c->midway))
		return min(idle_left, left(stall_ms, later(READ_ONCE(c->heard),
							   READ_ONCE(c->taken))));
	if (!idle_ms || !stall_ms)
		return idle_left;
	return min(idle_left, msecs_to_jiffies(stall_ms));
}

static void idle(struct work_struct *work)
{
	struct conn *c = container_of(work, struct conn, idle.work);
	unsigned long wait = patience(c);

	if (!wait) {
		c->ops->idle(c);
		wait = max(msecs_to_jiffies(READ_ONCE(c->idle_ms)), 1ul);
	}
	if (wait != NEVER)
		queue_delayed_work(virgo_ctl, &c->idle, wait);
}

void conn_set_patience(struct conn *c, u32 idle_ms, u32 stall_ms)
{
	spin_lock_bh(&c->lock);
	if (c->idle_ms != idle_ms || c->stall_ms != stall_ms) {
		WRITE_ONCE(c->idle_ms, idle_ms);
		WRITE_ONCE(c->stall_ms, stall_ms);
		/* Not once release may wait for it. */
		if (c->state == CONN_OPEN)
			mod_delayed_work(virgo_ctl, &c->idle, 0);
	}
	spin_unlock_bh(&c->lock);
}

struct conn *conn_get(struct conn *c)
{
	kref_get(&c->ref);
	return c;
}

static void conn_free(struct kref *ref)
{
	struct conn *c = container_of(ref, struct conn, ref);
	struct instance *in = c->in;

	c->ops->free(c);
	instance_put(in);
}

void conn_put(struct conn *c)
{
	kref_put(&c->ref, conn_free);
}

void conn_fail(struct conn *c, int why)
{
	spin_lock_bh(&c->lock);
	if (c->state == CONN_OPEN) {
		c->why = why;
		WRITE_ONCE(c->state, CONN_CLOSING);
		queue_work(virgo_ctl, &c->release);
	}
	spin_unlock_bh(&c->lock);
}

void conn_close(struct conn *c)
{
	conn_fail(c, 0);
}

/* A socket of the kernel does not keep its namespace: nothing of it may be left
 * there when that ends.
 */
static void let_go(struct conn *c)
{
	if (c->sock->file) {
		fput(c->sock->file);
	} else {
		if (READ_ONCE(c->in->dead))
			sock_no_linger(c->sock->sk);
		sock_release(c->sock);
	}
	c->sock = NULL;
}

static void forget(struct conn *c)
{
	struct conns *cs = &c->in->conns;

	spin_lock_bh(&cs->lock);
	list_del(&c->link);
	cs->count--;
	/* Under the lock: conns_end() may go on, but not past it. */
	if (!cs->count)
		wake_up_all(&cs->none);
	spin_unlock_bh(&cs->lock);
}

/* Nobody queues io once the state is not OPEN and the callbacks are gone. */
static void release(struct work_struct *work)
{
	struct conn *c = container_of(work, struct conn, release);

	give_callbacks_back(c);
	kernel_sock_shutdown(c->sock, SHUT_RDWR);
	cancel_work_sync(&c->io);
	cancel_delayed_work_sync(&c->idle);
	c->ops->closed(c);
	drop_buffer(c);
	mutex_lock(&c->tx);
	conn_drop_queued(c);
	let_go(c);
	mutex_unlock(&c->tx);
	WRITE_ONCE(c->state, CONN_DEAD);
	wake_up_all(&c->gone);
	wake_up_all(&c->room);
	forget(c);
	conn_put(c);
}

/* What the administrator allows, or less if a variable says so. */
static u32 budget(struct instance *in)
{
	const u32 limit = instance_limit(in, LIMIT_CONNECTIONS);
	const struct var_want want = {
		.type = VAR_U64,
		.min = 1,
		.max = CONNECTIONS_MAX,
		.fallback = limit,
	};
	u64 value;

	/* Whatever it gives, value is what to act on. */
	vars_act_on(in, &in->conns.budget_slot, "kernel.connections", &want,
		    &value);
	return min_t(u64, value, limit);
}

/* From here on conns_end() sees it and closes it. */
static int open_listed(struct conn *c)
{
	struct conns *cs = &c->in->conns;
	int ret = 0;

	spin_lock_bh(&cs->lock);
	if (cs->ended) {
		ret = -ENODEV;
	} else if (cs->count >= budget(c->in)) {
		ret = -EUSERS;
	} else {
		cs->count++;
		kref_get(&c->ref);
		list_add_tail(&c->link, &cs->list);
		spin_lock(&c->lock);
		WRITE_ONCE(c->state, CONN_OPEN);
		/* Data may have been there all the time. */
		conn_wake(c);
		if (c->idle_ms)
			queue_delayed_work(virgo_ctl, &c->idle,
					   msecs_to_jiffies(c->idle_ms));
		spin_unlock(&c->lock);
	}
	spin_unlock_bh(&cs->lock);
	return ret;
}

/* While it is NEW io does nothing and nobody can close it. */
int conn_start(struct conn *c, struct instance *in, struct socket *sock,
	       const struct conn_ops *ops, u32 idle_ms)
{
	int ret;

	kref_init(&c->ref);
	spin_lock_init(&c->lock);
	mutex_init(&c->tx);
	INIT_LIST_HEAD(&c->out);
	INIT_LIST_HEAD(&c->sending);
	INIT_WORK(&c->io, io);
	INIT_WORK(&c->release, release);
	INIT_DELAYED_WORK(&c->idle, idle);
	init_waitqueue_head(&c->gone);
	init_waitqueue_head(&c->room);
	c->in = instance_get(in);
	c->ops = ops;
	c->sock = sock;
	c->idle_ms = idle_ms;
	c->heard = jiffies;
	c->taken = c->heard;
	c->state = CONN_NEW;
	ret = take_callbacks(c);
	if (ret)
		goto put_instance;
	ret = open_listed(c);
	if (ret)
		goto give_back;
	return 0;

give_back:
	give_callbacks_back(c);
	cancel_work_sync(&c->io);
put_instance:
	instance_put(in);
	return ret;
}

void conns_init(struct conns *cs)
{
	spin_lock_init(&cs->lock);
	INIT_LIST_HEAD(&cs->list);
	init_waitqueue_head(&cs->none);
}

void conns_end(struct conns *cs)
{
	struct conn *c;

	spin_lock_bh(&cs->lock);
	cs->ended = true;
	list_for_each_entry(c, &cs->list, link)
		conn_close(c);
	spin_unlock_bh(&cs->lock);
	wait_event(cs->none, !READ_ONCE(cs->count));
	/* The last one has let go of the lock, too. */
	spin_lock_bh(&cs->lock);
	spin_unlock_bh(&cs->lock);
}
