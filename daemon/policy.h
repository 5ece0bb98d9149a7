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

/* The defaults when @path does not exist. On failure nothing is made; every
 * error of the file is logged, the first is in @f. @self is this node's name.
 */
int policy_load(struct policy **out, const char *path, const char *self,
		struct failure *f);
struct policy *policy_get(struct policy *p);
void policy_put(struct policy *p);
/* The values: policy_conf(p)->jobs_max and so on. */
const struct conf_cloud *policy_conf(const struct policy *p);

struct policy_grant {
	const char *user; /* the name here, by [idmap] */
	bool system; /* root or a system account may run jobs under it */
};

/*
 * Whether @user of node @node may use this machine, by [allow], and as whom, by
 * [idmap]. This node's own users are themselves, and are allowed unless [allow]
 * has a line of this node's own name. out->user lives as long as both @p and
 * @user. 0, or -EACCES and @f, whose object is @object ("run on beta").
 */
int policy_admit(const struct policy *p, const char *node, const char *user,
		 const char *object, struct policy_grant *out,
		 struct failure *f);

/* [idmap] the other way: what @account, one of this machine, is called in the
 * cloud. NULL when its name there is someone else's and nobody in the cloud is
 * it. Points into @p, or is @account.
 */
const char *policy_cloud_name(const struct policy *p, const char *account);
/* And as policy_admit() maps: the account here of the cloud's @user. */
const char *policy_account(const struct policy *p, const char *user);

/* Reads virgo_cloud.conf in n->conf_dir and swaps n->policy, or makes the
 * first; the old one stays when the file has an error.
 */
int policy_reload(struct node *n, struct failure *f);
/* Registers MSG_RELOAD, which does this. */
void policy_serve(struct node *n);
/* Called after each later swap, in the loop's thread, to take over new values.
 * n->policy must exist.
 */
void policy_on_reload(struct node *n, void (*fn)(struct node *n));

#endif
