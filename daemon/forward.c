// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests that only the home node can answer, typed at another node: they go
 * there over the connection between the two virgods, and the answer goes back as
 * it came. The home node sees the node, not the user; so only what root typed is
 * passed on where the service's table says FROM_ROOT.
 */
#include <stdlib.h>

#include "home.h"
#include "peers.h"
#include "replica.h"
#include "service.h"

struct forwarded {
	struct node *node;
	struct conn *conn;
	u64 tag;
};

static void forward_reply(void *arg, const struct frame *f, const u8 *payload,
			  const struct failure *why)
{
	struct forwarded *w = arg;

	if (f) {
		struct frame out = { .type = f->type,
				     .flags = f->flags,
				     .stream = f->stream,
				     .tag = w->tag };

		conn_send(w->conn, &out, payload, f->length, NULL, 0);
		if (f->flags & FRAME_MORE)
			return;
		/* What it changed shall be seen here soon. */
		replica_poke(w->node->replica);
	} else {
		const char *home = catalog_head(w->node->catalog)->home;
		struct failure g;
		char object[sizeof(g.object)];

		snprintf(object, sizeof(object), "home node %s", home);
		failure_set(&g, why->code, object,
			    "start virgod there; if that machine is lost, "
			    "'virgo node promote --backup FILE' here",
			    "cannot be asked: %s", why->what);
		conn_reply_failure(w->conn, w->tag, &g);
	}
	conn_put(w->conn);
	free(w);
}

bool home_or_forward(struct request *r)
{
	struct node *n = r->node;
	const struct catalog_head *h;
	struct forwarded *w;

	if (!n->catalog) {
		request_fail(r, -ENOTCONN, "virgo",
			     "virgo init NAME, or virgo join",
			     "this machine is not part of a cloud yet");
		return false;
	}
	h = catalog_head(n->catalog);
	if (catalog_is_home(n->catalog)) {
		struct failure f;
		int ret = home_ready(n, &f);

		if (ret < 0)
			request_fail_with(r, &f);
		return !ret;
	}
	if (r->from == FROM_PEER || r->from == FROM_JOINER) {
		request_fail(r, -ESTALE, h->self, NULL,
			     "it is not the home node; %s is", h->home);
		return false;
	}
	w = calloc(1, sizeof(*w));
	if (w) {
		w->node = n;
		w->conn = conn_get(r->conn);
		w->tag = r->frame->tag;
		if (peers_call(n->peers, h->home, TLS_CONTROL, r->frame->type,
			       r->payload, r->frame->length, forward_reply, w))
			return false;
		conn_put(w->conn);
		free(w);
	}
	request_fail(r, -ENOMEM, h->self, NULL, "out of memory");
	return false;
}
