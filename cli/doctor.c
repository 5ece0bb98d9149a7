// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo doctor: what a machine or node lacks, and the command that mends it. The
 * own machine is examined here, so that this works before there is a cloud; the
 * ways between nodes and other machines are examined by virgod.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ask.h"
#include "examine.h"
#include "text.h"
#include "where.h"

enum { USERS_MAX = 64, UID_FIRST = 1000, UID_LAST = 60000 };

static const char help[] =
	"Usage: virgo doctor [--json] [NODE]\n"
	"       virgo doctor [--json] --sysroot DIR\n"
	"Says what this machine lacks to be a good node, or NODE, and how the nodes\n"
	"reach each other; for each fault the command that mends it. Changes\n"
	"nothing.\n"
	"\n"
	"  --json         one JSON object a line\n"
	"  --sysroot DIR  examine the tree at DIR instead, for containers and tests\n"
	"  --help\n";

struct report {
	bool json;
	u32 faults;
};

static void print_json(const struct doctor_finding *f)
{
	static const char *const levels[] = { "ok", "note", "fail" };

	fputs("{\"name\":", stdout);
	text_json(span_of(f->name), stdout);
	printf(",\"result\":\"%s\",\"what\":", levels[f->level]);
	text_json(span_of(f->what), stdout);
	fputs(",\"remedy\":", stdout);
	text_json(span_of(f->remedy), stdout);
	puts("}");
}

static void print(void *arg, const struct doctor_finding *f)
{
	struct report *r = arg;

	r->faults += f->level == DOCTOR_FAIL;
	if (r->json) {
		print_json(f);
		return;
	}
	printf("%s: ", f->name);
	fputs(f->level == DOCTOR_OK ? "ok" : doctor_level_name(f->level),
	      stdout);
	if (f->what[0])
		printf(f->level == DOCTOR_OK ? " (" : ": ");
	text_print(span_of(f->what), stdout);
	if (f->what[0] && f->level == DOCTOR_OK)
		putchar(')');
	if (f->remedy[0]) {
		fputs(". Try: ", stdout);
		text_print(span_of(f->remedy), stdout);
	}
	putchar('\n');
}

static void take(char *out, size_t size, struct span s)
{
	snprintf(out, size, "%.*s", (int)s.len, s.data ? (const char *)s.data :
							 "");
}

static int print_reply(struct span reply, struct report *r)
{
	struct msg_doctor_report m;
	struct rec_finding rec;
	struct rcursor list;
	int ret = msg_doctor_report_decode(&m, reply.data, reply.len);

	if (!ret) {
		list = rcursor_of(m.findings.data, m.findings.len);
		while ((ret = rec_finding_next(&list, &rec)) > 0) {
			struct doctor_finding f = {
				.level = rec.level == DOCTOR_OK ? DOCTOR_OK :
					 rec.level == DOCTOR_NOTE ?
					 DOCTOR_NOTE : DOCTOR_FAIL
			};

			take(f.name, sizeof(f.name), rec.name);
			take(f.what, sizeof(f.what), rec.what);
			take(f.remedy, sizeof(f.remedy), rec.remedy);
			print(r, &f);
		}
	}
	if (ret)
		fputs("virgo: doctor: virgod's answer is malformed\n", stderr);
	return ret ? 1 : 0;
}

/* The name in a line of passwd(5), if @any or if the account is an ordinary one;
 * "" else.
 */
static const char *user_of(char *line, bool any)
{
	char *name = strsep(&line, ":");
	unsigned long uid;

	strsep(&line, ":"); /* the password */
	if (!line)
		return "";
	uid = strtoul(line, NULL, 10);
	return any || (uid >= UID_FIRST && uid <= UID_LAST) ? name : "";
}

/* Whose accounts are compared: the caller's, for root those of all ordinary
 * users of this machine. getent(1) is asked, because a statically linked program
 * sees the files alone, not what else nsswitch.conf(5) names.
 */
static struct span users(u8 *buf, size_t size)
{
	struct wcursor c = wcursor_of(buf, size);
	char command[64] = "getent passwd", *line = NULL;
	u32 count = 0;
	size_t cap = 0;
	FILE *p;

	if (getuid())
		snprintf(command, sizeof(command), "getent passwd %u",
			 (unsigned int)getuid());
	p = popen(command, "re");
	while (p && count < USERS_MAX && getline(&line, &cap, p) > 0) {
		const struct rec_text rec = {
			.text = span_of(user_of(line, getuid() != 0)) };

		if (!rec.text.len)
			continue;
		rec_text_append(&c, &rec);
		count++;
	}
	free(line);
	if (p)
		pclose(p);
	return (struct span){ buf, (u32)wcursor_len(&c) };
}

/* The ways to other nodes, or to @node and its machine. */
static int examine_ways(const struct globals *g, const char *node,
			struct report *r)
{
	static u8 names[USERS_MAX * 280];
	const struct msg_doctor m = { .node = span_of(node),
				      .users = users(names, sizeof(names)) };
	struct client *c = NULL;
	struct span reply;
	int ret = ask_message(g, &c, DOCTOR, doctor, &m, DOCTOR_REPORT, &reply);

	if (!ret)
		ret = print_reply(reply, r);
	client_close(c);
	return ret;
}

/* Whether virgod answers, as a finding; true if it does. */
static bool examine_virgod(const struct globals *g, struct report *r)
{
	struct doctor_finding f = { .level = DOCTOR_OK, .name = "virgod" };
	struct failure why;
	struct client *c;

	if (!client_open(&c, g->state, &why)) {
		snprintf(f.what, sizeof(f.what), "this is %s", client_node(c));
		client_close(c);
	} else {
		f.level = DOCTOR_FAIL;
		snprintf(f.what, sizeof(f.what), "%.300s", why.what);
		snprintf(f.remedy, sizeof(f.remedy), "%s",
			 why.remedy[0] ? why.remedy :
					 "sudo systemctl start virgod");
	}
	print(r, &f);
	return f.level == DOCTOR_OK;
}

/* Whether @node is this machine's own. */
static bool is_here(const struct globals *g, const char *node)
{
	struct failure why;
	struct client *c;
	bool here;

	if (client_open(&c, g->state, &why))
		return false;
	here = !strcmp(client_node(c), node);
	client_close(c);
	return here;
}

static void examine_machine(const struct globals *g, const char *root,
			    struct report *r)
{
	const char *state = g->state ? g->state : getenv("VIRGO_STATE");
	char conf_dir[PATH_MAX];
	char state_in[PATH_MAX];
	char conf_in[PATH_MAX * 2];
	struct doctor_where w = { .root = root, .state = state_in,
				  .conf_dir = conf_in };

	if (!state)
		state = VIRGO_DEFAULT_STATE;
	where_conf_dir(g->conf_dir, state, conf_dir, sizeof(conf_dir));
	snprintf(state_in, sizeof(state_in), "%s%s", root, state);
	snprintf(conf_in, sizeof(conf_in), "%s%s", root, conf_dir);
	doctor_machine(&w, print, r);
}

int verb_doctor(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "sysroot", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *root = NULL;
	struct report r = { 0 };
	int failed = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'j') {
			r.json = true;
		} else if (c == 'r') {
			root = optarg;
		} else if (c == 'h') {
			fputs(help, stdout);
			return 0;
		} else {
			return verb_usage("doctor", "wrong option");
		}
	}
	if (argc - optind > (root ? 0 : 1))
		return verb_usage("doctor", root ? "--sysroot and a node do not "
				  "go together" : "one node at a time");
	if (root) {
		examine_machine(g, root, &r);
	} else if (optind < argc && !is_here(g, argv[optind])) {
		failed = examine_ways(g, argv[optind], &r);
	} else {
		examine_machine(g, "", &r);
		if (examine_virgod(g, &r))
			failed = examine_ways(g, "", &r);
	}
	return failed || r.faults;
}
