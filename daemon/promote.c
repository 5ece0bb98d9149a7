// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Moving the home of the cloud.
 *
 * With the old home alive it hands over: it writes down its heir, from which
 * moment it changes nothing any more, and sends the authority's key. The heir
 * takes it only with the whole catalog, raises the epoch and signs itself home;
 * asking again does no harm, so the old home repeats until it hears the answer,
 * also after a restart. It lets go of the key when it has seen the heir's
 * signed statement (replica.c).
 *
 *	home -> handing over (head.heir) -> not home
 *
 * With the old home lost, root at another node brings key and catalog from a
 * backup (`virgod promote --backup`, over the unix socket). The raised epoch
 * fences the old home should it come back.
 */
#include <stdlib.h>
#include <unistd.h>

#include "home_impl.h"
#include "log.h"
#include "membership.h"
#include "peers.h"
#include "replica.h"
#include "service.h"
#include "state.h"

enum {
	RETRY_US = 500000,
	RETRIES = 20, /* while somebody waits for the answer */
	BACKUP_ROWS_MAX = 128 << 20,
	KEY_NUMBER_LEAP = 1000,
};

struct handover {
	struct node *node;
	struct timer retry;
	struct conn *conn; /* who asked for it; NULL after a restart */
	u64 tag;
	u64 call;
	int tries;
};

struct promotion {
	struct conn *conn;
	struct blob rows;
};

/* Taking over */

static int store_key(struct node *n, struct span key, struct failure *f)
{
	char dir[STATE_PATH_MAX];

	if (state_path(dir, n->state, "identity"))
		return failure_set(f, -ENAMETOOLONG, n->state, NULL,
				   "the path is too long");
	return state_write(dir, "authority.key", key, 0600, f);
}

static void edit_home_flag(struct catalog_edit *e, const struct catalog *c,
			   const char *name, u8 home)
{
	const struct rec_node_row *row = catalog_node(c, name);
	struct rec_node_row next;

	if (!row)
		return;
	next = *row;
	next.home = home;
	catalog_edit_node(e, &next);
}

/* The catalog as of a backup that is newer than our copy. */
static int take_backup_rows(struct node *n, struct span rows, u64 epoch,
			    struct failure *f)
{
	const struct catalog_head *h = catalog_head(n->catalog);
	struct catalog_head head = *h;
	struct msg_catalog_rows m = {
		.epoch = epoch,
		.change = epoch << EPOCH_SHIFT,
		.whole = 1,
		.home = span_of(h->self),
		.key_number = h->key_number,
		.group_key = { head.group_key, GROUP_KEY_BYTES },
		.rows = rows,
	};
	int ret = catalog_sign_home(n->authority, &head, h->self, epoch);

	if (ret)
		return failure_set(f, ret, "promote", NULL, "%s",
				   strerror(-ret));
	m.signature = (struct span){ head.signature, head.signature_len };
	ret = catalog_take(n->catalog, &m, f);
	return ret < 0 ? ret : 0;
}

static int become_home(struct node *n, struct span key, u64 epoch,
		       const struct span *rows, struct failure *f)
{
	const struct catalog_head *h = catalog_head(n->catalog);
	char old[NODE_NAME_MAX + 1];
	struct catalog_edit *e;
	int ret = authority_adopt_key(n->authority, key, f);

	if (ret)
		return ret;
	strcpy(old, h->home);
	ret = store_key(n, key, f);
	if (!ret && rows)
		ret = take_backup_rows(n, *rows, epoch, f);
	if (!ret) {
		e = catalog_edit(n->catalog);
		if (e) {
			struct catalog_head *head = catalog_edit_head(e);

			catalog_sign_home(n->authority, head, h->self, epoch);
			head->change = epoch << EPOCH_SHIFT;
			head->heir[0] = '\0';
			if (rows) { /* how often was it rotated meanwhile? */
				catalog_edit_rotate_key(e);
				head->key_number += KEY_NUMBER_LEAP;
			}
			edit_home_flag(e, n->catalog, old, 0);
			edit_home_flag(e, n->catalog, h->self, 1);
		}
		ret = catalog_commit(e, f);
	}
	if (ret) {
		authority_forget_key(n->authority);
		return ret;
	}
	log_notice("this node is the home node now, epoch %llu",
		   (unsigned long long)epoch);
	return 0;
}

/* From the home node: be my heir. */
static void serve_inherit(struct request *r, const struct msg_promote *m)
{
	struct node *n = r->node;
	const struct catalog_head *h = catalog_head(n->catalog);
	struct failure f;
	int ret;

	if (!strcmp(h->home, h->self) && h->epoch == m->epoch) {
		request_ok(r); /* it did not hear the answer */
		return;
	}
	if (strcmp(r->peer, h->home) || m->epoch != h->epoch + 1) {
		request_fail(r, -EACCES, "promote", NULL,
			     "%s is not the home node", r->peer);
		return;
	}
	if (m->change != h->change) {
		replica_poke(n->replica);
		request_fail(r, -EAGAIN, "promote", "again",
			     "%s has not the whole catalog yet", h->self);
		return;
	}
	ret = become_home(n, m->authority_key, m->epoch, NULL, &f);
	if (ret)
		request_fail_with(r, &f);
	else
		request_ok(r);
}

static int from_backup(struct node *n, const struct msg_promote *m,
		       struct span rows, struct failure *f)
{
	const struct catalog_head *h = catalog_head(n->catalog);
	const struct member *home = membership_find(n->membership, h->home);
	u64 epoch = (m->epoch > h->epoch ? m->epoch : h->epoch) + 1;

	if (!strcmp(h->home, h->self))
		return failure_set(f, -EALREADY, "promote", NULL,
				   "%s is the home node", h->self);
	if (home && (home->state == SWIM_UP || home->state == SWIM_SUSPECT))
		return failure_set(f, -EEXIST, "promote",
				   "'virgo node promote NODE' on the home node",
				   "the home node %s is alive", h->home);
	if (epoch >> (64 - EPOCH_SHIFT))
		return failure_set(f, -EINVAL, "promote", NULL,
				   "the backup's epoch is not possible");
	return become_home(n, m->authority_key, epoch,
			   m->change > h->change ? &rows : NULL, f);
}

static void promotion_drop(struct home *h)
{
	if (!h->promotion)
		return;
	blob_free(&h->promotion->rows);
	free(h->promotion);
	h->promotion = NULL;
}

/* Collects the rows of a backup, which come in several frames. */
static int promotion_add(struct request *r, struct span rows, struct failure *f)
{
	struct home *h = r->node->home;
	struct promotion *p = h->promotion;
	char *data;

	if (p && p->conn != r->conn)
		return failure_set(f, -EBUSY, "promote", NULL,
				   "another promotion is under way");
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return failure_set(f, -ENOMEM, "promote", NULL,
					   "out of memory");
		p->conn = r->conn;
		h->promotion = p;
	}
	data = p->rows.len + rows.len <= BACKUP_ROWS_MAX ?
		       realloc(p->rows.data, p->rows.len + rows.len + 1) :
		       NULL;
	if (!data)
		return failure_set(f, -ENOMEM, "promote", NULL,
				   "the backup's catalog is too large");
	if (rows.len)
		memcpy(data + p->rows.len, rows.data, rows.len);
	p->rows.data = data;
	p->rows.len += rows.len;
	return 0;
}

static void serve_backup(struct request *r, const struct msg_promote *m)
{
	struct home *h = r->node->home;
	struct failure f;
	int ret = promotion_add(r, m->rows, &f);

	if (!ret && r->frame->flags & FRAME_MORE)
		return;
	if (!ret)
		ret = from_backup(r->node, m,
				  (struct span){ (u8 *)h->promotion->rows.data,
						 (u32)h->promotion->rows.len },
				  &f);
	if (h->promotion && h->promotion->conn == r->conn)
		promotion_drop(h);
	home_audit(r, "promote", r->node->local.node, ret ? &f : NULL);
	if (ret)
		request_fail_with(r, &f);
	else
		request_ok(r);
}

/* Handing over */

static void handover_end(struct handover *o, const struct failure *why)
{
	const struct msg_ok ok = {};

	if (o->conn) {
		if (why)
			conn_reply_failure(o->conn, o->tag, why);
		else
			conn_reply(o->conn, o->tag, OK, ok, &ok);
		conn_put(o->conn);
	}
	loop_disarm(o->node->loop, &o->retry);
	o->node->home->handover = NULL;
	free(o);
}

static int set_heir(struct node *n, const char *heir, struct failure *f)
{
	struct catalog_edit *e = catalog_edit(n->catalog);

	if (e)
		snprintf(catalog_edit_head(e)->heir, NODE_NAME_MAX + 1, "%s",
			 heir);
	return catalog_commit(e, f);
}

/* The heir has said no: this node stays home. */
static void handover_refused(struct handover *o, const struct failure *why)
{
	struct failure f;

	if (set_heir(o->node, "", &f))
		log_error("%s: %s", f.object, f.what);
	handover_end(o, why);
}

static void handover_later(struct handover *o, const struct failure *why)
{
	struct failure f;

	loop_arm(o->node->loop, &o->retry, RETRY_US);
	if (!o->conn || ++o->tries < RETRIES)
		return;
	failure_set(&f, why->code, "promote",
		    "'virgo node promote' here with this node's own name, to "
		    "give it up",
		    "%s does not answer (%s); until it does, the cloud cannot be changed",
		    catalog_head(o->node->catalog)->heir, why->what);
	conn_reply_failure(o->conn, o->tag, &f);
	conn_put(o->conn);
	o->conn = NULL;
}

static void handover_reply(void *arg, const struct frame *frame,
			   const u8 *payload, const struct failure *why)
{
	struct handover *o = arg;
	struct node *n = o->node;
	struct msg_error m;
	struct failure f;

	o->call = 0;
	if (!frame) {
		handover_later(o, why);
		return;
	}
	if (frame->type == MSG_OK) {
		/* Its signed statement is what makes us let go. */
		replica_heard(n->replica,
			      (catalog_head(n->catalog)->epoch + 1)
				      << EPOCH_SHIFT,
			      catalog_head(n->catalog)->heir);
		handover_end(o, NULL);
		return;
	}
	if (frame->type == MSG_ERROR &&
	    !msg_error_decode(&m, payload, frame->length))
		failure_from_message(&f, &m);
	else
		failure_set(&f, -EBADMSG, "promote", NULL,
			    "the heir's answer is malformed");
	if (f.code == -EAGAIN)
		handover_later(o, &f);
	else
		handover_refused(o, &f);
}

static void handover_send(struct timer *t)
{
	struct handover *o = (struct handover *)((char *)t -
						 offsetof(struct handover,
							  retry));
	struct node *n = o->node;
	const struct catalog_head *h = catalog_head(n->catalog);
	struct msg_promote m = { .node = span_of(h->heir),
				 .epoch = h->epoch + 1,
				 .change = h->change };
	struct blob key;
	struct wcursor w;
	size_t size;
	u8 *buf;

	if (o->call)
		return;
	if (!catalog_is_home(n->catalog) || !h->heir[0]) {
		handover_end(o, NULL);
		return;
	}
	if (authority_key(n->authority, &key)) {
		loop_arm(n->loop, t, RETRY_US);
		return;
	}
	m.authority_key = (struct span){ (u8 *)key.data, (u32)key.len };
	size = msg_promote_size(&m);
	buf = malloc(size);
	w = wcursor_of(buf, buf ? size : 0);
	if (buf) {
		msg_promote_encode(&w, &m);
		o->call = peers_call(n->peers, h->heir, TLS_CONTROL,
				     MSG_PROMOTE, buf, size, handover_reply, o);
		explicit_bzero(buf, size);
	}
	free(buf);
	blob_free(&key);
	if (!o->call)
		loop_arm(n->loop, t, RETRY_US);
}

static struct handover *handover_new(struct node *n)
{
	struct handover *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->node = n;
	o->retry.fire = handover_send;
	n->home->handover = o;
	loop_arm(n->loop, &o->retry, 0);
	return o;
}

/* Root gives up a handover whose heir never answered. What was offered to it may
 * still reach it; so this home goes beyond the epoch it offered, and the heir,
 * should it take over late, finds itself replaced.
 */
static void handover_give_up(struct request *r)
{
	struct node *n = r->node;
	struct home *h = n->home;
	struct catalog_edit *e = catalog_edit(n->catalog);
	struct failure f;

	if (e) {
		struct catalog_head *head = catalog_edit_head(e);

		catalog_sign_home(n->authority, head, head->self,
				  head->epoch + 2);
		head->change = head->epoch << EPOCH_SHIFT;
		head->heir[0] = '\0';
	}
	if (catalog_commit(e, &f)) {
		request_fail_with(r, &f);
		return;
	}
	if (h->handover) {
		if (h->handover->call)
			peers_forget(r->node->peers, h->handover->call);
		failure_set(&f, -ECANCELED, "promote", NULL, "given up");
		handover_end(h->handover, &f);
	}
	request_ok(r);
}

static void serve_handover(struct request *r, const char *heir)
{
	struct node *n = r->node;
	const struct member *member;
	struct handover *o;
	struct failure f;

	if (!catalog_node(n->catalog, heir)) {
		request_fail(r, -ENOENT, "promote", "virgo node list",
			     "the cloud has no node '%s'", heir);
		return;
	}
	member = membership_find(n->membership, heir);
	if (!member || member->state != SWIM_UP) {
		request_fail(r, -EHOSTUNREACH, "promote",
			     "start virgod there, or choose another node",
			     "%s is not up", heir);
		return;
	}
	if (set_heir(n, heir, &f)) {
		request_fail_with(r, &f);
		return;
	}
	o = handover_new(n);
	if (!o) {
		set_heir(n, "", NULL);
		request_fail(r, -ENOMEM, "promote", NULL, "out of memory");
		return;
	}
	o->conn = conn_get(r->conn);
	o->tag = r->frame->tag;
	home_audit(r, "promote", heir, NULL);
}

static void serve_promote(struct request *r)
{
	char name[NODE_NAME_MAX + 1] = "";
	struct node *n = r->node;
	const char *self = catalog_head(n->catalog)->self;
	struct msg_promote m;

	if (!request_decode(r, promote, &m))
		return;
	span_to_cstr(m.node, name, sizeof(name));
	if (m.authority_key.len && r->from == FROM_PEER) {
		serve_inherit(r, &m);
	} else if (m.authority_key.len) {
		serve_backup(r, &m);
	} else if (catalog_is_home(n->catalog) && !r->peer &&
		   !strcmp(name, self) && catalog_head(n->catalog)->heir[0]) {
		handover_give_up(r);
	} else if (home_or_forward(r) && home_allows(r, "promote")) {
		if (strcmp(name, self))
			serve_handover(r, name);
		else
			request_fail(r, -EALREADY, "promote", NULL,
				     "%s is the home node", self);
	}
}

static void promoter_closed(struct node *n, struct conn *c)
{
	if (n->home && n->home->promotion && n->home->promotion->conn == c)
		promotion_drop(n->home);
}

static const struct service services[] = {
	{ MSG_PROMOTE, FROM_ROOT | FROM_PEER, serve_promote },
};

void promote_serve(struct node *n)
{
	service_add(n, services, ARRAY_SIZE(services));
	service_on_close(n, promoter_closed);
}

void promote_resume(struct node *n)
{
	if (catalog_is_home(n->catalog) && catalog_head(n->catalog)->heir[0] &&
	    !handover_new(n))
		log_error("promote: out of memory");
}

void promote_end(struct node *n)
{
	struct handover *o = n->home->handover;

	if (o) {
		if (o->call)
			peers_forget(n->peers, o->call);
		handover_end(o, &(struct failure){
					.code = -ESHUTDOWN,
					.object = "promote",
					.what = "virgod is ending" });
	}
	promotion_drop(n->home);
}
