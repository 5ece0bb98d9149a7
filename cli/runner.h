/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Follows jobs on one or many nodes at once: carries this program's stdin to all
 * of them and their output to its stdout and stderr, forwards signals, and tells
 * at the end how each went. `virgo run` and `virgo attach` are made of it.
 */
#ifndef VIRGO_CLI_RUNNER_H
#define VIRGO_CLI_RUNNER_H

#include "client.h"

enum {
	STATUS_TRANSPORT = 255, /* VIRGO's failure, not the program's */
	STATUS_TIMEOUT = 124,
};

struct target;

/* Makes the request that starts @t's exchange: sends it with @tag. */
typedef int runner_start_fn(void *arg, const char *node, u64 tag);

struct runner_options {
	runner_start_fn *start;
	void *arg;
	const char *verb; /* "run", in messages */
	bool terminal; /* the job has a terminal, ours is raw */
	bool input; /* carry stdin */
	bool leave; /* a signal ends us, not the job */
	bool detach; /* print the job's number and leave it */
	u32 window; /* bytes allowed on each output stream by start */
	const char *program; /* path of what -ENODATA asks for, or NULL */
	const u8 *program_hash;
};

/* Runs on @count @nodes over @c until all have ended. Gives the exit status: the
 * highest of theirs; 128 + n after signal n of our own.
 */
int runner_run(struct client *c, const struct runner_options *o,
	       char *const *nodes, int count);

/* Prints "virgo: @verb: @what" and gives STATUS_TRANSPORT. */
int runner_fail(const struct failure *f);

#endif
