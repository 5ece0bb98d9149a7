// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of local callers: a request whose uid has no remembered name waits in a
 * naming until virgo-spawn has looked it up.
 */
#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "service.h"

enum {
	NAMES = 64,
	NAME_KEEP_US = 30000000,
};

/* A request of a local caller whose name is being looked up. */
struct naming {
	struct exchange x;
	struct naming *next;
	uid_t uid;
	u16 type;
	size_t len;
	u8 payload[];
};

static struct {
	u32 uid;
	u64 until_us;
	char name[USER_BYTES];
} names[NAMES]; /* by uid % NAMES */

const char *jobs_known_name(uid_t uid)
{
	if (names[uid % NAMES].uid == uid && names[uid % NAMES].name[0] &&
	    loop_clock_us() < names[uid % NAMES].until_us)
		return names[uid % NAMES].name;
	return NULL;
}

static void naming_gone(struct exchange *x)
{
	struct naming *n = (struct naming *)x;
	struct naming **at = &x->jobs->namings;

	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	x->jobs->naming_count--;
	x->jobs->naming_bytes -= n->len;
	free(n);
}

/* Nothing can follow a request before its first answer, except its end. */
static void naming_frame(struct exchange *x, const struct frame *f,
			 const u8 *payload)
{
}

static const struct exchange_ops naming_ops = { naming_frame, naming_gone };

void jobs_ask_name(const struct caller *who, uid_t uid,
		   const struct request *r)
{
	size_t len = r->frame->length;
	struct naming *n = NULL;

	if (who->jobs->naming_count < NAMINGS_MAX &&
	    who->jobs->naming_bytes + len <= NAMINGS_BYTES)
		n = malloc(sizeof(*n) + len);
	if (!n || exchange_open(&n->x, who, &naming_ops)) {
		free(n);
		caller_fail(who, -EBUSY, "run", "once more",
			    "too much is under way");
		return;
	}
	who->jobs->naming_count++;
	who->jobs->naming_bytes += len;
	n->uid = uid;
	n->type = r->frame->type;
	n->len = len;
	memcpy(n->payload, r->payload, len);
	n->next = who->jobs->namings;
	who->jobs->namings = n;
	if (spawner_who(who->jobs->spawner, uid)) {
		const struct failure f = { .code = -EAGAIN, .object = "run",
					   .what = "virgo-spawn is starting",
					   .remedy = "once more" };

		exchange_fail(&n->x, &f);
		exchange_close(&n->x);
		naming_gone(&n->x);
	}
}

void jobs_names_lost(struct jobs *js)
{
	const struct failure f = { .code = -EAGAIN, .object = "run",
				   .what = "virgo-spawn ended before it told "
					   "your name",
				   .remedy = "once more" };
	struct naming *n;

	while ((n = js->namings)) {
		exchange_fail(&n->x, &f);
		exchange_close(&n->x);
		naming_gone(&n->x);
	}
}

void jobs_names_free(struct jobs *js)
{
	struct naming *n;

	while ((n = js->namings)) {
		exchange_close(&n->x);
		naming_gone(&n->x);
	}
}

static void no_name(const struct caller *who, u32 uid, int error)
{
	if (error == ENOENT)
		caller_fail(who, -ENOENT, "run", "create the account",
			    "your user id %u has no name here", uid);
	else
		caller_fail(who, -EAGAIN, "run", "once more; see the logs of "
			    "sssd, nscd or the directory server",
			    "the user data base did not answer for your id %u",
			    uid);
}

void jobs_name_known(struct jobs *js, u32 uid, const char *name, int error)
{
	struct naming **at = &js->namings, *n, *ready = NULL;

	names[uid % NAMES].uid = uid;
	names[uid % NAMES].until_us = loop_clock_us() + NAME_KEEP_US;
	snprintf(names[uid % NAMES].name, USER_BYTES, "%s", name);
	while ((n = *at)) {
		if (n->uid != uid) {
			at = &n->next;
			continue;
		}
		*at = n->next;
		n->next = ready;
		ready = n;
	}
	while ((n = ready)) {
		struct caller who = { .jobs = js, .conn = conn_get(n->x.conn),
				      .tag = n->x.tag,
				      .node = js->node->local.node,
				      .user = names[uid % NAMES].name,
				      .root = uid == 0 };

		ready = n->next;
		exchange_close(&n->x);
		if (name[0])
			jobs_handle(&who, n->type, n->payload, n->len);
		else
			no_name(&who, uid, error);
		conn_put(who.conn);
		js->naming_count--;
		js->naming_bytes -= n->len;
		free(n);
	}
}
