// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo status: the nodes of the cloud as this one sees them, this machine's kernel
 * module and its cache, as a table or as one line of JSON.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cache_text.h"
#include "client.h"
#include "kernel.h"
#include "text.h"
#include "verbs.h"

static const char help[] =
	"Usage: virgo status [--json]\n"
	"Shows the nodes of the cloud as this one sees them.\n"
	"\n"
	"  --json  one line of JSON instead of a table\n"
	"  --help\n";

/* What came from other nodes is shown without control characters. */
static void put_text(struct span s)
{
	u32 i;

	for (i = 0; i < s.len; i++)
		putchar(s.data[i] < 0x20 || s.data[i] == 0x7f ? '?'
							      : s.data[i]);
}

static void put_json(const char *name, struct span s)
{
	u32 i;

	printf("\"%s\":\"", name);
	for (i = 0; i < s.len; i++)
		if (s.data[i] < 0x20 || s.data[i] == 0x7f)
			printf("\\u%04x", s.data[i]);
		else if (s.data[i] == '"' || s.data[i] == '\\')
			printf("\\%c", s.data[i]);
		else
			putchar(s.data[i]);
	putchar('"');
}

static void put_json_node(const struct rec_node_status *n)
{
	putchar('{');
	put_json("name", n->name);
	putchar(',');
	put_json("state", n->state);
	putchar(',');
	put_json("address", n->address);
	printf(",\"cpus\":%u,\"idle_percent\":%u.%u,\"load\":%u.%02u,"
	       "\"memory_bytes\":%" PRIu64 ",\"memory_free_bytes\":%" PRIu64
	       ",\"round_trip_us\":%u,\"jobs\":%u,",
	       n->cpus, n->idle_ppm / 10000, n->idle_ppm / 1000 % 10,
	       n->load1_milli / 1000, n->load1_milli / 10 % 100,
	       n->memory_bytes, n->memory_free_bytes, n->round_trip_us,
	       n->jobs);
	put_json("version", n->version);
	printf(",\"home\":%s,\"self\":%s}", n->home ? "true" : "false",
	       n->self ? "true" : "false");
}

static void put_json_kernel(void)
{
	const char *between = "";
	struct kernel_info k;
	unsigned int n;

	if (kernel_info(&k)) {
		fputs("\"kernel\":null", stdout);
		return;
	}
	fputs("\"kernel\":{", stdout);
	put_json("version", span_of(k.version));
	printf(",\"abi\":%u,\"tls\":%s,\"serves\":[", k.abi,
	       k.tls ? "true" : "false");
	for (n = 0; kernel_feature(n); n++)
		if (k.features & 1ull << n) {
			printf("%s\"%s\"", between, kernel_feature(n));
			between = ",";
		}
	fputs("]}", stdout);
}

static void put_json_cache(const struct msg_cache_listed *k)
{
	if (!k->where.len) {
		fputs(",\"cache\":null", stdout);
		return;
	}
	fputs(",\"cache\":{", stdout);
	put_json("served_by", k->where);
	putchar(',');
	put_json("why", k->why);
	printf(",\"port\":%u,\"bytes\":%" PRIu64 ",\"value_max_bytes\":%" PRIu64
	       "}", k->port, k->bytes, k->value_max_bytes);
}

static int print_json(const struct msg_status_reply *m,
		      const struct msg_cache_listed *k)
{
	struct rcursor c = rcursor_of(m->nodes.data, m->nodes.len);
	struct rec_node_status n;
	const char *between = "";
	int ret;

	putchar('{');
	put_json("cloud", m->cloud);
	putchar(',');
	put_json("self", m->self);
	putchar(',');
	put_json("home", m->home);
	printf(",\"change\":%" PRIu64 ",\"nodes\":[", m->change);
	while ((ret = rec_node_status_next(&c, &n)) > 0) {
		fputs(between, stdout);
		put_json_node(&n);
		between = ",";
	}
	fputs("],", stdout);
	put_json_kernel();
	put_json_cache(k);
	puts("}");
	return ret;
}

static void round_trip_text(u32 us, char out[16])
{
	if (us < 10000)
		snprintf(out, 16, "%u.%02ums", us / 1000, us / 10 % 100);
	else
		snprintf(out, 16, "%ums", us / 1000);
}

static int name_width(struct span nodes)
{
	struct rcursor c = rcursor_of(nodes.data, nodes.len);
	struct rec_node_status n;
	u32 width = 4;

	while (rec_node_status_next(&c, &n) > 0)
		width = n.name.len > width ? n.name.len : width;
	return (int)width;
}

static void print_row(const struct rec_node_status *n, int width)
{
	char free[TEXT_SIZE], all[TEXT_SIZE], memory[2 * TEXT_SIZE + 8] = "-";
	char trip[16] = "-";
	char load[32] = "-", idle[16] = "-", cpus[16] = "-", jobs[16] = "-";

	if (n->cpus) {
		text_size(n->memory_free_bytes, free);
		text_size(n->memory_bytes, all);
		snprintf(memory, sizeof(memory), "%s of %s", free, all);
		snprintf(cpus, sizeof(cpus), "%u", n->cpus);
		snprintf(jobs, sizeof(jobs), "%u", n->jobs);
		snprintf(idle, sizeof(idle), "%u%%", n->idle_ppm / 10000);
		snprintf(load, sizeof(load), "%u.%02u", n->load1_milli / 1000,
			 n->load1_milli / 10 % 100);
	}
	if (n->round_trip_us)
		round_trip_text(n->round_trip_us, trip);
	put_text(n->name);
	printf("%*s  ", width - (int)n->name.len, "");
	put_text(n->state);
	printf("%*s  %4s  %4s  %6s  %14s  %10s  %4s  ", 8 - (int)n->state.len,
	       "", cpus, idle, load, memory, trip, jobs);
	put_text(n->version.len ? n->version : span_of("-"));
	if (n->home || n->self)
		printf("  (%s%s%s)", n->home ? "home" : "",
		       n->home && n->self ? ", " : "",
		       n->self ? "this node" : "");
	putchar('\n');
}

/* The module is said when it is there, or is there and cannot be used. */
static bool print_kernel(void)
{
	char text[KERNEL_TEXT];
	struct kernel_info k;
	int ret = kernel_info(&k);

	if (ret == -ENOENT)
		return false;
	if (ret) {
		printf("\nvirgo.ko is not used: %s\n", kernel_why(ret));
		return true;
	}
	kernel_text(&k, text);
	printf("\nvirgo.ko %s\n", text);
	return true;
}

static int print_table(const struct msg_status_reply *m,
		       const struct msg_cache_listed *k)
{
	struct rcursor c = rcursor_of(m->nodes.data, m->nodes.len);
	int width = name_width(m->nodes);
	struct rec_node_status n;
	int ret;

	printf("%-*s  %-8s  %4s  %4s  %6s  %14s  %10s  %4s  %s\n", width,
	       "NODE", "STATE", "CPUS", "IDLE", "LOAD", "MEMORY FREE",
	       "ROUND TRIP", "JOBS", "VERSION");
	while ((ret = rec_node_status_next(&c, &n)) > 0)
		print_row(&n, width);
	if (ret)
		return ret;
	if (!print_kernel() && k->where.len)
		putchar('\n');
	if (k->where.len) {
		fputs("cache ", stdout);
		cache_print(k);
	}
	return 0;
}

/* Also in front of what else there is to say: its bytes are @c's until the next
 * call, so they are moved to @kept, to be freed. One who does not know is a virgod
 * of before.
 */
static void ask_cache(struct client *c, struct msg_cache_listed *k, u8 **kept)
{
	struct failure f;
	struct span reply;

	*k = (struct msg_cache_listed){ 0 };
	*kept = NULL;
	if (client_call(c, MSG_CACHE_LIST, NULL, 0, MSG_CACHE_LISTED, &reply,
			&f))
		return;
	*kept = malloc(reply.len + 1);
	if (!*kept)
		return;
	memcpy(*kept, reply.data, reply.len);
	if (msg_cache_listed_decode(k, *kept, reply.len))
		*k = (struct msg_cache_listed){ 0 };
}

static int show(const struct globals *g, bool json, struct failure *f)
{
	struct msg_cache_listed k;
	struct msg_status_reply m;
	struct client *c;
	struct span reply;
	u8 *kept;
	int ret = client_open(&c, g->state, f);

	if (ret)
		return ret;
	ask_cache(c, &k, &kept);
	ret = client_call(c, MSG_STATUS, NULL, 0, MSG_STATUS_REPLY, &reply, f);
	if (!ret && (msg_status_reply_decode(&m, reply.data, reply.len) ||
		     (json ? print_json(&m, &k) : print_table(&m, &k))))
		ret = failure_set(f, -EBADMSG, "status", NULL,
				  "virgod's answer is malformed");
	client_close(c);
	free(kept);
	return ret;
}

int verb_status(const struct globals *g, int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct failure f = { 0 };
	bool json = false;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (o) {
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			fputs("Try: virgo status --help\n", stderr);
			return 2;
		}
	if (optind < argc)
		return verb_usage("status", "takes no arguments");
	if (show(g, json, &f)) {
		failure_print(&f, stderr);
		return 1;
	}
	return 0;
}
