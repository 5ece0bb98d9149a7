// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo ps: the caller's jobs on this node, on named ones or on all; root sees
 * everybody's of its own node.
 */
#include <getopt.h>
#include <stdio.h>
#include <time.h>

#include "client.h"
#include "hosts.h"
#include "verbs.h"

static const char help[] =
"Usage: virgo ps [-n NODE | -w LIST | -a]\n"
"Lists your jobs, running or ended and not yet waited for; default: on this node.\n"
"\n"
"  -n NODE  on this node; may be given more than once\n"
"  -w LIST  on these: n[01-16],alpha\n"
"  -a       on all nodes that are up\n";

static void print_row(const struct rec_job_status *s)
{
	char when[32] = "?", job[96], status[16] = "-";
	time_t started = (time_t)s->started_s;
	struct tm tm;

	if (localtime_r(&started, &tm))
		strftime(when, sizeof(when), "%m-%d %H:%M:%S", &tm);
	snprintf(job, sizeof(job), "%.*s/%llu", (int)s->node.len,
		 (const char *)s->node.data, (unsigned long long)s->job);
	if (s->state.len == 5 && !memcmp(s->state.data, "ended", 5))
		snprintf(status, sizeof(status), "%d", s->status);
	printf("%-16s %-12.*s %-12.*s %-9.*s %-6s %-8u %-14s %.*s%s\n", job,
	       (int)s->user.len, (const char *)s->user.data, (int)s->from.len,
	       (const char *)s->from.data, (int)s->state.len,
	       (const char *)s->state.data, status, s->pid, when,
	       (int)s->command.len, (const char *)s->command.data,
	       s->detached ? " &" : "");
}

static int list_node(struct client *c, const char *node)
{
	const struct msg_job_list m = { .node = span_of(node) };
	struct rec_job_status row;
	struct failure f = { 0 };
	struct msg_jobs jobs;
	struct span reply;
	struct rcursor rows;
	u8 buf[128];
	struct wcursor w = wcursor_of(buf, sizeof(buf));

	msg_job_list_encode(&w, &m);
	if (client_call(c, MSG_JOB_LIST, buf, wcursor_len(&w), MSG_JOBS, &reply,
			&f)) {
		failure_print(&f, stderr);
		return 1;
	}
	if (msg_jobs_decode(&jobs, reply.data, reply.len))
		return 1;
	rows = rcursor_of(jobs.jobs.data, jobs.jobs.len);
	while (rec_job_status_next(&rows, &row) > 0)
		print_row(&row);
	return 0;
}

int verb_ps(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	struct hosts nodes = { 0 };
	struct failure f = { 0 };
	struct client *client = NULL;
	bool all = false;
	int c, i, status = 0;

	while ((c = getopt_long(argc, argv, "n:w:a", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?')
			return verb_usage("ps", "unknown option");
		if (c == 'a')
			all = true;
		else if (hosts_add(&nodes, optarg, &f))
			goto fail;
	}
	if (optind < argc)
		return verb_usage("ps", "unexpected argument");
	if (client_open(&client, g->state, &f) ||
	    (all && hosts_add_up(&nodes, client, "ps", &f)))
		goto fail;
	if (!nodes.count && hosts_add(&nodes, client_node(client), &f))
		goto fail;
	printf("%-16s %-12s %-12s %-9s %-6s %-8s %-14s %s\n", "JOB", "USER",
	       "FROM", "STATE", "STATUS", "PID", "STARTED", "COMMAND");
	for (i = 0; i < nodes.count; i++)
		status |= list_node(client, nodes.names[i]);
	client_close(client);
	hosts_free(&nodes);
	return status;
fail:
	failure_print(&f, stderr);
	client_close(client);
	hosts_free(&nodes);
	return 1;
}
