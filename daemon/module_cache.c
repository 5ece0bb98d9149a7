// SPDX-License-Identifier: GPL-2.0-or-later
/* The caches of virgo.ko, by generic netlink; the contract is in module.h. */
#include <linux/netlink.h>
#include <linux/virgo.h>

#include "module_impl.h"
#include "netlink.h"

static struct nl_message begin(struct module *m, u8 *data, u16 flags,
			       u8 command)
{
	return nl_begin(data, MESSAGE_MAX, m->family, flags, ++m->sequence,
			command, VIRGO_GENL_VERSION);
}

static int ask(struct module *m, struct nl_message *out,
	       void (*answer)(const struct nl_header *h, void *arg), void *arg)
{
	return nl_ask(m->fd, out->data, nl_end(out), m->sequence, answer, arg);
}

struct find {
	u16 port;
	bool found;
	struct module_cache *out;
};

static struct module_cache decode(struct nl_rest rest)
{
	struct module_cache mc = { 0 };
	struct nl_rest value;
	int type;

	while ((type = nl_next(&rest, &value)) >= 0) {
		if (type == VIRGO_A_CACHE_PORT)
			mc.port = (u16)nl_u32(&value);
		else if (type == VIRGO_A_CACHE_BYTES)
			mc.bytes = nl_u64(&value);
		else if (type == VIRGO_A_CACHE_VALUE)
			mc.value_max = nl_u32(&value);
		else if (type == VIRGO_A_CACHE_CONNECTIONS)
			mc.connections = nl_u32(&value);
	}
	return mc;
}

static void one_found(const struct nl_header *h, void *arg)
{
	struct find *f = arg;
	struct module_cache mc = decode(h->attributes);

	if (f->found || (f->port && mc.port != f->port))
		return;
	f->found = true;
	*f->out = mc;
}

int module_cache_find(struct module *m, u16 port, struct module_cache *out)
{
	struct find f = { .port = port, .out = out };
	u8 data[MESSAGE_MAX];
	struct nl_message q;
	int ret;

	if (!m->family)
		return -ENOENT;
	q = begin(m, data, NLM_F_DUMP, VIRGO_CMD_CACHE_GET);
	ret = ask(m, &q, one_found, &f);
	return ret ? ret : f.found ? 0 : -ENOENT;
}

static void put_terms(struct nl_message *q, const struct module_cache *mc)
{
	nl_put(q, VIRGO_A_CACHE_PORT, &mc->port, sizeof(mc->port));
	nl_put_u32(q, VIRGO_A_CACHE_IDLE, mc->idle_s);
	nl_put_u32(q, VIRGO_A_CACHE_STALL, mc->stall_s);
	nl_put_u32(q, VIRGO_A_CACHE_CLIENTS, mc->clients);
	nl_put_u32(q, VIRGO_A_CACHE_HOT, mc->hot_percent);
	nl_put_u32(q, VIRGO_A_CACHE_WARM, mc->warm_percent);
}

int module_cache_start(struct module *m, struct module_cache *mc)
{
	u8 data[MESSAGE_MAX];
	struct nl_message q;
	int ret;

	if (!m->family)
		return -ENODEV;
	q = begin(m, data, NLM_F_ACK, VIRGO_CMD_CACHE_START);
	put_terms(&q, mc);
	nl_put_u64(&q, VIRGO_A_CACHE_BYTES, mc->bytes);
	nl_put_u32(&q, VIRGO_A_CACHE_VALUE, mc->value_max);
	ret = ask(m, &q, NULL, NULL);
	return ret ? ret : module_cache_find(m, mc->port, mc);
}

int module_cache_set(struct module *m, const struct module_cache *mc)
{
	u8 data[MESSAGE_MAX];
	struct nl_message q;

	if (!m->family)
		return -ENOENT;
	q = begin(m, data, NLM_F_ACK, VIRGO_CMD_CACHE_SET);
	put_terms(&q, mc);
	return ask(m, &q, NULL, NULL);
}

int module_cache_stop(struct module *m, u16 port)
{
	u8 data[MESSAGE_MAX];
	struct nl_message q;

	if (!m->family)
		return -ENOENT;
	q = begin(m, data, NLM_F_ACK, VIRGO_CMD_CACHE_STOP);
	nl_put(&q, VIRGO_A_CACHE_PORT, &port, sizeof(port));
	return ask(m, &q, NULL, NULL);
}
