// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo audit: what this node granted, ran and refused. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "client.h"
#include "conf.h"
#include "text.h"
#include "verbs.h"

static const char help[] =
	"Usage: virgo audit [-n COUNT] [--since WHEN] [--json]\n"
	"Shows the newest entries of this node's audit log: all to root, to\n"
	"another user those of that name.\n"
	"\n"
	"  -n, --count COUNT  at most so many (100)\n"
	"  --since WHEN       none older: 90s, 15m, 2h or 7d ago, a date\n"
	"                     (2026-11-22) or a time of it (2026-11-22 15:38)\n"
	"  --json             one JSON object a line\n"
	"  --help\n";

struct options {
	u64 since_s;
	u32 count;
	bool json;
};

static bool parse_when(const char *text, u64 *when_s)
{
	static const char *const forms[] = { "%Y-%m-%d %H:%M:%S",
					     "%Y-%m-%d %H:%M",
					     "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d" };
	time_t now = time(NULL);
	const char *end;
	u64 ago_ms;

	if (conf_parse_duration(text, &ago_ms)) {
		*when_s = ago_ms / 1000 < (u64)now ?
				  (u64)now - ago_ms / 1000 : 0;
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };

		end = strptime(text, forms[i], &tm);
		if (end && !*end) {
			*when_s = (u64)mktime(&tm);
			return true;
		}
	}
	return false;
}

/* Gives the exit status, or -1 to go on. */
static int parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "count", required_argument, NULL, 'n' },
		{ "since", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "n:", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->count = (u32)strtoul(optarg, &end, 10);
			if (*end || *optarg < '1' || *optarg > '9' ||
			    strlen(optarg) > 6)
				return verb_usage("audit", "-n takes a number "
							   "from 1 to 999999");
			break;
		case 's':
			if (!parse_when(optarg, &o->since_s))
				return verb_usage("audit", "--since takes 2h, "
						  "2026-11-22 or \"2026-11-22 "
						  "15:38\"");
			break;
		case 'j':
			o->json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return verb_usage("audit", "wrong option");
		}
	}
	if (optind < argc)
		return verb_usage("audit", "takes no argument");
	return -1;
}

static void print_json(const struct rec_audit_entry *e)
{
	const struct {
		const char *name;
		struct span value;
	} fields[] = {
		{ "node", e->node },	 { "user", e->user },
		{ "action", e->action }, { "object", e->object },
		{ "result", e->result },
	};

	printf("{\"number\":%" PRIu64 ",\"time_s\":%" PRIu64, e->number,
	       e->time_s);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		printf(",\"%s\":", fields[i].name);
		text_json(fields[i].value, stdout);
	}
	puts("}");
}

static void print_line(const struct rec_audit_entry *e)
{
	const struct span fields[] = { e->action, e->object, e->result };
	time_t t = (time_t)e->time_s;
	char when[32] = "-";
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%" PRIu64 "  %s  ", e->number, when);
	text_print(e->user, stdout);
	putchar('@');
	text_print(e->node, stdout);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fputs(i == 2 ? ": " : i ? " " : "  ", stdout);
		text_print(fields[i], stdout);
	}
	putchar('\n');
}

static int print_entries(const u8 *payload, u32 len, const struct options *o,
			 struct failure *f)
{
	struct msg_audit_entries m;
	struct rec_audit_entry e;
	struct rcursor list;
	int ret = msg_audit_entries_decode(&m, payload, len);

	if (!ret) {
		list = rcursor_of(m.entries.data, m.entries.len);
		while ((ret = rec_audit_entry_next(&list, &e)) > 0) {
			if (o->json)
				print_json(&e);
			else
				print_line(&e);
		}
	}
	return ret ? failure_set(f, ret, "audit", NULL,
				 "virgod's answer is malformed") : 0;
}

static int request(struct client *c, const struct options *o)
{
	const struct msg_audit m = { .since = o->since_s, .count = o->count };
	struct frame f = { .type = MSG_AUDIT, .tag = client_tag(c) };
	u8 buf[16];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_audit_encode(&w, &m);
	return client_send(c, &f, buf, wcursor_len(&w), NULL, 0);
}

static int show(struct client *c, const struct options *o, struct failure *f)
{
	struct frame frame;
	struct msg_error e;
	const u8 *payload;
	int ret = request(c, o);

	while (!ret) {
		ret = client_recv(c, &frame, &payload);
		if (ret <= 0)
			break;
		if (frame.type == MSG_ERROR &&
		    !msg_error_decode(&e, payload, frame.length)) {
			failure_from_message(f, &e);
			return f->code;
		}
		ret = print_entries(payload, frame.length, o, f);
		if (ret || !(frame.flags & FRAME_MORE))
			return ret;
	}
	return failure_set(f, ret ? ret : -ECONNRESET, "audit", NULL,
			   "virgod closed the connection");
}

int verb_audit(const struct globals *g, int argc, char **argv)
{
	struct options o = { .count = 100 };
	struct failure f = { 0 };
	struct client *c = NULL;
	int ret = parse(&o, argc, argv);

	if (ret >= 0)
		return ret;
	ret = client_open(&c, g->state, &f);
	if (!ret)
		ret = show(c, &o, &f);
	if (ret)
		failure_print(&f, stderr);
	client_close(c);
	return ret ? 1 : 0;
}
