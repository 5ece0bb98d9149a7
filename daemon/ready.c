// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Children that wait to become jobs; the contract is in ready.h.
 *
 * Between virgo-spawn and each child is a SOCK_SEQPACKET pair. One packet towards
 * the child is the order: a byte, with the streams and the program as descriptors;
 * the plan is in the memory that both share. After it the child's end is its status
 * descriptor: close-on-exec, so that its end says that the program runs. The end of
 * virgo-spawn ends a child that still waits.
 */
#include "ready.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "raw.h"

enum {
	READY_KEPT = 2,
	ROOMS_FREE = 8, /* kept for the next */
	STACK_BYTES = 24 << 10, /* a path of 4 KiB is the most that lies there */
	FDS_MAX = JOB_STREAMS + 1,
};

struct ready_room {
	u8 stack[STACK_BYTES] __attribute__((aligned(16)));
	struct ready_room *next; /* of those that are free */
	const struct launch *launch; /* set before the order is sent */
	int fd; /* the child's end */
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static struct {
	struct jobgroup group;
	struct ready_room *room;
	int fd;
} waiting[READY_KEPT];

static u32 count;

static struct {
	struct ready_room *first;
	u32 count;
} rooms;

/* --- in the child: launch.c says what it may not do --- */

/* The streams and, if there is one, the program; false when not all came, and
 * where launch_run() expects them.
 */
static bool fds_fit(const struct msghdr *h, bool blob)
{
	const struct cmsghdr *c = h->msg_control;
	int fds[FDS_MAX] = { -1, -1, -1, -1 };
	size_t len;

	if (h->msg_controllen < sizeof(*c) || c->cmsg_type != SCM_RIGHTS)
		return false;
	len = c->cmsg_len - CMSG_LEN(0);
	if (len != (JOB_STREAMS + (size_t)blob) * sizeof(int))
		return false;
	memcpy(fds, CMSG_DATA(c), len);
	return fds[0] == 0 && fds[1] == 1 && fds[2] == 2 &&
	       (!blob || fds[JOB_STREAMS] == LAUNCH_BLOB_FD);
}

static void wait_for_order(void *arg)
{
	struct ready_room *r = arg;
	union control control;
	char byte;
	struct iovec iov = { &byte, sizeof(byte) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	long n;

	/* What comes with the order takes the lowest numbers that are free. */
	if ((r->fd != LAUNCH_STATUS_FD &&
	     RAW(dup3, r->fd, LAUNCH_STATUS_FD, O_CLOEXEC) < 0) ||
	    RAW_NR(SYS_close_range, 0, LAUNCH_STATUS_FD - 1, 0) ||
	    RAW_NR(SYS_close_range, LAUNCH_STATUS_FD + 1, ~0U, 0) ||
	    RAW(setsid) < 0)
		raw_exit(126);
	do
		n = RAW(recvmsg, LAUNCH_STATUS_FD, &h, 0);
	while (n == -EINTR);
	if (n <= 0) /* virgo-spawn has ended */
		raw_exit(0);
	if (!fds_fit(&h, r->launch->blob))
		raw_exit(126);
	launch_run(r->launch);
}

/* --- in virgo-spawn --- */

static struct ready_room *take_room(void)
{
	struct ready_room *r = rooms.first;

	if (!r)
		return malloc(sizeof(*r));
	rooms.first = r->next;
	rooms.count--;
	return r;
}

void ready_release(struct ready_room *r)
{
	if (!r)
		return;
	if (rooms.count == ROOMS_FREE) {
		free(r);
		return;
	}
	r->next = rooms.first;
	rooms.first = r;
	rooms.count++;
}

static void forget(u32 at)
{
	close(waiting[at].fd);
	waiting[at] = waiting[--count];
}

static bool start_one(struct jobgroup *g, struct ready_room *r)
{
	const struct jobgroup_limits none = { 0 };
	struct jobgroup_limits rest;
	const char *what;

	if (jobgroup_take(g, 0, "", false, &none, &rest, &what))
		return false;
	if (jobgroup_share(g, r->stack, sizeof(r->stack), wait_for_order, r) > 0)
		return true;
	jobgroup_give_back(g);
	return false;
}

static bool make_one(void)
{
	struct ready_room *r = take_room();
	int fds[2];

	if (!r)
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds)) {
		ready_release(r);
		return false;
	}
	r->fd = fds[1];
	if (!start_one(&waiting[count].group, r)) {
		close(fds[0]);
		close(fds[1]);
		ready_release(r);
		return false;
	}
	close(fds[1]); /* the child has a table of its own */
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	waiting[count].room = r;
	waiting[count++].fd = fds[0];
	return true;
}

void ready_fill(void)
{
	while (count < READY_KEPT && make_one())
		;
}

static bool send_order(int fd, const int *fds, size_t n)
{
	char byte = 0;
	struct iovec iov = { &byte, sizeof(byte) };
	union control control = { 0 };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	return sendmsg(fd, &h, MSG_NOSIGNAL) >= 0;
}

int ready_launch(struct jobgroup *g, u64 job, const char *node,
		 const struct launch *l, const int streams[JOB_STREAMS],
		 int blob_fd, struct ready_room **room)
{
	int fds[FDS_MAX] = { streams[0], streams[1], streams[2], blob_fd };

	if (!count)
		return -1;
	waiting[count - 1].room->launch = l;
	if (!send_order(waiting[count - 1].fd, fds,
			(size_t)JOB_STREAMS + l->blob))
		return -1; /* it is gone, and will be reaped */
	*g = waiting[count - 1].group;
	jobgroup_assign(g, job, node);
	*room = waiting[--count].room;
	return waiting[count].fd;
}

bool ready_reaped(pid_t pid)
{
	u32 i;

	for (i = 0; i < count; i++)
		if (waiting[i].group.leader == pid) {
			jobgroup_give_back(&waiting[i].group);
			ready_release(waiting[i].room);
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
		ready_release(waiting[count - 1].room);
		forget(count - 1);
	}
}
