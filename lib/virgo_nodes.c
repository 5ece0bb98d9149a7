// SPDX-License-Identifier: LGPL-2.1-or-later
/* virgo_nodes(): the cloud as the local virgod sees it. */
#include "object.h"
#include "virgo.h"

static void fill_node(const struct rec_node_status *r, struct virgo_node *n)
{
	*n = (struct virgo_node){
		.memory_bytes = r->memory_bytes,
		.memory_free_bytes = r->memory_free_bytes,
		.cpus = r->cpus,
		.idle_ppm = r->idle_ppm,
		.load1_milli = r->load1_milli,
		.round_trip_us = r->round_trip_us,
		.jobs = r->jobs,
		.flags = (r->self ? VIRGO_NODE_SELF : 0) |
			 (r->home ? VIRGO_NODE_HOME : 0),
	};
	api_text(n->name, sizeof(n->name), r->name);
	api_text(n->state, sizeof(n->state), r->state);
	api_text(n->address, sizeof(n->address), r->address);
	api_text(n->version, sizeof(n->version), r->version);
}

static ssize_t take_nodes(struct span reply, u8 *out, size_t count, size_t size)
{
	struct rec_node_status row;
	struct msg_status_reply m;
	struct virgo_node n;
	struct rcursor c;
	size_t i;
	int ret;

	if (msg_status_reply_decode(&m, reply.data, reply.len))
		return -EPROTO;
	c = rcursor_of(m.nodes.data, m.nodes.len);
	for (i = 0; (ret = rec_node_status_next(&c, &row)) > 0; i++) {
		if (i >= count)
			continue;
		fill_node(&row, &n);
		api_copy(out + i * size, size, &n, sizeof(n));
	}
	return ret ? -EPROTO : (ssize_t)i;
}

ssize_t virgo_nodes(struct virgo_node *nodes, size_t count, size_t size)
{
	struct failure f = { 0 };
	struct client *c;
	struct span reply;
	ssize_t ret;

	if (api_connect(&c, &f))
		return api_fail(&f);
	ret = client_call(c, MSG_STATUS, NULL, 0, MSG_STATUS_REPLY, &reply, &f);
	if (!ret)
		ret = take_nodes(reply, (u8 *)nodes, count, size);
	client_close(c);
	return f.code ? api_fail(&f) : api_result(ret, "nodes");
}
