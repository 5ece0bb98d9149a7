// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Jobs through the public library, against a stand-in for virgod: arguments,
 * descriptors under poll, threads, closing. Their streams are in
 * test_virgo_job_flow.c.
 */
#include "virgo_job_kit.h"

TestSuite(virgo_job, .fini = fake_virgod_end, .timeout = 110);

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
