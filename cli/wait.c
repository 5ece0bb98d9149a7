// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo wait: until detached jobs have ended; then virgod forgets them. */
#include <getopt.h>
#include <stdio.h>

#include "jobref.h"
#include "runner.h"
#include "verbs.h"

static const char help[] =
"Usage: virgo wait [NODE/]JOB...\n"
"Waits until these detached jobs have ended. Status: the highest of theirs. A job\n"
"that has been waited for is forgotten, with its output.\n";

/* Status of one job, STATUS_TRANSPORT and a message when it cannot be had. */
static int wait_one(struct client *client, const struct jobref *ref)
{
	const struct msg_job_wait m = { .node = span_of(ref->node),
					.job = ref->job };
	struct failure f = { 0 };
	struct msg_job_exit e;
	struct span reply;
	u8 buf[256];
	struct wcursor c = wcursor_of(buf, sizeof(buf));

	msg_job_wait_encode(&c, &m);
	if (client_call(client, MSG_JOB_WAIT, buf, wcursor_len(&c),
			MSG_JOB_EXIT, &reply, &f))
		return runner_fail(&f);
	if (msg_job_exit_decode(&e, reply.data, reply.len)) {
		failure_set(&f, -EBADMSG, "wait", NULL, "malformed answer");
		return runner_fail(&f);
	}
	if (e.why.len)
		fprintf(stderr, "virgo: %s/%llu: %.*s\n", ref->node,
			(unsigned long long)ref->job, (int)e.why.len,
			(const char *)e.why.data);
	return e.status & 0xff;
}

int verb_wait(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = { { "help", no_argument, NULL, 'h' },
					       { NULL, 0, NULL, 0 } };
	struct client *client;
	struct failure f = { 0 };
	struct jobref ref;
	int c, i, status = 0;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c != 'h')
			return verb_usage("wait", "unknown option");
		fputs(help, stdout);
		return 0;
	}
	if (optind == argc)
		return verb_usage("wait", "name a job, like beta/17");
	if (client_open(&client, g->state, &f))
		return runner_fail(&f);
	for (i = optind; i < argc; i++) {
		int one = jobref_parse(&ref, argv[i], client) ?
				  wait_one(client, &ref) :
				  verb_usage("wait", "a job is named like "
						     "beta/17");

		status = one > status ? one : status;
	}
	client_close(client);
	return status;
}
