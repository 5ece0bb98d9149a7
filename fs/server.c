// SPDX-License-Identifier: GPL-2.0-or-later
/* Calls to servers; the contract is in server.h. All in the loop's thread. */
#include "server.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "address.h"
#include "log.h"
#include "names.h"
#include "reopen.h"
#include "serverlink.h"

enum {
	BACKOFF_FIRST_US = 50000,
	BACKOFF_MAX_US = 1000000,
	WATCH_US = 200000, /* how often time limits are looked at */
};

static void dial(struct server *s);
static void watch_calls(struct server *s);

/* Calls in the queue */

static struct call **tag_bucket(struct server *s, u64 tag)
{
	return &s->by_tag[tag % TAG_BUCKETS];
}

static struct call *call_of(struct server *s, u64 tag)
{
	struct call *c = *tag_bucket(s, tag);

	while (c && c->tag != tag)
		c = c->chain;
	return c;
}

struct call *call_new(struct volume *v, u16 type, u16 want, size_t head_len)
{
	struct call *c = calloc(1, sizeof(*c) + head_len);

	if (!c)
		return NULL;
	c->volume = v;
	c->type = type;
	c->want = want;
	c->head_len = (u32)head_len;
	c->file_at = c->file2_at = CALL_NO_FILE;
	return c;
}

void call_drop(struct call *c)
{
	struct inodes *t = c->volume->server->all->inodes;

	inode_put(t, c->inode);
	inode_put(t, c->dir);
	free(c->memory);
	free(c);
}

static void unsend(struct server *s, struct call *c)
{
	if (c->sent && !c->waits)
		loop_expect(s->all->loop, -1);
	c->sent = false;
}

static void end(struct call *c, int err, const u8 *payload, u32 len)
{
	struct server *s = c->volume->server;
	struct call **at = tag_bucket(s, c->tag);

	unsend(s, c);
	TAILQ_REMOVE(&s->calls, c, entry);
	while (*at != c)
		at = &(*at)->chain;
	*at = c->chain;
	c->done(c, err, payload, len);
	call_drop(c);
}

/* Sending */

static void put_file(struct call *c, const struct file *f, u32 at)
{
	if (f && at != CALL_NO_FILE)
		put_u64(c->head + at, f->remote);
}

/* Fails what cannot be sent as it is; true when @c has ended by that. */
static bool lost_its_file(struct call *c)
{
	if ((c->file && !c->file->remote) || (c->file2 && !c->file2->remote)) {
		end(c, c->type == MSG_FILE_RELEASE ? 0 : -ESTALE, NULL, 0);
		return true;
	}
	return false;
}

static void send_call(struct server *s, struct call *c)
{
	const struct frame f = { .type = c->type, .tag = c->tag };
	u32 slot = 0;
	int ret;

	if (lost_its_file(c))
		return;
	ret = c->named ? caller_slot(s, c->uid, c->gid, &slot) : 0;
	if (ret == -EAGAIN)
		return; /* it stays in the queue */
	/* Also for who waits for servers for ever: others would wait for this
	 * one, whose name the kernel looks up only once at a time.
	 */
	if (ret) {
		end(c, ret, NULL, 0);
		return;
	}
	if (c->prepare)
		c->prepare(c);
	put_file(c, c->file, c->file_at);
	put_file(c, c->file2, c->file2_at);
	if (c->named)
		put_u32(c->head, slot);
	if (conn_send(s->conn, &f, c->head, c->head_len, c->body, c->body_len))
		return; /* the connection is about to end */
	c->sent = true;
	c->sent_ever = true;
	if (!c->waits)
		loop_expect(s->all->loop, 1);
}

static bool may_send(const struct server *s, const struct call *c)
{
	return s->conn && conn_is_open(s->conn) && !c->sent &&
	       (c->first || c->volume->attached);
}

void server_send_queue(struct server *s, struct volume *v)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->volume == v && may_send(s, c))
			send_call(s, c);
	}
}

void servers_send_queues(struct servers *all)
{
	struct volume *v;

	for (v = all->volumes; v; v = v->next)
		server_send_queue(v->server, v);
}

void server_end_uncertain(struct call *c)
{
	log_warning("%s: the server restarted while message %u was under way; "
		    "whether it was done is not known", c->volume->name, c->type);
	end(c, -EIO, NULL, 0);
}

bool server_is_down(const struct server *s)
{
	return s->known_down;
}

static u64 deadline_of(const struct server *s)
{
	u64 now = loop_clock_us();
	u64 limit = s->all->timeout_ms * 1000ull;

	if (s->all->patience == PATIENCE_HARD)
		return 0;
	/* Who asks when the server has been down for long need not wait the
	 * whole time over again.
	 */
	if (s->down_since_us && now - s->down_since_us >= limit)
		return now;
	return now + limit;
}

void call_start(struct call *c)
{
	struct server *s = c->volume->server;
	struct call **at;

	c->tag = ++s->all->tag;
	TAILQ_INSERT_TAIL(&s->calls, c, entry);
	at = tag_bucket(s, c->tag);
	c->chain = *at;
	*at = c;
	if (!c->volume->listed && !c->volume->attached) {
		end(c, -ESTALE, NULL, 0);
		return;
	}
	/* Attaching is watched over by the connection, and by what waits. */
	c->deadline_us = c->first || c->patient ? 0 : deadline_of(s);
	if (may_send(s, c)) {
		send_call(s, c);
		watch_calls(s);
		return;
	}
	if (s->all->patience == PATIENCE_SOFT && s->known_down &&
	    !c->patient) {
		server_want(c->volume);
		end(c, -EHOSTDOWN, NULL, 0);
	} else if (c->deadline_us && c->deadline_us <= loop_clock_us()) {
		server_want(c->volume);
		end(c, -ETIMEDOUT, NULL, 0);
	} else {
		server_want(c->volume);
		watch_calls(s);
	}
}

void call_interrupt(struct call *c)
{
	struct server *s = c->volume->server;
	const struct msg_file_cancel m = { .tag = c->tag };

	c->interrupted = true;
	if (!c->sent)
		end(c, -EINTR, NULL, 0);
	else if (c->waits)
		conn_request(s->conn, ++s->all->tag, FILE_CANCEL, file_cancel,
			     &m);
}

void server_fail_volume(struct volume *v, int err)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&v->server->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->volume == v)
			end(c, err, NULL, 0);
	}
}

static void on_watch(struct timer *t)
{
	struct server *s = (struct server *)((char *)t -
					     offsetof(struct server, watch));
	u64 now = loop_clock_us();
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->deadline_us && c->deadline_us <= now &&
		    !(c->waits && c->sent))
			end(c, -ETIMEDOUT, NULL, 0);
		else if (c->named && may_send(s, c))
			send_call(s, c); /* or learn that it takes too long */
	}
	watch_calls(s);
}

static void watch_calls(struct server *s)
{
	if (!TAILQ_EMPTY(&s->calls) && !timer_armed(&s->watch))
		loop_arm(s->all->loop, &s->watch, WATCH_US);
}

/* Receiving */

/* An answer nobody waits for any more must not leave a file open there. */
static void release_orphan(struct server *s, const struct frame *f,
			   const u8 *payload)
{
	struct msg_file_release m = { 0 };

	/* FILE_OPENED and FILE_CREATED both begin with the file's number. */
	if ((f->type != MSG_FILE_OPENED && f->type != MSG_FILE_CREATED) ||
	    f->length < 8)
		return;
	m.file = get_u64(payload);
	conn_request(s->conn, ++s->all->tag, FILE_RELEASE, file_release, &m);
}

/* A name that the server told and names.h does not know yet. What the server
 * sends behind it has that owner, so it waits, but not for long: then the owner
 * is nobody until the answer comes.
 */
struct learning {
	struct names_waiter waiter;
	struct server *server;
	bool late; /* nothing waits for it any more */
	enum file_id_kind kind;
	u32 id;
	char name[NAMES_BYTES];
};

static void take_frame(struct server *s, const struct frame *f,
		       const u8 *payload);

/* What came behind names that are known now. */
static void take_held(struct server *s)
{
	struct conn *conn = s->conn;
	struct held_frame *h;

	while (!s->learning && (h = STAILQ_FIRST(&s->held))) {
		STAILQ_REMOVE_HEAD(&s->held, entry);
		if (s->conn == conn)
			take_frame(s, &h->frame, h->payload);
		free(h);
	}
	if (!s->learning && s->conn)
		conn_resume(s->conn);
}

static void hold_frame(struct server *s, const struct frame *f,
		       const u8 *payload)
{
	struct held_frame *h = malloc(sizeof(*h) + f->length);
	struct failure why;

	if (!h) { /* on the next connection all is asked for again */
		failure_set(&why, -ENOMEM, s->node, NULL, "out of memory");
		conn_close(s->conn, &why);
		return;
	}
	h->frame = *f;
	if (f->length)
		memcpy(h->payload, payload, f->length);
	STAILQ_INSERT_TAIL(&s->held, h, entry);
}

static void drop_held(struct server *s)
{
	struct held_frame *h;

	while ((h = STAILQ_FIRST(&s->held))) {
		STAILQ_REMOVE_HEAD(&s->held, entry);
		free(h);
	}
}

static void learnt(struct names_waiter *w, const struct names_answer *a)
{
	struct learning *l = (struct learning *)w;
	struct server *s = l->server;
	bool first = !l->late;
	bool again = false;

	l->late = true;
	if (!a && first && !s->all->ending) {
		a = names_account(s->all->names, l->kind, l->name, 0, w);
		again = !a;
	}
	if (a || first)
		idmap_learn(s->ids, l->kind, l->id,
			    a && a->found ? &a->number : NULL);
	if (!again)
		free(l);
	if (first) {
		s->learning--;
		take_held(s);
	}
}

static void take_name(struct server *s, const struct frame *f, const u8 *payload)
{
	const struct names_answer *a;
	struct msg_file_name m;
	struct learning *l = malloc(sizeof(*l));

	if (!l || msg_file_name_decode(&m, payload, f->length) ||
	    m.kind > FILE_ID_GROUP ||
	    !span_to_cstr(m.name, l->name, sizeof(l->name))) {
		free(l);
		return;
	}
	l->waiter.ready = learnt;
	l->server = s;
	l->late = false;
	l->kind = m.kind;
	l->id = m.id;
	a = names_account(s->all->names, m.kind, l->name,
			  names_patience_ms(s->all->names), &l->waiter);
	if (a) {
		idmap_learn(s->ids, m.kind, m.id, a->found ? &a->number : NULL);
		free(l);
		return;
	}
	s->learning++;
	conn_pause(s->conn);
}

/* Directories change in the order of their ctime; answers may come in another. */
static bool is_later(const struct rec_attr *a, const struct rec_attr *b)
{
	return a->ctime_s != b->ctime_s ? a->ctime_s > b->ctime_s :
					  a->ctime_ns >= b->ctime_ns;
}

static void take_changed(struct server *s, const struct frame *f,
			 const u8 *payload)
{
	struct call *c = call_of(s, f->tag);
	struct msg_file_changed m;
	struct rec_attr a;
	struct inode *i;

	if (!c || msg_file_changed_decode(&m, payload, f->length) ||
	    rec_attr_decode(&a, m.attr.data, m.attr.len))
		return;
	i = inodes_find(s->all->inodes, c->volume, m.handle);
	if (!i || i->type != (a.mode & S_IFMT) ||
	    (i->attr_us && !is_later(&a, &i->attr)))
		return;
	i->attr = a;
	i->attr_us = loop_now_us(s->all->loop);
}

static void take_frame(struct server *s, const struct frame *f,
		       const u8 *payload)
{
	struct msg_error error;
	struct call *c;

	if (f->type == MSG_FILE_NAME) {
		take_name(s, f, payload);
		return;
	}
	if (f->type == MSG_FILE_CHANGED) {
		take_changed(s, f, payload);
		return;
	}
	c = call_of(s, f->tag);
	if (!c) {
		release_orphan(s, f, payload);
	} else if (f->type == c->want) {
		end(c, 0, payload, f->length);
	} else if (f->type == MSG_ERROR &&
		   msg_error_decode(&error, payload, f->length) == 0) {
		/* A hostile server must not make an error look like success. */
		end(c, error.code < 0 && error.code > -4096 ? error.code : -EIO,
		    payload, f->length);
	} else {
		log_warning("%s answers message %u with %u", s->node, c->type,
			    f->type);
		end(c, -EPROTO, NULL, 0);
	}
}

static void on_frame(struct conn *conn, const struct frame *f, const u8 *payload)
{
	struct server *s = conn_arg(conn);

	if (conn != s->conn)
		return;
	/* Names do not wait for names: several are looked up at a time. */
	if (f->type == MSG_FILE_NAME || !s->learning)
		take_frame(s, f, payload);
	else
		hold_frame(s, f, payload);
}

/* The connection */

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

/* Back into the queue with everything, except what ends with its connection. */
static void requeue(struct server *s)
{
	struct call *c, *next;

	for (c = TAILQ_FIRST(&s->calls); c; c = next) {
		next = TAILQ_NEXT(c, entry);
		unsend(s, c);
		if (c->first)
			end(c, -ECONNRESET, NULL, 0);
		else if (c->interrupted)
			end(c, -EINTR, NULL, 0);
		else if (s->all->patience == PATIENCE_SOFT && !c->patient)
			end(c, -EHOSTDOWN, NULL, 0);
	}
}

static void on_closed(struct conn *conn, const struct failure *why)
{
	struct server *s = conn_arg(conn);
	struct volume *v;
	bool wanted = false;

	if (conn != s->conn)
		return;
	s->conn = NULL;
	drop_held(s);
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
	requeue(s);
	if (wanted || !TAILQ_EMPTY(&s->calls))
		loop_arm(s->all->loop, &s->retry, s->backoff_us);
	/* Half to all of the interval, so that clients do not come in step. */
	s->backoff_us += s->backoff_us / 2 + loop_clock_us() % s->backoff_us;
	if (s->backoff_us > BACKOFF_MAX_US)
		s->backoff_us = BACKOFF_MAX_US;
}

static const struct conn_ops conn_ops = {
	.on_open = on_open,
	.on_frame = on_frame,
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
		requeue(s);
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
		s->watch.fire = on_watch;
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
			end(TAILQ_FIRST(&s->calls), -ENOTCONN, NULL, 0);
		loop_disarm(all->loop, &s->retry);
		loop_disarm(all->loop, &s->watch);
		s->conn = NULL;
		if (c) {
			conn_close(c, NULL);
			loop_step(all->loop, 0);
		}
		drop_held(s);
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
