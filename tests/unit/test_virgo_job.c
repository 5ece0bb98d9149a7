// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Jobs through the public library, against a stand-in for virgod: streams and
 * their flow control, descriptors under poll, threads, and virgod's death in
 * each state.
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>

#include "fake_virgod.h"
#include "remote_job.h"

enum { MIB = 1 << 20, WAIT_MS = 50000 };

static const char *const argv[] = { "prog", "arg", NULL };

TestSuite(virgo_job, .fini = fake_virgod_end, .timeout = 110);

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

/* Polls until what can be had is @want, and nothing else comes before. Half a
 * frame makes the descriptor readable too.
 */
static void until_ready(int fd, int want)
{
	int ready;

	do {
		cr_assert(readable(fd, WAIT_MS));
		ready = virgo_job_ready(fd);
	} while (ready == VIRGO_READY_STDIN);
	cr_assert_eq(ready, want, "%d instead of %d", ready, want);
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

/* --- arguments --- */

static void refuses_all(struct fake_conn *c)
{
	fake_until_gone(c);
}

Test(virgo_job, arguments_are_checked)
{
	struct {
		struct virgo_clone_args known;
		u64 later;
	} a = { .known = { .node = "beta", .argv = argv } };
	const char *const none[] = { NULL };
	struct virgo_clone_args b = a.known;

	fake_virgod(refuses_all);
	a.later = 1;
	cr_assert_eq(virgo_clone(&a.known, sizeof(a)), -1);
	cr_assert_eq(errno, E2BIG);
	cr_assert_eq(virgo_clone(&b, sizeof(b) - 1), -1);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(virgo_clone(NULL, sizeof(b)), -1);
	cr_assert_eq(errno, EINVAL);
	b.flags = 1ull << 40;
	cr_assert_eq(virgo_clone(&b, sizeof(b)), -1);
	cr_assert_eq(errno, EINVAL);
	b.flags = VIRGO_CLONE_PTY | VIRGO_CLONE_DETACH;
	cr_assert_eq(virgo_clone(&b, sizeof(b)), -1);
	cr_assert_eq(errno, EINVAL);
	b.flags = 0;
	b.argv = none;
	cr_assert_eq(virgo_clone(&b, sizeof(b)), -1);
	cr_assert_eq(errno, EINVAL);
	cr_assert_eq(virgo_attach("beta", 1, VIRGO_CLONE_PTY), -1);
	cr_assert_eq(errno, EINVAL);
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

/* A program made with a later header still works while it asks for nothing new. */
Test(virgo_job, zero_fields_of_later_versions_are_taken)
{
	struct {
		struct virgo_clone_args known;
		u64 later[3];
	} a = { .known = { .node = "beta", .argv = argv } };
	int fd;

	fake_virgod(exits_3);
	fd = virgo_clone(&a.known, sizeof(a));
	cr_assert_geq(fd, 0);
	cr_assert_eq(virgo_close(fd), 0);
}

static void checks_request(struct fake_conn *c)
{
	struct msg_job_start m;
	struct rcursor r;
	struct rec_text t;

	if (!fake_asked(c, &m))
		return;
	r = rcursor_of(m.argv.data, m.argv.len);
	if (!span_equal(m.node, span_of("beta")) || m.flags != JOB_PTY ||
	    !span_equal(m.cwd, span_of("/tmp")) || m.umask != 027 ||
	    m.timeout_ms != 5 || m.memory_bytes != 6 || m.cpu_ppm != 7 ||
	    m.pids != 8 || m.rows != 30 || m.cols != 90 ||
	    !span_equal(m.term, span_of("vt100")) ||
	    rec_text_next(&r, &t) != 1 || !span_equal(t.text, span_of("prog")) ||
	    rec_text_next(&r, &t) != 1 || !span_equal(t.text, span_of("arg")) ||
	    rec_text_next(&r, &t) != 0)
		return; /* hangs up: virgo_clone() fails */
	r = rcursor_of(m.env.data, m.env.len);
	if (rec_text_next(&r, &t) != 1 || !span_equal(t.text, span_of("A=b")))
		return;
	fake_started(c, 7, 0);
	fake_until_gone(c);
}

Test(virgo_job, every_argument_arrives)
{
	const char *const env[] = { "A=b", NULL };
	const struct virgo_clone_args a = {
		.flags = VIRGO_CLONE_PTY | VIRGO_CLONE_UMASK,
		.timeout_ms = 5, .memory_bytes = 6, .cpu_ppm = 7, .pids = 8,
		.node = "beta", .argv = argv, .env = env, .cwd = "/tmp",
		.term = "vt100", .rows = 30, .cols = 90, .umask = 027,
	};
	int fd;

	fake_virgod(checks_request);
	fd = virgo_clone(&a, sizeof(a));
	cr_assert_geq(fd, 0, "%s", virgo_strerror());
	virgo_close(fd);
}

/* --- the ordinary course --- */

Test(virgo_job, output_and_result)
{
	struct virgo_job_info info;
	struct virgo_result r;
	char buf[64];
	int fd;

	fake_virgod(exits_3);
	fd = start(0);
	cr_assert_eq(virgo_job_info(fd, &info, sizeof(info)), 0);
	cr_assert_eq(info.job, 7);
	cr_assert_eq(info.pid, 4711);
	cr_assert_str_eq(info.node, "beta");
	r = wait_end(fd);
	cr_assert_eq(r.status, 3);
	cr_assert_eq(r.reason, VIRGO_EXITED);
	cr_assert_eq(r.signal, 0);
	cr_assert_eq(r.user_us, 1000);
	cr_assert_eq(r.system_us, 2000);
	cr_assert_eq(r.max_rss_bytes, MIB);
	cr_assert_str_eq(r.node, "beta");
	/* What came before the end is still there. */
	cr_assert_eq(virgo_read(fd, buf, 4), 4);
	cr_assert_eq(virgo_read(fd, buf, sizeof(buf)), 2);
	cr_assert_eq(virgo_read(fd, buf, sizeof(buf)), 0);
	cr_assert_eq(virgo_job_read(fd, VIRGO_STDERR, buf, sizeof(buf)), 3);
	cr_assert_eq(virgo_job_read(fd, VIRGO_STDERR, buf, sizeof(buf)), 0);
	cr_assert_eq(wait_end(fd).status, 3);
	cr_assert_eq(virgo_close(fd), 0);
	cr_assert_eq(virgo_close(fd), -1);
	cr_assert_eq(errno, EBADF);
	cr_assert_eq(virgo_job_ready(fd), -1);
	cr_assert_eq(errno, EBADF);
}

static void steps(struct fake_conn *c)
{
	if (!fake_start(c))
		return;
	while (fake_await(c, MSG_JOB_SIGNAL)) {
		struct msg_job_signal m;

		if (msg_job_signal_decode(&m, c->payload, c->frame.length))
			return;
		if (m.signal == SIGUSR1)
			fake_output(c, 1, 10, 10);
		else if (m.signal == SIGUSR2)
			fake_end_of(c, 2);
		else
			fake_exit(c, JOB_SIGNALED, 128 + (s32)m.signal, "");
	}
}

Test(virgo_job, descriptor_is_readable_while_something_is_to_be_had)
{
	char buf[64];
	int fd;

	fake_virgod(steps);
	fd = start(0);
	cr_assert_not(readable(fd, 20));
	cr_assert_eq(virgo_job_ready(fd), VIRGO_READY_STDIN);

	virgo_job_signal(fd, SIGUSR1);
	until_ready(fd, VIRGO_READY_STDIN | VIRGO_READY_STDOUT);
	cr_assert(readable(fd, 0), "taken in, not read");
	cr_assert_eq(virgo_read(fd, buf, 9), 9);
	cr_assert(readable(fd, 0), "one byte is left");
	cr_assert_eq(virgo_read(fd, buf, 9), 1);
	cr_assert_not(readable(fd, 20));

	virgo_job_signal(fd, SIGUSR2);
	until_ready(fd, VIRGO_READY_STDIN | VIRGO_READY_STDERR);
	cr_assert_eq(virgo_job_read(fd, VIRGO_STDERR, buf, 9), 0);
	cr_assert_not(readable(fd, 20));

	virgo_job_signal(fd, SIGTERM);
	until_ready(fd, VIRGO_READY_STDOUT | VIRGO_READY_EXIT);
	cr_assert_eq(wait_end(fd).signal, SIGTERM);
	cr_assert_eq(wait_end(fd).status, 128 + SIGTERM);
	cr_assert_eq(virgo_read(fd, buf, 9), 0);
	cr_assert(readable(fd, 0), "its end stays to be seen");
	virgo_close(fd);
}

Test(virgo_job, without_blocking_nothing_waits)
{
	struct virgo_job_info info;
	struct virgo_result r;
	char buf[64];
	int fd;

	fake_virgod(steps);
	fd = start(VIRGO_CLONE_NONBLOCK);
	virgo_job_signal(fd, SIGUSR1); /* before it runs: delayed */
	while (virgo_read(fd, buf, sizeof(buf)) < 0) {
		cr_assert_eq(errno, EAGAIN);
		cr_assert(readable(fd, WAIT_MS));
	}
	cr_assert_eq(virgo_job_info(fd, &info, sizeof(info)), 0);
	cr_assert_eq(virgo_job_read(fd, VIRGO_STDERR, buf, 9), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(virgo_job_wait(fd, &r, sizeof(r), 0), -1);
	cr_assert_eq(errno, EAGAIN);
	cr_assert_eq(virgo_job_wait(fd, &r, sizeof(r), 30), -1);
	cr_assert_eq(errno, ETIMEDOUT);
	virgo_close(fd);
}

static void knows_nothing(struct fake_conn *c)
{
	struct msg_job_start m;

	if (!fake_asked(c, &m))
		return;
	fake_exit(c, JOB_NOT_FOUND, 127, "no program 'prog' there");
	fake_until_gone(c);
}

Test(virgo_job, missing_program_fails_the_call)
{
	struct virgo_result r;
	int fd;

	fake_virgod(knows_nothing);
	cr_assert_eq(start_with(0), -1);
	cr_assert_eq(errno, ENOENT);
	cr_assert_str_eq(virgo_strerror(),
			 "run on beta: no program 'prog' there. Try: another");
	fd = start(VIRGO_CLONE_NONBLOCK);
	r = wait_end(fd);
	cr_assert_eq(r.reason, VIRGO_NOT_FOUND);
	cr_assert_eq(r.status, 127);
	cr_assert_str_eq(r.why, "no program 'prog' there");
	virgo_close(fd);
}

static void refuses(struct fake_conn *c)
{
	const struct msg_error m = { .code = -EACCES,
				     .object = span_of("run on beta"),
				     .what = span_of("no user 'ann' there"),
				     .remedy = span_of("create it") };
	struct msg_job_start s;

	if (!fake_asked(c, &s))
		return;
	fake_message(c, 0, 0, ERROR, error, &m);
	fake_until_gone(c);
}

static void *other_thread(void *arg)
{
	*(int *)arg = virgo_last_failure()->code;
	return NULL;
}

Test(virgo_job, refusal_is_told_with_its_remedy)
{
	const struct virgo_failure *f = virgo_last_failure();
	pthread_t t;
	int code = -1;
	int fd;

	cr_assert_eq(f->code, 0);
	cr_assert_str_eq(virgo_strerror(), "");
	fake_virgod(refuses);
	cr_assert_eq(start_with(0), -1);
	cr_assert_eq(errno, EACCES);
	f = virgo_last_failure();
	cr_assert_eq(f->code, EACCES);
	cr_assert_str_eq(f->object, "run on beta");
	cr_assert_str_eq(f->what, "no user 'ann' there");
	cr_assert_str_eq(f->remedy, "create it");
	pthread_create(&t, NULL, other_thread, &code);
	pthread_join(t, NULL);
	cr_assert_eq(code, 0, "failures are the thread's own");
	fd = start(VIRGO_CLONE_NONBLOCK);
	cr_assert_eq(virgo_job_wait(fd, NULL, 0, WAIT_MS), -1);
	cr_assert_eq(errno, EACCES);
	virgo_close(fd);
}

Test(virgo_job, no_virgod)
{
	virgo_set_state("/nonexistent");
	cr_assert_eq(start_with(0), -1);
	cr_assert_eq(errno, ENOENT);
	cr_assert_not_null(strstr(virgo_strerror(), "virgod does not run here"));
}

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

Test(virgo_job, one_stream_after_the_other)
{
	int fd;

	fake_virgod(stderr_first);
	fd = start(0);
	cr_assert_eq(drain(fd, VIRGO_STDOUT), 10 * MIB);
	cr_assert_eq(drain(fd, VIRGO_STDERR), 10 * MIB);
	cr_assert_eq(wait_end(fd).status, 0);
	virgo_close(fd);
}

Test(virgo_job, waiting_first_and_reading_later)
{
	int fd;

	fake_virgod(stderr_first);
	fd = start(0);
	cr_assert_eq(wait_end(fd).status, 0);
	cr_assert_eq(drain(fd, VIRGO_STDERR), 10 * MIB);
	cr_assert_eq(drain(fd, VIRGO_STDOUT), 10 * MIB);
	virgo_close(fd);
}

Test(virgo_job, unwanted_output_is_thrown_away)
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

Test(virgo_job, endless_output_nobody_reads_is_an_error)
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

Test(virgo_job, unread_output_stops_the_program)
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

Test(virgo_job, writing_all_before_reading_anything)
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
Test(virgo_job, one_thread_writes_another_reads)
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

Test(virgo_job, program_that_reads_no_more)
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

Test(virgo_job, no_stdin)
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

Test(virgo_job, three_jobs_in_one_event_loop)
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

/* --- other requests --- */

static void detaches(struct fake_conn *c)
{
	const struct msg_job_started m = { .job = 9, .pid = 1,
					   .node = span_of("beta") };
	const struct msg_ok ok = {};
	struct msg_job_start s;
	struct msg_job_wait w;
	struct msg_job_kill k;

	while (fake_recv(c)) {
		c->tag = c->frame.tag;
		if (c->frame.type == MSG_JOB_START &&
		    !msg_job_start_decode(&s, c->payload, c->frame.length) &&
		    s.flags == JOB_DETACH)
			fake_message(c, 0, 0, JOB_STARTED, job_started, &m);
		else if (c->frame.type == MSG_JOB_WAIT &&
			 !msg_job_wait_decode(&w, c->payload,
					      c->frame.length) &&
			 w.job == 9)
			fake_exit(c, JOB_EXITED, 5, "");
		else if (c->frame.type == MSG_JOB_KILL &&
			 !msg_job_kill_decode(&k, c->payload,
					      c->frame.length) &&
			 k.job == 9 && k.signal == SIGTERM &&
			 span_equal(k.node, span_of("beta")))
			fake_message(c, 0, 0, OK, ok, &ok);
		else
			return;
	}
}

Test(virgo_job, detached)
{
	char c;
	int fd;

	fake_virgod(detaches);
	fd = start(VIRGO_CLONE_DETACH);
	cr_assert_eq(virgo_read(fd, &c, 1), 0);
	cr_assert_not(readable(fd, 20));
	cr_assert_eq(virgo_job_signal(fd, SIGTERM), 0, "%s", virgo_strerror());
	cr_assert_eq(wait_end(fd).status, 5);
	cr_assert(readable(fd, 0));
	virgo_close(fd);
	cr_assert_eq(virgo_job_kill("beta", 9, 0), -1);
	cr_assert_eq(errno, EINVAL);
}

static void shows(struct fake_conn *c)
{
	struct msg_job_attach m;

	if (!fake_await(c, MSG_JOB_ATTACH) ||
	    msg_job_attach_decode(&m, c->payload, c->frame.length) ||
	    m.job != 9 || !span_equal(m.node, span_of("alpha")))
		return;
	c->tag = c->frame.tag;
	c->credit[1] = c->credit[2] = m.window_bytes;
	fake_started(c, 9, 0);
	fake_output(c, 1, 3 * MIB, 100000);
	fake_exit(c, JOB_EXITED, 0, "");
	fake_until_gone(c);
}

Test(virgo_job, attached)
{
	int fd;

	fake_virgod(shows);
	fd = virgo_attach(NULL, 9, 0);
	cr_assert_geq(fd, 0, "%s", virgo_strerror());
	cr_assert_eq(virgo_write(fd, "x", 1), -1);
	cr_assert_eq(errno, EPIPE);
	cr_assert_eq(drain(fd, VIRGO_STDOUT), 3 * MIB);
	cr_assert_eq(wait_end(fd).status, 0);
	virgo_close(fd);
}

static void tells_nodes(struct fake_conn *c)
{
	u8 list[1024];
	struct wcursor w = wcursor_of(list, sizeof(list));
	struct rec_node_status n = { .name = span_of("alpha"), .cpus = 2,
				     .state = span_of("up"), .self = 1 };
	struct rec_choice best = { .name = span_of("beta") };

	while (fake_recv(c)) {
		c->tag = c->frame.tag;
		w.pos = w.start;
		if (c->frame.type == MSG_STATUS) {
			struct msg_status_reply m = { 0 };

			rec_node_status_append(&w, &n);
			n.name = span_of("beta");
			n.self = 0;
			rec_node_status_append(&w, &n);
			m.nodes = (struct span){ list, (u32)wcursor_len(&w) };
			fake_message(c, 0, 0, STATUS_REPLY, status_reply, &m);
		} else if (c->frame.type == MSG_CHOOSE) {
			struct msg_chosen m = { 0 };

			rec_choice_append(&w, &best);
			m.nodes = (struct span){ list, (u32)wcursor_len(&w) };
			fake_message(c, 0, 0, CHOSEN, chosen, &m);
		} else {
			fake_started(c, 7, 0);
		}
	}
}

Test(virgo_job, nodes_and_choice)
{
	const struct virgo_clone_args a = { .argv = argv };
	struct virgo_node n[2];
	char name[64];
	int fd;

	fake_virgod(tells_nodes);
	memset(n, 1, sizeof(n));
	cr_assert_eq(virgo_nodes(n, 1, sizeof(n[0])), 2);
	cr_assert_str_eq(n[0].name, "alpha");
	cr_assert_eq(n[0].flags, VIRGO_NODE_SELF);
	cr_assert_eq(((u8 *)&n[1])[0], 1, "beyond count");
	cr_assert_eq(virgo_nodes(n, 2, sizeof(n[0])), 2);
	cr_assert_str_eq(n[1].name, "beta");
	cr_assert_eq(n[1].cpus, 2);
	cr_assert_eq(virgo_choose(NULL, NULL, name, sizeof(name)), 0);
	cr_assert_str_eq(name, "beta");
	cr_assert_eq(virgo_choose(NULL, NULL, name, 4), -1);
	cr_assert_eq(errno, ENAMETOOLONG);
	fd = virgo_clone(&a, sizeof(a));
	cr_assert_geq(fd, 0, "%s", virgo_strerror());
	virgo_close(fd);
}

/* --- bad virgods --- */

static void dribbles(struct fake_conn *c)
{
	c->dribble = true;
	exits_3(c);
}

Test(virgo_job, frames_in_single_bytes)
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

Test(virgo_job, death_before_the_start)
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

Test(virgo_job, death_while_it_runs)
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

/* --- closing --- */

static void silent(struct fake_conn *c)
{
	if (fake_start(c))
		fake_until_gone(c);
}

static void *read_one(void *arg)
{
	char c;

	errno = 0;
	virgo_read(*(int *)arg, &c, 1);
	*(int *)arg = errno;
	return NULL;
}

Test(virgo_job, closing_wakes_who_waits)
{
	int arg, fd;
	pthread_t t[2];
	int args[2];

	fake_virgod(silent);
	fd = start(0);
	for (arg = 0; arg < 2; arg++) {
		args[arg] = fd;
		pthread_create(&t[arg], NULL, read_one, &args[arg]);
	}
	usleep(50000); /* both are likely to wait by now; else EBADF at once */
	cr_assert_eq(virgo_close(fd), 0);
	for (arg = 0; arg < 2; arg++) {
		pthread_join(t[arg], NULL);
		cr_assert_eq(args[arg], EBADF);
	}
}

static void on_alarm(int sig)
{
}

Test(virgo_job, a_signal_interrupts)
{
	const struct sigaction sa = { .sa_handler = on_alarm };
	char c;
	int fd;

	fake_virgod(silent);
	fd = start(0);
	sigaction(SIGALRM, &sa, NULL);
	do {
		ualarm(20000, 0);
		cr_assert_eq(virgo_read(fd, &c, 1), -1);
	} while (errno == EAGAIN);
	cr_assert_eq(errno, EINTR);
	virgo_close(fd);
}

/* Whoever uses close(2) on a descriptor loses the object, but harms no other
 * that gets the number.
 */
static int closed, freed;

static int count_close(struct object *o)
{
	cr_assert_eq(o->fd, -1);
	closed++;
	return 0;
}

static void count_free(struct object *o)
{
	freed++;
}

Test(virgo_job, closed_behind_the_librarys_back)
{
	const struct object_ops ops = { .close = count_close,
					.free = count_free };
	struct object first = { .ops = &ops }, second = { .ops = &ops };

	cr_assert_eq(object_add(&first, 1000), 0);
	cr_assert_eq(object_add(&second, 1000), 0);
	cr_assert_eq(closed, 1);
	cr_assert_eq(freed, 1);
	cr_assert_eq(object_get(1000, &ops, EINVAL), &second);
	cr_assert_null(object_get(1000, &remote_job_ops, EINVAL));
	cr_assert_eq(errno, EINVAL);
	cr_assert_null(object_get(1001, NULL, EINVAL));
	cr_assert_eq(errno, EBADF);
	object_put(&second);
	cr_assert_eq(freed, 1);
}
