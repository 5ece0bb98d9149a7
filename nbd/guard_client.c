// SPDX-License-Identifier: GPL-2.0-or-later
/* How virgo-borrow reaches virgo-guard; see guard.h. */
#include <stdio.h>
#include <sys/socket.h>

#include "beside.h"
#include "guard.h"

enum { ANSWER_S = 60 };

int guard_path(const char *state, char *out, size_t size)
{
	return beside_path(state, "guard.sock", out, size);
}

void guard_identifier(const struct guard_leg *l, char out[static 128])
{
	snprintf(out, 128, "virgo:%s:%u", l->borrowing, l->number);
}

int guard_reach(const char *state, struct failure *f)
{
	return beside_reach("virgo-guard", state, "guard.sock", ANSWER_S, f);
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
