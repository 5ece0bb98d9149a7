// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo memory: lending this node's memory, taking it back, and how it stands;
 * memory objects are in objects.c.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "ask.h"
#include "conf.h"
#include "objects.h"
#include "text.h"

enum { WAIT_S = 60 };

static const char help[] =
	"Usage: virgo memory lend SIZE [--reserve SIZE]\n"
	"       virgo memory lend off [--wait TIME]\n"
	"       virgo memory leave [--wait TIME]\n"
	"       virgo memory status [--json]\n"
	"       virgo memory objects [--json]\n"
	"       virgo memory map HANDLE [--json]\n"
	"       virgo memory free HANDLE\n"
	"\n"
	"  lend     lend SIZE of this node's memory to the others, as swap or disk:\n"
	"             --reserve SIZE  grant nothing that would leave less than this\n"
	"                             free here ([memory] reserve)\n"
	"  lend off lend no more: borrowers are asked to move what they have here,\n"
	"           and nothing that holds data is dropped:\n"
	"             --wait TIME     how long to wait for them, like 90s or 10m (60s)\n"
	"  leave    the same, until virgod starts again; for a shutdown\n"
	"  status   what is lent to whom, and what this node borrows\n"
	"  objects  your memory objects (virgo_malloc) that were made on this node\n"
	"  map      where a memory object is: its extents, nodes and generations\n"
	"  free     end a memory object\n";

static const char *size_text(u64 bytes, char out[16])
{
	static const char unit[] = "KMGTP";
	double n = (double)bytes / 1024;
	int i = 0;

	for (; n >= 1024 && unit[i + 1]; i++)
		n /= 1024;
	snprintf(out, 16, n < 10 && bytes % 1024 ? "%.1f%c" :
			  n < 10 ? "%.3g%c" : "%.0f%c", n, unit[i]);
	return out;
}

static void pad(struct span s, int width)
{
	text_print(s, stdout);
	printf("%*s ", width - (int)s.len > 0 ? width - (int)s.len : 0, "");
}

static void print_head(const struct msg_memory_status_reply *m)
{
	char a[16], b[16], c[16], d[16], e[16];

	text_print(m->state, stdout);
	if (m->pool_bytes)
		printf(": %s, reserve %s; leased %s, %s of it with data, "
		       "which takes %s",
		       size_text(m->pool_bytes, a),
		       size_text(m->reserve_bytes, b),
		       size_text(m->lent_bytes, c),
		       size_text(m->held_bytes, d),
		       size_text(m->memory_bytes, e));
	if (m->compressed_bytes)
		printf(" (%s of it compressed)",
		       size_text(m->compressed_bytes, a));
	if (m->pool_bytes && m->why.len) {
		printf(": ");
		text_print(m->why, stdout);
	} else if (m->pool_bytes && !m->locked &&
		   !span_equal(m->state, span_of("starting"))) {
		printf("; not locked in memory");
	}
	putchar('\n');
}

static void print_leases(struct span list)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	char size[16], held[16];
	struct rec_lease l;
	bool first = true;

	while (rec_lease_next(&c, &l) > 0) {
		if (first)
			printf("\n%-16s %-16s %-5s %8s %8s %s\n", "BORROWER",
			       "LEASE", "AS", "SIZE", "DATA", "CONNECTIONS");
		first = false;
		pad(l.borrower, 16);
		pad(l.name, 16);
		pad(l.purpose, 5);
		printf("%8s %8s %u\n", size_text(l.bytes, size),
		       size_text(l.held_bytes, held), l.connections);
	}
}

static void print_borrowed(struct span list)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	struct rec_borrowed b;
	bool first = true;
	char size[16];

	while (rec_borrowed_next(&c, &b) > 0) {
		if (first)
			printf("\n%-16s %-5s %8s %-16s %-12s %s\n", "BORROWED",
			       "AS", "SIZE", "LENDER", "DEVICE", "STATE");
		first = false;
		pad(b.name, 16);
		pad(b.purpose, 5);
		printf("%8s ", size_text(b.bytes, size));
		pad(b.lender, 16);
		pad(b.device, 12);
		text_print(b.state, stdout);
		putchar('\n');
	}
}

static void json_text(const char *name, struct span value, const char *before)
{
	printf("%s\"%s\":", before, name);
	text_json(value, stdout);
}

static void json_number(const char *name, u64 value)
{
	printf(",\"%s\":%" PRIu64, name, value);
}

static void json_leases(struct span list)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	const char *before = "{";
	struct rec_lease l;

	while (rec_lease_next(&c, &l) > 0) {
		json_text("name", l.name, before);
		json_text("borrower", l.borrower, ",");
		json_text("stem", l.stem, ",");
		json_text("purpose", l.purpose, ",");
		json_text("export", l.export, ",");
		json_number("generation", l.generation);
		json_number("bytes", l.bytes);
		json_number("held_bytes", l.held_bytes);
		json_number("compressed_bytes", l.compressed_bytes);
		json_number("connections", l.connections);
		json_number("since_s", l.since_s);
		putchar('}');
		before = ",{";
	}
}

static void json_borrowed(struct span list)
{
	struct rcursor c = rcursor_of(list.data, list.len);
	const char *before = "{";
	struct rec_borrowed b;

	while (rec_borrowed_next(&c, &b) > 0) {
		json_text("name", b.name, before);
		json_text("purpose", b.purpose, ",");
		json_text("device", b.device, ",");
		json_text("lender", b.lender, ",");
		json_text("state", b.state, ",");
		json_number("generation", b.generation);
		json_number("bytes", b.bytes);
		putchar('}');
		before = ",{";
	}
}

static void print_json(const struct msg_memory_status_reply *m)
{
	json_text("state", m->state, "{");
	json_text("why", m->why, ",");
	json_number("pool_bytes", m->pool_bytes);
	json_number("reserve_bytes", m->reserve_bytes);
	json_number("leased_bytes", m->lent_bytes);
	json_number("held_bytes", m->held_bytes);
	json_number("zero_bytes", m->zero_bytes);
	json_number("compressed_bytes", m->compressed_bytes);
	json_number("memory_bytes", m->memory_bytes);
	json_number("connections", m->connections);
	printf(",\"locked\":%s,\"leases\":[", m->locked ? "true" : "false");
	json_leases(m->leases);
	printf("],\"borrowed\":[");
	json_borrowed(m->borrowed);
	puts("]}");
}

static int status(const struct globals *g, int argc, char **argv)
{
	const struct msg_memory_status m = {};
	struct msg_memory_status_reply got;
	bool json = argc == 2 && !strcmp(argv[1], "--json");
	struct client *client;
	struct span reply;
	int ret;

	if (argc > 2 || (argc == 2 && !json))
		return verb_usage("memory", "status takes only --json");
	ret = ask_message(g, &client, MEMORY_STATUS, memory_status, &m,
			  MEMORY_STATUS_REPLY, &reply);
	if (!ret && !msg_memory_status_reply_decode(&got, reply.data,
						    reply.len)) {
		if (json) {
			print_json(&got);
		} else {
			print_head(&got);
			print_leases(got.leases);
			print_borrowed(got.borrowed);
		}
	}
	client_close(client);
	return ret;
}

/* Shows how far it is; on a terminal in one line. */
static void show_progress(const struct msg_memory_progress *p)
{
	static char before[400];
	char line[400];
	char size[16];

	if (!p->leases)
		return;
	snprintf(line, sizeof(line), "%u leases, %s of data: waiting for %.*s",
		 p->leases, size_text(p->held_bytes, size),
		 (int)p->waiting_for.len, (const char *)p->waiting_for.data);
	if (!strcmp(line, before))
		return;
	strcpy(before, line);
	text_print(span_of(line), stderr);
	putc('\n', stderr);
}

/* Follows the exchange until its last answer; 0, or 1 after printing why. */
static int follow(struct client *c, u64 tag)
{
	struct msg_memory_progress p;
	struct failure f = { 0 };
	struct msg_error e;
	struct frame frame;
	const u8 *payload;
	int ret;

	while ((ret = client_recv(c, &frame, &payload)) > 0) {
		if (frame.tag != tag)
			continue;
		if (frame.type == MSG_OK)
			return 0;
		if (frame.type == MSG_MEMORY_PROGRESS &&
		    !msg_memory_progress_decode(&p, payload, frame.length)) {
			show_progress(&p);
			continue;
		}
		if (frame.type == MSG_ERROR &&
		    !msg_error_decode(&e, payload, frame.length))
			failure_from_message(&f, &e);
		else
			failure_set(&f, -EPROTO, "memory", NULL,
				    "a malformed answer");
		failure_print(&f, stderr);
		return 1;
	}
	failure_set(&f, ret ? ret : -EPIPE, "memory",
		    "virgo memory status, when virgod runs again",
		    "virgod ended meanwhile");
	failure_print(&f, stderr);
	return 1;
}

static int take_back(const struct globals *g, u32 wait_s, bool once)
{
	const struct msg_memory_lend m = { .wait_s = wait_s, .once = once };
	struct frame frame = { .type = MSG_MEMORY_LEND };
	struct failure f = { 0 };
	struct client *c = NULL;
	u8 buf[64];
	struct wcursor w = wcursor_of(buf, sizeof(buf));
	int ret;

	msg_memory_lend_encode(&w, &m);
	ret = client_open(&c, g->state, &f);
	if (!ret) {
		frame.tag = client_tag(c);
		ret = client_send(c, &frame, buf, wcursor_len(&w), NULL, 0);
		if (ret)
			failure_set(&f, ret, "virgod", NULL, "%s",
				    strerror(-ret));
	}
	if (ret)
		failure_print(&f, stderr);
	ret = ret ? 1 : follow(c, frame.tag);
	client_close(c);
	return ret;
}

struct wanted {
	const char *size;
	u64 reserve_bytes;
	bool reserve;
	u32 wait_s;
	bool wait;
};

static int lend_size(const struct globals *g, const struct wanted *o)
{
	struct msg_memory_lend m = { .reserve_bytes = o->reserve_bytes };
	struct msg_memory_status_reply now;
	const struct msg_memory_status ask_status = {};
	struct client *c;
	struct span reply;
	int ret;

	if (!conf_parse_size(o->size, &m.bytes) || !m.bytes ||
	    m.bytes % 4096)
		return verb_usage("memory", "not a size like 512M or 16G");
	if (o->wait)
		return verb_usage("memory", "--wait is for lend off");
	if (!o->reserve) {
		ret = ask_message(g, &c, MEMORY_STATUS, memory_status,
				  &ask_status, MEMORY_STATUS_REPLY, &reply);
		if (!ret && !msg_memory_status_reply_decode(&now, reply.data,
							    reply.len))
			m.reserve_bytes = now.reserve_bytes;
		client_close(c);
		if (ret)
			return ret;
	}
	ret = ask_message(g, &c, MEMORY_LEND, memory_lend, &m, OK, &reply);
	client_close(c);
	return ret;
}

static int parse(struct wanted *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "reserve", required_argument, NULL, 'r' },
		{ "wait", required_argument, NULL, 'w' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	*o = (struct wanted){ .wait_s = WAIT_S };
	optind = 0; /* anew, and options may follow the size */
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r') {
			o->reserve = true;
			if (!conf_parse_size(optarg, &o->reserve_bytes))
				return verb_usage("memory", "--reserve needs a "
						  "size like 2G");
		} else if (c == 'w') {
			o->wait = true;
			if (!duration_parse(optarg, &o->wait_s))
				return verb_usage("memory", "--wait needs a "
						  "time like 90s or 10m");
		} else {
			return verb_usage("memory", "see what it takes");
		}
	}
	o->size = optind < argc ? argv[optind++] : NULL;
	return optind < argc ? verb_usage("memory", "too many words") : 0;
}

int verb_memory(const struct globals *g, int argc, char **argv)
{
	const char *action = argc > 1 ? argv[1] : "";
	struct wanted o;
	bool leave = !strcmp(action, "leave");
	int ret;

	if (!strcmp(action, "--help")) {
		fputs(help, stdout);
		return 0;
	}
	if (!strcmp(action, "status"))
		return status(g, argc - 1, argv + 1);
	if (argc > 1 && objects_verb(g, argc - 1, argv + 1, &ret))
		return ret;
	if (!leave && strcmp(action, "lend"))
		return verb_usage("memory", "lend, leave, status, objects, map "
				  "or free?");
	if (parse(&o, argc - 1, argv + 1))
		return 2;
	if (leave && o.size)
		return verb_usage("memory", "leave takes only --wait");
	if (!leave && !o.size)
		return verb_usage("memory", "lend how much?");
	if (!leave && strcmp(o.size, "off"))
		return lend_size(g, &o);
	if (o.reserve)
		return verb_usage("memory", "--reserve needs a size to lend");
	return take_back(g, o.wait_s, leave);
}
