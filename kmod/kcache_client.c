// SPDX-License-Identifier: GPL-2.0-or-later
/* The connections of kmemcache. */
#include "kcache_impl.h"

#include <linux/slab.h>

#include "conn.h"
#include "conn_buffer.h"
#include "instance.h"

enum { REPLIES_KEPT = 8 }; /* they are large */

/* A reply and its vectors in the form that sockets take. */
struct reply {
	struct list_head link;
	struct kvec iov[MEMCACHED_VECS];
	struct memcached_reply r;
};

struct client {
	struct conn conn;
	struct kcache *cache;
	struct memcached_conn mc; /* io's own */
};

static struct client *client_of(struct conn *c)
{
	return container_of(c, struct client, conn);
}

static struct reply *reply_get(struct kcache *kc)
{
	struct reply *reply;

	spin_lock(&kc->lock);
	reply = list_first_entry_or_null(&kc->replies, struct reply, link);
	if (reply) {
		list_del(&reply->link);
		kc->replies_kept--;
	}
	spin_unlock(&kc->lock);
	return reply ? reply : kvzalloc(sizeof(*reply), GFP_KERNEL);
}

static void reply_put(struct kcache *kc, struct reply *reply)
{
	spin_lock(&kc->lock);
	if (kc->replies_kept < REPLIES_KEPT) {
		list_add(&reply->link, &kc->replies);
		kc->replies_kept++;
		reply = NULL;
	}
	spin_unlock(&kc->lock);
	kvfree(reply);
}

static int reply_send(struct client *cl, struct reply *reply)
{
	struct memcached_reply *r = &reply->r;
	u32 i;

	if (!r->count)
		return 0;
	for (i = 0; i < r->count; i++) {
		reply->iov[i].iov_base = (void *)r->vec[i].base;
		reply->iov[i].iov_len = r->vec[i].len;
	}
	atomic64_add(r->bytes, &cl->cache->bytes_out);
	return conn_send_now(&cl->conn, reply->iov, r->count, r->bytes);
}

/* All that is there, unless the client does not read its answers. */
static ssize_t received(struct conn *c, const u8 *data, size_t len,
			size_t *need)
{
	struct client *cl = client_of(c);
	struct kcache *kc = cl->cache;
	struct reply *reply = reply_get(kc);
	size_t used = 0;
	int ret = 0;

	if (!reply)
		return -ENOMEM;
	do {
		size_t n = memcached_run(&kc->m, &cl->mc, data + used,
					 len - used, &reply->r);

		used += n;
		c->again = reply->r.full && cl->mc.state != MEMCACHED_CLOSING;
		ret = reply_send(cl, reply);
		memcached_sent(&kc->m, &reply->r);
	} while (!ret && c->again && conn_may_send(c));
	c->within = cl->mc.state != MEMCACHED_COMMAND;
	c->finish = cl->mc.state == MEMCACHED_CLOSING;
	reply_put(kc, reply);
	atomic64_add(used, &kc->bytes_in);
	return ret ? ret : used;
}

static void closed(struct conn *c)
{
	struct client *cl = client_of(c);

	memcached_leave(&cl->cache->m, &cl->mc);
}

static void client_gone(struct kcache *kc)
{
	spin_lock(&kc->lock);
	if (!--kc->connections)
		wake_up_all(&kc->none);
	spin_unlock(&kc->lock);
}

static void free_client(struct conn *c)
{
	struct client *cl = client_of(c);

	client_gone(cl->cache);
	kfree(cl);
}

static void idle(struct conn *c)
{
	atomic64_inc(&client_of(c)->cache->idle_kicks);
	conn_close(c);
}

static const struct conn_ops client_ops = {
	.received = received,
	.closed = closed,
	.free = free_client,
	.idle = idle,
	.in_max = CONN_IN_BYTES,
	.plain = true,
	.answers_end = true,
};

static bool client_comes(struct kcache *kc)
{
	const u32 most = READ_ONCE(kc->setup.terms.clients);
	bool ret;

	spin_lock(&kc->lock);
	ret = !most || kc->connections < most;
	if (ret)
		kc->connections++;
	spin_unlock(&kc->lock);
	return ret;
}

static u32 in_ms(u32 s)
{
	return min_t(u32, s, 1000000) * 1000;
}

/* Under conns.lock: of two at a time the later one has the later terms. */
static void keep_to_terms(struct client *cl)
{
	const struct kcache_terms *t = &cl->cache->setup.terms;

	conn_set_patience(&cl->conn, in_ms(READ_ONCE(t->idle_s)),
			  in_ms(READ_ONCE(t->stall_s)));
}

static int client_start(struct client *cl, struct socket *sock)
{
	struct conns *cs = &cl->cache->in->conns;
	int ret = conn_start(&cl->conn, cl->cache->in, sock, &client_ops, 0);

	if (ret)
		return ret;
	spin_lock_bh(&cs->lock);
	keep_to_terms(cl);
	spin_unlock_bh(&cs->lock);
	conn_put(&cl->conn);
	return 0;
}

/* In memcached's words. */
static void say_too_many(struct socket *sock)
{
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL };
	static const char words[] = "ERROR Too many open connections\r\n";
	struct kvec iov = { .iov_base = (void *)words,
			    .iov_len = sizeof(words) - 1 };

	kernel_sendmsg(sock, &msg, &iov, 1, iov.iov_len);
}

void kcache_accepted(struct listener *l, struct socket *sock)
{
	struct kcache *kc = container_of(l, struct kcache, listener);
	struct client *cl = kzalloc(sizeof(*cl), GFP_KERNEL);

	if (!cl)
		goto reject;
	cl->cache = kc;
	if (!client_comes(kc)) {
		say_too_many(sock);
		goto free_client;
	}
	if (client_start(cl, sock))
		goto client_gone;
	atomic64_inc(&kc->total);
	return;

client_gone:
	client_gone(kc);
free_client:
	kfree(cl);
reject:
	atomic64_inc(&kc->rejected);
	sock_release(sock);
}

void kcache_tell_clients(struct kcache *kc)
{
	struct conns *cs = &kc->in->conns;
	struct conn *c;

	spin_lock_bh(&cs->lock);
	list_for_each_entry(c, &cs->list, link)
		if (c->ops == &client_ops && client_of(c)->cache == kc)
			keep_to_terms(client_of(c));
	spin_unlock_bh(&cs->lock);
}

void kcache_close_clients(struct kcache *kc)
{
	struct conns *cs = &kc->in->conns;
	struct conn *c;

	spin_lock_bh(&cs->lock);
	list_for_each_entry(c, &cs->list, link)
		if (c->ops == &client_ops && client_of(c)->cache == kc)
			conn_close(c);
	spin_unlock_bh(&cs->lock);
	wait_event(kc->none, !READ_ONCE(kc->connections) &&
			     !READ_ONCE(kc->users));
	/* The last one has let go of the lock, too. */
	spin_lock(&kc->lock);
	spin_unlock(&kc->lock);
}

void kcache_free_replies(struct kcache *kc)
{
	struct reply *reply, *next;

	list_for_each_entry_safe(reply, next, &kc->replies, link)
		kvfree(reply);
}
