// SPDX-License-Identifier: GPL-2.0-or-later
/* virgo-guard's dialler; see dialler.h. */
#include "dialler.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dial.h"
#include "spare.h"
#include "tls.h"

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

enum {
	HEAP_BYTES = 8 << 20, /* a handshake takes a few hundred KiB */
	STACK_BYTES = 256 << 10,
};

/* Touches what later calls will need of the stack. */
static void __attribute__((noinline)) grow_stack(void)
{
	volatile char room[STACK_BYTES];
	size_t i;

	for (i = 0; i < sizeof(room); i += 4096)
		room[i] = 1;
}

void settle_in_memory(void)
{
	grow_stack();
	mlockall(MCL_CURRENT | MCL_FUTURE);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
	spare_self(SPARE_NEVER);
}

/* One heap, given to the process now and never back to the kernel. */
static void set_heap_aside(void)
{
	void *all;

	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, 4 * HEAP_BYTES);
	all = malloc(HEAP_BYTES);
	if (all)
		memset(all, 1, HEAP_BYTES);
	free(all);
}

static int carry_out(const struct dial_order *o, const char *identity,
		     struct dialled *d, struct failure *f)
{
	struct dial what = { .addresses = o->addresses,
			     .name = o->name,
			     .lender = o->lender,
			     .plaintext_on = o->plaintext_on,
			     .patience_ms = o->patience_ms };
	int ret = 0;

	/* Read anew each time: certificates are renewed. */
	if (!o->plaintext_on[0])
		ret = tls_identity_load(&what.identity, identity, f);
	if (!ret)
		ret = dial(&what, d, f);
	tls_identity_put(what.identity);
	return ret;
}

static void answer(int fd, const struct dial_result *r, int conn)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec v = { .iov_base = (void *)r, .iov_len = sizeof(*r) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	if (conn >= 0) {
		struct cmsghdr *c;

		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(conn));
		memcpy(CMSG_DATA(c), &conn, sizeof(conn));
	}
	while (sendmsg(fd, &m, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

void dialler_run(int fd, const char *identity)
{
	struct dial_order o;

	set_heap_aside();
	settle_in_memory();
	for (;;) {
		ssize_t n = recv(fd, &o, sizeof(o), 0);
		struct dialled d = { .fd = -1 };
		struct dial_result r;
		struct failure f = { 0 };

		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(o))
			return;
		r = (struct dial_result){ .leg = o.leg, .turn = o.turn };
		r.error = carry_out(&o, identity, &d, &f);
		r.flags = d.flags;
		r.size_bytes = d.size_bytes;
		snprintf(r.why, sizeof(r.why), "%.255s", f.what);
		answer(fd, &r, d.fd);
		if (d.fd >= 0)
			close(d.fd);
	}
}

int dialler_order(int fd, const struct dial_order *o)
{
	ssize_t n;

	do
		n = send(fd, o, sizeof(*o), MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int dialler_result(int fd, struct dial_result *r, int *conn)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec v = { .iov_base = r, .iov_len = sizeof(*r) };
	struct msghdr m = { .msg_iov = &v,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	ssize_t n;

	*conn = -1;
	do
		n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n != (ssize_t)sizeof(*r))
		return -EPIPE;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(*conn)))
		memcpy(conn, CMSG_DATA(c), sizeof(*conn));
	return 0;
}
