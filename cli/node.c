// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo node: the nodes of the cloud, as the catalog has them. */
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "ask.h"
#include "once.h"

static const char help[] =
	"Usage: virgo node list\n"
	"       virgo node drain|undrain|remove NODE\n"
	"       virgo node promote [NODE] [--backup FILE]\n"
	"\n"
	"  list     nodes, where they are reached, until when they are certified\n"
	"  drain    give NODE no new work; undrain ends that\n"
	"  remove   take NODE out of the cloud for good: its certificate is\n"
	"           refused and its connections are closed\n"
	"  promote  make NODE (this one) the home node; when the home node is\n"
	"           lost, with the authority from its backup FILE\n";

static void print_node(const struct rec_node_row *n, struct span home)
{
	char until[32] = "-";
	time_t t = (time_t)n->expires_s;
	struct tm tm;

	if (t && gmtime_r(&t, &tm))
		strftime(until, sizeof(until), "%Y-%m-%d %H:%M", &tm);
	printf("%-16.*s %-8s %-16s %.*s\n", (int)n->name.len,
	       (const char *)n->name.data,
	       span_equal(n->name, home) ? "home" :
	       n->draining		 ? "draining" :
					   "-",
	       until, (int)n->addresses.len, (const char *)n->addresses.data);
}

static int node_list(const struct globals *g)
{
	const struct msg_node_list m = {};
	struct rec_node_row n;
	struct msg_nodes got;
	struct rcursor list;
	struct span reply;
	struct client *c;
	int ret = ask_message(g, &c, NODE_LIST, node_list, &m, NODES, &reply);

	if (!ret && !msg_nodes_decode(&got, reply.data, reply.len)) {
		printf("%-16s %-8s %-16s %s\n", "NODE", "ROLE",
		       "CERTIFIED UNTIL", "ADDRESSES");
		list = rcursor_of(got.nodes.data, got.nodes.len);
		while (rec_node_row_next(&list, &n) > 0)
			print_node(&n, got.home);
	}
	client_close(c);
	return ret;
}

static int node_change(const struct globals *g, const char *action,
		       const char *name)
{
	const struct msg_node_change m = { .node = span_of(name),
					   .action = span_of(action) };
	struct span reply;
	struct client *c;
	int ret = ask_message(g, &c, NODE_CHANGE, node_change, &m, OK, &reply);

	client_close(c);
	return ret;
}

int verb_node(const struct globals *g, int argc, char **argv)
{
	const char *action = argc > 1 ? argv[1] : "";

	if (!strcmp(action, "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(action, "list"))
		return argc == 2 ? node_list(g) :
				   verb_usage("node", "list takes no argument");
	if (!strcmp(action, "promote"))
		return once_exec(g, argc - 1, argv + 1);
	if (strcmp(action, "drain") && strcmp(action, "undrain") &&
	    strcmp(action, "remove"))
		return verb_usage("node", "list, drain, undrain, remove or "
				  "promote?");
	if (argc != 3)
		return verb_usage("node", "exactly one node, please");
	return node_change(g, action, argv[2]);
}
