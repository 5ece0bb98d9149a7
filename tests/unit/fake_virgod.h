/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stand-in for virgod under the tests of libvirgo: a unix socket in a folder of
 * its own, and for each connection a thread that greets and runs the test's
 * script. It keeps to the protocol's credits and aborts the test process when
 * the library does not.
 */
#ifndef VIRGO_TESTS_FAKE_VIRGOD_H
#define VIRGO_TESTS_FAKE_VIRGOD_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "virgo.h"
#include "wire.h"

struct fake_conn {
	int fd;
	u64 tag; /* of the last request */
	u64 credit[3]; /* what the library allows on a stream */
	u64 input; /* what we allowed on stdin, not sent yet */
	u64 got; /* of what came on stdin, not taken by the script yet */
	bool got_eof;
	struct frame frame; /* the last one read */
	u8 *payload;
	bool gone;
	bool dribble; /* send byte by byte */
};

typedef void fake_script(struct fake_conn *c);

static struct {
	char dir[64];
	int fd;
	pthread_t thread;
	fake_script *script;
	fake_script *greet; /* instead of the HELLO; may be NULL */
	int open; /* connections with a running script; atomic */
} fake;

static bool fake_read(struct fake_conn *c, void *buf, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t n = recv(c->fd, (u8 *)buf + at, len - at, 0);

		if (n <= 0) {
			c->gone = true;
			return false;
		}
		at += (size_t)n;
	}
	return true;
}

static void fake_bytes(struct fake_conn *c, const void *data, size_t len)
{
	const u8 *p = data;

	while (len && !c->gone) {
		ssize_t n = send(c->fd, p, c->dribble ? 1 : len, MSG_NOSIGNAL);

		if (n <= 0)
			c->gone = true;
		else
			p += n, len -= (size_t)n;
	}
}

/* Reads a frame and does its credits. False at the end. */
static bool fake_recv(struct fake_conn *c)
{
	u8 head[FRAME_HEADER_BYTES];

	free(c->payload);
	c->payload = NULL;
	if (!fake_read(c, head, sizeof(head)) || frame_decode(&c->frame, head))
		return false;
	c->payload = malloc(c->frame.length + 1);
	if (!fake_read(c, c->payload, c->frame.length))
		return false;
	if (c->frame.type == MSG_JOB_CREDIT)
		c->credit[c->frame.stream] += c->frame.credit;
	if (c->frame.type == MSG_JOB_DATA) {
		if (c->frame.length > c->input) {
			fprintf(stderr, "more input than allowed\n");
			abort();
		}
		c->input -= c->frame.length;
		c->got += c->frame.length;
		c->got_eof |= !!(c->frame.flags & FRAME_EOF);
	}
	return true;
}

/* Reads until a frame of @type comes. */
static bool fake_await(struct fake_conn *c, u16 type)
{
	while (fake_recv(c))
		if (c->frame.type == type)
			return true;
	return false;
}

static void fake_frame(struct fake_conn *c, u16 type, u8 flags, u32 stream,
		       u32 credit, const void *data, size_t len)
{
	const struct frame f = { .type = type, .flags = FRAME_REPLY | flags,
				 .stream = stream, .credit = credit,
				 .tag = c->tag, .length = (u32)len };
	u8 head[FRAME_HEADER_BYTES];

	frame_encode(&f, head);
	fake_bytes(c, head, sizeof(head));
	fake_bytes(c, data, len);
}

#define fake_message(c, flags, credit, NAME, name, m)                          \
	do {                                                                   \
		u8 buf_[4096];                                                 \
		struct wcursor w_ = wcursor_of(buf_, sizeof(buf_));            \
									       \
		msg_##name##_encode(&w_, m);                                   \
		fake_frame(c, MSG_##NAME, flags, 0, credit, buf_,              \
			   wcursor_len(&w_));                                  \
	} while (0)

/* Takes the JOB_START; false when the connection ended instead. */
static inline bool fake_asked(struct fake_conn *c, struct msg_job_start *m)
{
	if (!fake_await(c, MSG_JOB_START) ||
	    msg_job_start_decode(m, c->payload, c->frame.length))
		return false;
	c->tag = c->frame.tag;
	c->credit[1] = c->credit[2] = m->window_bytes;
	return true;
}

static inline void fake_started(struct fake_conn *c, u64 job, u32 window)
{
	const struct msg_job_started m = { .job = job, .pid = 4711,
					   .node = span_of("beta") };

	c->input += window;
	fake_message(c, FRAME_MORE, window, JOB_STARTED, job_started, &m);
}

static inline bool fake_start(struct fake_conn *c)
{
	struct msg_job_start m;

	if (!fake_asked(c, &m))
		return false;
	fake_started(c, 7, 64 << 10);
	return true;
}

/* Sends @len bytes on @stream as the credit comes, in pieces of @piece bytes. */
static inline void fake_output(struct fake_conn *c, u32 stream, u64 len, size_t piece)
{
	u8 *buf = malloc(piece);

	memset(buf, 'a' + (int)stream, piece);
	while (len && !c->gone) {
		size_t n = len < piece ? (size_t)len : piece;

		if (n > c->credit[stream])
			n = (size_t)c->credit[stream];
		if (!n) {
			fake_recv(c);
			continue;
		}
		fake_frame(c, MSG_JOB_DATA, FRAME_MORE, stream, 0, buf, n);
		c->credit[stream] -= n;
		len -= n;
	}
	free(buf);
}

static inline void fake_end_of(struct fake_conn *c, u32 stream)
{
	fake_frame(c, MSG_JOB_DATA, FRAME_MORE | FRAME_EOF, stream, 0, NULL, 0);
}

static inline void fake_exit(struct fake_conn *c, enum job_reason reason, s32 status,
		      const char *why)
{
	const struct msg_job_exit m = { .reason = reason, .status = status,
					.user_us = 1000, .system_us = 2000,
					.max_rss_bytes = 1 << 20,
					.why = span_of(why),
					.remedy = span_of("another") };

	fake_message(c, 0, 0, JOB_EXIT, job_exit, &m);
}

/* Until the library hangs up. */
static inline void fake_until_gone(struct fake_conn *c)
{
	while (fake_recv(c))
		;
}

static void *fake_connection(void *arg)
{
	struct fake_conn *c = arg;
	const struct msg_hello hello = { .version_min = FRAME_VERSION,
					 .version_max = FRAME_VERSION,
					 .frame_max = FRAME_MAX,
					 .node = span_of("alpha") };

	fake_script *greet = __atomic_load_n(&fake.greet, __ATOMIC_ACQUIRE);

	if (greet) {
		greet(c);
	} else if (fake_await(c, MSG_HELLO)) {
		fake_message(c, 0, 0, HELLO, hello, &hello);
		__atomic_load_n(&fake.script, __ATOMIC_ACQUIRE)(c);
	}
	free(c->payload);
	close(c->fd);
	free(c);
	__atomic_sub_fetch(&fake.open, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *fake_accept(void *arg)
{
	for (;;) {
		struct fake_conn *c = calloc(1, sizeof(*c));
		pthread_t t;

		c->fd = accept(fake.fd, NULL, NULL);
		if (c->fd < 0) {
			free(c);
			return NULL;
		}
		__atomic_add_fetch(&fake.open, 1, __ATOMIC_RELAXED);
		pthread_create(&t, NULL, fake_connection, c);
		pthread_detach(t);
	}
}

/* Connections get @greet instead of a HELLO and a script; NULL: no more. */
static inline void fake_greeting(fake_script *greet)
{
	__atomic_store_n(&fake.greet, greet, __ATOMIC_RELEASE);
}

/* Serves connections with @script from now on; virgo_* functions find it. */
static void fake_virgod(fake_script *script)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	__atomic_store_n(&fake.script, script, __ATOMIC_RELEASE);
	if (fake.dir[0])
		return;
	snprintf(fake.dir, sizeof(fake.dir), "/tmp/virgo-fake.XXXXXX");
	if (!mkdtemp(fake.dir))
		abort();
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run", fake.dir);
	mkdir(sa.sun_path, 0700);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/virgod.sock",
		 fake.dir);
	fake.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(fake.fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(fake.fd, 16))
		abort();
	pthread_create(&fake.thread, NULL, fake_accept, NULL);
	virgo_set_state(fake.dir);
}

/* Ends it, and waits for every script, unless a failed test left some hanging. */
static void fake_virgod_end(void)
{
	int patience_ms = 20000;
	char path[128];

	if (!fake.dir[0])
		return;
	shutdown(fake.fd, SHUT_RDWR);
	pthread_join(fake.thread, NULL);
	close(fake.fd);
	while (__atomic_load_n(&fake.open, __ATOMIC_ACQUIRE) && patience_ms--)
		usleep(1000);
	snprintf(path, sizeof(path), "%s/run/virgod.sock", fake.dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/run", fake.dir);
	rmdir(path);
	rmdir(fake.dir);
	fake.dir[0] = 0;
}

#endif
