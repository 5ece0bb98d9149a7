// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo kill: a signal to all processes of jobs, as kill(1) to a process group. */
#include <ctype.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "jobref.h"
#include "verbs.h"

static const char help[] =
"Usage: virgo kill [-s SIGNAL] [NODE/]JOB...\n"
"Sends the jobs a signal, by name or number; default TERM. KILL ends all of a\n"
"job, also what has left its process group.\n";

/* POSIX's and those that Linux jobs are sent. */
static const struct { const char *name; int sig; } signals[] = {
	{ "ABRT", SIGABRT }, { "ALRM", SIGALRM }, { "BUS", SIGBUS },
	{ "CHLD", SIGCHLD }, { "CONT", SIGCONT }, { "FPE", SIGFPE },
	{ "HUP", SIGHUP }, { "ILL", SIGILL }, { "INT", SIGINT },
	{ "IO", SIGIO }, { "KILL", SIGKILL }, { "PIPE", SIGPIPE },
	{ "POLL", SIGPOLL }, { "PROF", SIGPROF }, { "PWR", SIGPWR },
	{ "QUIT", SIGQUIT }, { "SEGV", SIGSEGV }, { "STKFLT", SIGSTKFLT },
	{ "STOP", SIGSTOP }, { "SYS", SIGSYS }, { "TERM", SIGTERM },
	{ "TRAP", SIGTRAP }, { "TSTP", SIGTSTP }, { "TTIN", SIGTTIN },
	{ "TTOU", SIGTTOU }, { "URG", SIGURG }, { "USR1", SIGUSR1 },
	{ "USR2", SIGUSR2 }, { "VTALRM", SIGVTALRM }, { "WINCH", SIGWINCH },
	{ "XCPU", SIGXCPU }, { "XFSZ", SIGXFSZ },
};

/* A signal by number, or by name with or without SIG; 0 for none. */
static int parse_signal(const char *text)
{
	char *end;
	long n;
	size_t i;

	if (isdigit((unsigned char)*text)) {
		n = strtol(text, &end, 10);
		return !*end && n > 0 && n < NSIG ? (int)n : 0;
	}
	if (!strncasecmp(text, "SIG", 3))
		text += 3;
	for (i = 0; i < ARRAY_SIZE(signals); i++)
		if (!strcasecmp(signals[i].name, text))
			return signals[i].sig;
	return 0;
}

static int kill_one(struct client *client, const struct jobref *ref, int sig)
{
	const struct msg_job_kill m = { .node = span_of(ref->node),
					.job = ref->job,
					.signal = (u32)sig };
	struct failure f = { 0 };
	struct span reply;
	u8 buf[256];
	struct wcursor c = wcursor_of(buf, sizeof(buf));

	msg_job_kill_encode(&c, &m);
	if (!client_call(client, MSG_JOB_KILL, buf, wcursor_len(&c), MSG_OK,
			 &reply, &f))
		return 0;
	failure_print(&f, stderr);
	return 1;
}

int verb_kill(const struct globals *g, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "signal", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct client *client;
	struct failure f = { 0 };
	struct jobref ref;
	int c, i, sig = SIGTERM, status = 0;

	while ((c = getopt_long(argc, argv, "s:", longs, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		sig = c == 's' ? parse_signal(optarg) : 0;
		if (!sig)
			return verb_usage("kill", c == 's' ? "no such signal" :
							     "unknown option");
	}
	if (optind == argc)
		return verb_usage("kill", "name a job, like beta/17");
	if (client_open(&client, g->state, &f)) {
		failure_print(&f, stderr);
		return 1;
	}
	for (i = optind; i < argc; i++) {
		int one = jobref_parse(&ref, argv[i], client) ?
				  kill_one(client, &ref, sig) :
				  verb_usage("kill", "a job is named like "
						     "beta/17");

		status = one > status ? one : status;
	}
	client_close(client);
	return status;
}
