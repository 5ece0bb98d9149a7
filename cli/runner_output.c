// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the jobs of a runner write. It is written blocking: while our reader does not
 * read, we allow no more, and the remote program stops.
 *
 * With more than one node a line of output is written whole, with the node's name
 * in front; a part of a line waits for its end, at most LINE_MOST bytes.
 */
#include "runner_impl.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_MOST = 64 << 10 };

/* Waits until @fd may take bytes, looking at signals meanwhile; false when we are
 * to leave.
 */
static bool wait_writable(struct runner *r, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	sigset_t none;

	sigemptyset(&none);
	while (ppoll(&p, 1, NULL, &none) < 0) {
		if (errno != EINTR)
			return true; /* write() will tell */
		runner_handle_signals(r);
		if (r->left_by)
			return false;
	}
	return true;
}

/* Our own reader has gone: programs learn it as they would from a pipe. */
static void output_broken(struct runner *r, u32 stream)
{
	int i;

	r->closed[stream] = true;
	for (i = 0; i < r->count; i++)
		if (!r->targets[i].over)
			runner_send_frame(r, &r->targets[i], MSG_JOB_DATA,
					  stream, FRAME_EOF, 0, NULL, 0);
}

void runner_write(struct runner *r, u32 stream, const void *data, size_t len)
{
	int fd = stream == 1 ? STDOUT_FILENO : STDERR_FILENO;
	const u8 *p = data;

	while (len && !r->closed[stream] && !r->left_by) {
		ssize_t n;

		if (!wait_writable(r, fd))
			return;
		n = write(fd, p, len);
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n < 0 && errno != EINTR && errno != EAGAIN) {
			output_broken(r, stream);
		}
	}
}

static void write_line(struct runner *r, struct target *t, u32 stream,
		       const char *data, size_t len, bool end)
{
	char head[80];
	int n = snprintf(head, sizeof(head), "%-*s ", r->width + 1, "");

	memcpy(head, t->node, strlen(t->node));
	head[strlen(t->node)] = ':';
	runner_write(r, stream, head, (size_t)n);
	runner_write(r, stream, data, len);
	if (!end)
		runner_write(r, stream, "\n", 1);
}

void runner_flush_line(struct runner *r, struct target *t, u32 stream)
{
	struct line *l = &t->line[stream];

	if (l->len)
		write_line(r, t, stream, l->data, l->len, false);
	l->len = 0;
}

static void keep_part(struct runner *r, struct target *t, u32 stream,
		      const char *data, size_t len)
{
	struct line *l = &t->line[stream];
	size_t need = l->len + len;

	if (need > l->size) {
		char *p = realloc(l->data, need + 256);

		if (!p) {
			runner_flush_line(r, t, stream);
			write_line(r, t, stream, data, len, false);
			return;
		}
		l->data = p;
		l->size = need + 256;
	}
	memcpy(l->data + l->len, data, len);
	l->len = need;
	if (l->len > LINE_MOST)
		runner_flush_line(r, t, stream);
}

static void write_lines(struct runner *r, struct target *t, u32 stream,
			const char *data, size_t len)
{
	struct line *l = &t->line[stream];
	const char *nl;

	while ((nl = memchr(data, '\n', len))) {
		size_t n = (size_t)(nl - data) + 1;

		if (l->len) {
			keep_part(r, t, stream, data, n);
			if (l->len)
				write_line(r, t, stream, l->data, l->len, true);
			l->len = 0;
		} else {
			write_line(r, t, stream, data, n, true);
		}
		data += n;
		len -= n;
	}
	if (len)
		keep_part(r, t, stream, data, len);
}

void runner_take_output(struct runner *r, struct target *t, u32 stream,
			const u8 *data, size_t len)
{
	if (r->count == 1)
		runner_write(r, stream, data, len);
	else
		write_lines(r, t, stream, (const char *)data, len);
	t->taken[stream] += (u32)len;
	if (t->taken[stream] < r->o->window / 4)
		return;
	runner_send_frame(r, t, MSG_JOB_CREDIT, stream, 0, t->taken[stream],
			  NULL, 0);
	t->taken[stream] = 0;
}

void runner_output_over(struct runner *r, u32 stream)
{
	int fd = stream == 1 ? STDOUT_FILENO : STDERR_FILENO;
	int null;

	if (r->count > 1 || r->closed[stream] || stream >= JOB_STREAMS ||
	    fd == STDERR_FILENO)
		return;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (null < 0)
		return;
	dup2(null, fd);
	close(null);
}
