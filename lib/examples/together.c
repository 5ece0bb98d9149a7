// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Several jobs at once in one poll(2) loop: sends its standard input through
 * `PROGRAM` on each node and prints how many bytes came back from each.
 *
 *	together PROGRAM NODE... < FILE
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virgo.h>

enum { JOBS_MAX = 64 };

struct task {
	const char *node;
	size_t sent;
	size_t received;
	int status; /* -1: runs */
};

static char *input;
static size_t input_len;

static void die(const char *what)
{
	fprintf(stderr, "together: %s: %s\n", what, virgo_strerror());
	exit(1);
}

static void read_input(void)
{
	size_t size = 0;
	size_t n = 1;

	while (n) {
		if (input_len == size) {
			size = size ? size * 2 : 65536;
			input = realloc(input, size);
			if (!input)
				exit(1);
		}
		n = fread(input + input_len, 1, size - input_len, stdin);
		input_len += n;
	}
}

static int start(const char *program, const char *node)
{
	const char *const argv[] = { program, NULL };
	const struct virgo_clone_args args = {
		.flags = VIRGO_CLONE_NONBLOCK | VIRGO_CLONE_NO_STDERR,
		.node = node,
		.argv = argv,
	};

	return virgo_clone(&args, sizeof(args));
}

static void feed(int job, struct task *t)
{
	ssize_t n;

	if (t->sent > input_len)
		return; /* all, and its end */
	n = virgo_job_write(job, input + t->sent, input_len - t->sent);
	if (n < 0 && errno != EAGAIN && errno != EPIPE)
		die(t->node);
	if (n > 0)
		t->sent += (size_t)n;
	if (t->sent == input_len || (n < 0 && errno == EPIPE)) {
		virgo_job_eof(job);
		t->sent = input_len + 1;
	}
}

/* Does what can be done for a job now. */
static void turn(int job, struct task *t)
{
	int ready = virgo_job_ready(job);
	struct virgo_result result;
	char buf[65536];
	ssize_t n;

	if (ready & VIRGO_READY_STDOUT) {
		n = virgo_job_read(job, VIRGO_STDOUT, buf, sizeof(buf));
		if (n < 0)
			die(t->node);
		t->received += (size_t)n;
	}
	feed(job, t);
	if (ready != VIRGO_READY_EXIT)
		return;
	if (virgo_job_wait(job, &result, sizeof(result), 0))
		die(t->node);
	t->status = result.status;
	virgo_close(job);
}

int main(int argc, char **argv)
{
	struct task task[JOBS_MAX] = { { 0 } };
	struct pollfd p[JOBS_MAX];
	int count = argc - 2;
	int left = count;
	int i;

	if (count < 1 || count > JOBS_MAX) {
		fprintf(stderr, "usage: together PROGRAM NODE... < FILE\n");
		return 2;
	}
	read_input();
	for (i = 0; i < count; i++) {
		task[i].node = argv[i + 2];
		task[i].status = -1;
		p[i].events = POLLIN;
		p[i].fd = start(argv[1], task[i].node);
		if (p[i].fd < 0)
			die(task[i].node);
		turn(p[i].fd, &task[i]);
	}
	while (left > 0) {
		if (poll(p, (nfds_t)count, -1) < 0)
			return 1;
		for (i = 0; i < count; i++) {
			if (!(p[i].revents & POLLIN))
				continue;
			turn(p[i].fd, &task[i]);
			if (task[i].status < 0)
				continue;
			p[i].fd = -1;
			left--;
		}
	}
	for (i = 0; i < count; i++)
		printf("%s: %zu bytes, status %d\n", task[i].node,
		       task[i].received, task[i].status);
	free(input);
	return 0;
}
