// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo: the command. Global options, then a verb from the table in verbs.c,
 * which does the rest.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "stdfds.h"
#include "verbs.h"

static void help(void)
{
	const struct verb *v;

	puts("Usage: virgo [--state DIR] [--conf DIR] VERB [ARGUMENT]...\n"
	     "Several Linux machines used as one: files, memory, programs.\n");
	for (v = verbs; v->name; v++)
		printf("  %-10s %s\n", v->name, v->summary);
	puts("\n  --state DIR  folder of this node's state, else $VIRGO_STATE,\n"
	     "               else " VIRGO_DEFAULT_STATE "\n"
	     "  --conf DIR   folder of the configuration files\n"
	     "  --help, --version\n"
	     "\n`virgo VERB --help` tells more about a verb.");
}

int verb_usage(const char *verb, const char *message)
{
	fprintf(stderr, "virgo: %s: %s\nTry: virgo %s --help\n", verb, message,
		verb);
	return 2;
}

static const struct verb *find(const char *name)
{
	const struct verb *v;

	for (v = verbs; v->name; v++)
		if (!strcmp(v->name, name))
			return v;
	return NULL;
}

/* A result that did not reach its reader is a failure, whatever the verb says. */
static int flushed(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "virgo: standard output: cannot be written: %s\n",
		strerror(errno));
	return status ? status : 1;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "state", required_argument, NULL, 's' },
		{ "conf", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	static char buffer[16 << 10]; /* musl's own holds 1 KiB */
	struct globals g = { 0 };
	const struct verb *v;
	int c;

	stdfds_ensure();
	setvbuf(stdout, buffer, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF,
		sizeof(buffer));
	while ((c = getopt_long(argc, argv, "+", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			g.state = optarg;
			break;
		case 'c':
			g.conf_dir = optarg;
			break;
		case 'h':
			help();
			return flushed(0);
		case 'V':
			puts("virgo " VIRGO_VERSION);
			return flushed(0);
		default:
			fputs("Try: virgo --help\n", stderr);
			return 2;
		}
	}
	if (optind == argc) {
		fputs("virgo: no verb given\nTry: virgo --help\n", stderr);
		return 2;
	}
	v = find(argv[optind]);
	if (!v) {
		fprintf(stderr, "virgo: %s: no such verb\nTry: virgo --help\n",
			argv[optind]);
		return 2;
	}
	argc -= optind;
	argv += optind;
	optind = 0; /* the verb parses its own options from the start */
	return flushed(v->main(&g, argc, argv));
}
