// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections for virgo.ko; the contract is in handover.h. */
#include "handover.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "catalog.h"
#include "conn.h"
#include "listen.h"
#include "log.h"
#include "module.h"
#include "peers.h"
#include "policy.h"

enum {
	PER_NODE_MAX = 4, /* both sides may dial, and renew */
	LOOK_US = 500000, /* at the certificates */
	AGAIN_MIN_US = 250000,
	AGAIN_MAX_US = 30 * 1000000,
	GIVE_UP_US = 600 * 1000000,
	NO_TLS_US = 60 * 1000000, /* until kTLS is tried again */
};

struct handed {
	TAILQ_ENTRY(handed) entry;
	struct handover *all;
	struct conn *conn; /* the module's descriptor */
	bool over; /* it is being closed */
	struct tls_session *tls; /* says who and until when; has no keys */
};

struct wanted {
	LIST_ENTRY(wanted) entry;
	struct handover *all;
	char node[NODE_NAME_MAX + 1];
	bool dialling;
	struct timer again;
	u64 wait_us;
	u64 failing_us; /* since when; 0: the last attempt was good */
};

struct handover {
	struct node *node;
	struct module *module;
	TAILQ_HEAD(handed_list, handed) handed; /* the oldest first */
	LIST_HEAD(, wanted) wanted;
	struct timer look;
	u64 no_tls_us; /* when the kernel was found without TLS; 0: it has it */
};

static void dial(struct wanted *w);

static const char *node_of(const struct handed *k)
{
	return tls_session_peer(k->tls)->node;
}

static struct handed *handed_find(struct handover *h, const char *node)
{
	struct handed *k;

	TAILQ_FOREACH(k, &h->handed, entry)
		if (!k->over && !strcmp(node_of(k), node))
			break;
	return k;
}

static struct wanted *wanted_find(struct handover *h, const char *node)
{
	struct wanted *w;

	LIST_FOREACH(w, &h->wanted, entry)
		if (!strcmp(w->node, node))
			break;
	return w;
}

static void wanted_free(struct wanted *w)
{
	peers_secure_forget(w->all->node->peers, w->node);
	loop_disarm(w->all->node->loop, &w->again);
	LIST_REMOVE(w, entry);
	free(w);
}

/* Dials soon, and later each time that it fails. */
static void dial_later(struct wanted *w)
{
	w->wait_us = w->wait_us ? 2 * w->wait_us : AGAIN_MIN_US;
	if (w->wait_us > AGAIN_MAX_US)
		w->wait_us = AGAIN_MAX_US;
	loop_arm(w->all->node->loop, &w->again, w->wait_us);
}

/* @why in words, for the log. */
static void end(struct handed *k, const char *why)
{
	struct handover *h = k->all;
	struct wanted *w;

	if (k->over)
		return;
	log_info("the module's connection to %s: %s", node_of(k), why);
	k->over = true;
	conn_close(k->conn, NULL);
	w = wanted_find(h, node_of(k));
	if (w && !w->dialling && !handed_find(h, node_of(k)))
		dial_later(w);
}

/* Jobs that the node at the other end asks for; nothing else comes. */
static void handed_frame(struct conn *c, const struct frame *f,
			 const u8 *payload)
{
	struct handed *k = conn_arg(c);

	service_dispatch(k->all->node, c, f, payload);
}

static void handed_drained(struct conn *c)
{
	struct handed *k = conn_arg(c);

	service_drained(k->all->node, c);
}

static void handed_closed(struct conn *c, const struct failure *why)
{
	struct handed *k = conn_arg(c);

	end(k, why->code ? why->what : "ended");
	service_closed(k->all->node, c);
	TAILQ_REMOVE(&k->all->handed, k, entry);
	tls_session_free(k->tls);
	free(k);
}

static const struct conn_ops handed_ops = {
	.on_frame = handed_frame,
	.on_drained = handed_drained,
	.on_closed = handed_closed,
};

static void look(struct timer *t)
{
	struct handover *h = (struct handover *)((char *)t -
						 offsetof(struct handover,
							  look));
	s64 now_s = (s64)time(NULL);
	struct handed *k;
	struct failure f;

	TAILQ_FOREACH(k, &h->handed, entry)
		if (tls_session_current(k->tls, now_s, &f))
			end(k, f.what);
	if (!TAILQ_EMPTY(&h->handed))
		loop_arm(h->node->loop, &h->look, LOOK_US);
}

static void keep_few(struct handover *h, const char *node)
{
	struct handed *k, *oldest = NULL;
	int count = 0;

	TAILQ_FOREACH_REVERSE(k, &h->handed, handed_list, entry) {
		if (k->over || strcmp(node_of(k), node))
			continue;
		count++;
		oldest = k;
	}
	if (count > PER_NODE_MAX)
		end(oldest, "newer ones took its place");
}

/* Gives the socket with its keys to the kernel; @fd and @tls are used up. */
static int hand_over(struct handover *h, int fd, struct tls_session *tls,
		     struct failure *f)
{
	const char *node = tls_session_peer(tls)->node;
	struct handed *k = calloc(1, sizeof(*k));
	int ret = k ? tls_to_kernel(tls, fd, f) :
		      failure_set(f, -ENOMEM, node, NULL, "out of memory");

	if (ret == -ENOENT)
		h->no_tls_us = loop_now_us(h->node->loop);
	if (!ret)
		ret = module_adopt(h->module, fd, node, f);
	close(fd); /* the module has its own reference */
	if (ret < 0) {
		tls_session_free(tls);
		free(k);
		return ret;
	}
	k->all = h;
	k->tls = tls;
	k->conn = conn_of_module(h->node->loop, ret, tls_session_peer(tls),
				 &handed_ops, k);
	if (!k->conn) {
		tls_session_free(tls);
		free(k);
		return failure_set(f, -ENOMEM, "virgod", NULL, "out of memory");
	}
	TAILQ_INSERT_TAIL(&h->handed, k, entry);
	log_info("a connection to %s is the module's", node);
	if (!timer_armed(&h->look))
		loop_arm(h->node->loop, &h->look, LOOK_US);
	keep_few(h, node);
	return 0;
}

static void failed(struct wanted *w, const struct failure *why)
{
	struct handover *h = w->all;
	u64 now = loop_now_us(h->node->loop);

	log_info("no connection to %s for the module: %s", w->node, why->what);
	module_refuse(h->module, w->node);
	if (!w->failing_us)
		w->failing_us = now;
	/* Who was never reached is not sought again unasked. */
	if (!w->wait_us || now - w->failing_us > GIVE_UP_US ||
	    !catalog_node(h->node->catalog, w->node))
		wanted_free(w);
	else
		dial_later(w);
}

static void dialled(void *arg, int fd, struct tls_session *tls,
		    const struct failure *why)
{
	struct wanted *w = arg;
	struct failure f;

	w->dialling = false;
	if (fd < 0) {
		failed(w, why);
	} else if (hand_over(w->all, fd, tls, &f)) {
		failed(w, &f);
	} else {
		w->failing_us = 0;
		w->wait_us = AGAIN_MIN_US;
	}
}

static void dial(struct wanted *w)
{
	struct failure f;

	loop_disarm(w->all->node->loop, &w->again);
	w->dialling = true;
	if (!peers_secure(w->all->node->peers, w->node, dialled, w))
		return;
	w->dialling = false;
	failure_set(&f, -ENOMEM, w->node, NULL, "out of memory");
	failed(w, &f);
}

static void dial_again(struct timer *t)
{
	struct wanted *w = (struct wanted *)((char *)t -
					     offsetof(struct wanted, again));

	/* The other side may have been faster. */
	if (!handed_find(w->all, w->node))
		dial(w);
}

static void on_wanted(void *arg, const char *node)
{
	struct handover *h = arg;
	struct wanted *w = wanted_find(h, node);

	/* Before it is looked for: any name may be asked for. */
	if (!h->node->catalog || !catalog_node(h->node->catalog, node) ||
	    !strcmp(node, h->node->local.node) || !handover_possible(h)) {
		module_refuse(h->module, node);
		return;
	}
	if (!w) {
		w = calloc(1, sizeof(*w));
		if (!w) {
			module_refuse(h->module, node);
			return;
		}
		w->all = h;
		w->again.fire = dial_again;
		snprintf(w->node, sizeof(w->node), "%s", node);
		LIST_INSERT_HEAD(&h->wanted, w, entry);
	}
	if (!w->dialling)
		dial(w);
}

static void on_reload(struct node *n)
{
	if (n->handover)
		module_reload(n->handover->module);
}

struct handover *handover_new(struct node *n)
{
	struct handover *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->node = n;
	TAILQ_INIT(&h->handed);
	LIST_INIT(&h->wanted);
	h->look.fire = look;
	h->module = module_new(n, on_wanted, h);
	if (!h->module) {
		free(h);
		return NULL;
	}
	policy_on_reload(n, on_reload);
	return h;
}

void handover_end(struct handover *h)
{
	struct handed *k;

	if (!h)
		return;
	while (!LIST_EMPTY(&h->wanted))
		wanted_free(LIST_FIRST(&h->wanted));
	TAILQ_FOREACH(k, &h->handed, entry)
		end(k, "virgod ends");
}

void handover_free(struct handover *h)
{
	if (!h)
		return;
	handover_end(h);
	while (!TAILQ_EMPTY(&h->handed))
		loop_step(h->node->loop, 0);
	loop_disarm(h->node->loop, &h->look);
	module_free(h->module);
	free(h);
}

struct module *handover_module(const struct handover *h)
{
	return h->module;
}

bool handover_possible(const struct handover *h)
{
	return h && module_is_there(h->module) &&
	       (!h->no_tls_us || loop_now_us(h->node->loop) - h->no_tls_us >
					 NO_TLS_US);
}

void handover_take(struct handover *h, int fd, struct tls_session *tls)
{
	struct failure f;

	if (hand_over(h, fd, tls, &f))
		log_info("a connection for the module: %s", f.what);
}

void handover_cut_if(struct handover *h,
		     bool (*cut)(const struct tls_peer *peer, void *arg),
		     void *arg)
{
	struct handed *k;

	if (!h)
		return;
	TAILQ_FOREACH(k, &h->handed, entry) {
		if (cut(tls_session_peer(k->tls), arg))
			end(k, "was removed from the cloud");
	}
}
