// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo_cloud.conf in force; the contract is in policy.h. */
#include "policy.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "audit.h"
#include "log.h"
#include "service.h"

enum { HOOKS_MAX = 8 };

struct policy {
	struct conf_cloud conf;
	atomic_uint references;
	char self[64]; /* "" before init or join */
	char path[PATH_MAX];
	void (*hooks[HOOKS_MAX])(struct node *n);
	int hook_count;
};

static void log_remarks(const struct conf_report *r)
{
	for (u32 i = 0; i < r->count; i++) {
		const struct conf_remark *m = &r->remarks[i];

		log_line(m->notice ? LOG_LEVEL_NOTICE : LOG_LEVEL_ERROR,
			 "%s:%u: %s%s%s", r->path, m->line, m->what,
			 m->remedy[0] ? ". Try: " : "", m->remedy);
	}
}

int policy_load(struct policy **out, const char *path, const char *self,
		struct failure *f)
{
	struct policy *p = calloc(1, sizeof(*p));
	struct conf_report *report = malloc(sizeof(*report));
	int ret = -ENOMEM;

	if (p && report) {
		ret = conf_read(&conf_cloud_schema, path, &p->conf, report);
		if (ret == -ENOENT)
			ret = conf_parse(&conf_cloud_schema, path, "", 0,
					 &p->conf, report);
		log_remarks(report);
		if (ret)
			conf_report_failure(report, ret, f);
	} else {
		failure_set(f, ret, path, NULL, "out of memory");
	}
	free(report);
	if (ret) {
		free(p);
		return ret;
	}
	atomic_init(&p->references, 1);
	snprintf(p->self, sizeof(p->self), "%s", self ? self : "");
	snprintf(p->path, sizeof(p->path), "%s", path);
	*out = p;
	return 0;
}

struct policy *policy_get(struct policy *p)
{
	atomic_fetch_add(&p->references, 1);
	return p;
}

void policy_put(struct policy *p)
{
	if (!p || atomic_fetch_sub(&p->references, 1) != 1)
		return;
	conf_free(&p->conf);
	free(p);
}

const struct conf_cloud *policy_conf(const struct policy *p)
{
	return &p->conf;
}

static bool names(const struct conf_list *l, const char *user)
{
	return conf_list_has(l, "*") || conf_list_has(l, user);
}

static bool allowed(const struct policy *p, const char *node, const char *user)
{
	const struct conf_map *allow = &p->conf.allow;
	const struct conf_pair *line = conf_map_find(allow, node);

	if (!line && (!allow->count || !strcmp(node, p->self)))
		return true;
	if (!line)
		line = conf_map_find(allow, "*");
	return line && names(&line->values, user);
}

/* In words what to change in the file: an own line of a node hides that of *. */
static void allow_remedy(const struct policy *p, const char *node,
			 const char *user, char *out, size_t size)
{
	const struct conf_pair *line = conf_map_find(&p->conf.allow, node);

	if (line && line->values.count)
		snprintf(out, size, "add %.40s to the line of %.63s in [allow] "
				    "of %.80s there", user, node, p->path);
	else
		snprintf(out, size, "write %.63s = %.40s below [allow] in "
				    "%.80s there", node, user, p->path);
}

const char *policy_account(const struct policy *p, const char *user)
{
	const struct conf_pair *mapped = conf_map_find(&p->conf.idmap, user);

	return mapped ? mapped->values.items[0] : user;
}

const char *policy_cloud_name(const struct policy *p, const char *account)
{
	const struct conf_map *m = &p->conf.idmap;
	u32 i;

	/* Of several who are this account the first stands for it. */
	for (i = 0; i < m->count; i++)
		if (!strcmp(m->pairs[i].values.items[0], account))
			return m->pairs[i].key;
	return conf_map_find(m, account) ? NULL : account;
}

int policy_admit(const struct policy *p, const char *node, const char *user,
		 const char *object, struct policy_grant *out,
		 struct failure *f)
{
	char remedy[sizeof(f->remedy)];

	if (!conf_user_name_valid(user))
		return failure_set(f, -EACCES, object, NULL,
				   "'%.60s' cannot be a user's name", user);
	if (!allowed(p, node, user)) {
		allow_remedy(p, node, user, remedy, sizeof(remedy));
		return failure_set(f, -EACCES, object, remedy,
				   "user '%.60s' of %.63s may not use this "
				   "node", user, node);
	}
	out->user = strcmp(node, p->self) ? policy_account(p, user) : user;
	out->system = names(&p->conf.jobs_system_users, out->user);
	return 0;
}

int policy_reload(struct node *n, struct failure *f)
{
	char path[PATH_MAX];
	struct policy *old = n->policy;
	struct policy *new;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", n->conf_dir,
		 conf_cloud_schema.file);
	ret = policy_load(&new, path, n->local.node, f);
	if (ret)
		return ret;
	n->policy = new;
	if (!old)
		return 0;
	memcpy(new->hooks, old->hooks, sizeof(new->hooks));
	new->hook_count = old->hook_count;
	policy_put(old);
	for (int i = 0; i < new->hook_count; i++)
		new->hooks[i](n);
	log_notice("%s: in force", path);
	return 0;
}

void policy_on_reload(struct node *n, void (*fn)(struct node *n))
{
	struct policy *p = n->policy;

	assert(p->hook_count < HOOKS_MAX);
	p->hooks[p->hook_count++] = fn;
}

static void handle_reload(struct request *r)
{
	struct failure f = { 0 };
	int ret = policy_reload(r->node, &f);

	audit_write_failure(r->node->audit, r->node->local.node, "root",
			    "reload", conf_cloud_schema.file, &f);
	if (ret)
		request_fail_with(r, &f);
	else
		request_ok(r);
}

void policy_serve(struct node *n)
{
	static const struct service table[] = {
		{ MSG_RELOAD, FROM_ROOT, handle_reload },
	};

	service_add(n, table, ARRAY_SIZE(table));
}
