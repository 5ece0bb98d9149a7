// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Joining, renewing and changing nodes; see home.h. An invitation is a private
 * row of the catalog, found by the hash of its secret:
 *
 *	made -> used (its row keeps the joiner's key) -> forgotten
 *
 * A joiner that did not hear the answer may ask again with the same secret and
 * the same key until the invitation expires, and gets the same name.
 */
#include "home.h"

#include <stdlib.h>
#include <time.h>

#include "address.h"
#include "advertise.h"
#include "audit.h"
#include "home_impl.h"
#include "log.h"
#include "node_name.h"
#include "policy.h"
#include "replica.h"
#include "service.h"
#include "token.h"
#include "wallclock.h"
#include "volume_place.h"

enum {
	INVITE_DEFAULT_S = 15 * 60,
	INVITE_MAX_S = 30 * 24 * 3600,
	INVITATIONS_MAX = 1024,
	FORGET_AFTER_S = 24 * 3600, /* until then "expired" is said, not "unknown" */
};

static const char invitation_prefix[] = "invitation/";

enum { INVITATION_KEY_MAX = sizeof(invitation_prefix) + 64 };

static void invitation_key(const u8 *secret, char out[INVITATION_KEY_MAX])
{
	u8 hash[32];

	sha256_of(secret, TOKEN_SECRET_BYTES, hash);
	strcpy(out, invitation_prefix);
	hex_of(hash, sizeof(hash), out + strlen(out));
}

static bool invitation_of(const char *key, const struct span *value,
			  struct rec_invitation_row *out)
{
	return !strncmp(key, invitation_prefix, strlen(invitation_prefix)) &&
	       rec_invitation_row_decode(out, value->data, value->len) == 0;
}

static void edit_invitation(struct catalog_edit *e, const char *key,
			    const struct rec_invitation_row *i)
{
	u8 buf[512];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	rec_invitation_row_encode(&w, i);
	catalog_edit_private(e, key,
			     (struct span){ buf, (u32)wcursor_len(&w) });
}

/* Drops invitations that nobody can use any more; gives how many remain. */
static size_t invitations_sweep(const struct catalog *c,
				struct catalog_edit *e, s64 now)
{
	const struct span *value;
	struct rec_invitation_row i;
	size_t at = 0, left = 0;
	const char *key;

	while ((key = catalog_next_private(c, &at, &value))) {
		if (!invitation_of(key, value, &i))
			continue;
		if ((s64)i.expires_s + FORGET_AFTER_S < now)
			catalog_edit_private(e, key, (struct span){ 0 });
		else
			left++;
	}
	return left;
}

s64 home_life_s(const struct node *n)
{
	return n->policy ?
		       (s64)policy_conf(n->policy)->cloud_certificate_life_ms /
			       1000 :
		       CERTIFICATE_LIFE_S;
}

bool home_is_administrator(const struct node *n, const char *name)
{
	const struct conf_list *l =
		&policy_conf(n->policy)->cloud_administrators;

	return conf_list_has(l, name) || conf_list_has(l, "*");
}

bool home_allows(struct request *r, const char *what)
{
	struct failure f;
	const char *home = catalog_head(r->node->catalog)->home;

	if (!r->peer || home_is_administrator(r->node, r->peer))
		return true;
	failure_set(&f, -EACCES, what,
		    "it there, or name this node in 'administrators' of "
		    "[cloud] in the home node's virgo_cloud.conf",
		    "only root on the home node %s may do this, not %s", home,
		    r->peer);
	home_audit(r, what, "-", &f);
	request_fail_with(r, &f);
	return false;
}

void home_audit(const struct request *r, const char *action,
		const char *object, const struct failure *f)
{
	bool joiner = r->from == FROM_JOINER;

	audit_write_failure(r->node->audit,
			    r->peer ? r->peer :
			    joiner  ? "-" :
				      r->node->local.node,
			    joiner ? "-" : "root", action, object, f);
}

int home_ready(const struct node *n, struct failure *f)
{
	const struct catalog_head *h = catalog_head(n->catalog);

	if (!replica_is_sure(n->replica))
		return failure_set(f, -EAGAIN, h->self,
				   "again in some seconds",
				   "it is asking the other nodes whether it is still the home node");
	if (h->heir[0])
		return failure_set(f, -EAGAIN, h->self,
				   "again in some seconds",
				   "the cloud's home is being moved to %s",
				   h->heir);
	return 0;
}

/* Invitations */

/* What is asked for, checked: 0 with @name ("" for any), or @f. */
static int check_invite(const struct catalog *c, const struct msg_invite *m,
			char name[NODE_NAME_MAX + 1], struct failure *f)
{
	int ret = 0;

	name[0] = '\0';
	if (m->name.len && !span_to_cstr(m->name, name, NODE_NAME_MAX + 1))
		strcpy(name, "-");
	if (m->name.len)
		ret = node_name_check(name, f);
	if (ret)
		return ret;
	if (*name && catalog_node(c, name))
		return failure_set(f, -EEXIST, "invite", "another name",
				   "the cloud has a node %s already", name);
	if (m->seconds > INVITE_MAX_S)
		return failure_set(f, -EINVAL, "invite", "--ttl 15m",
				   "an invitation may last 30 days at most");
	return 0;
}

/* Writes down an invitation for @secret. */
static int record_invite(struct catalog *c, const u8 *secret, const char *name,
			 s64 now, u32 seconds, struct failure *f)
{
	const struct rec_invitation_row i = {
		.name = span_of(name),
		.expires_s = (u64)now + (seconds ? seconds : INVITE_DEFAULT_S),
	};
	struct catalog_edit *e = catalog_edit(c);
	char key[INVITATION_KEY_MAX];

	if (e && invitations_sweep(c, e, now) >= INVITATIONS_MAX) {
		catalog_drop(e);
		return failure_set(f, -ENOSPC, "invite", "again later",
				   "there are %d invitations already",
				   INVITATIONS_MAX);
	}
	invitation_key(secret, key);
	if (e)
		edit_invitation(e, key, &i);
	return catalog_commit(e, f);
}

static void serve_invite(struct request *r)
{
	struct node *n = r->node;
	char name[NODE_NAME_MAX + 1], text[TOKEN_TEXT_MAX + 1];
	struct token t = { 0 };
	struct msg_invite m;
	struct failure f;
	int ret;

	if (!home_or_forward(r) || !request_decode(r, invite, &m) ||
	    !home_allows(r, "invite"))
		return;
	random_fill(t.secret, sizeof(t.secret));
	ret = wallclock_check(n, "invite", &f);
	if (!ret)
		ret = check_invite(n->catalog, &m, name, &f);
	if (!ret)
		ret = record_invite(n->catalog, t.secret, name,
				    (s64)time(NULL), m.seconds, &f);
	if (ret < 0) {
		request_fail_with(r, &f);
		return;
	}
	home_audit(r, "invite", *name ? name : "-", NULL);
	strcpy(t.home, catalog_head(n->catalog)->self);
	catalog_addresses(n->catalog, t.home, t.addresses, sizeof(t.addresses));
	memcpy(t.fingerprint, authority_fingerprint(n->authority),
	       sizeof(t.fingerprint));
	token_print(&t, text);
	request_reply(r, INVITED, invited,
		      (&(struct msg_invited){ .token = span_of(text),
					      .name = span_of(name) }));
	explicit_bzero(&t, sizeof(t));
	explicit_bzero(text, sizeof(text));
}

/* Joining */

struct joining {
	struct request *r;
	struct msg_join m;
	struct rec_invitation_row invitation;
	char key[INVITATION_KEY_MAX];
	char name[NODE_NAME_MAX + 1];
	char addresses[ADVERTISED_LIST_MAX + 1];
	char volume_path[4096];
	u8 key_hash[32];
	s64 now;
	bool again; /* the same joiner asks once more */
	struct sockaddr_storage from;
	struct issued issued;
};

/* A secret of 128 bits is not to be guessed; this keeps those who try from
 * costing the home node more than they do.
 */
static int check_rate(struct joining *j, struct failure *f)
{
	struct node *n = j->r->node;
	u32 wait;

	if (conn_address(j->r->conn, &j->from))
		return failure_set(f, -EACCES, "join", NULL,
				   "the connection is gone");
	wait = attempts_wait_s(&n->home->attempts,
			       (const struct sockaddr *)&j->from,
			       loop_now_us(n->loop));
	if (!wait)
		return 0;
	return failure_set(f, -EBUSY, "join", "again then",
			   "too many wrong invitations came from this address; it may try again in %u s",
			   wait);
}

static int check_invitation(struct joining *j, struct failure *f)
{
	static const char remedy[] = "a new invitation: 'virgo invite' on the "
				     "home node";
	struct catalog *c = j->r->node->catalog;
	const struct span *value = NULL;

	if (j->m.secret.len == TOKEN_SECRET_BYTES) {
		invitation_key(j->m.secret.data, j->key);
		value = catalog_private(c, j->key);
	}
	if (!value || !invitation_of(j->key, value, &j->invitation))
		return failure_set(f, -EACCES, "join", remedy,
				   "this cloud does not know the invitation");
	if ((s64)j->invitation.expires_s < j->now)
		return failure_set(f, -ETIME, "join", remedy,
				   "the invitation has expired");
	if (node_request_key_hash(j->m.request, j->key_hash))
		return failure_set(f, -EBADMSG, "join", NULL,
				   "the signing request is malformed");
	j->again = j->invitation.used_s &&
		   j->invitation.key_hash.len == sizeof(j->key_hash) &&
		   secret_equal(j->invitation.key_hash.data, j->key_hash,
				sizeof(j->key_hash));
	if (j->invitation.used_s && !j->again)
		return failure_set(f, -EACCES, "join", remedy,
				   "the invitation has been used already");
	return 0;
}

static int check_name(struct joining *j, struct failure *f)
{
	struct span wanted = j->invitation.name.len ? j->invitation.name :
						      j->m.name;
	int ret;

	if (!span_to_cstr(wanted, j->name, sizeof(j->name)))
		return failure_set(f, -EINVAL, "join", "--name NAME",
				   "the name is missing or too long");
	ret = node_name_check(j->name, f);
	if (ret < 0 || j->again || !catalog_node(j->r->node->catalog, j->name))
		return ret;
	return failure_set(f, -EEXIST, "join",
			   "--name OTHER, or 'virgo node remove' first",
			   "the cloud has a node %s already", j->name);
}

static int check_places(struct joining *j, struct failure *f)
{
	char text[ADVERTISED_LIST_MAX + 1];

	if (!span_to_cstr(j->m.addresses, text, sizeof(text)))
		return failure_set(f, -EINVAL, "join", "--advertise",
				   "no addresses, or too many");
	if (!span_to_cstr(j->m.volume_path, j->volume_path,
			  sizeof(j->volume_path)) ||
	    j->volume_path[0] != '/')
		return failure_set(f, -EINVAL, "join", NULL,
				   "the folder to export is not a path");
	return advertised_list(text, VIRGO_PORT, j->addresses,
			       sizeof(j->addresses), f);
}

static int join_issue(struct joining *j, struct failure *f)
{
	struct node *n = j->r->node;
	const struct rec_node_row *known = catalog_node(n->catalog, j->name);
	char stem[STEM_DIGITS + 1] = "";
	struct issue want = { .name = j->name,
			      .cloud = catalog_head(n->catalog)->cloud,
			      .now_s = j->now,
			      .life_s = home_life_s(n) };

	if (j->again && known) {
		memcpy(stem, known->serial.data, STEM_DIGITS);
		want.stem = stem;
	}
	return authority_issue(n->authority, j->m.request, &want, &j->issued,
			       f);
}

static int join_record(struct joining *j, struct failure *f)
{
	struct catalog *c = j->r->node->catalog;
	const struct rec_node_row row = {
		.name = span_of(j->name),
		.addresses = span_of(j->addresses),
		.serial = span_of(j->issued.serial),
		.joined_s = (u64)j->now,
		.expires_s = (u64)j->issued.expires_s,
	};
	struct rec_invitation_row i = j->invitation;
	struct catalog_edit *e = catalog_edit(c);

	if (e) {
		i.used_s = (u64)j->now;
		i.name = span_of(j->name);
		i.key_hash = (struct span){ j->key_hash, 32 };
		catalog_edit_node(e, &row);
		home_add_default_volume(c, e, j->name, j->volume_path);
		edit_invitation(e, j->key, &i);
	}
	return catalog_commit(e, f);
}

/* Enough of the catalog to find the home node and pull the rest. */
static int first_rows(const struct catalog *c, struct blob *out)
{
	const struct catalog_head *h = catalog_head(c);
	const struct rec_node_row *home = catalog_node(c, h->self);
	u8 value[2048], rows[2560];
	struct wcursor v = wcursor_of(value, sizeof(value));
	struct wcursor w = wcursor_of(rows, sizeof(rows));
	struct msg_catalog_rows m = {
		.epoch = h->epoch,
		.change = 1,
		.whole = 1,
		.home = span_of(h->home),
		.signature = { h->signature, h->signature_len },
		.key_number = h->key_number,
		.group_key = { h->group_key, GROUP_KEY_BYTES },
	};

	rec_node_row_encode(&v, home);
	rec_catalog_row_append(
		&w, &(struct rec_catalog_row){
			    .table = span_of("node"),
			    .key = span_of(h->self),
			    .change = 1,
			    .value = { value, (u32)wcursor_len(&v) } });
	m.rows = (struct span){ rows, (u32)wcursor_len(&w) };
	out->len = msg_catalog_rows_size(&m);
	out->data = malloc(out->len);
	if (!out->data || v.bad || w.bad)
		return -ENOMEM;
	v = wcursor_of(out->data, out->len);
	msg_catalog_rows_encode(&v, &m);
	return 0;
}

static int join_answer(struct joining *j, struct failure *f)
{
	struct node *n = j->r->node;
	const struct blob *authority = authority_certificate(n->authority);
	struct blob rows = { 0 };

	if (first_rows(n->catalog, &rows)) {
		blob_free(&rows);
		return failure_set(f, -ENOMEM, "join", NULL, "out of memory");
	}
	request_reply(j->r, JOINED, joined,
		      (&(struct msg_joined){
			      .cloud = span_of(catalog_head(n->catalog)->cloud),
			      .name = span_of(j->name),
			      .certificate = { (u8 *)j->issued.pem.data,
					       (u32)j->issued.pem.len },
			      .authority = { (u8 *)authority->data,
					     (u32)authority->len },
			      .catalog = { (u8 *)rows.data,
					   (u32)rows.len } }));
	blob_free(&rows);
	return 0;
}

static void serve_join(struct request *r)
{
	struct joining j = { .r = r, .now = (s64)time(NULL) };
	struct failure f;
	int ret;

	if (!home_or_forward(r) || !request_decode(r, join, &j.m))
		return;
	ret = check_rate(&j, &f);
	if (!ret)
		ret = wallclock_check(r->node, "join", &f);
	if (!ret) {
		ret = check_invitation(&j, &f);
		if (ret == -EACCES)
			attempts_failed(&r->node->home->attempts,
					(const struct sockaddr *)&j.from,
					loop_now_us(r->node->loop));
		if (!ret)
			ret = check_name(&j, &f);
		if (!ret)
			ret = check_places(&j, &f);
		if (!ret)
			ret = join_issue(&j, &f);
		if (!ret)
			ret = join_record(&j, &f);
		if (!ret)
			ret = join_answer(&j, &f);
	}
	blob_free(&j.issued.pem);
	home_audit(r, "join", *j.name ? j.name : "-", ret < 0 ? &f : NULL);
	if (ret < 0) {
		log_notice("a join was refused: %s", f.what);
		request_fail_with(r, &f);
		return;
	}
	log_notice("%s joined", j.name);
}

/* Renewing */

static void serve_renew(struct request *r)
{
	struct node *n = r->node;
	const struct rec_node_row *known;
	struct rec_node_row row;
	struct issued issued = { 0 };
	char stem[STEM_DIGITS + 1];
	struct catalog_edit *e;
	struct msg_renew m;
	struct failure f;
	struct issue want;
	int ret;

	if (!home_or_forward(r) || !request_decode(r, renew, &m))
		return;
	known = catalog_node(n->catalog, r->peer);
	if (!known || memcmp(conn_peer(r->conn)->serial, known->serial.data,
			     STEM_DIGITS)) {
		request_fail(r, -EACCES, r->peer, NULL,
			     "the cloud has no node with this certificate");
		return;
	}
	memcpy(stem, known->serial.data, STEM_DIGITS);
	stem[STEM_DIGITS] = '\0';
	want = (struct issue){ .name = r->peer,
			       .cloud = catalog_head(n->catalog)->cloud,
			       .stem = stem,
			       .now_s = (s64)time(NULL),
			       .life_s = home_life_s(n) };
	ret = wallclock_check(n, "renewal", &f);
	if (!ret)
		ret = authority_issue(n->authority, m.request, &want, &issued,
				      &f);
	if (!ret) {
		row = *known;
		row.serial = span_of(issued.serial);
		row.expires_s = (u64)issued.expires_s;
		e = catalog_edit(n->catalog);
		if (e)
			catalog_edit_node(e, &row);
		ret = catalog_commit(e, &f);
	}
	if (ret < 0)
		request_fail_with(r, &f);
	else
		request_reply(r, RENEWED, renewed,
			      (&(struct msg_renewed){
				      .certificate = {
					      (u8 *)issued.pem.data,
					      (u32)issued.pem.len } }));
	blob_free(&issued.pem);
}

static const struct service services[] = {
	{ MSG_INVITE, FROM_ROOT | FROM_PEER, serve_invite },
	{ MSG_JOIN, FROM_JOINER, serve_join },
	{ MSG_RENEW, FROM_PEER, serve_renew },
};

struct home *home_new(struct node *n)
{
	struct home *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	service_add(n, services, ARRAY_SIZE(services));
	home_nodes_serve(n);
	promote_serve(n);
	volumes_serve(n);
	volume_folder_serve(n);
	return h;
}

void home_free(struct home *h, struct node *n)
{
	if (!h)
		return;
	promote_end(n);
	volume_place_end(n);
	free(h);
}

void home_start(struct node *n)
{
	promote_resume(n);
}
