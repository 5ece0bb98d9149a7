// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Children that wait to become jobs; the contract is in ready.h.
 *
 * Between virgo-spawn and each child is a SOCK_SEQPACKET pair. One packet towards
 * the child is the order: struct order, then groups, name, home, shell and the
 * JOB_START, with the streams as descriptors. After it the child's end is what
 * launch_child() knows as status_fd: close-on-exec, so that its end says that the
 * program runs. The end of virgo-spawn ends a child that still waits.
 */
#include "ready.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	READY_KEPT = 2,
	ORDER_BYTES = 40 << 10,
	USUAL_BYTES = 4096, /* most are shorter */
	FDS_MAX = JOB_STREAMS + 1,
};

struct order {
	u32 uid, gid, group_count;
	u32 name_len, home_len, shell_len; /* with NUL */
	u32 spec_len;
	u32 has_blob;
	u64 nofile_soft, nofile_hard;
	char mark[sizeof(((struct jobgroup *)0)->mark)];
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static struct {
	struct jobgroup group;
	int fd;
} waiting[READY_KEPT];

static u32 count;

/* --- in the child --- */

/* What @buf holds, as launch_child() wants it; false when it is not whole. */
static bool read_order(const u8 *buf, size_t len, struct account *a,
		       struct jobgroup *g, struct msg_job_start *start,
		       struct launch *l)
{
	const struct order *o = (const void *)buf;

	if (len < sizeof(*o) ||
	    len != sizeof(*o) + o->group_count * sizeof(u32) + o->name_len +
			   o->home_len + o->shell_len + o->spec_len)
		return false;
	a->uid = o->uid;
	a->gid = o->gid;
	a->group_count = o->group_count;
	a->groups = (const void *)(o + 1);
	a->name = (const char *)(a->groups + o->group_count);
	a->home = a->name + o->name_len;
	a->shell = a->home + o->home_len;
	memcpy(g->mark, o->mark, sizeof(g->mark));
	l->nofile_soft = o->nofile_soft;
	l->nofile_hard = o->nofile_hard;
	return !msg_job_start_decode(start, (const u8 *)a->shell + o->shell_len,
				     o->spec_len);
}

/* The streams and, if there is one, the program; false when not all came, and
 * where launch_child() expects them.
 */
static bool take_fds(struct msghdr *h, struct launch *l)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	size_t len = c && c->cmsg_type == SCM_RIGHTS ?
			     c->cmsg_len - CMSG_LEN(0) : 0;
	int fds[FDS_MAX] = { -1, -1, -1, -1 };

	if (len < sizeof(l->streams) || len > sizeof(fds))
		return false;
	memcpy(fds, CMSG_DATA(c), len);
	memcpy(l->streams, fds, sizeof(l->streams));
	l->blob_fd = fds[JOB_STREAMS];
	return fds[0] == 0 && fds[1] == 1 && fds[2] == 2 &&
	       (l->blob_fd < 0 || l->blob_fd == LAUNCH_BLOB_FD);
}

static void wait_for_order(int fd) __attribute__((noreturn));
static void wait_for_order(int fd)
{
	static u8 buf[ORDER_BYTES] __attribute__((aligned(8)));
	union control control;
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct msg_job_start start;
	struct jobgroup group = { 0 };
	struct account account;
	struct launch l = { .start = &start, .account = &account,
			    .group = &group, .status_fd = LAUNCH_STATUS_FD,
			    .prepared = true };
	ssize_t n;

	/* What comes with the order takes the lowest numbers that are free. */
	if (dup3(fd, LAUNCH_STATUS_FD, O_CLOEXEC) < 0 ||
	    syscall(SYS_close_range, 0, LAUNCH_STATUS_FD - 1, 0) ||
	    syscall(SYS_close_range, LAUNCH_STATUS_FD + 1, ~0U, 0) ||
	    setsid() < 0)
		_exit(126);
	launch_rehearse();
	memset(buf, 0, sizeof(struct order) + USUAL_BYTES);
	do
		n = recvmsg(LAUNCH_STATUS_FD, &h, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0) /* virgo-spawn has ended */
		_exit(0);
	if (!take_fds(&h, &l) ||
	    !read_order(buf, (size_t)n, &account, &group, &start, &l))
		_exit(126);
	launch_child(&l);
}

/* --- in virgo-spawn --- */

static void forget(u32 at)
{
	close(waiting[at].fd);
	waiting[at] = waiting[--count];
}

static bool fork_one(void)
{
	const struct jobgroup_limits none = { 0 };
	struct jobgroup *g = &waiting[count].group;
	struct jobgroup_limits rest;
	const char *what;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds))
		return false;
	if (jobgroup_take(g, 0, "", false, &none, &rest, &what))
		goto fail;
	if (jobgroup_fork(g) == 0)
		wait_for_order(fds[1]);
	if (g->leader < 0) {
		jobgroup_give_back(g);
		goto fail;
	}
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	waiting[count++].fd = fds[0];
	return true;
fail:
	close(fds[0]);
	close(fds[1]);
	return false;
}

void ready_fill(void)
{
	while (count < READY_KEPT && fork_one())
		;
}

static bool send_order(int fd, const struct order *o, const struct launch *l,
		       const void *spec)
{
	const struct account *a = l->account;
	struct iovec iov[] = {
		{ (void *)o, sizeof(*o) },
		{ (void *)a->groups, o->group_count * sizeof(u32) },
		{ (void *)a->name, o->name_len },
		{ (void *)a->home, o->home_len },
		{ (void *)a->shell, o->shell_len },
		{ (void *)spec, o->spec_len },
	};
	union control control = { 0 };
	size_t fds = (JOB_STREAMS + o->has_blob) * sizeof(int);
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov),
			    .msg_control = &control,
			    .msg_controllen = CMSG_SPACE(fds) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(fds);
	memcpy(CMSG_DATA(c), l->streams, sizeof(l->streams));
	if (o->has_blob)
		memcpy(CMSG_DATA(c) + sizeof(l->streams), &l->blob_fd,
		       sizeof(int));
	return sendmsg(fd, &h, MSG_NOSIGNAL) >= 0;
}

int ready_launch(struct jobgroup *g, u64 job, const char *node,
		 const struct launch *l, const void *spec, size_t spec_len)
{
	const struct account *a = l->account;
	struct order o = { .uid = a->uid, .gid = a->gid,
			   .group_count = a->group_count,
			   .name_len = (u32)strlen(a->name) + 1,
			   .home_len = (u32)strlen(a->home) + 1,
			   .shell_len = (u32)strlen(a->shell) + 1,
			   .spec_len = (u32)spec_len,
			   .has_blob = l->blob_fd >= 0,
			   .nofile_soft = l->nofile_soft,
			   .nofile_hard = l->nofile_hard };
	struct jobgroup named;

	if (!count || spec_len > ORDER_BYTES ||
	    sizeof(o) + o.group_count * sizeof(u32) + o.name_len + o.home_len +
			    o.shell_len + spec_len > ORDER_BYTES)
		return -1;
	named = waiting[count - 1].group;
	jobgroup_name(&named, job, node);
	memcpy(o.mark, named.mark, sizeof(o.mark));
	if (!send_order(waiting[count - 1].fd, &o, l, spec))
		return -1; /* it is gone, and will be reaped */
	*g = named;
	return waiting[--count].fd;
}

bool ready_reaped(pid_t pid)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (waiting[i].group.leader == pid) {
			jobgroup_give_back(&waiting[i].group);
			forget(i);
			return true;
		}
	return false;
}

void ready_close(void)
{
	while (count) {
		struct jobgroup *g = &waiting[count - 1].group;

		kill(g->leader, SIGKILL);
		waitpid(g->leader, NULL, 0);
		jobgroup_give_back(g);
		forget(count - 1);
	}
}
