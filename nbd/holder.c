// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo-nbd's side of the holder; see holder.h. */
#include "holder.h"

#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "where.h"

static int say(struct failure *f, const char *object, const char *what)
{
	int err = errno;

	return failure_set(f, -err, object, NULL, "%s: %s", what,
			   strerror(err));
}

int holder_path(const char *state, char *out, size_t size)
{
	struct sockaddr_un sa;
	int n = snprintf(out, size, "%s/run/nbd-holder.sock", state);

	return n < (int)size && n < (int)sizeof(sa.sun_path) ? 0 :
							       -ENAMETOOLONG;
}

/* A connected socket, or a negative errno. */
static int reach(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	strcpy(sa.sun_path, path);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* Starts a holder. It forks when it listens, and its parent's end tells so. */
static int start(const char *state, struct failure *f)
{
	extern char **environ;
	char program[PATH_MAX];
	char *argv[] = { (char *)"virgo-nbd-holder", (char *)"--state",
			 (char *)state, NULL };
	int status;
	pid_t pid;
	int ret;

	if (where_program("virgo-nbd-holder", program, sizeof(program)))
		return failure_set(f, -ENOENT, "virgo-nbd-holder", NULL,
				   "not installed");
	ret = posix_spawn(&pid, program, NULL, NULL, argv, environ);
	if (ret)
		return failure_set(f, -ret, program, NULL, "%s",
				   strerror(ret));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return say(f, program, "lost");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return failure_set(f, -ECHILD, "virgo-nbd-holder", NULL,
			   "did not start");
}

/* The pool's descriptor out of the holder's first message. */
static int take_pool(int conn, const char *path, struct failure *f)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char kind = 0;
	struct iovec v = { .iov_base = &kind, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;
	int fd;

	do
		n = recvmsg(conn, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return say(f, path, "no answer");
	if (n == 1 && kind == HOLDER_BUSY)
		return failure_set(f, -EBUSY, path, "stop it first",
				   "another virgo-nbd serves this pool");
	c = n == 1 && kind == HOLDER_POOL ? CMSG_FIRSTHDR(&m) : NULL;
	if (!c || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return failure_set(f, -EPROTO, path, NULL,
				   "this is not a holder");
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

int holder_get(const char *state, int *conn, struct failure *f)
{
	char path[PATH_MAX];
	int ret;

	if (holder_path(state, path, sizeof(path)))
		return failure_set(f, -ENAMETOOLONG, state, "a shorter --state",
				   "path too long for a socket");
	ret = reach(path);
	if (ret == -ENOENT || ret == -ECONNREFUSED) {
		ret = start(state, f);
		if (ret)
			return ret;
		ret = reach(path);
	}
	if (ret < 0)
		return failure_set(f, ret, path, NULL, "%s", strerror(-ret));
	*conn = ret;
	ret = take_pool(*conn, path, f);
	if (ret < 0)
		close(*conn);
	return ret;
}

int holder_forget(const char *state, struct failure *f)
{
	char path[PATH_MAX];
	char end = HOLDER_FORGET;
	int conn;
	int fd;

	if (holder_path(state, path, sizeof(path)))
		return 0; /* there cannot be one */
	conn = reach(path);
	if (conn == -ENOENT || conn == -ECONNREFUSED)
		return 0;
	if (conn < 0)
		return failure_set(f, conn, path, NULL, "%s", strerror(-conn));
	fd = take_pool(conn, path, f);
	if (fd >= 0) {
		close(fd);
		fd = send(conn, &end, 1, MSG_NOSIGNAL) == 1 ? 0 :
			     say(f, path, "cannot end it");
		/* Its end closes the connection. */
		while (!fd && recv(conn, &end, 1, 0) < 0 && errno == EINTR)
			;
	}
	close(conn);
	return fd < 0 ? fd : 0;
}
