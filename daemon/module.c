// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The link to virgo.ko; the contract is in module.h.
 *
 * Two sockets: one whose answers are awaited, which the kernel gives before the
 * request returns, and one for news. That one is in the group of the controller
 * of generic netlink, which tells of families that come and go, and while the
 * module is there in its group "peers".
 */
#include "module_impl.h"

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/virgo.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "callers.h"
#include "kernel.h"
#include "log.h"
#include "netlink.h"
#include "policy.h"

enum { NEWS_MAX = 8192, PATIENCE_S = 5 };

/* Who may call, as [functions] says it: a node, or a user of one. */
struct caller {
	const char *node;
	char user[NODE_NAME_MAX + 1]; /* "": the node itself */
};

/* A command with those of its texts that are not NULL. */
static int tell(struct module *m, u8 command, const char *function,
		const char *node, const char *user)
{
	u8 data[MESSAGE_MAX];
	struct nl_message out = nl_begin(data, sizeof(data), m->family,
					 NLM_F_ACK, ++m->sequence, command,
					 VIRGO_GENL_VERSION);

	if (function)
		nl_put_text(&out, VIRGO_A_FN_NAME, function);
	if (node)
		nl_put_text(&out, VIRGO_A_NODE, node);
	if (user)
		nl_put_text(&out, VIRGO_A_USER, user);
	return nl_ask(m->fd, data, nl_end(&out), m->sequence, NULL, NULL);
}

static void split(const struct module *m, const char *item, struct caller *c)
{
	const char *at = strrchr(item, '@');

	c->node = at ? at + 1 : item;
	snprintf(c->user, sizeof(c->user), "%.*s",
		 at ? (int)(at - item) : 0, item);
	if (!strcmp(c->node, m->node->local.node))
		c->node = "";
}

static void tell_rule(struct module *m, u8 command, const char *function,
		      const char *item)
{
	struct caller c;
	int ret;

	split(m, item, &c);
	if (!*c.node && !*c.user)
		return; /* this node's kernel needs no leave */
	ret = tell(m, command, function, c.node, *c.user ? c.user : NULL);
	if (ret && (ret != -ENOENT || command != VIRGO_CMD_FN_DENY))
		log_error("virgo.ko: [functions] %s = %s: %s", function, item,
			  strerror(-ret));
}

/* Each rule of @has that @lacks has not. */
static void tell_difference(struct module *m, u8 command, struct policy *has,
			    struct policy *lacks)
{
	const struct conf_map *all = &policy_conf(has)->functions;
	u32 i, k;

	for (i = 0; i < all->count; i++) {
		const struct conf_pair *p = &all->pairs[i];
		const struct conf_pair *other =
			lacks ? conf_map_find(&policy_conf(lacks)->functions,
					      p->key) : NULL;

		for (k = 0; k < p->values.count; k++)
			if (!other || !conf_list_has(&other->values,
						     p->values.items[k]))
				tell_rule(m, command, p->key,
					  p->values.items[k]);
	}
}

/* Whether [allow] of @p could let @user of @node run jobs here. The module knows no
 * more than these rules: what else there is to an order virgod looks at.
 */
static bool may_run(struct policy *p, const char *node, const char *user)
{
	const struct conf_map *allow = &policy_conf(p)->allow;
	const struct conf_pair *line = conf_map_find(allow, node);

	if (!allow->count)
		return !strcmp(node, "*") && !strcmp(user, "*");
	return line && conf_list_has(&line->values, user);
}

static void tell_runner(struct module *m, u8 command, const char *node,
			const char *user)
{
	int ret = tell(m, command, VIRGO_FN_JOBS, node, user);

	if (ret && (ret != -ENOENT || command != VIRGO_CMD_FN_DENY))
		log_error("virgo.ko: [allow] %s = %s: %s", node, user,
			  strerror(-ret));
}

/* Each of @has that @lacks has not. */
static void tell_runners(struct module *m, u8 command, struct policy *has,
			 struct policy *lacks)
{
	const struct conf_map *allow = &policy_conf(has)->allow;
	u32 i, k;

	if (!allow->count && (!lacks || !may_run(lacks, "*", "*")))
		tell_runner(m, command, "*", "*");
	for (i = 0; i < allow->count; i++) {
		const struct conf_pair *p = &allow->pairs[i];

		for (k = 0; k < p->values.count; k++)
			if (!lacks || !may_run(lacks, p->key,
					       p->values.items[k]))
				tell_runner(m, command, p->key,
					    p->values.items[k]);
	}
}

/* @name NULL: this account may call no longer. */
static void tell_caller(struct module *m, u32 uid, const char *name)
{
	u8 data[MESSAGE_MAX];
	u8 command = name ? VIRGO_CMD_CALLER_ALLOW : VIRGO_CMD_CALLER_DENY;
	struct nl_message out = nl_begin(data, sizeof(data), m->family,
					 NLM_F_ACK, ++m->sequence, command,
					 VIRGO_GENL_VERSION);
	int ret;

	nl_put_u32(&out, VIRGO_A_UID, uid);
	if (name)
		nl_put_text(&out, VIRGO_A_USER, name);
	ret = nl_ask(m->fd, data, nl_end(&out), m->sequence, NULL, NULL);
	if (ret && (name || ret != -ENOENT))
		log_error("virgo.ko: [calls] users: %s: %s", name ? name : "",
			  strerror(-ret));
}

static bool lists(const struct caller_list *l, u32 uid)
{
	u32 i;

	for (i = 0; i < l->count; i++)
		if (l->entries[i].uid == uid)
			return true;
	return false;
}

static void callers_found(void *arg, const struct caller_list *l)
{
	struct module *m = arg;
	u32 *uids = malloc((l->count + 1) * sizeof(*uids));
	u32 i;

	if (!m->family || !uids) {
		free(uids);
		return;
	}
	for (i = 0; i < m->uid_count; i++)
		if (!lists(l, m->uids[i]))
			tell_caller(m, m->uids[i], NULL);
	for (i = 0; i < l->count; i++) {
		tell_caller(m, l->entries[i].uid, l->entries[i].name);
		uids[i] = l->entries[i].uid;
	}
	free(m->uids);
	m->uids = uids;
	m->uid_count = l->count;
}

void module_reload(struct module *m)
{
	struct policy *now;

	if (!m || !m->family)
		return;
	now = policy_get(m->node->policy);
	tell_difference(m, VIRGO_CMD_FN_ALLOW, now, m->told);
	tell_runners(m, VIRGO_CMD_FN_ALLOW, now, m->told);
	if (m->told) {
		tell_difference(m, VIRGO_CMD_FN_DENY, m->told, now);
		tell_runners(m, VIRGO_CMD_FN_DENY, m->told, now);
	}
	policy_put(m->told);
	m->told = now;
	callers_look(m->callers);
}

/* Another virgod's rules may still be in it. */
static void begin(struct module *m)
{
	const char *self = m->node->local.node;
	int ret = *self ? tell(m, VIRGO_CMD_NODE_SET, NULL, self, NULL) : 0;

	if (!ret)
		ret = tell(m, VIRGO_CMD_FN_DENY, NULL, NULL, NULL);
	if (!ret)
		ret = tell(m, VIRGO_CMD_CALLER_DENY, NULL, NULL, NULL);
	m->uid_count = 0;
	if (ret)
		log_error("virgo.ko: it does not take this node's name: %s",
			  strerror(-ret));
	policy_put(m->told);
	m->told = NULL;
	module_reload(m);
	loop_arm(m->node->loop, &m->accept, 0);
}

static void come(struct module *m, const struct nl_family *f)
{
	if (m->family || !f->group)
		return;
	if (nl_join(m->news.fd, f->group))
		return;
	m->family = f->id;
	log_info("virgo.ko is there");
	begin(m);
}

static void look(struct module *m)
{
	struct nl_family f;

	if (!nl_find_family(m->fd, ++m->sequence, VIRGO_GENL_NAME,
			    VIRGO_GENL_GROUP_PEERS, &f))
		come(m, &f);
}

static void hear_controller(struct module *m, const struct nl_header *h)
{
	struct nl_family f;

	nl_family_decode(h->attributes, VIRGO_GENL_NAME,
			 VIRGO_GENL_GROUP_PEERS, &f);
	if (!f.named)
		return;
	if (h->command == CTRL_CMD_NEWFAMILY) {
		look(m);
	} else if (h->command == CTRL_CMD_DELFAMILY) {
		m->family = 0;
		log_info("virgo.ko has gone");
		if (m->gone)
			m->gone(m->gone_arg);
	}
}

static void hear_wanted(struct module *m, const struct nl_header *h)
{
	struct nl_rest rest = h->attributes, value;
	char node[NODE_NAME_MAX + 1];
	int type;

	while ((type = nl_next(&rest, &value)) >= 0) {
		if (type != VIRGO_A_NODE || !value.left ||
		    value.left > sizeof(node) || value.at[value.left - 1])
			continue;
		memcpy(node, value.at, value.left);
		m->wanted(m->arg, node);
	}
}

static void hear_caller(struct module *m, const struct nl_header *h)
{
	if (h->command == VIRGO_CMD_PEER_WANTED)
		hear_wanted(m, h);
	else if (h->command == VIRGO_CMD_CALLER_WAITS)
		loop_arm(m->node->loop, &m->accept, 0);
}

/* Lost news (ENOBUFS) cost a caller his patience, or are of the module itself. */
static void news_ready(struct watch *w, u32 events)
{
	struct module *m = (struct module *)((char *)w - offsetof(struct module,
								  news));
	struct sockaddr_nl from;
	struct nl_header h;
	u8 data[NEWS_MAX];

	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(w->fd, data, sizeof(data), 0,
				     (struct sockaddr *)&from, &len);

		if (n < 0 && errno == ENOBUFS) {
			look(m);
			loop_arm(m->node->loop, &m->accept, 0);
			continue;
		}
		if (n < 0)
			return;
		if (from.nl_pid || nl_decode(data, (size_t)n, &h) < 0)
			continue;
		if (h.type == GENL_ID_CTRL)
			hear_controller(m, &h);
		else if (m->family && h.type == m->family)
			hear_caller(m, &h);
	}
}

static int open_link(struct module *m)
{
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	int one = 1;
	int ret;

	m->fd = nl_open(0);
	m->news.fd = nl_open(SOCK_NONBLOCK);
	if (m->fd < 0 || m->news.fd < 0)
		return m->fd < 0 ? m->fd : m->news.fd;
	setsockopt(m->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	/* The module is to know that we are there even when we are behind. */
	setsockopt(m->news.fd, SOL_NETLINK, NETLINK_BROADCAST_ERROR, &one,
		   sizeof(one));
	/* The controller's group "notify" has its own number. */
	ret = nl_join(m->news.fd, GENL_ID_CTRL);
	return ret ? ret : loop_watch(m->node->loop, &m->news, EPOLLIN);
}

struct module *module_new(struct node *n,
			  void (*wanted)(void *arg, const char *node),
			  void *arg)
{
	struct module *m = calloc(1, sizeof(*m));
	int ret;

	if (!m)
		return NULL;
	m->node = n;
	m->wanted = wanted;
	m->arg = arg;
	m->news.ready = news_ready;
	m->accept.fire = module_accept;
	m->callers = callers_new(n, callers_found, m);
	if (!m->callers) {
		free(m);
		return NULL;
	}
	ret = open_link(m);
	if (ret)
		log_info("virgo.ko cannot be heard: %s", strerror(-ret));
	else
		look(m);
	return m;
}

void module_free(struct module *m)
{
	if (!m)
		return;
	loop_disarm(m->node->loop, &m->accept);
	loop_unwatch(m->node->loop, &m->news);
	if (m->news.fd >= 0)
		close(m->news.fd);
	if (m->fd >= 0)
		close(m->fd);
	callers_free(m->callers);
	policy_put(m->told);
	free(m->uids);
	free(m);
}

void module_on_gone(struct module *m, void (*gone)(void *arg), void *arg)
{
	m->gone = gone;
	m->gone_arg = arg;
}

bool module_is_there(const struct module *m)
{
	return m->family != 0;
}

void module_refuse(struct module *m, const char *node)
{
	if (m->family)
		tell(m, VIRGO_CMD_PEER_FAILED, NULL, node, NULL);
}

int module_adopt(struct module *m, int fd, const char *node,
		 struct failure *f)
{
	struct virgo_adopt a = { .fd = fd, .flags = VIRGO_ADOPT_AGENT };
	int device = kernel_open();
	int ret = device;

	if (device >= 0) {
		snprintf(a.node, sizeof(a.node), "%s", node);
		ret = kernel_ioctl(device, VIRGO_IOC_ADOPT, &a);
		close(device);
	}
	return ret >= 0 ? ret :
			  failure_set(f, ret, node, NULL, "virgo.ko does not "
				      "take the connection: %s",
				      strerror(-ret));
}
