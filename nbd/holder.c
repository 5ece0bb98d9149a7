// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo-nbd's side of the holder; see holder.h. */
#include "holder.h"

#include <limits.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "beside.h"

static int say(struct failure *f, const char *object, const char *what)
{
	int err = errno;

	return failure_set(f, -err, object, NULL, "%s: %s", what,
			   strerror(err));
}

int holder_path(const char *state, char *out, size_t size)
{
	return beside_path(state, "nbd-holder.sock", out, size);
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
	int ret = beside_reach("virgo-nbd-holder", state, "nbd-holder.sock", 0,
			       f);

	if (ret < 0)
		return ret;
	*conn = ret;
	ret = take_pool(*conn, "virgo-nbd-holder", f);
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
	conn = beside_connect(path, 0);
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
