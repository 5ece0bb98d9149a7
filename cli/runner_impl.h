/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What runner.c (the loop, frames, signals) and runner_output.c share. */
#ifndef VIRGO_CLI_RUNNER_IMPL_H
#define VIRGO_CLI_RUNNER_IMPL_H

#include "runner.h"

struct line { /* the unfinished end of a stream */
	char *data;
	size_t len, size;
};

struct target {
	const char *node;
	u64 tag;
	bool started, over;
	bool input_closed; /* the program takes no more */
	u64 input_credit;
	u32 taken[JOB_STREAMS]; /* written here, not yet allowed again */
	struct line line[JOB_STREAMS];
	int program_fd; /* being sent; -1 */
	u64 program_at;
	int status;
	char why[700]; /* for the summary */
};

struct runner {
	struct client *client;
	const struct runner_options *o;
	struct target *targets;
	int count, left;
	int width; /* of the longest node name */
	bool input_over;
	bool window_due; /* it changed before the job had begun */
	bool closed[JOB_STREAMS]; /* our own stdout or stderr is broken */
	int signals; /* how many the user sent that mean "end" */
	int left_by; /* the signal that ended us, not the job */
	bool lost;
};

/* --- runner.c --- */

void runner_send_frame(struct runner *r, const struct target *t, u16 type,
		       u32 stream, u8 flags, u32 credit, const void *data,
		       size_t len);
/* Does what was caught since; may set @r->left_by. */
void runner_handle_signals(struct runner *r);

/* --- runner_output.c --- */

/* Writes to our own stream, and looks at signals while that waits. */
void runner_write(struct runner *r, u32 stream, const void *data, size_t len);
/* Output of @t: writes it and allows more. */
void runner_take_output(struct runner *r, struct target *t, u32 stream,
			const u8 *data, size_t len);
/* Writes the part of a line that has no end. */
void runner_flush_line(struct runner *r, struct target *t, u32 stream);
/* The program has closed a stream and goes on: our reader sees its end too. With
 * more nodes the others may still write.
 */
void runner_output_over(struct runner *r, u32 stream);

#endif
