// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Following jobs; the contract is in runner.h.
 *
 * One connection to virgod carries all jobs, told apart by tag. The loop waits
 * with signals blocked everywhere else, so a signal is handled between frames and
 * a Ctrl-C never tears one. What jobs write is runner_output.c's.
 */
#include "runner_impl.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "terminal.h"

enum {
	INPUT_BYTES = 64 << 10,
	SUMMARY_MOST = 20, /* nodes named in the summary of failures */
};

static volatile sig_atomic_t caught[NSIG];

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1,
				 SIGUSR2 };

static void on_signal(int sig)
{
	caught[sig] = 1;
}

int runner_fail(const struct failure *f)
{
	terminal_restore();
	failure_print(f, stderr);
	return STATUS_TRANSPORT;
}

/* --- frames out --- */

void runner_send_frame(struct runner *r, const struct target *t, u16 type,
		       u32 stream, u8 flags, u32 credit, const void *data,
		       size_t len)
{
	const struct frame f = { .type = type, .stream = stream, .flags = flags,
				 .tag = t->tag, .credit = credit };

	if (client_send(r->client, &f, data, len, NULL, 0))
		r->lost = true;
}

static void send_signal(struct runner *r, int sig)
{
	const struct msg_job_signal m = { .signal = (u32)sig };
	u8 buf[8];
	struct wcursor c = wcursor_of(buf, sizeof(buf));
	int i;

	msg_job_signal_encode(&c, &m);
	for (i = 0; i < r->count; i++)
		if (!r->targets[i].over)
			runner_send_frame(r, &r->targets[i], MSG_JOB_SIGNAL, 0,
					  0, 0, buf, wcursor_len(&c));
}

static void send_window(struct runner *r)
{
	struct msg_job_winch m;
	u8 buf[8];
	struct wcursor c = wcursor_of(buf, sizeof(buf));

	terminal_size(&m.rows, &m.cols);
	msg_job_winch_encode(&c, &m);
	runner_send_frame(r, &r->targets[0], MSG_JOB_WINCH, 0, 0, 0, buf,
			  wcursor_len(&c));
}

/* --- signals --- */

/* The first signal goes to the jobs. The second ends us, and with us the jobs;
 * so does the first for one who only watches.
 */
void runner_handle_signals(struct runner *r)
{
	size_t i;

	if (caught[SIGWINCH]) {
		caught[SIGWINCH] = 0;
		if (r->o->terminal && r->targets[0].started)
			send_window(r);
		else
			r->window_due = r->o->terminal;
	}
	for (i = 0; i < ARRAY_SIZE(forwarded); i++) {
		int sig = forwarded[i];

		if (!caught[sig])
			continue;
		caught[sig] = 0;
		if (sig != SIGUSR1 && sig != SIGUSR2)
			r->signals++;
		if (r->o->leave || r->signals > 1)
			r->left_by = sig;
		else
			send_signal(r, sig);
	}
}

static void catch_signals(const struct runner *r, sigset_t *waiting)
{
	struct sigaction a = { .sa_handler = on_signal };
	sigset_t block;
	size_t i;

	sigemptyset(&block);
	for (i = 0; i < ARRAY_SIZE(forwarded); i++) {
		struct sigaction old;

		/* nohup's wish stands. */
		sigaction(forwarded[i], NULL, &old);
		if (old.sa_handler == SIG_IGN)
			continue;
		sigaction(forwarded[i], &a, NULL);
		sigaddset(&block, forwarded[i]);
	}
	if (r->o->terminal) {
		sigaction(SIGWINCH, &a, NULL);
		sigaddset(&block, SIGWINCH);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &block, waiting);
}

/* --- the end of a job --- */

static void close_program(struct target *t)
{
	if (t->program_fd >= 0)
		close(t->program_fd);
	t->program_fd = -1;
}

static void target_over(struct runner *r, struct target *t, int status)
{
	u32 s;

	t->over = true;
	t->status = status;
	r->left--;
	for (s = 1; s < JOB_STREAMS; s++)
		runner_flush_line(r, t, s);
	close_program(t);
}

/* What is to be said about one node: at once if it is the only one. */
static void say(struct runner *r, struct target *t, const struct failure *f)
{
	if (r->count == 1) {
		terminal_restore();
		failure_print(f, stderr);
	} else {
		snprintf(t->why, sizeof(t->why), "%s%s%s", f->what,
			 f->remedy[0] ? ". Try: " : "", f->remedy);
	}
}

static void take_exit(struct runner *r, struct target *t, const u8 *data,
		      size_t len)
{
	struct failure f = { .code = -ECHILD };
	struct msg_job_exit m;

	if (msg_job_exit_decode(&m, data, len)) {
		failure_set(&f, -EBADMSG, t->node, NULL, "malformed answer");
		say(r, t, &f);
		target_over(r, t, STATUS_TRANSPORT);
		return;
	}
	target_over(r, t, m.status & 0xff);
	if (!m.why.len)
		return;
	snprintf(f.object, sizeof(f.object), "%s on %s", r->o->verb, t->node);
	snprintf(f.what, sizeof(f.what), "%.*s", (int)m.why.len,
		 (const char *)m.why.data);
	snprintf(f.remedy, sizeof(f.remedy), "%.*s", (int)m.remedy.len,
		 (const char *)m.remedy.data);
	say(r, t, &f);
}

/* --- sending the program along --- */

static void next_piece(struct runner *r, struct target *t)
{
	u8 *piece = malloc(JOB_BLOB_PIECE);
	struct msg_blob_put m = { .node = span_of(t->node),
				  .hash = { r->o->program_hash, JOB_BLOB_HASH },
				  .offset = t->program_at };
	struct frame f = { .type = MSG_BLOB_PUT };
	struct failure fail;
	struct stat st;
	ssize_t n = -1;
	u8 *buf = NULL;

	if (piece && !fstat(t->program_fd, &st))
		n = pread(t->program_fd, piece, JOB_BLOB_PIECE,
			  (off_t)t->program_at);
	if (n >= 0) {
		m.data = (struct span){ piece, (u32)n };
		m.last = t->program_at + (u64)n >= (u64)st.st_size || !n;
		buf = malloc(msg_blob_put_size(&m));
	}
	if (buf) {
		struct wcursor c = wcursor_of(buf, msg_blob_put_size(&m));

		msg_blob_put_encode(&c, &m);
		f.tag = t->tag = client_tag(r->client);
		t->program_at += (u64)n;
		if (client_send(r->client, &f, buf, wcursor_len(&c), NULL, 0))
			r->lost = true;
		if (m.last)
			close_program(t);
	} else {
		failure_set(&fail, -EIO, r->o->program, NULL,
			    "cannot be read: %s", strerror(errno));
		say(r, t, &fail);
		target_over(r, t, STATUS_TRANSPORT);
	}
	free(buf);
	free(piece);
}

static void start_target(struct runner *r, struct target *t)
{
	t->tag = client_tag(r->client);
	if (r->o->start(r->o->arg, t->node, t->tag))
		r->lost = true;
}

static void take_error(struct runner *r, struct target *t, const u8 *data,
		       size_t len)
{
	struct failure f = { 0 };
	struct msg_error m;

	if (msg_error_decode(&m, data, len))
		failure_set(&f, -EBADMSG, t->node, NULL, "malformed answer");
	else
		failure_from_message(&f, &m);
	if (f.code == -ENODATA && r->o->program && !t->program_at) {
		t->program_fd = open(r->o->program, O_RDONLY | O_CLOEXEC);
		next_piece(r, t);
		return;
	}
	say(r, t, &f);
	target_over(r, t, STATUS_TRANSPORT);
}

/* --- frames in --- */

static void take_started(struct runner *r, struct target *t,
			 const struct frame *f, const u8 *data)
{
	struct msg_job_started m;
	char text[128];
	int n;

	t->started = true;
	t->input_credit = f->credit;
	if (r->window_due)
		send_window(r);
	r->window_due = false;
	if (!r->o->detach) {
		/* Without credit it takes none. */
		if ((r->input_over || !r->o->input) && f->credit)
			runner_send_frame(r, t, MSG_JOB_DATA, 0, FRAME_EOF, 0,
					  NULL, 0);
		return;
	}
	if (msg_job_started_decode(&m, data, f->length))
		return;
	n = snprintf(text, sizeof(text), "%s/%llu\n", t->node,
		     (unsigned long long)m.job);
	runner_write(r, 1, text, (size_t)n);
	target_over(r, t, 0);
}

static void take_frame(struct runner *r, const struct frame *f, const u8 *data)
{
	struct target *t = r->targets;

	while (t < r->targets + r->count && (t->tag != f->tag || t->over))
		t++;
	if (t == r->targets + r->count)
		return;
	switch (f->type) {
	case MSG_JOB_STARTED:
		take_started(r, t, f, data);
		break;
	case MSG_JOB_DATA:
		if (f->stream == 0)
			t->input_closed = true;
		else if (f->stream < JOB_STREAMS && f->length)
			runner_take_output(r, t, f->stream, data, f->length);
		if (f->stream && f->flags & FRAME_EOF)
			runner_output_over(r, f->stream);
		break;
	case MSG_JOB_CREDIT:
		t->input_credit += f->credit;
		break;
	case MSG_JOB_EXIT:
		take_exit(r, t, data, f->length);
		break;
	case MSG_OK: /* a piece of the program has arrived */
		if (t->program_fd >= 0)
			next_piece(r, t);
		else
			start_target(r, t);
		break;
	case MSG_ERROR:
		take_error(r, t, data, f->length);
		break;
	}
}

/* --- input --- */

/* How much all that still read may be sent; 0: nothing now. */
static u64 input_allowed(const struct runner *r, bool *wanted)
{
	u64 least = INPUT_BYTES;
	int i;

	*wanted = false;
	for (i = 0; i < r->count; i++) {
		const struct target *t = &r->targets[i];

		if (t->over || t->input_closed)
			continue;
		*wanted = true;
		if (!t->started)
			return 0;
		if (t->input_credit < least)
			least = t->input_credit;
	}
	return *wanted ? least : 0;
}

static void carry_input(struct runner *r, u64 allowed)
{
	static u8 buf[INPUT_BYTES];
	ssize_t n = read(STDIN_FILENO, buf, (size_t)allowed);
	int i;

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0)
		r->input_over = true;
	for (i = 0; i < r->count; i++) {
		struct target *t = &r->targets[i];

		if (t->over || t->input_closed)
			continue;
		runner_send_frame(r, t, MSG_JOB_DATA, 0, n > 0 ? 0 : FRAME_EOF,
				  0, buf, n > 0 ? (size_t)n : 0);
		if (n > 0)
			t->input_credit -= (u64)n;
	}
}

/* --- the loop --- */

static void follow(struct runner *r, const sigset_t *waiting)
{
	struct pollfd p[2] = {
		{ .fd = client_fd(r->client), .events = POLLIN },
		{ .events = POLLIN },
	};

	while (r->left && !r->lost && !r->left_by) {
		const u8 *data;
		struct frame f;
		bool wanted;
		u64 allowed = 0;

		if (r->o->input && !r->input_over)
			allowed = input_allowed(r, &wanted);
		p[1].fd = allowed ? STDIN_FILENO : -1;
		p[0].revents = p[1].revents = 0;
		if (!client_pending(r->client) &&
		    ppoll(p, 2, NULL, waiting) < 0 && errno != EINTR)
			break;
		runner_handle_signals(r);
		if (p[1].revents)
			carry_input(r, allowed);
		if (!p[0].revents && !client_pending(r->client))
			continue;
		do {
			if (client_recv(r->client, &f, &data) <= 0)
				r->lost = true;
			else
				take_frame(r, &f, data);
		} while (!r->lost && !r->left_by && client_pending(r->client));
	}
}

static void summary(const struct runner *r)
{
	int failed = 0, shown = 0, i;

	for (i = 0; i < r->count; i++)
		failed += r->targets[i].status != 0 || !r->targets[i].over;
	if (!failed || r->count == 1)
		return;
	fprintf(stderr, "virgo: %s: %d of %d failed:\n", r->o->verb, failed,
		r->count);
	for (i = 0; i < r->count && shown < SUMMARY_MOST; i++) {
		const struct target *t = &r->targets[i];

		if (t->over && !t->status)
			continue;
		shown++;
		fprintf(stderr, "  %s: ", t->node);
		if (!t->over)
			fputs("not finished\n", stderr);
		else if (t->why[0])
			fprintf(stderr, "%s\n", t->why);
		else
			fprintf(stderr, "status %d\n", t->status);
	}
	if (failed > shown)
		fprintf(stderr, "  and %d more\n", failed - shown);
}

static int result(const struct runner *r)
{
	struct failure f;
	int status = 0, i;

	for (i = 0; i < r->count; i++)
		if (r->targets[i].over && r->targets[i].status > status)
			status = r->targets[i].status;
	if (r->left && r->lost) {
		failure_set(&f, -ECONNRESET, "virgod",
			    "see its log: journalctl -u virgod",
			    "the connection to this machine's virgod was lost");
		status = runner_fail(&f);
	}
	terminal_restore();
	summary(r);
	return r->left_by ? 128 + r->left_by : status;
}

int runner_run(struct client *c, const struct runner_options *o,
	       char *const *nodes, int count)
{
	struct runner r = { .client = c, .o = o, .count = count, .left = count };
	sigset_t waiting;
	int i, status;

	r.targets = calloc((size_t)count, sizeof(*r.targets));
	if (!r.targets) {
		fputs("virgo: run: out of memory\n", stderr);
		return STATUS_TRANSPORT;
	}
	catch_signals(&r, &waiting);
	for (i = 0; i < count; i++) {
		r.targets[i].node = nodes[i];
		r.targets[i].program_fd = -1;
		if ((int)strlen(nodes[i]) > r.width)
			r.width = (int)strlen(nodes[i]);
		start_target(&r, &r.targets[i]);
	}
	follow(&r, &waiting);
	status = result(&r);
	for (i = 0; i < count; i++) {
		free(r.targets[i].line[1].data);
		free(r.targets[i].line[2].data);
	}
	free(r.targets);
	return status;
}
