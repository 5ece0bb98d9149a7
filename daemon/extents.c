// SPDX-License-Identifier: GPL-2.0-or-later
/* What the parts of memory objects share, and their beginning and end. */
#include "extents_impl.h"

#include <stdlib.h>

#include "audit.h"

bool extents_handle(struct span s, struct handle *out)
{
	if (s.len != HANDLE_BYTES)
		return false;
	memcpy(out->bytes, s.data, HANDLE_BYTES);
	return true;
}

const char *extents_name(const struct handle *h, char out[32])
{
	char text[HANDLE_TEXT];

	handle_print(h, text);
	snprintf(out, 32, "object %.4s..%.4s", text, text + 16);
	return out;
}

int extents_stale(const struct handle *h, struct failure *f, const char *why)
{
	char name[32];

	return failure_set(f, -ESTALE, extents_name(h, name), NULL, "%s", why);
}

void extents_refuse(struct request *r, const char *user, const char *action,
		    const struct failure *f)
{
	struct node *n = r->node;

	/* Stale handles are everyday; whom something was denied is not. */
	if (f->code == -EACCES)
		audit_write_failure(n->audit, r->peer ? r->peer : n->local.node,
				    user, action, f->object, f);
	request_fail_with(r, f);
}

bool extents_user(struct request *r, struct span said, const char *action,
		  char out[IDNAME_MAX])
{
	struct policy_grant grant;
	struct failure f;

	if (!span_to_cstr(said, out, IDNAME_MAX)) {
		request_fail(r, -EINVAL, action, NULL, "not a user's name");
		return false;
	}
	if (!policy_admit(r->node->policy, r->peer, out, action, &grant, &f))
		return true;
	extents_refuse(r, out, action, &f);
	return false;
}

static void on_second(struct timer *t)
{
	struct extents *x =
		(struct extents *)((char *)t - offsetof(struct extents, second));
	u64 now = loop_now_us(x->node->loop);

	keeper_tick(x, now);
	object_tick(x, now);
	if (x->object_count || x->kept_count)
		loop_arm(x->node->loop, t, SECOND_US);
}

void extents_watch(struct extents *x)
{
	if (!x->second.place)
		loop_arm(x->node->loop, &x->second, SECOND_US);
}

static void on_close(struct node *n, struct conn *c)
{
	if (n->extents && n->extents->object_count)
		object_let_go(n->extents, c);
}

struct extents *extents_new(struct node *n)
{
	struct extents *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->namer = workers_new(n->loop, 1, NULL);
	if (!x->namer) {
		free(x);
		return NULL;
	}
	x->node = n;
	x->second.fire = on_second;
	n->extents = x;
	ops_serve(x);
	keeper_serve(x);
	service_on_close(n, on_close);
	return x;
}

void extents_stop(struct extents *x)
{
	if (!x)
		return;
	x->ending = true;
	workers_free(x->namer);
	x->namer = NULL;
	loop_disarm(x->node->loop, &x->second);
}

void extents_free(struct extents *x)
{
	if (!x)
		return;
	ops_free(x);
	object_free_all(x);
	keeper_free(x);
	x->node->extents = NULL;
	free(x);
}
