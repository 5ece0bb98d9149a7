// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control plane: generic netlink with one policy for all attributes, checked
 * strictly, and admin permission (in the initial user namespace) on whatever
 * changes something.
 */
#include "control.h"

#include <linux/virgo.h>
#include <net/genetlink.h>
#include <net/sock.h>

#include "compat.h"
#include "instance.h"
#include "vars.h"
#include "want.h"

static struct genl_family family;

static const struct nla_policy policy[VIRGO_A_MAX + 1] = {
	[VIRGO_A_VAR_NAME] = { .type = NLA_NUL_STRING,
			       .len = VAR_NAME_BYTES - 1 },
	[VIRGO_A_VAR_UNIT] = { .type = NLA_NUL_STRING,
			       .len = VAR_UNIT_BYTES - 1 },
	[VIRGO_A_VAR_PRODUCER] = { .type = NLA_NUL_STRING,
				   .len = VAR_PRODUCER_BYTES - 1 },
	[VIRGO_A_VAR_TYPE] = NLA_POLICY_RANGE(NLA_U8, VAR_S64, VAR_BOOL),
	[VIRGO_A_VAR_MODE] = NLA_POLICY_MAX(NLA_U8, VAR_ON),
	[VIRGO_A_VAR_VALUE] = { .type = NLA_U64 },
	[VIRGO_A_VAR_MIN] = { .type = NLA_U64 },
	[VIRGO_A_VAR_MAX] = { .type = NLA_U64 },
	[VIRGO_A_VAR_DEFAULT] = { .type = NLA_U64 },
	[VIRGO_A_VAR_UPDATED] = { .type = NLA_REJECT },
	[VIRGO_A_VAR_TTL] = { .type = NLA_U32 },
	[VIRGO_A_VAR_CONFIDENCE] = { .type = NLA_U32 },
	[VIRGO_A_LIMIT_HANDLES] = { .type = NLA_U32 },
	[VIRGO_A_LIMIT_CONNECTIONS] = { .type = NLA_U32 },
	[VIRGO_A_LIMIT_RULES] = { .type = NLA_U32 },
	[VIRGO_A_LIMIT_CALLS] = { .type = NLA_U32 },
	[VIRGO_A_LIMIT_JOBS] = { .type = NLA_U32 },
	[VIRGO_A_FN_NAME] = { .type = NLA_NUL_STRING,
			      .len = FN_NAME_BYTES - 1 },
	[VIRGO_A_LIMIT_CACHES] = { .type = NLA_U32 },
	[VIRGO_A_CACHE_PORT] = NLA_POLICY_MIN(NLA_U16, 1),
	[VIRGO_A_CACHE_BYTES] = { .type = NLA_U64 },
	[VIRGO_A_CACHE_VALUE] = { .type = NLA_U32 },
	[VIRGO_A_CACHE_IDLE] = { .type = NLA_U32 },
	[VIRGO_A_CACHE_HELD] = { .type = NLA_REJECT },
	[VIRGO_A_CACHE_ITEMS] = { .type = NLA_REJECT },
	[VIRGO_A_CACHE_CONNECTIONS] = { .type = NLA_REJECT },
	[VIRGO_A_NODE] = { .type = NLA_NUL_STRING,
			   .len = NODE_NAME_BYTES - 1 },
	[VIRGO_A_USER] = { .type = NLA_NUL_STRING,
			   .len = USER_NAME_BYTES - 1 },
	[VIRGO_A_UID] = { .type = NLA_U32 },
	[VIRGO_A_CACHE_STALL] = { .type = NLA_U32 },
	[VIRGO_A_CACHE_CLIENTS] = { .type = NLA_U32 },
	[VIRGO_A_CACHE_HOT] = NLA_POLICY_MAX(NLA_U32, 100),
	[VIRGO_A_CACHE_WARM] = NLA_POLICY_MAX(NLA_U32, 100),
};

static const u8 limit_attr[LIMIT_COUNT] = {
	[LIMIT_CONNECTIONS] = VIRGO_A_LIMIT_CONNECTIONS,
	[LIMIT_HANDLES] = VIRGO_A_LIMIT_HANDLES,
	[LIMIT_RULES] = VIRGO_A_LIMIT_RULES,
	[LIMIT_CALLS] = VIRGO_A_LIMIT_CALLS,
	[LIMIT_JOBS] = VIRGO_A_LIMIT_JOBS,
	[LIMIT_CACHES] = VIRGO_A_LIMIT_CACHES,
};

/* Every request passes here: post_() gives the reference back. */
static int pre(const struct genl_split_ops *op, struct sk_buff *skb,
	       struct genl_info *info)
{
	struct instance *in = instance_of(genl_info_net(info));

	if (IS_ERR(in))
		return PTR_ERR(in);
	info->user_ptr[0] = in;
	return 0;
}

static void post(const struct genl_split_ops *op, struct sk_buff *skb,
		 struct genl_info *info)
{
	instance_put(info->user_ptr[0]);
}

static int put_var(struct sk_buff *skb, u32 portid, u32 seq, int flags, u8 cmd,
		   const struct var *v)
{
	void *head = genlmsg_put(skb, portid, seq, &family, flags, cmd);

	if (!head)
		return -EMSGSIZE;
	if (nla_put_string(skb, VIRGO_A_VAR_NAME, v->name) ||
	    nla_put_string(skb, VIRGO_A_VAR_UNIT, v->unit) ||
	    nla_put_string(skb, VIRGO_A_VAR_PRODUCER, v->producer) ||
	    nla_put_u8(skb, VIRGO_A_VAR_TYPE, v->type) ||
	    nla_put_u8(skb, VIRGO_A_VAR_MODE, v->mode) ||
	    nla_put_u64_64bit(skb, VIRGO_A_VAR_VALUE, v->value, VIRGO_A_PAD) ||
	    nla_put_u64_64bit(skb, VIRGO_A_VAR_MIN, v->min, VIRGO_A_PAD) ||
	    nla_put_u64_64bit(skb, VIRGO_A_VAR_MAX, v->max, VIRGO_A_PAD) ||
	    nla_put_u64_64bit(skb, VIRGO_A_VAR_DEFAULT, v->def, VIRGO_A_PAD) ||
	    nla_put_u64_64bit(skb, VIRGO_A_VAR_UPDATED, v->updated_ns,
			      VIRGO_A_PAD) ||
	    nla_put_u32(skb, VIRGO_A_VAR_TTL, v->ttl_ms) ||
	    nla_put_u32(skb, VIRGO_A_VAR_CONFIDENCE, v->confidence_ppm)) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

static int var_set(struct sk_buff *skb, struct genl_info *info)
{
	static const u8 needed[] = {
		VIRGO_A_VAR_NAME, VIRGO_A_VAR_TYPE, VIRGO_A_VAR_MODE,
		VIRGO_A_VAR_VALUE, VIRGO_A_VAR_MIN, VIRGO_A_VAR_MAX,
		VIRGO_A_VAR_DEFAULT, VIRGO_A_VAR_TTL, VIRGO_A_VAR_CONFIDENCE,
		VIRGO_A_VAR_UNIT, VIRGO_A_VAR_PRODUCER,
	};
	struct nlattr **a = info->attrs;
	struct var v = { 0 };
	int ret;
	int i;

	for (i = 0; i < ARRAY_SIZE(needed); i++)
		if (!a[needed[i]])
			return -EINVAL;
	nla_strscpy(v.name, a[VIRGO_A_VAR_NAME], sizeof(v.name));
	nla_strscpy(v.unit, a[VIRGO_A_VAR_UNIT], sizeof(v.unit));
	nla_strscpy(v.producer, a[VIRGO_A_VAR_PRODUCER], sizeof(v.producer));
	v.type = nla_get_u8(a[VIRGO_A_VAR_TYPE]);
	v.mode = nla_get_u8(a[VIRGO_A_VAR_MODE]);
	v.value = nla_get_u64(a[VIRGO_A_VAR_VALUE]);
	v.min = nla_get_u64(a[VIRGO_A_VAR_MIN]);
	v.max = nla_get_u64(a[VIRGO_A_VAR_MAX]);
	v.def = nla_get_u64(a[VIRGO_A_VAR_DEFAULT]);
	v.ttl_ms = nla_get_u32(a[VIRGO_A_VAR_TTL]);
	v.confidence_ppm = nla_get_u32(a[VIRGO_A_VAR_CONFIDENCE]);
	ret = vars_set(info->user_ptr[0], &v);
	if (ret == -ERANGE)
		NL_SET_ERR_MSG(info->extack, "value outside of min and max");
	return ret;
}

static int var_get_one(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	struct var v;
	int ret;

	if (!info->attrs[VIRGO_A_VAR_NAME])
		return -EINVAL;
	ret = vars_read(info->user_ptr[0],
			nla_data(info->attrs[VIRGO_A_VAR_NAME]), &v);
	if (ret)
		return ret;
	reply = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	ret = put_var(reply, info->snd_portid, info->snd_seq, 0,
		      VIRGO_CMD_VAR_GET, &v);
	if (ret) {
		nlmsg_free(reply);
		return ret;
	}
	return genlmsg_reply(reply, info);
}

static int var_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct instance *in = instance_of(sock_net(skb->sk));
	u32 slot = cb->args[0] ? cb->args[0] : 1;
	struct var v;
	void *table;

	if (IS_ERR(in))
		return PTR_ERR(in);
	table = vars_peek(&in->vars);
	for (; table && slot < VAR_SLOTS; slot++) {
		if (var_read(table, slot, &v))
			continue;
		if (put_var(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			    NLM_F_MULTI, VIRGO_CMD_VAR_GET, &v))
			break;
	}
	cb->args[0] = slot;
	instance_put(in);
	return skb->len;
}

static int limits_set(struct sk_buff *skb, struct genl_info *info)
{
	int i;

	for (i = 0; i < LIMIT_COUNT; i++)
		if (info->attrs[limit_attr[i]])
			instance_set_limit(info->user_ptr[0], i,
					   nla_get_u32(info->attrs[limit_attr[i]]));
	return 0;
}

static int limits_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	void *head;
	int i;

	if (!reply)
		return -ENOMEM;
	head = genlmsg_put_reply(reply, info, &family, 0, VIRGO_CMD_LIMITS_GET);
	if (!head)
		goto free_reply;
	for (i = 0; i < LIMIT_COUNT; i++)
		if (nla_put_u32(reply, limit_attr[i],
				instance_limit(info->user_ptr[0], i)))
			goto free_reply;
	genlmsg_end(reply, head);
	return genlmsg_reply(reply, info);

free_reply:
	nlmsg_free(reply);
	return -EMSGSIZE;
}

static int fn_rule(struct genl_info *info,
		   int (*change)(struct instance *in, const char *name,
				 const char *node, const char *user))
{
	struct nlattr *name = info->attrs[VIRGO_A_FN_NAME];
	struct nlattr *node = info->attrs[VIRGO_A_NODE];
	struct nlattr *user = info->attrs[VIRGO_A_USER];

	if (!name || !node)
		return -EINVAL;
	return change(info->user_ptr[0], nla_data(name), nla_data(node),
		      user ? nla_data(user) : "");
}

static int allow(struct sk_buff *skb, struct genl_info *info)
{
	return fn_rule(info, fn_allow);
}

static int deny(struct sk_buff *skb, struct genl_info *info)
{
	if (info->attrs[VIRGO_A_FN_NAME] || info->attrs[VIRGO_A_NODE] ||
	    info->attrs[VIRGO_A_USER])
		return fn_rule(info, fn_deny);
	fn_deny_all(info->user_ptr[0]);
	return 0;
}

static int caller_allow(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *uid = info->attrs[VIRGO_A_UID];
	struct nlattr *user = info->attrs[VIRGO_A_USER];

	if (!uid || !user)
		return -EINVAL;
	return fn_user_allow(info->user_ptr[0],
			     make_kuid(&init_user_ns, nla_get_u32(uid)),
			     nla_data(user));
}

static int caller_deny(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *uid = info->attrs[VIRGO_A_UID];

	if (uid)
		return fn_user_deny(info->user_ptr[0],
				    make_kuid(&init_user_ns, nla_get_u32(uid)));
	fn_user_deny_all(info->user_ptr[0]);
	return 0;
}

static int name_node(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *node = info->attrs[VIRGO_A_NODE];

	return node ? fn_set_self(info->user_ptr[0], nla_data(node)) : -EINVAL;
}

static int peer_failed(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr *node = info->attrs[VIRGO_A_NODE];

	if (!node)
		return -EINVAL;
	want_failed(info->user_ptr[0], nla_data(node));
	return 0;
}

static u32 number(const struct nlattr *a, u32 fallback)
{
	return a ? nla_get_u32(a) : fallback;
}

static struct kcache_terms cache_terms(struct nlattr **a)
{
	return (struct kcache_terms){
		.idle_s = number(a[VIRGO_A_CACHE_IDLE], 0),
		.stall_s = number(a[VIRGO_A_CACHE_STALL], 0),
		.clients = number(a[VIRGO_A_CACHE_CLIENTS], 0),
		.hot_percent = number(a[VIRGO_A_CACHE_HOT],
				      KCACHE_HOT_PERCENT),
		.warm_percent = number(a[VIRGO_A_CACHE_WARM],
				       KCACHE_WARM_PERCENT),
	};
}

static int cache_start(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **a = info->attrs;
	struct kcache_setup setup = { .terms = cache_terms(a) };

	if (!a[VIRGO_A_CACHE_PORT])
		return -EINVAL;
	setup.port = nla_get_u16(a[VIRGO_A_CACHE_PORT]);
	if (a[VIRGO_A_CACHE_BYTES])
		setup.budget_bytes = nla_get_u64(a[VIRGO_A_CACHE_BYTES]);
	setup.value_max = number(a[VIRGO_A_CACHE_VALUE], 0);
	return kcache_start(info->user_ptr[0], &setup);
}

static int cache_set(struct sk_buff *skb, struct genl_info *info)
{
	struct nlattr **a = info->attrs;
	const struct kcache_terms terms = cache_terms(a);

	if (!a[VIRGO_A_CACHE_PORT])
		return -EINVAL;
	return kcache_set(info->user_ptr[0], nla_get_u16(a[VIRGO_A_CACHE_PORT]),
			  &terms);
}

static int cache_stop(struct sk_buff *skb, struct genl_info *info)
{
	if (!info->attrs[VIRGO_A_CACHE_PORT])
		return -EINVAL;
	return kcache_stop(info->user_ptr[0],
			   nla_get_u16(info->attrs[VIRGO_A_CACHE_PORT]));
}

static int put_cache(struct sk_buff *skb, struct netlink_callback *cb,
		     const struct kcache_state *s)
{
	const struct kcache_terms *t = &s->setup.terms;
	void *head = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				 cb->nlh->nlmsg_seq, &family, NLM_F_MULTI,
				 VIRGO_CMD_CACHE_GET);

	if (!head)
		return -EMSGSIZE;
	if (nla_put_u16(skb, VIRGO_A_CACHE_PORT, s->setup.port) ||
	    nla_put_u64_64bit(skb, VIRGO_A_CACHE_BYTES, s->setup.budget_bytes,
			      VIRGO_A_PAD) ||
	    nla_put_u32(skb, VIRGO_A_CACHE_VALUE, s->setup.value_max) ||
	    nla_put_u32(skb, VIRGO_A_CACHE_IDLE, t->idle_s) ||
	    nla_put_u32(skb, VIRGO_A_CACHE_STALL, t->stall_s) ||
	    nla_put_u32(skb, VIRGO_A_CACHE_CLIENTS, t->clients) ||
	    nla_put_u32(skb, VIRGO_A_CACHE_HOT, t->hot_percent) ||
	    nla_put_u32(skb, VIRGO_A_CACHE_WARM, t->warm_percent) ||
	    nla_put_u64_64bit(skb, VIRGO_A_CACHE_HELD, s->held_bytes,
			      VIRGO_A_PAD) ||
	    nla_put_u64_64bit(skb, VIRGO_A_CACHE_ITEMS, s->items,
			      VIRGO_A_PAD) ||
	    nla_put_u32(skb, VIRGO_A_CACHE_CONNECTIONS, s->connections)) {
		genlmsg_cancel(skb, head);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, head);
	return 0;
}

static int cache_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct instance *in = instance_of(sock_net(skb->sk));
	struct kcache_state state;

	if (IS_ERR(in))
		return PTR_ERR(in);
	for (; !kcache_state(in, cb->args[0], &state); cb->args[0]++)
		if (put_cache(skb, cb, &state))
			break;
	instance_put(in);
	return skb->len;
}

static const struct genl_ops operations[] = {
	{
		.cmd = VIRGO_CMD_VAR_SET,
		.flags = GENL_ADMIN_PERM,
		.doit = var_set,
	},
	{
		.cmd = VIRGO_CMD_VAR_GET,
		.doit = var_get_one,
		.dumpit = var_dump,
	},
	{
		.cmd = VIRGO_CMD_LIMITS_SET,
		.flags = GENL_ADMIN_PERM,
		.doit = limits_set,
	},
	{
		.cmd = VIRGO_CMD_LIMITS_GET,
		.doit = limits_get,
	},
	{
		.cmd = VIRGO_CMD_FN_ALLOW,
		.flags = GENL_ADMIN_PERM,
		.doit = allow,
	},
	{
		.cmd = VIRGO_CMD_FN_DENY,
		.flags = GENL_ADMIN_PERM,
		.doit = deny,
	},
	{
		.cmd = VIRGO_CMD_CACHE_START,
		.flags = GENL_ADMIN_PERM,
		.doit = cache_start,
	},
	{
		.cmd = VIRGO_CMD_CACHE_SET,
		.flags = GENL_ADMIN_PERM,
		.doit = cache_set,
	},
	{
		.cmd = VIRGO_CMD_CACHE_STOP,
		.flags = GENL_ADMIN_PERM,
		.doit = cache_stop,
	},
	{
		.cmd = VIRGO_CMD_CACHE_GET,
		.dumpit = cache_dump,
	},
	{
		.cmd = VIRGO_CMD_CALLER_ALLOW,
		.flags = GENL_ADMIN_PERM,
		.doit = caller_allow,
	},
	{
		.cmd = VIRGO_CMD_CALLER_DENY,
		.flags = GENL_ADMIN_PERM,
		.doit = caller_deny,
	},
	{
		.cmd = VIRGO_CMD_NODE_SET,
		.flags = GENL_ADMIN_PERM,
		.doit = name_node,
	},
	{
		.cmd = VIRGO_CMD_PEER_FAILED,
		.flags = GENL_ADMIN_PERM,
		.doit = peer_failed,
	},
};

enum { GROUP_VARS, GROUP_PEERS };

static const struct genl_multicast_group groups[] = {
	[GROUP_VARS] = { .name = VIRGO_GENL_GROUP_VARS },
	[GROUP_PEERS] = { .name = VIRGO_GENL_GROUP_PEERS,
			  .flags = GENL_MCAST_CAP_NET_ADMIN },
};

static struct genl_family family __ro_after_init = {
	.name = VIRGO_GENL_NAME,
	.version = VIRGO_GENL_VERSION,
	.maxattr = VIRGO_A_MAX,
	.policy = policy,
	.netnsok = true,
	.module = THIS_MODULE,
	.pre_doit = pre,
	.post_doit = post,
	.ops = operations,
	.n_ops = ARRAY_SIZE(operations),
	.mcgrps = groups,
	.n_mcgrps = ARRAY_SIZE(groups),
	.resv_start_op = __VIRGO_CMD_MAX,
};

void control_tell_var(struct net *net, const struct var *v)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&family, net, GROUP_VARS))
		return;
	skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!skb)
		return;
	if (put_var(skb, 0, 0, 0, VIRGO_CMD_VAR_CHANGED, v)) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_multicast_netns(&family, net, skb, 0, GROUP_VARS, GFP_KERNEL);
}

/* Gives @command to those who make connections, with @node unless that is NULL. 0,
 * or: -ENOTCONN nobody listens, -ENOBUFS who does is behind with his news, and will
 * notice that he has missed some, -ENOMEM.
 */
static int tell_peers(struct net *net, u8 command, const char *node)
{
	struct sk_buff *skb;
	void *head;
	int ret;

	/* True, too, when there are some in other namespaces only. */
	if (!genl_has_listeners(&family, net, GROUP_PEERS))
		return -ENOTCONN;
	skb = genlmsg_new(NLMSG_GOODSIZE, GFP_KERNEL);
	if (!skb)
		return -ENOMEM;
	head = genlmsg_put(skb, 0, 0, &family, 0, command);
	if (!head || (node && nla_put_string(skb, VIRGO_A_NODE, node))) {
		nlmsg_free(skb);
		return -ENOMEM;
	}
	genlmsg_end(skb, head);
	ret = genlmsg_multicast_netns(&family, net, skb, 0, GROUP_PEERS,
				      GFP_KERNEL);
	return ret == -ESRCH ? -ENOTCONN : ret;
}

static int tell_peers_of(struct instance *in, u8 command, const char *node)
{
	struct net *net = instance_net(in);
	int ret;

	if (!net)
		return -ENOTCONN;
	ret = tell_peers(net, command, node);
	put_net(net);
	return ret;
}

bool control_tell_wanted(struct instance *in, const char *node)
{
	return !tell_peers_of(in, VIRGO_CMD_PEER_WANTED, node);
}

int control_tell_caller(struct instance *in)
{
	int ret = tell_peers_of(in, VIRGO_CMD_CALLER_WAITS, NULL);

	return ret == -ENOBUFS ? 0 : ret;
}

int control_init(void)
{
	return genl_register_family(&family);
}

void control_exit(void)
{
	genl_unregister_family(&family);
}
