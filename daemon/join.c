// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * `virgod join TOKEN`: makes this machine a node of the cloud that invited it.
 * It makes its own key, finds the home node at one of the invitation's addresses
 * (tried in turn), believes only a server whose authority has the invitation's
 * fingerprint and whose name is the home's, and sends a signing request with the
 * secret. What comes back is checked against key, name and authority before any
 * of it is stored.
 *
 * The key is on disk before the secret is said. Whoever was killed before the
 * answer came, or asked a home node that was, joins again with the same invitation
 * and the same key, to which the home node answers as it did before.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "address.h"
#include "catalog.h"
#include "conf_cloud.h"
#include "conn.h"
#include "log.h"
#include "node_name.h"
#include "setup.h"
#include "token.h"

static const char help[] =
	"Usage: virgo join INVITATION [OPTION]...\n"
	"Makes this machine a node of the cloud that 'virgo invite' invited it to.\n"
	"\n"
	"  --name NAME       the node's name, if the invitation leaves it open\n"
	"                    (this machine's host name)\n"
	"  --advertise LIST  addresses under which the others reach it (those of\n"
	"                    its interfaces)\n"
	"  --port N          TCP and UDP port (8747)\n"
	"  --help\n";

enum {
	ANSWER_US = 15000000,
	AGAIN_US = 500000, /* until asking once more, when the answer was lost */
};

/* In .making: SHA-256 of the invitation's secret, then the key made for it. */
static const char kept_key[] = "key";

enum { SECRET_HASH = 32 };

struct joiner {
	const struct setup *setup;
	struct state_new state;
	struct token token;
	struct loop *loop;
	struct conn_local local;
	struct conn *conn; /* the one under way, or NULL */
	struct timer timeout;
	struct timer again;
	struct address address[ADDRESS_MAX];
	int addresses;
	int next;
	char tried[256]; /* what happened at each, for the message */
	struct blob key;
	struct blob request;
	char name[NODE_NAME_MAX + 1]; /* wanted, then given */
	char advertise[ADVERTISED_LIST_MAX + 1];
	char volume_path[STATE_PATH_MAX];
	struct failure why;
	bool asked; /* the home node may have let us in already */
	bool answered;
	bool again_with_key; /* as it may have when an earlier attempt asked */
	bool over; /* answered, or given up */
	bool joined;
};

static void dial_next(struct joiner *j);

static struct span blob_span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

/* What came, stored. */
static int write_catalog(struct joiner *j, const struct msg_joined *m,
			 struct authority *a, struct failure *f)
{
	struct catalog_head head = { 0 };
	struct msg_catalog_rows rows;
	char path[STATE_PATH_MAX];
	struct catalog *c;
	int ret;

	if (!span_to_cstr(m->cloud, head.cloud, sizeof(head.cloud)) ||
	    !node_name_valid(head.cloud) ||
	    msg_catalog_rows_decode(&rows, m->catalog.data, m->catalog.len))
		return failure_set(f, -EBADMSG, "join", NULL,
				   "the home node's answer is malformed");
	strcpy(head.self, j->name);
	strcpy(head.home, j->token.home);
	if (state_path(path, j->state.making, "catalog.db"))
		return failure_set(f, -ENAMETOOLONG, "join", NULL,
				   "the path is too long");
	ret = catalog_create(path, &head, f);
	if (!ret)
		ret = catalog_open(&c, path, a, f);
	if (ret)
		return ret;
	ret = catalog_take(c, &rows, f);
	catalog_close(c);
	return ret < 0 ? ret : 0;
}

static int store(struct joiner *j, const struct msg_joined *m,
		 struct failure *f)
{
	struct authority *a = NULL;
	int ret;

	if (!span_to_cstr(m->name, j->name, sizeof(j->name)) ||
	    !node_name_valid(j->name))
		return failure_set(f, -EBADMSG, "join", NULL,
				   "the home node's answer is malformed");
	ret = authority_from_pem(&a, m->authority, NULL, f);
	if (!ret && memcmp(authority_fingerprint(a), j->token.fingerprint,
			   FINGERPRINT_BYTES))
		ret = failure_set(f, -EKEYREJECTED, "join", NULL,
				  "the authority is not the invitation's");
	if (!ret)
		ret = authority_check_issued(a, m->certificate,
					     blob_span(&j->key), j->name, f);
	if (!ret)
		ret = setup_write_identity(j->state.identity,
					   blob_span(&j->key), m->certificate,
					   blob_span(authority_certificate(a)),
					   f);
	if (!ret)
		ret = write_catalog(j, m, a, f);
	/* Once it is a node nobody runs this again. */
	if (!ret)
		setup_keep_options(j->setup);
	if (!ret)
		ret = state_commit(&j->state, f);
	authority_free(a);
	return ret;
}

static void on_open(struct conn *c)
{
	struct joiner *j = conn_arg(c);
	const struct msg_join m = {
		.secret = { j->token.secret, TOKEN_SECRET_BYTES },
		.request = blob_span(&j->request),
		.name = span_of(j->name),
		.addresses = span_of(j->advertise),
		.volume_path = span_of(j->volume_path),
	};

	j->asked = true;
	conn_request(c, 1, JOIN, join, &m);
}

static void on_frame(struct conn *c, const struct frame *frame,
		     const u8 *payload)
{
	struct joiner *j = conn_arg(c);
	struct msg_joined m;
	struct msg_error e;

	if (frame->tag != 1 || j->over)
		return;
	j->over = true;
	j->answered = true;
	if (frame->type == MSG_ERROR &&
	    !msg_error_decode(&e, payload, frame->length))
		failure_from_message(&j->why, &e);
	else if (frame->type != MSG_JOINED ||
		 msg_joined_decode(&m, payload, frame->length))
		failure_set(&j->why, -EBADMSG, "join", NULL,
			    "the home node's answer is malformed");
	else
		j->joined = store(j, &m, &j->why) == 0;
	conn_finish(c);
	loop_stop(j->loop);
}

static void note(struct joiner *j, const struct failure *why)
{
	char where[ADDRESS_TEXT_MAX];
	size_t len = strlen(j->tried);

	address_text((const struct sockaddr *)&j->address[j->next - 1].sa,
		     where);
	snprintf(j->tried + len, sizeof(j->tried) - len, "%s%s: %s",
		 len ? "; " : "", where, why->what);
}

static void on_closed(struct conn *c, const struct failure *why)
{
	struct joiner *j = conn_arg(c);

	j->conn = NULL;
	if (j->over)
		return;
	if (j->asked && why->code != -EACCES) {
		j->next = 0;
		j->tried[0] = '\0';
		loop_arm(j->loop, &j->again, AGAIN_US);
		return;
	}
	note(j, why);
	/* Somebody answered there and is not who was promised. */
	if (why->code == -EACCES || why->code == -EPROTO) {
		failure_set(&j->why, why->code, "join",
			    "a new invitation; if this repeats, somebody "
			    "between the two machines answers in its place",
			    "the machine at that address is not the home node '%s' of the cloud that invited (%s)",
			    j->token.home, j->tried);
		loop_stop(j->loop);
		return;
	}
	dial_next(j);
}

static const struct conn_ops ops = {
	.on_open = on_open,
	.on_frame = on_frame,
	.on_closed = on_closed,
};

static void dial_next(struct joiner *j)
{
	while (j->next < j->addresses) {
		const struct address *a = &j->address[j->next++];

		j->conn = conn_dial(j->loop, (const struct sockaddr *)&a->sa,
				    a->len, NULL, TLS_JOIN, j->token.home,
				    j->token.fingerprint, &j->local, &ops, j);
		if (j->conn)
			return;
	}
	failure_set(&j->why, -EHOSTUNREACH, "join",
		    "see that virgod runs there and that no firewall stops "
		    "TCP and UDP port 8747; --advertise at 'virgo init' says "
		    "where it is reached",
		    "the home node '%s' cannot be reached (%s)", j->token.home,
		    j->tried[0] ? j->tried : "no address");
	loop_stop(j->loop);
}

static void ask_again(struct timer *t)
{
	dial_next((struct joiner *)((char *)t - offsetof(struct joiner,
							 again)));
}

static void on_timeout(struct timer *t)
{
	struct joiner *j = (struct joiner *)((char *)t - offsetof(struct joiner,
								  timeout));

	failure_set(&j->why, -ETIMEDOUT, "join", "again",
		    "the home node '%s' does not answer%s%s", j->token.home,
		    j->tried[0] ? " " : "", j->tried);
	loop_stop(j->loop);
}

static bool find_kept_key(struct joiner *j, const u8 hash[SECRET_HASH])
{
	struct blob b;

	if (state_read(j->state.making, kept_key, &b, NULL))
		return false;
	if (b.len > SECRET_HASH && secret_equal(b.data, hash, SECRET_HASH)) {
		j->key.data = strndup(b.data + SECRET_HASH,
				      b.len - SECRET_HASH);
		j->key.len = j->key.data ? b.len - SECRET_HASH : 0;
	}
	blob_free(&b);
	return j->key.data;
}

static int keep_key(struct joiner *j, const u8 hash[SECRET_HASH],
		    struct failure *f)
{
	struct blob b = { .len = SECRET_HASH + j->key.len };
	int ret;

	b.data = malloc(b.len);
	if (!b.data)
		return failure_set(f, -ENOMEM, "join", NULL, "out of memory");
	memcpy(b.data, hash, SECRET_HASH);
	memcpy(b.data + SECRET_HASH, j->key.data, j->key.len);
	ret = state_write(j->state.making, kept_key, blob_span(&b), 0600, f);
	blob_free(&b);
	return ret;
}

/* The key: that of an earlier attempt with this invitation, or a new one. */
static int take_key(struct joiner *j, struct failure *f)
{
	u8 hash[SECRET_HASH];
	int ret;

	sha256_of(j->token.secret, TOKEN_SECRET_BYTES, hash);
	j->again_with_key = find_kept_key(j, hash);
	if (j->again_with_key)
		return 0;
	ret = node_key_create(&j->key, f);
	return ret ? ret : keep_key(j, hash, f);
}

/* Whether the home node may have let in a node with our key, so that it must be
 * kept for another attempt.
 */
static bool may_be_in(const struct joiner *j)
{
	if (!j->answered)
		return j->asked || j->again_with_key;
	return j->again_with_key && j->why.code != -EACCES &&
	       j->why.code != -ETIME;
}

static int prepare(struct joiner *j, struct failure *f)
{
	const struct setup *s = j->setup;
	struct conf_cloud conf;
	char host[256];
	u16 port;
	int ret = token_parse(&j->token, s->word, f);

	if (!ret && s->name) {
		ret = node_name_check(s->name, f);
		if (!ret)
			strcpy(j->name, s->name);
	} else if (!ret) {
		if (gethostname(host, sizeof(host)))
			host[0] = '\0';
		host[sizeof(host) - 1] = '\0';
		node_name_near(host, j->name);
	}
	if (!ret)
		ret = setup_conf(s, &conf, f);
	if (!ret) {
		ret = setup_addresses(s, &conf, j->advertise, &port, f);
		conf_free(&conf);
	}
	if (!ret)
		ret = state_begin(&j->state, s->state, f);
	if (!ret)
		ret = setup_export(s, j->volume_path, sizeof(j->volume_path),
				   f);
	if (!ret)
		ret = take_key(j, f);
	if (!ret)
		ret = node_request_create(blob_span(&j->key), j->name,
					  &j->request, f);
	if (ret)
		return ret;
	j->addresses = address_resolve(j->token.addresses, VIRGO_PORT, true,
				       j->address, ADDRESS_MAX);
	if (j->addresses > 0)
		return 0;
	return failure_set(f, -EHOSTUNREACH, "join",
			   "check this machine's name service, or invite "
			   "again from a home node with --advertise",
			   "none of the home node's addresses can be resolved (%s)",
			   j->token.addresses);
}

static int run(struct joiner *j, struct failure *f)
{
	int ret = prepare(j, f);

	if (ret)
		return ret;
	j->loop = loop_new();
	if (!j->loop || getrandom(j->local.session, sizeof(j->local.session),
				  0) != sizeof(j->local.session))
		return failure_set(f, -ENOMEM, "join", NULL, "out of memory");
	j->local.node = "";
	j->timeout.fire = on_timeout;
	j->again.fire = ask_again;
	loop_arm(j->loop, &j->timeout, ANSWER_US);
	dial_next(j);
	if (!j->why.code)
		ret = loop_run(j->loop);
	if (j->conn && !j->over)
		conn_close(j->conn, NULL);
	j->over = true;
	/* The connection ends in the loop, at the latest two seconds later. */
	while (j->conn)
		loop_step(j->loop, 100);
	loop_disarm(j->loop, &j->timeout);
	loop_disarm(j->loop, &j->again);
	loop_free(j->loop);
	if (!ret && !j->joined) {
		*f = j->why;
		ret = f->code;
	}
	return ret;
}

int join_main(int argc, char **argv)
{
	struct failure f = { 0 };
	struct joiner *j;
	struct setup s;
	int ret = setup_parse(&s, argc, argv, help, "scapnh", 1);

	if (ret >= 0)
		return ret;
	log_open("virgo", LOG_LEVEL_WARNING);
	j = calloc(1, sizeof(*j));
	if (!j)
		return 1;
	j->setup = &s;
	j->state.lock = -1;
	ret = run(j, &f);
	if (ret) {
		if (may_be_in(j))
			state_pause(&j->state);
		state_abandon(&j->state);
		failure_print(&f, stderr);
	} else {
		printf("This machine is '%s', a node of the cloud of '%s'.\n",
		       j->name, j->token.home);
		setup_start(&s);
	}
	blob_free(&j->key);
	blob_free(&j->request);
	explicit_bzero(&j->token, sizeof(j->token));
	free(j);
	return ret ? 1 : 0;
}
