// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo attach: the output of a detached job, from its beginning to its end. */
#include <getopt.h>
#include <stdio.h>

#include "jobref.h"
#include "runner.h"
#include "verbs.h"

static const char help[] =
"Usage: virgo attach [NODE/]JOB\n"
"Shows what a detached job has written to stdout and stderr, and goes on until\n"
"it ends. Ctrl-C leaves it running. Status: the job's.\n";

struct attach {
	struct client *client;
	struct jobref ref;
};

static int start(void *arg, const char *node, u64 tag)
{
	struct attach *a = arg;
	const struct frame f = { .type = MSG_JOB_ATTACH, .tag = tag };
	const struct msg_job_attach m = { .node = span_of(node),
					  .job = a->ref.job,
					  .window_bytes = JOB_WINDOW_MAX };
	u8 buf[256];
	struct wcursor c = wcursor_of(buf, sizeof(buf));

	msg_job_attach_encode(&c, &m);
	return client_send(a->client, &f, buf, wcursor_len(&c), NULL, 0);
}

int verb_attach(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	struct attach a = { 0 };
	struct failure f = { 0 };
	const struct runner_options o = { .start = start, .arg = &a,
					  .verb = "attach", .leave = true,
					  .window = JOB_WINDOW_MAX };
	char *node = a.ref.node;
	int c, ret;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c != 'h')
			return verb_usage("attach", "unknown option");
		fputs(help, stdout);
		return 0;
	}
	if (argc - optind != 1)
		return verb_usage("attach", "name one job, like beta/17");
	if (client_open(&a.client, g->state, &f))
		return runner_fail(&f);
	if (jobref_parse(&a.ref, argv[optind], a.client))
		ret = runner_run(a.client, &o, &node, 1);
	else
		ret = verb_usage("attach", "a job is named like beta/17");
	client_close(a.client);
	return ret;
}
