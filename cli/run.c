// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo run: a program on one node, some, or all. This file reads the command
 * line, finds the nodes and makes the request; runner.c does the rest.
 */
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "amount.h"
#include "conf_client.h"
#include "hosts.h"
#include "runner.h"
#include "sha256.h"
#include "terminal.h"
#include "verbs.h"

enum {
	WINDOW_ONE = JOB_WINDOW_MAX,
	WINDOW_LEAST = 64 << 10,
	ENV_MAX = 1024,
	PIDS_MAX = 1 << 22,
};

struct run {
	struct client *client;
	struct hosts nodes;
	bool all, explain, detach, terminal, no_input;
	const char *policy, *cwd, *bcast;
	int env_count;
	u64 timeout_ms, memory_bytes;
	u32 cpu_ppm, pids, window;
	bool named; /* the nodes, by the user */
	u8 hash[SHA256_BYTES];
	char **argv;
	struct span argv_list, env_list;
	/* Large and seldom used, so last: a page not touched costs no fault. */
	char here[4096]; /* our directory, if it is below /virgo */
	const char *env[ENV_MAX];
};

static const char help[] =
"Usage: virgo run [OPTION]... [--] COMMAND [ARGUMENT]...\n"
"Runs a program on another node as if it ran here.\n"
"\n"
"  -n NODE           on this node; may be given more than once\n"
"  -w LIST           on these: n[01-16],alpha\n"
"  -a                on all nodes that are up\n"
"                    none of these: on the one that policy chooses\n"
"  -t                with a terminal (one node only)\n"
"  --cwd DIR         directory there; default: this one if below /virgo,\n"
"                    else home\n"
"  --env K=V         a variable there; --env K copies ours\n"
"  --timeout TIME    90, 500ms, 1.5s, 2m, 1h: SIGTERM then, SIGKILL 2 s later;\n"
"                    status 124\n"
"  --limit LIST      mem=512M, cpu=1.5 or cpu=150%, pids=100\n"
"  --bcast FILE      send FILE along and run it as COMMAND\n"
"  --detach          leave it running; prints its number\n"
"  --policy P        service, idle, round-robin or random (as\n"
"                    virgo_client.conf says, else service)\n"
"  --explain         say why the node was chosen\n"
"\n"
"Status: the program's, 128 + n if signal n ended it, the highest of many;\n"
"124 timeout, 126 and 127 the program cannot be run or is not there,\n"
"255 VIRGO's own failure.\n";

static bool parse_limit(struct run *r, char *list)
{
	char *save = NULL, *item;
	bool ok = *list;

	for (item = strtok_r(list, ",", &save); ok && item;
	     item = strtok_r(NULL, ",", &save)) {
		if (!strncmp(item, "mem=", 4))
			ok = amount_bytes(item + 4, &r->memory_bytes);
		else if (!strncmp(item, "cpu=", 4))
			ok = amount_cpus(item + 4, &r->cpu_ppm);
		else if (!strncmp(item, "pids=", 5))
			ok = amount_count(item + 5, PIDS_MAX, &r->pids);
		else
			ok = false;
	}
	return ok;
}

static bool add_env(struct run *r, const char *text)
{
	const char *value = getenv(text);
	char *both;

	if (r->env_count == ENV_MAX)
		return false;
	if (strchr(text, '=')) {
		r->env[r->env_count++] = text;
		return *text != '=';
	}
	if (!value)
		return true; /* what we do not have is not there either */
	if (asprintf(&both, "%s=%s", text, value) < 0)
		return false;
	r->env[r->env_count++] = both;
	return true;
}

enum { OPT_CWD = 256, OPT_ENV, OPT_TIMEOUT, OPT_LIMIT, OPT_BCAST, OPT_DETACH,
       OPT_POLICY, OPT_EXPLAIN, OPT_HELP };

static const struct option longs[] = {
	{ "cwd", required_argument, NULL, OPT_CWD },
	{ "env", required_argument, NULL, OPT_ENV },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "bcast", required_argument, NULL, OPT_BCAST },
	{ "detach", no_argument, NULL, OPT_DETACH },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "explain", no_argument, NULL, OPT_EXPLAIN },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

/* One option; -1 to go on, else the exit status. */
static int take_option(struct run *r, int c)
{
	struct failure f = { 0 };

	switch (c) {
	case 'n':
	case 'w':
		if (c == 'n' && strpbrk(optarg, ",[]"))
			return verb_usage("run", "-n takes one node; -w a list");
		if (!hosts_add(&r->nodes, optarg, &f))
			return -1;
		failure_print(&f, stderr);
		return 2;
	case 'a':
		r->all = true;
		return -1;
	case 't':
		r->terminal = true;
		return -1;
	case OPT_CWD:
		r->cwd = optarg;
		return -1;
	case OPT_ENV:
		return add_env(r, optarg) ? -1 :
			verb_usage("run", "--env: not NAME=VALUE, or too many");
	case OPT_TIMEOUT:
		return amount_ms(optarg, &r->timeout_ms) ? -1 :
			verb_usage("run", "--timeout: not a time like 90, 500ms, "
					  "1.5s, 2m or 1h");
	case OPT_LIMIT:
		return parse_limit(r, optarg) ? -1 :
			verb_usage("run", "--limit: not like mem=512M,cpu=1.5,"
					  "pids=100");
	case OPT_BCAST:
		r->bcast = optarg;
		return -1;
	case OPT_DETACH:
		r->detach = true;
		return -1;
	case OPT_POLICY:
		r->policy = optarg;
		return -1;
	case OPT_EXPLAIN:
		r->explain = true;
		return -1;
	case OPT_HELP:
		fputs(help, stdout);
		return 0;
	default:
		fputs("Try: virgo run --help\n", stderr);
		return 2;
	}
}

static int parse(struct run *r, int argc, char **argv)
{
	int c, ret;

	while ((c = getopt_long(argc, argv, "+n:w:at", longs, NULL)) != -1) {
		ret = take_option(r, c);
		if (ret >= 0)
			return ret;
	}
	r->argv = argv + optind;
	if (!r->argv[0])
		return verb_usage("run", "no command given");
	if (r->all && r->nodes.count)
		return verb_usage("run", "-a and a list of nodes exclude each "
					 "other");
	if (r->terminal && r->detach)
		return verb_usage("run", "-t and --detach exclude each other");
	if (r->terminal && (r->all || r->nodes.count > 1))
		return verb_usage("run", "-t needs a single node");
	if ((r->policy || r->explain) && (r->all || r->nodes.count))
		return verb_usage("run", "--policy and --explain are for when no "
					 "node is named");
	return -1;
}

/* --- which nodes --- */

/* Nodes to choose from as CHOOSE takes them: "" for all. NULL: out of memory. */
static char *candidates_of(const struct conf_list *nodes)
{
	size_t size = 1;
	char *list, *at;

	if (conf_list_has(nodes, "*"))
		return calloc(1, 1);
	for (u32 i = 0; i < nodes->count; i++)
		size += strlen(nodes->items[i]) + 1;
	list = at = calloc(1, size);
	for (u32 i = 0; list && i < nodes->count; i++)
		at += sprintf(at, "%s%s", i ? "," : "", nodes->items[i]);
	return list;
}

/* Asks virgod, with what virgo_client.conf says where the command line does not.
 */
static int ask_choice(struct run *r, const struct globals *g,
		      struct span *reply, struct failure *f)
{
	static const char *const policies[] = { "service", "idle",
						"round-robin", "random" };
	struct conf_client conf;
	struct msg_choose ask = { .count = 1 };
	int ret = conf_load(&conf_client_schema, g->state, g->conf_dir, &conf,
			    f);
	struct wcursor w;
	char *list;
	size_t size;
	u8 *buf;

	if (ret)
		return ret;
	list = candidates_of(&conf.run_nodes);
	ask.policy = span_of(r->policy ? r->policy :
					 policies[conf.run_policy]);
	ask.candidates = span_of(list);
	size = msg_choose_size(&ask);
	buf = malloc(size);
	if (list && buf) {
		w = wcursor_of(buf, size);
		msg_choose_encode(&w, &ask);
		ret = client_call(r->client, MSG_CHOOSE, buf, size, MSG_CHOSEN,
				  reply, f);
	} else {
		ret = failure_set(f, -ENOMEM, "run", NULL, "out of memory");
	}
	free(buf);
	free(list);
	conf_free(&conf);
	return ret;
}

static int choose(struct run *r, const struct globals *g, struct failure *f)
{
	struct msg_chosen m;
	struct rec_choice best;
	struct span reply;
	struct rcursor c;
	char name[64];
	bool first = true;
	int ret = ask_choice(r, g, &reply, f);

	if (ret)
		return ret;
	if (msg_chosen_decode(&m, reply.data, reply.len))
		return failure_set(f, -EBADMSG, "run", NULL, "malformed answer");
	c = rcursor_of(m.nodes.data, m.nodes.len);
	while (!ret && rec_choice_next(&c, &best) > 0) {
		if (r->explain)
			fprintf(stderr, "%s %.*s: %.*s\n", first ? "->" : "  ",
				(int)best.name.len, (const char *)best.name.data,
				(int)best.why.len, (const char *)best.why.data);
		if (first && span_to_cstr(best.name, name, sizeof(name)))
			ret = hosts_add(&r->nodes, name, f);
		first = false;
	}
	if (!ret && !r->nodes.count)
		ret = failure_set(f, -EHOSTDOWN, "run", "virgo status",
				  "no node can take the job");
	return ret;
}

/* --- the request --- */

static struct span list_of(const char *const *v, int count)
{
	size_t size = 0;
	struct wcursor c;
	u8 *buf;
	int i;

	for (i = 0; i < count; i++)
		size += 8 + strlen(v[i]);
	buf = malloc(size + 1);
	if (!buf)
		return (struct span){ 0 };
	c = wcursor_of(buf, size);
	for (i = 0; i < count; i++)
		rec_text_append(&c, &(struct rec_text){ span_of(v[i]) });
	return (struct span){ buf, (u32)size };
}

static int start(void *arg, const char *node, u64 tag)
{
	struct run *r = arg;
	const struct frame f = { .type = MSG_JOB_START, .tag = tag };
	struct msg_job_start m = {
		.node = span_of(node),
		.flags = (r->terminal ? JOB_PTY : 0) |
			 (r->detach ? JOB_DETACH : 0) |
			 (r->no_input ? JOB_NO_INPUT : 0),
		.argv = r->argv_list,
		.env = r->env_list,
		.cwd = span_of(r->cwd ? r->cwd : r->here),
		.timeout_ms = r->timeout_ms,
		.memory_bytes = r->memory_bytes,
		.cpu_ppm = r->cpu_ppm,
		.pids = r->pids,
		.window_bytes = r->window,
	};
	mode_t mask = umask(0);
	struct wcursor c;
	size_t size;
	u8 *buf;
	int ret;

	umask(mask);
	m.umask = (u16)mask;
	if (r->terminal) {
		m.term = span_of(getenv("TERM"));
		terminal_size(&m.rows, &m.cols);
	}
	if (r->bcast)
		m.blob = (struct span){ r->hash, sizeof(r->hash) };
	size = msg_job_start_size(&m);
	if (size > FRAME_MAX)
		return -E2BIG;
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	c = wcursor_of(buf, size);
	msg_job_start_encode(&c, &m);
	ret = client_send(r->client, &f, buf, size, NULL, 0);
	free(buf);
	return ret;
}

static int hash_program(struct run *r, struct failure *f)
{
	int fd = open(r->bcast, O_RDONLY | O_CLOEXEC);
	static u8 buf[64 << 10];
	struct sha256 s;
	ssize_t n = -1;

	sha256_init(&s);
	while (fd >= 0 && (n = read(fd, buf, sizeof(buf))) > 0)
		sha256_add(&s, buf, (size_t)n);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return failure_set(f, -errno, r->bcast, NULL,
				   "cannot be read: %s", strerror(errno));
	sha256_end(&s, r->hash);
	return 0;
}

static void find_here(struct run *r)
{
	if (!getcwd(r->here, sizeof(r->here)) ||
	    (strcmp(r->here, "/virgo") && strncmp(r->here, "/virgo/", 7)))
		r->here[0] = 0;
}

/* Nothing will ever come from our stdin, so the job need not wait for its end. */
static bool input_is_null(void)
{
	struct stat st;

	return !fstat(STDIN_FILENO, &st) && S_ISCHR(st.st_mode) &&
	       st.st_rdev == makedev(1, 3);
}

static size_t words_size(const struct run *r)
{
	return msg_job_start_size(&(struct msg_job_start){
		.argv = r->argv_list, .env = r->env_list });
}

/* A job on one node that was named goes from kernel to kernel where that can be.
 * What virgod chose is counted by virgod, and a program sent along is kept by it.
 */
static void take_module(struct run *r, const struct globals *g)
{
	struct client *c;

	if (!r->named || r->nodes.count != 1 || r->bcast ||
	    client_open_module(&c, g->state, r->nodes.names[0], words_size(r)))
		return;
	client_close(r->client);
	r->client = c;
}

static int prepare(struct run *r, const struct globals *g, struct failure *f)
{
	int argc = 0, ret;

	find_here(r);
	r->no_input = !r->terminal && !r->detach && input_is_null();
	while (r->argv[argc])
		argc++;
	r->argv_list = list_of((const char *const *)r->argv, argc);
	r->env_list = list_of(r->env, r->env_count);
	if (r->bcast && (ret = hash_program(r, f)))
		return ret;
	r->named = !r->all && r->nodes.count;
	ret = client_open_early(&r->client, g->state, f);
	if (!ret && r->all)
		ret = hosts_add_up(&r->nodes, r->client, "run", f);
	else if (!ret && !r->nodes.count)
		ret = choose(r, g, f);
	if (ret)
		return ret;
	take_module(r, g);
	r->window = WINDOW_ONE / (u32)r->nodes.count;
	if (r->window < WINDOW_LEAST)
		r->window = WINDOW_LEAST;
	if (words_size(r) > FRAME_MAX - 8192)
		return failure_set(f, -E2BIG, "run", "pass the data on stdin",
				   "arguments and variables are longer than "
				   "1 MiB");
	return 0;
}

int verb_run(const struct globals *g, int argc, char **argv)
{
	static struct run r; /* a stack's pages would cost a fault each */
	struct failure f = { 0 };
	struct runner_options o = { .start = start, .arg = &r, .verb = "run" };
	int ret = parse(&r, argc, argv);

	if (ret >= 0)
		return ret;
	if (prepare(&r, g, &f))
		return runner_fail(&f);
	o.detach = r.detach;
	o.input = !r.detach && !r.no_input;
	o.window = r.window;
	if (r.bcast) {
		o.program = r.bcast;
		o.program_hash = r.hash;
	}
	o.terminal = r.terminal && terminal_raw();
	/* What is left open and allocated ends with the process, which does it
	 * faster than we could: a user waits for that end.
	 */
	return runner_run(r.client, &o, r.nodes.names, r.nodes.count);
}
