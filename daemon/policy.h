/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgo_cloud.conf as this node stands by it: one immutable struct policy, made
 * whole or not at all. The loop's thread reads node->policy; a reload swaps that
 * pointer, so whoever keeps a policy beyond the current call, or uses it in
 * another thread, takes a reference with policy_get() in the loop's thread.
 *
 * The fields come from the table in lib/conf_cloud.h: a row there is a key of
 * the file, a field SECTION_KEY here, a row of the manual page and a line of the
 * sample file. To add a key, add a row.
 */
#ifndef VIRGO_DAEMON_POLICY_H
#define VIRGO_DAEMON_POLICY_H

#include "conf_cloud.h"
#include "failure.h"

struct node;
struct policy;

/* Defaults, when @path does not exist. On failure nothing is made and every
 * error of the file is in @f's text as far as it fits, and in the log.
 */
int policy_load(struct policy **out, const char *path, struct failure *f);
struct policy *policy_get(struct policy *p);
void policy_put(struct policy *p);
/* The values: policy_conf(p)->jobs_max and so on. */
const struct conf_cloud *policy_conf(const struct policy *p);

struct policy_grant {
	const char *user; /* the name here, by [idmap]; lives as long as @p */
	bool system; /* root or a system account may run jobs under it */
};

/*
 * Whether @user of node @node (this node's own name for its own users) may use
 * this machine, by [allow], and as whom, by [idmap]. @user must live as long as
 * @out. 0, or -EACCES and @f, whose object is @object ("run on beta").
 */
int policy_admit(const struct policy *p, const char *node, const char *user,
		 const char *object, struct policy_grant *out,
		 struct failure *f);

/* Reads the file of @n again and swaps n->policy; the old one stays when the
 * file has an error. policy_serve() registers MSG_RELOAD, which does this.
 */
int policy_reload(struct node *n, struct failure *f);
void policy_serve(struct node *n);
/* Called after each swap, in the loop's thread, to take over new values. */
void policy_on_reload(struct node *n, void (*fn)(struct node *n));

#endif
