// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Identity of a running virgod; see identity.h. The node keeps its key when it
 * renews: two files cannot be replaced at once, and a stolen key is answered by
 * removing the node. The new certificate is on disk before it is used.
 */
#include "identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "catalog.h"
#include "home.h"
#include "log.h"
#include "memory.h"
#include "peers.h"
#include "state.h"
#include "wallclock.h"

enum {
	RETRY_PARTS = 50, /* of the life, between attempts */
	RETRY_MAX_S = 600,
	LOOK_MAX_S = 3600, /* the clock may jump, so look at it now and then */
};

struct renewal {
	struct node *node;
	struct timer timer;
	u64 call; /* tag of the request under way, or 0 */
};

static struct span blob_span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

s64 renewal_due_s(s64 issued_s, s64 expires_s)
{
	return issued_s + (expires_s - issued_s) / 3 * 2;
}

static bool refuse_removed(const struct tls_peer *peer, void *arg)
{
	return catalog_refuses(arg, peer->serial);
}

/* A connection outlives the certificate it began with as long as the catalog says
 * that the authority renewed it; of a node's certificates the stem stays.
 */
static s64 renewed_until(const struct tls_peer *of, void *arg)
{
	const struct rec_node_row *known = catalog_node(arg, of->node);

	return known && known->serial.len >= STEM_DIGITS &&
			       !memcmp(known->serial.data, of->serial,
				       STEM_DIGITS) ?
		       (s64)known->expires_s :
		       0;
}

static int load_tls(struct node *n, const char *dir, struct failure *f)
{
	struct tls_identity *id;
	int ret = tls_identity_load(&id, dir, f);

	if (ret)
		return ret;
	tls_identity_set_refused(id, refuse_removed, n->catalog);
	tls_identity_set_renewed(id, renewed_until, n->catalog);
	tls_identity_put(n->identity);
	n->identity = id;
	/* Others keep a pointer to it, and identities come and go. */
	snprintf(n->name, sizeof(n->name), "%s", tls_identity_node(id));
	n->local.node = n->name;
	return 0;
}

/* Signs a fresh certificate for the home node itself. */
static int renew_at_home(struct node *n, const char *dir, struct span request,
			 struct failure *f)
{
	const struct catalog_head *h = catalog_head(n->catalog);
	const struct rec_node_row *known = catalog_node(n->catalog, h->self);
	struct issued issued = { 0 };
	char stem[STEM_DIGITS + 1];
	struct rec_node_row row;
	struct catalog_edit *e;
	int ret;

	if (!known)
		return failure_set(f, -ENOENT, h->self, NULL,
				   "the catalog does not know this node");
	memcpy(stem, known->serial.data, STEM_DIGITS);
	stem[STEM_DIGITS] = '\0';
	ret = authority_issue(n->authority, request,
			      &(struct issue){ .name = h->self,
					       .cloud = h->cloud,
					       .stem = stem,
					       .now_s = (s64)time(NULL),
					       .life_s = home_life_s(n) },
			      &issued, f);
	if (!ret) {
		row = *known;
		row.serial = span_of(issued.serial);
		row.expires_s = (u64)issued.expires_s;
		e = catalog_edit(n->catalog);
		if (e)
			catalog_edit_node(e, &row);
		ret = catalog_commit(e, f);
	}
	if (!ret)
		ret = state_write(dir, "node.crt", blob_span(&issued.pem),
				  0644, f);
	blob_free(&issued.pem);
	return ret;
}

/* The signing request with this node's own key. */
static int request_make(struct node *n, const char *dir, struct blob *out,
			struct failure *f)
{
	struct blob key;
	int ret = state_read(dir, "node.key", &key, f);

	if (ret)
		return ret;
	ret = node_request_create(blob_span(&key),
				  catalog_head(n->catalog)->self, out, f);
	blob_free(&key);
	return ret;
}

static int identity_dir(const struct node *n, char *out, struct failure *f)
{
	if (state_path(out, n->state, "identity") == 0)
		return 0;
	return failure_set(f, -ENAMETOOLONG, n->state, NULL,
			   "the path is too long");
}

static int renew_expired(struct node *n, const char *dir, struct failure *f)
{
	struct blob request = { 0 };
	char ago[40];
	int ret;

	if (tls_identity_expires(n->identity) > (s64)time(NULL))
		return 0;
	wallclock_text((s64)time(NULL) - tls_identity_expires(n->identity), ago,
		       sizeof(ago));
	if (!catalog_is_home(n->catalog))
		return failure_set(
			f, -EKEYEXPIRED, catalog_head(n->catalog)->self,
			"check the clock; else 'virgo leave --force' and a new "
			"invitation",
			"this node's certificate expired %s ago by this machine's clock, so the home node cannot renew it",
			ago);
	ret = request_make(n, dir, &request, f);
	if (!ret)
		ret = renew_at_home(n, dir, blob_span(&request), f);
	blob_free(&request);
	return ret ? ret : load_tls(n, dir, f);
}

/* A machine without a battery for its clock starts in the past. */
static void warn_of_past(const struct node *n)
{
	s64 before = tls_identity_issued(n->identity) - (s64)time(NULL);
	char text[40];

	if (before <= 0)
		return;
	wallclock_text(before, text, sizeof(text));
	log_warning("the clock here is %s before this node's certificate was "
		    "made; until it is right no other node is believed. Try: "
		    "sudo timedatectl set-ntp true",
		    text);
}

int identity_open(struct node *n, struct failure *f)
{
	char dir[STATE_PATH_MAX], path[STATE_PATH_MAX];
	int ret = identity_dir(n, dir, f);

	if (ret)
		return ret;
	if (access(dir, F_OK) && errno == ENOENT)
		return failure_set(f, -ENOENT, n->state,
				   "'virgo init NAME' for a new cloud, or the "
				   "command that 'virgo invite' printed",
				   "this machine is not part of a cloud yet");
	ret = authority_load(&n->authority, dir, f);
	if (!ret && state_path(path, n->state, "catalog.db"))
		ret = failure_set(f, -ENAMETOOLONG, n->state, NULL,
				  "the path is too long");
	if (!ret)
		ret = catalog_open(&n->catalog, path, n->authority, f);
	if (!ret)
		ret = load_tls(n, dir, f);
	if (!ret && strcmp(tls_identity_node(n->identity),
			   catalog_head(n->catalog)->self))
		ret = failure_set(f, -EINVAL, n->state, NULL,
				  "node.crt and the catalog name different nodes");
	if (!ret)
		ret = renew_expired(n, dir, f);
	if (!ret)
		warn_of_past(n);
	if (ret)
		identity_close(n);
	return ret;
}

void identity_close(struct node *n)
{
	tls_identity_put(n->identity);
	catalog_close(n->catalog);
	authority_free(n->authority);
	n->identity = NULL;
	n->catalog = NULL;
	n->authority = NULL;
}

/* Renewal */

static void look_again(struct renewal *r, s64 in_s)
{
	if (in_s < 1)
		in_s = 1;
	if (in_s > LOOK_MAX_S)
		in_s = LOOK_MAX_S;
	loop_arm(r->node->loop, &r->timer, (u64)in_s * 1000000);
}

static void retry(struct renewal *r, const struct failure *f)
{
	struct tls_identity *id = r->node->identity;
	s64 life = tls_identity_expires(id) - tls_identity_issued(id);
	s64 in = life / RETRY_PARTS;

	log_warning("renewing the certificate: %s: %s", f->object, f->what);
	look_again(r, in > RETRY_MAX_S ? RETRY_MAX_S : in);
}

static void renewed(struct renewal *r)
{
	struct node *n = r->node;
	char dir[STATE_PATH_MAX];
	struct failure f;

	if (identity_dir(n, dir, &f) || load_tls(n, dir, &f)) {
		retry(r, &f);
		return;
	}
	log_info("certificate renewed");
	memory_identity_changed(n->memory);
	look_again(r, renewal_due_s(tls_identity_issued(n->identity),
				    tls_identity_expires(n->identity)) -
			      (s64)time(NULL));
}

static int take_certificate(struct renewal *r, struct span pem,
			    struct failure *f)
{
	struct node *n = r->node;
	char dir[STATE_PATH_MAX];
	struct blob key;
	int ret = identity_dir(n, dir, f);

	if (!ret)
		ret = state_read(dir, "node.key", &key, f);
	if (ret)
		return ret;
	ret = authority_check_issued(n->authority, pem, blob_span(&key),
				     catalog_head(n->catalog)->self, f);
	blob_free(&key);
	return ret ? ret : state_write(dir, "node.crt", pem, 0644, f);
}

static void renew_reply(void *arg, const struct frame *frame,
			const u8 *payload, const struct failure *why)
{
	struct renewal *r = arg;
	struct msg_renewed m;
	struct msg_error e;
	struct failure f;
	int ret;

	r->call = 0;
	if (!frame) {
		retry(r, why);
		return;
	}
	if (frame->type == MSG_ERROR &&
	    !msg_error_decode(&e, payload, frame->length)) {
		failure_from_message(&f, &e);
		ret = f.code;
	} else if (frame->type != MSG_RENEWED ||
		   msg_renewed_decode(&m, payload, frame->length)) {
		ret = failure_set(&f, -EBADMSG, "renewal", NULL,
				  "the home node's answer is malformed");
	} else {
		ret = take_certificate(r, m.certificate, &f);
	}
	if (ret)
		retry(r, &f);
	else
		renewed(r);
}

static int ask_home(struct renewal *r, struct span request, struct failure *f)
{
	const struct msg_renew m = { .request = request };
	size_t size = msg_renew_size(&m);
	u8 *buf = malloc(size);
	struct wcursor w = wcursor_of(buf, buf ? size : 0);

	if (buf) {
		msg_renew_encode(&w, &m);
		r->call = peers_call(r->node->peers,
				     catalog_head(r->node->catalog)->home,
				     TLS_CONTROL, MSG_RENEW, buf, size,
				     renew_reply, r);
	}
	free(buf);
	return r->call ? 0 :
			 failure_set(f, -ENOMEM, "renewal", NULL,
				     "out of memory");
}

/* Issued while this home node's clock was ahead: nobody takes it now. */
static bool is_from_future(const struct node *n)
{
	return tls_identity_issued(n->identity) >
	       (s64)time(NULL) + WALLCLOCK_SKEW_MAX_S;
}

static void renew_fire(struct timer *t)
{
	struct renewal *r = (struct renewal *)((char *)t -
					       offsetof(struct renewal, timer));
	struct node *n = r->node;
	s64 due = renewal_due_s(tls_identity_issued(n->identity),
				tls_identity_expires(n->identity));
	struct blob request = { 0 };
	char dir[STATE_PATH_MAX];
	struct failure f;
	bool home;
	int ret;

	home = catalog_is_home(n->catalog);
	if (due > (s64)time(NULL) && !(home && is_from_future(n))) {
		look_again(r, due - (s64)time(NULL));
		return;
	}
	if (r->call)
		return;
	ret = wallclock_check(n, "renewal", &f);
	if (!ret)
		ret = identity_dir(n, dir, &f);
	if (!ret)
		ret = request_make(n, dir, &request, &f);
	if (!ret)
		ret = home ? renew_at_home(n, dir, blob_span(&request), &f) :
			     ask_home(r, blob_span(&request), &f);
	blob_free(&request);
	if (ret)
		retry(r, &f);
	else if (home)
		renewed(r);
}

struct renewal *renewal_new(struct node *n)
{
	struct renewal *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->node = n;
	r->timer.fire = renew_fire;
	loop_arm(n->loop, &r->timer, 0);
	return r;
}

void renewal_look(struct renewal *r)
{
	loop_disarm(r->node->loop, &r->timer);
	loop_arm(r->node->loop, &r->timer, 0);
}

void renewal_free(struct renewal *r)
{
	if (!r)
		return;
	loop_disarm(r->node->loop, &r->timer);
	if (r->call)
		peers_forget(r->node->peers, r->call);
	free(r);
}
