// SPDX-License-Identifier: GPL-2.0-or-later
/* How virgo-borrow reaches virgo-guard; see guard.h. */
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard.h"
#include "where.h"

enum { ANSWER_S = 60 };

int guard_path(const char *state, char *out, size_t size)
{
	struct sockaddr_un sa;
	int n = snprintf(out, size, "%s/run/guard.sock", state);

	return n < (int)size && n < (int)sizeof(sa.sun_path) ? 0 :
							       -ENAMETOOLONG;
}

void guard_identifier(const struct guard_leg *l, char out[static 128])
{
	snprintf(out, 128, "virgo:%s:%u", l->borrowing, l->number);
}

static int reach(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = ANSWER_S };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	strcpy(sa.sun_path, path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* It forks when it listens, and its parent's end tells so. */
static int start(const char *state, struct failure *f)
{
	extern char **environ;
	char program[PATH_MAX];
	char *argv[] = { (char *)"virgo-guard", (char *)"--state",
			 (char *)state, NULL };
	int status;
	pid_t pid;
	int ret;

	if (where_program("virgo-guard", program, sizeof(program)))
		return failure_set(f, -ENOENT, "virgo-guard", NULL,
				   "not installed");
	ret = posix_spawn(&pid, program, NULL, NULL, argv, environ);
	if (ret)
		return failure_set(f, -ret, program, NULL, "%s",
				   strerror(ret));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failure_set(f, -errno, program, NULL, "lost");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return failure_set(f, -ECHILD, "virgo-guard", NULL,
			   "did not start; it said why");
}

int guard_reach(const char *state, struct failure *f)
{
	char path[PATH_MAX];
	int ret;

	if (guard_path(state, path, sizeof(path)))
		return failure_set(f, -ENAMETOOLONG, state, "a shorter --state",
				   "path too long for a socket");
	ret = reach(path);
	if (ret == -ENOENT || ret == -ECONNREFUSED) {
		ret = start(state, f);
		if (ret)
			return ret;
		ret = reach(path);
	}
	return ret >= 0 ? ret : failure_set(f, ret, path, NULL, "%s",
					    strerror(-ret));
}

int guard_receive(int fd, struct guard_message *m)
{
	ssize_t n;

	do
		n = recv(fd, m, sizeof(*m), 0);
	while ((n < 0 && errno == EINTR) ||
	       (n == (ssize_t)sizeof(*m) && m->op == GUARD_CHANGED));
	if (n == (ssize_t)sizeof(*m))
		return 0;
	return n < 0 ? -errno : -EPIPE;
}

int guard_call(int fd, struct guard_message *m, struct failure *f)
{
	ssize_t n;
	int ret;

	do
		n = send(fd, m, sizeof(*m), MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	ret = n < 0 ? -errno : guard_receive(fd, m);
	if (ret)
		return failure_set(f, ret, "virgo-guard", NULL,
				   "no answer: %s", strerror(-ret));
	if (!m->error)
		return 0;
	return failure_set(f, m->error, m->leg.lender[0] ? m->leg.lender :
			   "virgo-guard", NULL, "%s", m->leg.why[0] ?
			   m->leg.why : strerror(-m->error));
}
