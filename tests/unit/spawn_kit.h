/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virgo-spawn for tests, driven through virgod's side of it: a helper of its own
 * for each test, jobs started on it, and what it told of them.
 */
#ifndef VIRGO_TESTS_SPAWN_KIT_H
#define VIRGO_TESTS_SPAWN_KIT_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spawner.h"
#include "users.h"

enum { WAIT_MS = 10000, JOBS_MAX = 512 };

struct seen {
	pid_t pid; /* of STARTED */
	bool over;
	u32 stage; /* of FAILED */
	int error;
	char text[SPAWN_TEXT_MAX + 1];
	struct spawn_exit exit;
};

static struct loop *loop;
static struct spawner *spawner;
static struct seen seen[JOBS_MAX];
static char who[256];
static bool lost;

static inline void on_started(void *arg, u64 job, pid_t pid)
{
	seen[job].pid = pid;
}

static inline void on_failed(void *arg, u64 job, enum spawn_stage stage,
			     int error, const char *text)
{
	seen[job].over = true;
	seen[job].stage = stage;
	seen[job].error = error;
	snprintf(seen[job].text, sizeof(seen[job].text), "%s", text);
}

static inline void on_exited(void *arg, u64 job, const struct spawn_exit *e)
{
	seen[job].over = true;
	seen[job].pid = e->pid;
	seen[job].exit = *e;
}

static inline void on_name(void *arg, u32 uid, const char *name, int error)
{
	snprintf(who, sizeof(who), "%u %s%s", uid, name,
		 error ? strerror(error) : "");
}

static inline void on_lost(void *arg)
{
	lost = true;
}

static const struct spawner_ops ops = { on_started, on_failed, on_exited,
					on_name, on_lost };

static inline void open_spawner(bool no_cgroups)
{
	struct failure f = { 0 };

	loop = loop_new();
	cr_assert(loop);
	cr_assert_eq(spawner_new(&spawner, loop, VIRGO_SPAWN, no_cgroups, &ops,
				 NULL, &f), 0, "%s", f.what);
}

static inline void close_spawner(void)
{
	pid_t pid = spawner ? spawner_pid(spawner) : 0;

	spawner_free(spawner);
	spawner = NULL;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	loop_free(loop);
}

#define UNTIL(condition)                                                       \
	do {                                                                   \
		u64 end_ = loop_clock_us() + WAIT_MS * 1000;                   \
									       \
		while (!(condition)) {                                         \
			cr_assert(loop_clock_us() < end_, "never: " #condition); \
			loop_step(loop, 10);                                   \
		}                                                              \
	} while (0)

struct spec {
	const char *const *argv;
	const char *const *env;
	const char *user;
	const char *cwd;
	u32 start_flags, flags;
	struct msg_job_start more;
	const char *blob;
	int folder_fd;
};

static inline struct span list_of(const char *const *v)
{
	size_t size = 0;
	struct wcursor c;
	int i;

	for (i = 0; v && v[i]; i++)
		size += 8 + strlen(v[i]);
	c = wcursor_of(malloc(size + 1), size);
	for (i = 0; v && v[i]; i++)
		rec_text_append(&c, &(struct rec_text){ span_of(v[i]) });
	return (struct span){ c.start, (u32)size };
}

static inline const char *me(void)
{
	return getpwuid(geteuid())->pw_name;
}

/* Starts job @id on the given descriptors, which it closes. */
static inline void start_on(u64 id, const struct spec *s, int in, int out,
			    int err)
{
	struct msg_job_start m = s->more;
	const struct spawn_start how = { .pam = USER_PAM_NO, .from = "there" };
	int fds[SPAWN_FDS_MAX] = { in, out, err };
	u32 count = 3, flags = s->flags | SPAWN_ALLOW_SYSTEM;
	struct wcursor c;
	size_t size;
	void *buf;
	u32 i;

	m.node = span_of("here");
	m.user = span_of(s->user ? s->user : me());
	m.flags = s->start_flags;
	m.argv = list_of(s->argv);
	m.env = list_of(s->env);
	m.cwd = span_of(s->cwd);
	if (!m.umask)
		m.umask = JOB_UMASK_DEFAULT;
	if (s->blob) {
		flags |= SPAWN_HAS_BLOB;
		fds[count++] = open(s->blob, O_RDONLY | O_CLOEXEC);
	}
	if (s->folder_fd > 0) {
		flags |= SPAWN_HAS_FOLDER;
		fds[count++] = fcntl(s->folder_fd, F_DUPFD_CLOEXEC, 0);
	}
	if (s->user)
		flags &= ~(u32)SPAWN_ALLOW_SYSTEM;
	size = msg_job_start_size(&m);
	buf = malloc(size);
	c = wcursor_of(buf, size);
	msg_job_start_encode(&c, &m);
	memset(&seen[id], 0, sizeof(seen[id]));
	cr_assert_eq(spawner_start(spawner, id, flags, &how, buf, size, fds,
				   count), 0);
	for (i = 0; i < count; i++)
		if (i == 0 || fds[i] != fds[i - 1])
			close(fds[i]);
	free(buf);
	free((void *)m.argv.data);
	free((void *)m.env.data);
}

/* Runs a job with empty stdin to its end; gives what it wrote to either. */
static inline const char *run(const struct spec *s)
{
	static char out[65536];
	size_t have = 0;
	int fds[2];
	ssize_t n;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	start_on(1, s, open("/dev/null", O_RDONLY | O_CLOEXEC),
		 fcntl(fds[1], F_DUPFD_CLOEXEC, 0), fds[1]);
	UNTIL(seen[1].over);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	while ((n = read(fds[0], out + have, sizeof(out) - 1 - have)) > 0)
		have += (size_t)n;
	cr_assert(n == 0 || seen[1].stage, "its output is still open");
	close(fds[0]);
	out[have] = 0;
	return out;
}

static inline void start_quiet(u64 id, const struct spec *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	start_on(id, s, null, null, null);
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(text) ARGV("sh", "-c", text)
#define RUN(...) run(&(struct spec){ __VA_ARGS__ })

#endif
