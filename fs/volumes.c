// SPDX-License-Identifier: GPL-2.0-or-later
/* The list of volumes; the contract is in volumes.h. */
#include "volumes.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "client.h"
#include "log.h"

struct ticket { /* a request to virgod that waits for its answer */
	struct ticket *next;
	u64 tag;
	bool list;
	void (*done)(void *arg, int err);
	void *arg;
	u8 *payload; /* sent once the connection is there */
	u32 len;
	u16 type;
	bool sent;
};

struct volume *volumes_find(struct mount *m, const char *name)
{
	struct volume *v = m->servers.volumes;

	while (v && (!v->listed || strcmp(v->name, name)))
		v = v->next;
	return v;
}

/* A volume that went, or moved, answers ESTALE from now on; its memory stays as
 * long as the kernel may know files of it.
 */
static void unlist(struct volume *v)
{
	v->listed = false;
	v->attached = false;
	server_fail_volume(v, -ESTALE);
}

static void take_row(struct mount *m, const struct rec_volume_row *r)
{
	char name[64], node[64], addresses[1024];
	struct server *s;
	struct volume *v;

	if (!span_to_cstr(r->name, name, sizeof(name)) ||
	    !span_to_cstr(r->node, node, sizeof(node)) ||
	    strchr(name, '/') || name[0] == '.')
		return;
	if (!span_to_cstr(r->addresses, addresses, sizeof(addresses)))
		addresses[0] = '\0';
	s = server_for(&m->servers, node, addresses);
	if (!s)
		return;
	v = m->servers.volumes;
	while (v && (strcmp(v->name, name) || v->server != s ||
		     v->slot != r->slot))
		v = v->next;
	if (!v) {
		v = calloc(1, sizeof(*v));
		if (!v)
			return;
		snprintf(v->name, sizeof(v->name), "%s", name);
		v->server = s;
		v->slot = r->slot;
		LIST_INIT(&v->files);
		v->next = m->servers.volumes;
		m->servers.volumes = v;
	}
	v->listed = true;
}

static int take_list(struct mount *m, const u8 *payload, u32 len)
{
	struct msg_volumes list;
	struct rec_volume_row r;
	struct rcursor c;
	struct volume *v;
	int ret;

	if (msg_volumes_decode(&list, payload, len))
		return -EPROTO;
	for (v = m->servers.volumes; v; v = v->next)
		v->relisted = false;
	c = rcursor_of(list.volumes.data, list.volumes.len);
	while ((ret = rec_volume_row_next(&c, &r)) > 0) {
		take_row(m, &r);
		for (v = m->servers.volumes; v; v = v->next)
			if (v->listed && v->slot == r.slot &&
			    span_equal(r.name, span_of(v->name)) &&
			    span_equal(r.node, span_of(server_node(v->server))))
				v->relisted = true;
	}
	if (ret)
		return -EPROTO;
	for (v = m->servers.volumes; v; v = v->next)
		if (v->listed && !v->relisted)
			unlist(v);
	servers_cut_unlisted(&m->servers);
	m->listed_us = loop_clock_us();
	return 0;
}

static void tended(struct waiter *w, int err)
{
	struct mount *m =
		(struct mount *)((char *)w - offsetof(struct mount, tending));

	if (!m->servers.ending)
		loop_arm(m->loop, &m->tend, VOLUMES_TEND_US);
}

static void on_tend(struct timer *t)
{
	struct mount *m =
		(struct mount *)((char *)t - offsetof(struct mount, tend));

	if (servers_connected(&m->servers))
		volumes_refresh(m, VOLUMES_FRESH_US, &m->tending);
	else
		loop_arm(m->loop, t, VOLUMES_TEND_US);
}

void volumes_load(struct mount *m)
{
	struct failure f = { 0 };
	struct client *c;
	struct span reply;
	int ret = client_open(&c, m->state, &f);

	if (!ret) {
		ret = client_call(c, MSG_VOLUME_LIST, NULL, 0, MSG_VOLUMES,
				  &reply, &f);
		if (!ret && take_list(m, reply.data, reply.len))
			ret = failure_set(&f, -EPROTO, "virgod", NULL,
					  "its list of volumes is malformed");
		client_close(c);
	}
	if (ret)
		log_warning("no volumes yet: %s: %s", f.object, f.what);
	m->tending.ready = tended;
	m->tend.fire = on_tend;
	loop_arm(m->loop, &m->tend, VOLUMES_TEND_US);
}

/* Ends the oldest ticket with @tag. */
static void settle(struct mount *m, u64 tag, int err, const u8 *payload, u32 len)
{
	struct ticket **at = &m->tickets;
	struct ticket *t;
	struct waiter *w;

	while (*at && (*at)->tag != tag)
		at = &(*at)->next;
	t = *at;
	if (!t)
		return;
	*at = t->next;
	if (t->list) {
		if (!err)
			err = take_list(m, payload, len);
		m->listing = false;
		w = m->waiters;
		m->waiters = NULL;
		while (w) {
			struct waiter *next = w->next;

			w->ready(w, err);
			w = next;
		}
	} else {
		t->done(t->arg, err);
	}
	free(t->payload);
	free(t);
}

static void send_tickets(struct mount *m)
{
	struct ticket *t;

	for (t = m->tickets; t; t = t->next) {
		const struct frame f = { .type = t->type, .tag = t->tag };

		if (!t->sent &&
		    conn_send(m->virgod, &f, t->payload, t->len, NULL, 0) == 0)
			t->sent = true;
	}
}

static void on_open(struct conn *c)
{
	send_tickets(conn_arg(c));
}

static void on_frame(struct conn *c, const struct frame *f, const u8 *payload)
{
	struct mount *m = conn_arg(c);
	struct msg_error e;

	if (f->type != MSG_ERROR)
		settle(m, f->tag, 0, payload, f->length);
	else if (msg_error_decode(&e, payload, f->length) == 0 && e.code < 0)
		settle(m, f->tag, e.code, NULL, 0);
	else
		settle(m, f->tag, -EPROTO, NULL, 0);
}

/* Without virgod nothing can be asked; what waits is told so. */
static void on_closed(struct conn *c, const struct failure *why)
{
	struct mount *m = conn_arg(c);

	if (c != m->virgod)
		return;
	m->virgod = NULL;
	while (m->tickets)
		settle(m, m->tickets->tag, -ECONNREFUSED, NULL, 0);
}

static const struct conn_ops conn_ops = {
	.on_open = on_open,
	.on_frame = on_frame,
	.on_closed = on_closed,
};

static void dial(struct mount *m)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/virgod.sock",
		     m->state) >= (int)sizeof(sa.sun_path))
		return;
	m->virgod = conn_dial(m->loop, (struct sockaddr *)&sa, sizeof(sa), NULL,
			      TLS_CONTROL, NULL, NULL, &m->servers.local,
			      &conn_ops, m);
}

/* Queues a request; may settle it from inside. */
static void ask(struct mount *m, struct ticket *t)
{
	struct ticket **at = &m->tickets;

	t->tag = ++m->virgod_tag;
	t->next = NULL;
	while (*at)
		at = &(*at)->next;
	*at = t;
	if (!m->virgod)
		dial(m);
	if (!m->virgod) {
		settle(m, t->tag, -ECONNREFUSED, NULL, 0);
		return;
	}
	if (conn_is_open(m->virgod))
		send_tickets(m);
}

void volumes_refresh(struct mount *m, u64 age_us, struct waiter *w)
{
	struct ticket *t;

	if (m->listed_us &&
	    loop_clock_us() - m->listed_us < age_us) {
		w->ready(w, 0);
		return;
	}
	w->next = m->waiters;
	m->waiters = w;
	if (m->listing)
		return;
	t = calloc(1, sizeof(*t));
	if (!t) {
		m->waiters = w->next;
		w->ready(w, -ENOMEM);
		return;
	}
	t->list = true;
	t->type = MSG_VOLUME_LIST;
	m->listing = true;
	ask(m, t);
}

void volumes_change(struct mount *m, const char *action, const char *name,
		    void (*done)(void *arg, int err), void *arg)
{
	const struct msg_volume_change change = {
		.action = span_of(action),
		.volume = span_of(name),
	};
	struct ticket *t = calloc(1, sizeof(*t));
	size_t size = msg_volume_change_size(&change);
	struct wcursor w;

	if (t)
		t->payload = malloc(size);
	if (!t || !t->payload) {
		free(t);
		done(arg, -ENOMEM);
		return;
	}
	w = wcursor_of(t->payload, size);
	msg_volume_change_encode(&w, &change);
	t->len = (u32)size;
	t->type = MSG_VOLUME_CHANGE;
	t->done = done;
	t->arg = arg;
	m->listed_us = 0; /* the list will be another */
	ask(m, t);
}

void volumes_free(struct mount *m)
{
	struct conn *c = m->virgod;

	loop_disarm(m->loop, &m->tend);
	m->virgod = NULL;
	if (c) {
		conn_close(c, NULL);
		loop_step(m->loop, 0);
	}
	while (m->tickets)
		settle(m, m->tickets->tag, -ENOTCONN, NULL, 0);
	while (m->servers.volumes) {
		struct volume *v = m->servers.volumes;

		m->servers.volumes = v->next;
		while (!LIST_EMPTY(&v->files))
			file_free(&m->servers, LIST_FIRST(&v->files));
		inode_put(m->servers.inodes, v->root);
		loop_disarm(m->loop, &v->again);
		free(v);
	}
}
