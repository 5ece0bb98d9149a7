// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgod's side of virgo-spawn; the contract is in spawner.h. Requests that the
 * socket does not take at once wait in a list with duplicates of their
 * descriptors.
 */
#include "spawner.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"

enum {
	HELPER_FD = 3, /* where the helper expects its socket */
	SOCKET_BYTES = 4 << 20,
	RESTART_US = 500000, /* after one that did not live as long */
	EVENT_BYTES = sizeof(struct spawn_message) + SPAWN_TEXT_MAX,
};

struct pending {
	struct pending *next;
	struct spawn_message m;
	int fds[SPAWN_FDS_MAX];
	u32 fd_count;
	size_t len;
	u8 data[];
};

struct spawner {
	struct loop *loop;
	char *program;
	bool no_cgroups;
	const struct spawner_ops *ops;
	void *arg;
	pid_t pid;
	u64 started_us;
	pid_t gone; /* an earlier one, not yet waited for */
	struct watch socket; /* fd -1: no helper */
	struct pending *first;
	struct pending **last;
	struct timer restart;
};

static void helper_ended(struct spawner *s);

static int send_packet(int fd, const struct spawn_message *m, const void *data,
		       size_t len, const int *fds, u32 fd_count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SPAWN_FDS_MAX * sizeof(int))];
	} control = { 0 };
	struct iovec iov[2] = { { (void *)m, sizeof(*m) },
				{ (void *)data, len } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = len ? 2 : 1 };

	if (fd_count) {
		struct cmsghdr *c;

		h.msg_control = &control;
		h.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
		memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
	}
	return sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void pending_free(struct pending *p)
{
	while (p->fd_count)
		close(p->fds[--p->fd_count]);
	free(p);
}

/* Keeps a request until the socket takes it. */
static int keep(struct spawner *s, const struct spawn_message *m,
		const void *data, size_t len, const int *fds, u32 fd_count)
{
	struct pending *p = calloc(1, sizeof(*p) + len);
	u32 i;

	if (!p)
		return -ENOMEM;
	p->m = *m;
	p->len = len;
	if (len)
		memcpy(p->data, data, len);
	for (i = 0; i < fd_count; i++) {
		p->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (p->fds[i] < 0) {
			pending_free(p);
			return -EMFILE;
		}
		p->fd_count++;
	}
	*s->last = p;
	s->last = &p->next;
	return loop_rewatch(s->loop, &s->socket, EPOLLIN | EPOLLOUT);
}

static int submit(struct spawner *s, const struct spawn_message *m,
		  const void *data, size_t len, const int *fds, u32 fd_count)
{
	int ret = -EAGAIN;

	if (s->socket.fd < 0)
		return -EAGAIN;
	if (!s->first)
		ret = send_packet(s->socket.fd, m, data, len, fds, fd_count);
	if (ret != -EAGAIN && ret != -ETOOMANYREFS)
		return ret == -EPIPE ? -EAGAIN : ret;
	return keep(s, m, data, len, fds, fd_count);
}

static void flush(struct spawner *s)
{
	while (s->first) {
		struct pending *p = s->first;
		int ret = send_packet(s->socket.fd, &p->m, p->data, p->len,
				      p->fds, p->fd_count);

		if (ret == -EAGAIN || ret == -ETOOMANYREFS)
			return;
		if (ret && p->m.kind == SPAWN_START)
			s->ops->failed(s->arg, p->m.job, STAGE_REQUEST, -ret,
				       "");
		s->first = p->next;
		if (!s->first)
			s->last = &s->first;
		pending_free(p);
	}
	loop_rewatch(s->loop, &s->socket, EPOLLIN);
}

static void dispatch(struct spawner *s, const struct spawn_message *m,
		     const u8 *data, size_t len)
{
	char text[SPAWN_TEXT_MAX + 1];
	struct spawn_exit e;

	memcpy(text, data, len);
	text[len] = 0;
	switch (m->kind) {
	case SPAWN_STARTED:
		s->ops->started(s->arg, m->job, m->value);
		break;
	case SPAWN_FAILED:
		s->ops->failed(s->arg, m->job, (enum spawn_stage)m->stage,
			       m->value, text);
		break;
	case SPAWN_EXITED:
		if (len != sizeof(e))
			break;
		memcpy(&e, data, sizeof(e));
		s->ops->exited(s->arg, m->job, &e);
		break;
	case SPAWN_NAME:
		s->ops->name(s->arg, (u32)m->value, text, (int)m->stage);
		break;
	default:
		log_error("virgo-spawn sent an unknown event %u", m->kind);
	}
}

static void socket_ready(struct watch *w, u32 events)
{
	struct spawner *s = (void *)((u8 *)w - offsetof(struct spawner,
							socket));
	u8 buf[EVENT_BYTES] __attribute__((aligned(8)));
	const struct spawn_message *m = (const void *)buf;

	if (events & EPOLLOUT)
		flush(s);
	while (s->socket.fd >= 0) {
		ssize_t n = recv(w->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < (ssize_t)sizeof(*m)) {
			helper_ended(s);
			return;
		}
		dispatch(s, m, buf + sizeof(*m), (size_t)n - sizeof(*m));
	}
}

static int start_helper(struct spawner *s)
{
	char *argv[] = { s->program, s->no_cgroups ? "--no-cgroups" : NULL,
			 NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int fds[2], size = SOCKET_BYTES, ret;
	sigset_t set;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return -errno;
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	posix_spawn_file_actions_init(&actions);
	/* dup2 to itself would leave close-on-exec set. */
	if (fds[1] == HELPER_FD)
		fcntl(fds[1], F_SETFD, 0);
	else
		posix_spawn_file_actions_adddup2(&actions, fds[1], HELPER_FD);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null",
					 O_RDWR, 0);
	posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSID);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	sigaddset(&set, SIGPIPE);
	posix_spawnattr_setsigdefault(&attr, &set);
	ret = -posix_spawn(&s->pid, s->program, &actions, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	close(fds[1]);
	s->socket = (struct watch){ .fd = fds[0], .ready = socket_ready };
	s->started_us = loop_clock_us();
	if (!ret)
		ret = loop_watch(s->loop, &s->socket, EPOLLIN);
	if (ret) {
		close(fds[0]);
		s->socket.fd = -1;
		s->pid = 0;
	}
	return ret;
}

static void close_helper(struct spawner *s)
{
	if (s->socket.fd < 0)
		return;
	loop_unwatch(s->loop, &s->socket);
	close(s->socket.fd);
	s->socket.fd = -1;
	while (s->first) {
		struct pending *p = s->first;

		s->first = p->next;
		pending_free(p);
	}
	s->last = &s->first;
}

static void restart(struct spawner *s)
{
	int ret = start_helper(s);

	if (ret) {
		log_error("cannot start %s: %s", s->program, strerror(-ret));
		loop_arm(s->loop, &s->restart, RESTART_US);
	}
}

static void reap(struct spawner *s)
{
	if (s->gone > 0)
		waitpid(s->gone, NULL, WNOHANG);
	s->gone = 0;
}

/* Its socket ends before it can be waited for, so that is done here too. */
static void restart_fired(struct timer *t)
{
	struct spawner *s = (void *)((u8 *)t - offsetof(struct spawner,
							restart));

	reap(s);
	if (s->socket.fd < 0)
		restart(s);
}

static void helper_ended(struct spawner *s)
{
	bool lived = loop_clock_us() - s->started_us > RESTART_US;

	log_error("virgo-spawn ended; starting it again");
	reap(s); /* the one before, if this one ended early */
	s->gone = s->pid;
	close_helper(s);
	s->ops->lost(s->arg);
	loop_arm(s->loop, &s->restart, RESTART_US);
	if (lived)
		restart(s);
}

int spawner_new(struct spawner **out, struct loop *l, const char *program,
		bool no_cgroups, const struct spawner_ops *ops, void *arg,
		struct failure *f)
{
	struct spawner *s = calloc(1, sizeof(*s));
	int ret = -ENOMEM;

	*out = s;
	if (s) {
		s->loop = l;
		s->program = strdup(program);
		s->no_cgroups = no_cgroups;
		s->ops = ops;
		s->arg = arg;
		s->socket.fd = -1;
		s->last = &s->first;
		s->restart.fire = restart_fired;
		ret = s->program ? start_helper(s) : -ENOMEM;
	}
	if (ret) {
		spawner_free(s);
		*out = NULL;
		return failure_set(f, ret, program, "install it again",
				   "cannot be started: %s", strerror(-ret));
	}
	return 0;
}

void spawner_free(struct spawner *s)
{
	if (!s)
		return;
	loop_disarm(s->loop, &s->restart);
	close_helper(s);
	free(s->program);
	free(s);
}

int spawner_start(struct spawner *s, u64 job, u32 flags,
		  const struct spawn_start *how, const void *start, size_t len,
		  const int *fds, u32 fd_count)
{
	u8 payload[sizeof(*how) + SPAWN_INLINE_MAX];
	struct spawn_message m = { .kind = SPAWN_START, .flags = flags,
				   .job = job };
	int all[SPAWN_FDS_MAX];
	u32 at, rest;
	int memfd, ret;

	memcpy(payload, how, sizeof(*how));
	if (len <= SPAWN_INLINE_MAX) {
		memcpy(payload + sizeof(*how), start, len);
		return submit(s, &m, payload, sizeof(*how) + len, fds, fd_count);
	}
	memfd = memfd_create("job", MFD_CLOEXEC);
	if (memfd < 0)
		return -errno;
	/* Before the folder, which is last. */
	rest = !!(flags & SPAWN_HAS_FOLDER);
	at = fd_count - rest;
	memcpy(all, fds, at * sizeof(int));
	all[at] = memfd;
	memcpy(all + at + 1, fds + at, rest * sizeof(int));
	m.flags |= SPAWN_HAS_SPEC;
	ret = write(memfd, start, len) == (ssize_t)len ? 0 : -ENOMEM;
	if (!ret)
		ret = submit(s, &m, payload, sizeof(*how), all, fd_count + 1);
	close(memfd);
	return ret;
}

void spawner_signal(struct spawner *s, u64 job, int sig)
{
	struct spawn_message m = { .kind = SPAWN_SIGNAL, .job = job,
				   .value = sig };

	submit(s, &m, NULL, 0, NULL, 0);
}

void spawner_kill(struct spawner *s, u64 job)
{
	struct spawn_message m = { .kind = SPAWN_KILL, .job = job };

	submit(s, &m, NULL, 0, NULL, 0);
}

int spawner_who(struct spawner *s, u32 uid)
{
	struct spawn_message m = { .kind = SPAWN_WHO, .value = (s32)uid };

	return submit(s, &m, NULL, 0, NULL, 0);
}

pid_t spawner_pid(const struct spawner *s)
{
	return s->socket.fd >= 0 ? s->pid : 0;
}
