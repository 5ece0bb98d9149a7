// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Servers: their connections, which come and go, and the files open there. The
 * contract is in server.h, the calls are in call.c, what a server sends is taken in
 * receive.c. All in the loop's thread.
 */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "address.h"
#include "log.h"
#include "reopen.h"
#include "serverlink.h"

enum {
	BACKOFF_FIRST_US = 50000,
	BACKOFF_MAX_US = 1000000,
};

static void on_open(struct conn *conn)
{
	struct server *s = conn_arg(conn);
	struct volume *v;

	log_info("connected to %s", s->node);
	s->backoff_us = BACKOFF_FIRST_US;
	s->down_since_us = 0;
	s->known_down = false;
	s->epoch++;
	for (v = s->all->volumes; v; v = v->next)
		if (v->server == s && (v->root || v->attaching))
			reopen_attach(s, v);
}

static void on_closed(struct conn *conn, const struct failure *why)
{
	struct server *s = conn_arg(conn);
	struct volume *v;
	bool wanted = false;

	if (conn != s->conn)
		return;
	s->conn = NULL;
	server_drop_held(s);
	if (!s->down_since_us)
		s->down_since_us = loop_clock_us();
	if (!s->known_down)
		log_warning("%s: %s", s->node, why->what);
	s->known_down = true;
	for (v = s->all->volumes; v; v = v->next)
		if (v->server == s) {
			v->attached = false;
			wanted = wanted || (v->listed && !LIST_EMPTY(&v->files));
		}
	server_requeue(s);
	if (wanted || !TAILQ_EMPTY(&s->calls))
		loop_arm(s->all->loop, &s->retry, s->backoff_us);
	/* Half to all of the interval, so that clients do not come in step. */
	s->backoff_us += s->backoff_us / 2 + loop_clock_us() % s->backoff_us;
	if (s->backoff_us > BACKOFF_MAX_US)
		s->backoff_us = BACKOFF_MAX_US;
}

static const struct conn_ops conn_ops = {
	.on_open = on_open,
	.on_frame = server_take_frame,
	.on_closed = on_closed,
};

int servers_load_identity(struct servers *all, struct failure *f)
{
	char path[4096];
	struct tls_identity *id;
	struct stat st;
	int ret;

	snprintf(path, sizeof(path), "%s/node.crt", all->identity_dir);
	if (stat(path, &st))
		st.st_mtime = 0;
	if (all->identity && all->identity_mtime == st.st_mtime)
		return 0;
	ret = tls_identity_load(&id, all->identity_dir, f);
	if (ret)
		return all->identity ? 0 : ret;
	tls_identity_put(all->identity);
	all->identity = id;
	all->identity_mtime = st.st_mtime;
	all->local.node = tls_identity_node(id);
	return 0;
}

static void dial(struct server *s)
{
	struct address list[ADDRESS_MAX];
	struct failure f = { 0 };
	int n;

	if (s->conn)
		return;
	loop_disarm(s->all->loop, &s->retry);
	n = address_resolve(s->addresses, s->all->port, false, list,
			    ADDRESS_MAX);
	if (n == -EAGAIN)
		n = address_resolve(s->addresses, s->all->port, true, list,
				    ADDRESS_MAX);
	if (n > 0 && servers_load_identity(s->all, &f) == 0) {
		const struct address *a = &list[s->attempt++ % (u32)n];

		s->conn = conn_dial(s->all->loop, (const void *)&a->sa, a->len,
				    s->all->identity, TLS_CONTROL, s->node, NULL,
				    &s->all->local, &conn_ops, s);
	}
	if (s->conn)
		return;
	if (!s->known_down)
		log_warning("%s: %s", s->node, f.code ? f.what :
						       "its address is unknown");
	s->known_down = true;
	if (!s->down_since_us)
		s->down_since_us = loop_clock_us();
	if (s->all->patience == PATIENCE_SOFT)
		server_requeue(s);
	loop_arm(s->all->loop, &s->retry, BACKOFF_MAX_US);
}

static void on_retry(struct timer *t)
{
	dial((struct server *)((char *)t - offsetof(struct server, retry)));
}

void server_want(struct volume *v)
{
	struct server *s = v->server;

	/* Attaching ends with the connection when nobody waits for another. */
	if (v->attached ||
	    (v->attaching && (s->conn || timer_armed(&s->retry))))
		return;
	v->attaching = true;
	if (s->conn && conn_is_open(s->conn))
		reopen_attach(s, v);
	else if (!s->conn && !timer_armed(&s->retry))
		dial(s);
}

void server_reattach(struct volume *v)
{
	if (!v->attached)
		return;
	v->attached = false;
	server_want(v);
}

static bool has_listed(const struct server *s)
{
	const struct volume *v = s->all->volumes;

	while (v && (v->server != s || !v->listed))
		v = v->next;
	return v;
}

void servers_cut_unlisted(struct servers *all)
{
	struct failure why = { 0 };
	struct server *s;

	for (s = all->list; s; s = s->next) {
		if (has_listed(s))
			continue;
		loop_disarm(all->loop, &s->retry);
		failure_set(&why, -ESTALE, s->node, NULL,
			    "no volume of it is listed any more");
		if (s->conn)
			conn_close(s->conn, &why);
	}
}

bool servers_connected(const struct servers *all)
{
	const struct server *s = all->list;

	while (s && !s->conn)
		s = s->next;
	return s;
}

struct server *server_for(struct servers *all, const char *node,
			  const char *addresses)
{
	struct server *s = all->list;

	while (s && strcmp(s->node, node))
		s = s->next;
	if (!s) {
		s = calloc(1, sizeof(*s));
		if (!s || !(s->ids = idmap_new())) {
			free(s);
			return NULL;
		}
		s->all = all;
		snprintf(s->node, sizeof(s->node), "%s", node);
		TAILQ_INIT(&s->calls);
		STAILQ_INIT(&s->held);
		s->retry.fire = on_retry;
		s->watch.fire = server_watch;
		s->backoff_us = BACKOFF_FIRST_US;
		s->next = all->list;
		all->list = s;
	}
	snprintf(s->addresses, sizeof(s->addresses), "%s", addresses);
	return s;
}

const char *server_node(const struct server *s)
{
	return s->node;
}

struct idmap *server_ids(struct server *s)
{
	return s->ids;
}

void servers_free(struct servers *all)
{
	while (all->list) {
		struct server *s = all->list;
		struct conn *c = s->conn;

		all->list = s->next;
		while (!TAILQ_EMPTY(&s->calls))
			call_end(TAILQ_FIRST(&s->calls), -ENOTCONN, NULL, 0);
		loop_disarm(all->loop, &s->retry);
		loop_disarm(all->loop, &s->watch);
		s->conn = NULL;
		if (c) {
			conn_close(c, NULL);
			loop_step(all->loop, 0);
		}
		server_drop_held(s);
		idmap_free(s->ids);
		free(s);
	}
	tls_identity_put(all->identity);
	all->identity = NULL;
}

/* Open files */

struct file *file_new(struct inode *i, u64 remote, u32 flags, u32 uid, u32 gid)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->inode = i;
	f->remote = remote;
	f->flags = flags;
	f->uid = uid;
	f->gid = gid;
	f->flock = FILE_LOCK_NONE;
	inode_hold(i);
	f->next = i->files;
	i->files = f;
	LIST_INSERT_HEAD(&i->volume->files, f, entry);
	return f;
}

void file_free(struct servers *all, struct file *f)
{
	struct file **at = &f->inode->files;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	LIST_REMOVE(f, entry);
	inode_unlock_owner(f->inode, f, 0);
	inode_put(all->inodes, f->inode);
	free(f->data);
	free(f);
}

static void done_release(struct call *c, int err, const u8 *payload, u32 len)
{
	/* The kernel was answered long ago, and -EBADF is as good as done. */
}

void server_release_number(struct volume *v, u64 number)
{
	const struct msg_file_release m = { .file = number };
	struct call *c = call_make(v, FILE_RELEASE, file_release, MSG_OK, &m);

	if (!c)
		return;
	c->patient = true;
	c->done = done_release;
	call_start(c);
}

void server_release(struct servers *all, struct file *f)
{
	struct volume *v = f->inode->volume;
	u64 number = f->remote;
	struct call *c;

	/* Being opened again at this moment, it is closed when that is done. */
	TAILQ_FOREACH(c, &v->server->calls, entry) {
		if (c->file == f)
			c->file = NULL;
		if (c->reopens == f)
			c->reopens = NULL;
	}
	file_free(all, f);
	if (number)
		server_release_number(v, number);
}
