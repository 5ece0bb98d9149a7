// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libvirgo's jobs over their streams: credit and back-pressure both ways, virgods
 * that break off or break the protocol.
 */
#include "virgo_job_kit.h"

TestSuite(virgo_job_flow, .fini = fake_virgod_end, .timeout = 110);

/* --- flow control --- */

static void stderr_first(struct fake_conn *c)
{
	if (!fake_start(c))
		return;
	fake_output(c, 2, 10 * MIB, 70000);
	fake_output(c, 1, 10 * MIB, 70000);
	fake_end_of(c, 1);
	fake_end_of(c, 2);
	fake_exit(c, JOB_EXITED, 0, "");
	fake_until_gone(c);
}

Test(virgo_job_flow, one_stream_after_the_other)
{
	int fd;

	fake_virgod(stderr_first);
	fd = start(0);
	cr_assert_eq(drain(fd, VIRGO_STDOUT), 10 * MIB);
	cr_assert_eq(drain(fd, VIRGO_STDERR), 10 * MIB);
	cr_assert_eq(wait_end(fd).status, 0);
	virgo_close(fd);
}

Test(virgo_job_flow, waiting_first_and_reading_later)
{
	int fd;

	fake_virgod(stderr_first);
	fd = start(0);
	cr_assert_eq(wait_end(fd).status, 0);
	cr_assert_eq(drain(fd, VIRGO_STDERR), 10 * MIB);
	cr_assert_eq(drain(fd, VIRGO_STDOUT), 10 * MIB);
	virgo_close(fd);
}

Test(virgo_job_flow, unwanted_output_is_thrown_away)
{
	char c;
	int fd;

	fake_virgod(stderr_first);
	fd = start(VIRGO_CLONE_NO_STDOUT | VIRGO_CLONE_NO_STDERR);
	cr_assert_eq(wait_end(fd).status, 0);
	cr_assert_eq(virgo_read(fd, &c, 1), 0);
	virgo_close(fd);
}

static void endless_stderr(struct fake_conn *c)
{
	if (fake_start(c))
		fake_output(c, 2, 1ull << 40, 100000);
}

Test(virgo_job_flow, endless_output_nobody_reads_is_an_error)
{
	char c;
	int fd;

	fake_virgod(endless_stderr);
	fd = start(0);
	cr_assert_eq(virgo_read(fd, &c, 1), -1);
	cr_assert_eq(errno, ENOBUFS);
	cr_assert_not_null(strstr(virgo_strerror(), "64 MiB"));
	cr_assert_eq(virgo_job_wait(fd, NULL, 0, WAIT_MS), -1);
	cr_assert_eq(errno, ENOBUFS);
	virgo_close(fd);
}

static u64 sent; /* atomic: by endless_stdout */

static void endless_stdout(struct fake_conn *c)
{
	static const u8 data[1000];

	if (!fake_start(c))
		return;
	while (c->credit[1] >= sizeof(data)) {
		fake_frame(c, MSG_JOB_DATA, FRAME_MORE, 1, 0, data,
			   sizeof(data));
		c->credit[1] -= sizeof(data);
		__atomic_add_fetch(&sent, sizeof(data), __ATOMIC_RELAXED);
	}
	fake_recv(c); /* credit, or the end */
	__atomic_store_n(&sent, c->gone ? sent : 0, __ATOMIC_RELAXED);
}

Test(virgo_job_flow, unread_output_stops_the_program)
{
	const u64 window = (256 << 10) / 1000 * 1000;
	int fd;

	fake_virgod(endless_stdout);
	fd = start(VIRGO_CLONE_NONBLOCK);
	do {
		usleep(10000);
		cr_assert_neq(virgo_job_ready(fd), -1);
	} while (__atomic_load_n(&sent, __ATOMIC_RELAXED) < window);
	virgo_close(fd);
	fake_virgod_end();
	cr_assert_eq(sent, window, "no credit was given for what nobody read");
}

/* Like cat: what comes in goes out. Takes no input while its output is stuck. */
static void cat(struct fake_conn *c)
{
	if (!fake_start(c))
		return;
	while (!c->got_eof || c->got) {
		u64 len = c->got;

		if (!len) {
			if (!fake_recv(c))
				return;
			continue;
		}
		c->got = 0;
		fake_output(c, 1, len, 64 << 10);
		c->input += len;
		fake_frame(c, MSG_JOB_CREDIT, FRAME_MORE, 0, (u32)len, NULL, 0);
	}
	fake_exit(c, JOB_EXITED, 0, "");
	fake_until_gone(c);
}

static u8 block[10 * MIB];

Test(virgo_job_flow, writing_all_before_reading_anything)
{
	int fd;

	fake_virgod(cat);
	memset(block, 'b', sizeof(block));
	fd = start(0);
	cr_assert_eq(virgo_write(fd, block, sizeof(block)), sizeof(block));
	cr_assert_eq(virgo_job_eof(fd), 0);
	cr_assert_eq(drain(fd, VIRGO_STDOUT), sizeof(block));
	cr_assert_eq(virgo_write(fd, "x", 1), -1);
	cr_assert_eq(errno, EPIPE);
	virgo_close(fd);
}

static void *write_block(void *arg)
{
	int fd = *(int *)arg;

	for (int i = 0; i < 10; i++)
		if (virgo_write(fd, block, sizeof(block)) != sizeof(block))
			return NULL;
	virgo_job_eof(fd);
	return arg;
}

/* A slow reader in another thread is no deadlock: nothing is kept for it. */
Test(virgo_job_flow, one_thread_writes_another_reads)
{
	u64 sum = 0;
	pthread_t t;
	void *ok;
	char buf[2];
	int fd;

	fake_virgod(cat);
	memset(block, 'b', sizeof(block));
	fd = start(0);
	cr_assert_eq(virgo_job_signal(fd, SIGCONT), 0);
	pthread_create(&t, NULL, write_block, &fd);
	cr_assert_eq(virgo_read(fd, buf, 2), 2);
	sum = 2 + drain(fd, VIRGO_STDOUT);
	pthread_join(t, &ok);
	cr_assert_not_null(ok, "the writer failed");
	cr_assert_eq(sum, 10 * sizeof(block));
	virgo_close(fd);
}

static void closes_stdin(struct fake_conn *c)
{
	if (!fake_start(c) || !fake_await(c, MSG_JOB_DATA))
		return;
	fake_end_of(c, 0);
	fake_until_gone(c);
}

Test(virgo_job_flow, program_that_reads_no_more)
{
	int fd;

	fake_virgod(closes_stdin);
	memset(block, 'b', sizeof(block));
	fd = start(0);
	cr_assert_eq(virgo_write(fd, block, sizeof(block)), 64 << 10,
		     "what the first credit took");
	cr_assert_eq(virgo_write(fd, block, sizeof(block)), -1);
	cr_assert_eq(errno, EPIPE);
	virgo_close(fd);
}

static void wants_end_of_input(struct fake_conn *c)
{
	struct msg_job_start m;

	if (!fake_asked(c, &m))
		return;
	usleep(20000);
	fake_started(c, 7, 1000);
	if (!fake_await(c, MSG_JOB_DATA) || !(c->frame.flags & FRAME_EOF))
		return;
	fake_exit(c, JOB_EXITED, 0, "");
	fake_until_gone(c);
}

Test(virgo_job_flow, no_stdin)
{
	int fd;

	fake_virgod(wants_end_of_input);
	fd = start(VIRGO_CLONE_NO_STDIN);
	cr_assert_eq(virgo_write(fd, "x", 1), -1);
	cr_assert_eq(errno, EPIPE);
	cr_assert_eq(wait_end(fd).status, 0);
	virgo_close(fd);
	fd = start(VIRGO_CLONE_NONBLOCK);
	cr_assert_eq(virgo_job_eof(fd), 0); /* before it runs */
	cr_assert_eq(wait_end(fd).status, 0);
	virgo_close(fd);
}

struct looped {
	u64 gone, got;
	bool over;
};

/* What an event loop does for one job: writes and reads what it can. */
static void turn(int fd, struct looped *l)
{
	int ready = virgo_job_ready(fd);
	char buf[50000];
	ssize_t n;

	if (l->gone < MIB) {
		n = virgo_write(fd, block, MIB - l->gone);
		cr_assert(n > 0 || errno == EAGAIN, "%s", virgo_strerror());
		l->gone += n > 0 ? (u64)n : 0;
		if (l->gone == MIB)
			virgo_job_eof(fd);
	}
	if (ready & VIRGO_READY_STDOUT) {
		n = virgo_read(fd, buf, sizeof(buf));
		cr_assert_geq(n, 0, "%s", virgo_strerror());
		l->got += (u64)n;
	}
	if (ready & VIRGO_READY_STDERR)
		cr_assert_eq(virgo_job_read(fd, VIRGO_STDERR, buf, 1), 0);
	l->over = ready == VIRGO_READY_EXIT;
}

Test(virgo_job_flow, three_jobs_in_one_event_loop)
{
	struct looped l[3] = { 0 };
	struct pollfd p[3];
	int left = 3;

	fake_virgod(cat);
	memset(block, 'b', sizeof(block));
	for (int i = 0; i < 3; i++) {
		p[i] = (struct pollfd){ .fd = start(VIRGO_CLONE_NONBLOCK),
					.events = POLLIN };
		turn(p[i].fd, &l[i]);
	}
	while (left) {
		cr_assert_gt(poll(p, 3, WAIT_MS), 0);
		for (int i = 0; i < 3; i++) {
			if (!(p[i].revents & POLLIN))
				continue;
			turn(p[i].fd, &l[i]);
			if (!l[i].over)
				continue;
			cr_assert_eq(wait_end(p[i].fd).status, 0);
			cr_assert_eq(l[i].got, MIB);
			virgo_close(p[i].fd);
			p[i].fd = -1;
			left--;
		}
	}
}

/* --- bad virgods --- */

static void dribbles(struct fake_conn *c)
{
	c->dribble = true;
	exits_3(c);
}

Test(virgo_job_flow, frames_in_single_bytes)
{
	int fd;

	fake_virgod(dribbles);
	fd = start(0);
	cr_assert_eq(drain(fd, VIRGO_STDOUT), 6);
	cr_assert_eq(drain(fd, VIRGO_STDERR), 3);
	cr_assert_eq(wait_end(fd).status, 3);
	virgo_close(fd);
}

static void dies(struct fake_conn *c)
{
}

static void dies_greeted(struct fake_conn *c)
{
	fake_await(c, MSG_JOB_START);
}

Test(virgo_job_flow, death_before_the_start)
{
	fake_greeting(dies);
	fake_virgod(NULL);
	cr_assert_eq(start_with(0), -1);
	cr_assert_eq(errno, ECONNRESET);
	fake_greeting(NULL);
	fake_virgod(dies);
	cr_assert_eq(start_with(0), -1);
	cr_assert_eq(errno, ECONNRESET, "%s", virgo_strerror());
	fake_virgod(dies_greeted);
	cr_assert_eq(start_with(0), -1);
	cr_assert_eq(errno, ECONNRESET);
}

static void dies_running(struct fake_conn *c)
{
	if (fake_start(c))
		fake_output(c, 1, 1000, 1000);
}

static void dies_in_a_frame(struct fake_conn *c)
{
	const struct frame f = { .type = MSG_JOB_DATA, .stream = 1,
				 .length = 1000,
				 .flags = FRAME_REPLY | FRAME_MORE };
	u8 head[FRAME_HEADER_BYTES];

	if (!fake_start(c))
		return;
	fake_output(c, 1, 1000, 1000);
	frame_encode(&f, head);
	fake_bytes(c, head, sizeof(head));
	fake_bytes(c, head, 10);
}

static void expect_lost(int want)
{
	char buf[2000];
	int fd = start(0);

	cr_assert_eq(virgo_read(fd, buf, sizeof(buf)), 1000,
		     "what came before is given");
	cr_assert_eq(virgo_read(fd, buf, sizeof(buf)), -1);
	cr_assert_eq(errno, want, "%s", virgo_strerror());
	cr_assert_eq(virgo_job_wait(fd, NULL, 0, WAIT_MS), -1);
	cr_assert_eq(errno, want);
	cr_assert_eq(virgo_write(fd, buf, 1), -1);
	cr_assert_eq(errno, want);
	cr_assert(readable(fd, 0));
	cr_assert(virgo_job_ready(fd) & VIRGO_READY_EXIT);
	cr_assert_eq(virgo_close(fd), 0);
}

static void violates_credit(struct fake_conn *c)
{
	static u8 data[300 << 10];

	if (!fake_start(c))
		return;
	fake_output(c, 1, 1000, 1000);
	fake_frame(c, MSG_JOB_DATA, FRAME_MORE, 1, 0, data, sizeof(data));
	fake_until_gone(c);
}

static void talks_rubbish(struct fake_conn *c)
{
	if (!fake_start(c))
		return;
	fake_output(c, 1, 1000, 1000);
	fake_bytes(c, "GET / HTTP/1.0\r\nHost: beta.example\r\n\r\n", 38);
	fake_until_gone(c);
}

Test(virgo_job_flow, death_while_it_runs)
{
	fake_virgod(dies_running);
	expect_lost(ECONNRESET);
	fake_virgod(dies_in_a_frame);
	expect_lost(ECONNRESET);
	fake_virgod(violates_credit);
	expect_lost(EPROTO);
	fake_virgod(talks_rubbish);
	expect_lost(EPROTO);
}
