// SPDX-License-Identifier: GPL-2.0-or-later
/* Reaching, and starting, what stands beside; the contract is in beside.h. */
#include "beside.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "where.h"

int beside_path(const char *state, const char *socket, char *out, size_t size)
{
	struct sockaddr_un sa;
	int n = snprintf(out, size, "%s/run/%s", state, socket);

	return n < (int)size && n < (int)sizeof(sa.sun_path) ? 0 :
							       -ENAMETOOLONG;
}

int beside_connect(const char *path, unsigned int answer_s)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = answer_s };
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

/* With no signal blocked, whatever we block: what outlives us must still end when
 * it is told to.
 */
static int spawn(pid_t *pid, const char *program, char **argv)
{
	extern char **environ;
	posix_spawnattr_t attributes;
	sigset_t none;
	int ret;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	ret = posix_spawn(pid, program, NULL, &attributes, argv, environ);
	posix_spawnattr_destroy(&attributes);
	return ret;
}

/* It forks when it listens, and its parent's end tells so. */
static int start(const char *name, const char *state, struct failure *f)
{
	char program[PATH_MAX];
	char *argv[] = { (char *)name, (char *)"--state", (char *)state, NULL };
	int status;
	pid_t pid;
	int ret;

	if (where_program(name, program, sizeof(program)))
		return failure_set(f, -ENOENT, name, NULL, "not installed");
	ret = spawn(&pid, program, argv);
	if (ret)
		return failure_set(f, -ret, program, NULL, "%s",
				   strerror(ret));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return failure_set(f, -errno, program, NULL, "lost: %s",
					   strerror(errno));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return failure_set(f, -ECHILD, name, NULL,
			   "did not start; it said why");
}

int beside_reach(const char *program, const char *state, const char *socket,
		 unsigned int answer_s, struct failure *f)
{
	char path[PATH_MAX];
	int ret;

	if (beside_path(state, socket, path, sizeof(path)))
		return failure_set(f, -ENAMETOOLONG, state, "a shorter --state",
				   "path too long for a socket");
	ret = beside_connect(path, answer_s);
	if (ret == -ENOENT || ret == -ECONNREFUSED) {
		ret = start(program, state, f);
		if (ret)
			return ret;
		ret = beside_connect(path, answer_s);
	}
	return ret >= 0 ? ret : failure_set(f, ret, path, NULL, "%s",
					    strerror(-ret));
}
