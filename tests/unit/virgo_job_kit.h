/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A job of libvirgo's whose virgod is the test's own; see fake_virgod.h. */
#ifndef VIRGO_TESTS_VIRGO_JOB_KIT_H
#define VIRGO_TESTS_VIRGO_JOB_KIT_H

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>

#include "fake_virgod.h"
#include "remote_job.h"

enum { MIB = 1 << 20, WAIT_MS = 50000 };

static const char *const argv[] = { "prog", "arg", NULL };

static int start_with(uint64_t flags)
{
	const struct virgo_clone_args a = { .node = "beta", .argv = argv,
					    .flags = flags };

	return virgo_clone(&a, sizeof(a));
}

static int start(uint64_t flags)
{
	int fd = start_with(flags);

	cr_assert_geq(fd, 0, "%s", virgo_strerror());
	return fd;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

/* Reads @stream to its end; gives the bytes, each of which must be right. */
static u64 drain(int fd, enum virgo_stream stream)
{
	static _Thread_local u8 buf[100000];
	u64 sum = 0;
	ssize_t n;

	while ((n = virgo_job_read(fd, stream, buf, sizeof(buf))) > 0) {
		cr_assert_eq(buf[0], 'a' + (int)stream);
		cr_assert_eq(buf[n - 1], 'a' + (int)stream);
		sum += (u64)n;
	}
	cr_assert_eq(n, 0, "%s", virgo_strerror());
	return sum;
}

static struct virgo_result wait_end(int fd)
{
	struct virgo_result r;

	cr_assert_eq(virgo_job_wait(fd, &r, sizeof(r), WAIT_MS), 0, "%s",
		     virgo_strerror());
	return r;
}

static void exits_3(struct fake_conn *c)
{
	if (!fake_start(c))
		return;
	fake_output(c, 1, 6, 6);
	fake_output(c, 2, 3, 3);
	fake_exit(c, JOB_EXITED, 3, "");
	fake_until_gone(c);
}

#endif
