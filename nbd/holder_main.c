// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-nbd-holder: keeps the pool while virgo-nbd is not there; see holder.h.
 * Started by virgo-nbd; it detaches as soon as it listens. It understands
 * nothing of what it holds, so that it never has a reason to be updated.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "holder.h"
#include "log.h"
#include "spare.h"
#include "stdfds.h"

struct holder {
	int pool;
	int listener;
	int user; /* who has the pool; -1: nobody */
	void *mapped;
	size_t mapped_bytes;
};

static int complain(const char *object)
{
	fprintf(stderr, "virgo: %s: %s\n", object, strerror(errno));
	return 1;
}

/* Of two that start at once, one goes on. The lock lasts as long as it does. */
static int lock_folder(const char *run)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/nbd-holder.lock", run);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) ? -1 : 0;
}

static int open_socket(const char *state, char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char run[PATH_MAX - 32];
	int fd;

	if (holder_path(state, path, PATH_MAX)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(run, sizeof(run), "%s/run", state);
	mkdir(state, 0755);
	mkdir(run, 0755);
	if (lock_folder(run))
		return -1;
	strcpy(sa.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	/* Who starts a holder has seen that nobody listens on an old one. */
	unlink(path);
	umask(0177);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) || listen(fd, 4))
		return -1;
	umask(022);
	return fd;
}

/* Maps what is held and locks it, so that it stays in memory without virgo-nbd. */
static void lock_held(struct holder *h)
{
	struct stat st;
	off_t at = 0;

	if (fstat(h->pool, &st) || !st.st_size)
		return;
	if (h->mapped)
		munmap(h->mapped, h->mapped_bytes);
	h->mapped_bytes = (size_t)st.st_size;
	h->mapped = mmap(NULL, h->mapped_bytes, PROT_READ, MAP_SHARED, h->pool,
			 0);
	if (h->mapped == MAP_FAILED) {
		h->mapped = NULL;
		return;
	}
	/* Without the right to lock the pool is held all the same; virgo-nbd
	 * has said so.
	 */
	mlock2(h->mapped, h->mapped_bytes, MLOCK_ONFAULT);
	while ((at = lseek(h->pool, at, SEEK_DATA)) >= 0) {
		off_t hole = lseek(h->pool, at, SEEK_HOLE);

		if (hole < 0 || hole > st.st_size)
			break;
		madvise((char *)h->mapped + at, (size_t)(hole - at),
			MADV_POPULATE_READ);
		at = hole;
	}
}

static void pass_pool(struct holder *h, int to)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char kind = HOLDER_POOL;
	struct iovec v = { .iov_base = &kind, .iov_len = 1 };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &h->pool, sizeof(int));
	if (sendmsg(to, &m, MSG_NOSIGNAL) == 1)
		h->user = to;
	else
		close(to);
}

static void user_gone(struct holder *h)
{
	close(h->user);
	h->user = -1;
	lock_held(h);
}

/* True: the user wants the holder to end. */
static bool hear_user(struct holder *h)
{
	char what = 0;
	ssize_t n = recv(h->user, &what, 1, MSG_DONTWAIT);

	if (n == 1)
		return what == HOLDER_FORGET;
	if (n == 0 || errno != EAGAIN)
		user_gone(h);
	return false;
}

static bool let_in(struct holder *h)
{
	int fd = accept4(h->listener, NULL, NULL, SOCK_CLOEXEC);
	char busy = HOLDER_BUSY;

	if (fd < 0)
		return false;
	/* The one before may have just been killed. */
	if (h->user >= 0 && hear_user(h)) {
		close(fd);
		return true;
	}
	if (h->user < 0) {
		pass_pool(h, fd);
		return false;
	}
	if (send(fd, &busy, 1, MSG_NOSIGNAL) < 0)
		log_notice("pool: asked for by another, who left");
	close(fd);
	return false;
}

static void hold(struct holder *h)
{
	bool ended = false;

	while (!ended) {
		struct pollfd p[2] = { { .fd = h->listener, .events = POLLIN },
				       { .fd = h->user, .events = POLLIN } };

		if (poll(p, 2, -1) < 0) {
			if (errno != EINTR)
				return;
			continue;
		}
		if (p[1].revents)
			ended = hear_user(h);
		if (!ended && p[0].revents)
			ended = let_in(h);
	}
}

/* The starter waits for the parent, whose end says that the child listens. */
static void detach(void)
{
	int null;

	switch (fork()) {
	case -1:
		_exit(complain("virgo-nbd-holder"));
	case 0:
		break;
	default:
		_exit(0);
	}
	setsid();
	null = open("/dev/null", O_RDWR);
	if (null >= 0) {
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		close(null);
	}
	if (chdir("/"))
		_exit(1);
}

int main(int argc, char **argv)
{
	struct holder h = { .user = -1 };
	char path[PATH_MAX];

	stdfds_ensure();
	if (argc != 3 || strcmp(argv[1], "--state")) {
		fputs("Usage: virgo-nbd-holder --state DIR\n"
		      "Keeps memory for virgo-nbd, which starts it.\n", stderr);
		return 2;
	}
	h.pool = memfd_create("virgo-pool", MFD_CLOEXEC);
	if (h.pool < 0)
		return complain("pool");
	h.listener = open_socket(argv[2], path);
	if (h.listener < 0)
		return complain(argv[2]);
	detach();
	spare_self(SPARE_NEVER);
	hold(&h);
	unlink(path);
	return 0;
}
