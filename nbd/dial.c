// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dialling a lender; the contract is in dial.h. Everything is blocking with a
 * deadline, in a process that has nothing else to do.
 */
#include "dial.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "greet.h"
#include "tls.h"

enum {
	/* A request of the kernel's goes out as a whole: one that a signal cuts
	 * in the middle would end the connection.
	 */
	SEND_BUFFER_BYTES = 4 << 20,
	UNANSWERED_MS = 5000, /* bytes without acknowledgement: a dead peer */
	KEEPALIVE_S = 2,
};

struct talk {
	const struct dial *d;
	int fd;
	u64 deadline_ms;
	struct tls_session *tls;
	struct failure *f;
};

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000 + (u64)t.tv_nsec / 1000000;
}

/* 0 when @events are there, -ETIMEDOUT at the deadline. */
static int await(const struct talk *t, short events)
{
	struct pollfd p = { .fd = t->fd, .events = events };

	for (;;) {
		u64 now = now_ms();
		int n;

		if (now >= t->deadline_ms)
			return -ETIMEDOUT;
		n = poll(&p, 1, (int)(t->deadline_ms - now));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int give_up(struct talk *t, int code, const char *what)
{
	return failure_set(t->f, code, t->d->lender, NULL, "%s: %s", what,
			   strerror(-code));
}

static int receive(struct talk *t, u8 *in, size_t len)
{
	/* Who sends for ever leaves nothing to wait for. */
	if (now_ms() >= t->deadline_ms)
		return give_up(t, -ETIMEDOUT, "NBD");
	while (len) {
		ssize_t n = recv(t->fd, in, len, MSG_DONTWAIT);
		int ret;

		if (n > 0) {
			in += n;
			len -= (size_t)n;
			continue;
		}
		if (!n)
			return give_up(t, -ECONNRESET, "NBD");
		/* What the kernel cannot take as data is the peer's alert. */
		if (errno == EIO && t->tls)
			return failure_set(t->f, -EACCES, t->d->lender, NULL,
					   "it refused this node's certificate");
		if (errno != EAGAIN && errno != EINTR)
			return give_up(t, -errno, "NBD");
		ret = await(t, POLLIN);
		if (ret)
			return give_up(t, ret, "NBD");
	}
	return 0;
}

static int transmit(struct talk *t, const u8 *out, size_t len)
{
	while (len) {
		ssize_t n = send(t->fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		int ret;

		if (n > 0) {
			out += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return give_up(t, -errno, "NBD");
		ret = await(t, POLLOUT);
		if (ret)
			return give_up(t, ret, "NBD");
	}
	return 0;
}

static ssize_t push(void *arg, const void *data, size_t len)
{
	struct talk *t = arg;

	if (!transmit(t, data, len))
		return (ssize_t)len;
	errno = ECONNRESET;
	return -1;
}

static ssize_t pull(void *arg, void *data, size_t len)
{
	struct talk *t = arg;

	return recv(t->fd, data, len, MSG_DONTWAIT);
}

static int secure(struct talk *t)
{
	const struct tls_io io = { .push = push, .pull = pull, .arg = t };
	int ret = tls_client(&t->tls, t->d->identity, TLS_FOREIGN,
			     t->d->lender, NULL, &io);

	if (ret)
		return give_up(t, ret, "TLS");
	while ((ret = tls_handshake(t->tls, t->f)) == -EAGAIN) {
		ret = await(t, POLLIN);
		if (ret)
			return give_up(t, ret, "TLS");
	}
	return ret ? ret : tls_to_kernel(t->tls, t->fd, t->f);
}

static int negotiate(struct talk *t, struct dialled *out)
{
	u8 in[GREET_IN_MAX], send_[GREET_OUT_MAX];
	struct greet g;
	size_t len;
	int ret = 0;

	if (!greet_init(&g, t->d->name, t->d->identity != NULL))
		return failure_set(t->f, -EINVAL, t->d->lender, NULL,
				   "the export's name is too long");
	while (!ret && g.state != GREET_DONE && g.state != GREET_FAILED) {
		if (g.state == GREET_SECURED) {
			ret = secure(t);
			if (ret)
				break;
			len = greet_secured(&g, send_);
		} else {
			ret = receive(t, in, greet_want(&g));
			if (ret)
				break;
			len = greet_take(&g, in, send_);
		}
		ret = transmit(t, send_, len);
	}
	if (!ret && g.state == GREET_FAILED)
		ret = failure_set(t->f, g.error, t->d->lender, NULL, "%s",
				  g.why);
	if (!ret && g.block_min > 4096)
		ret = failure_set(t->f, -EOPNOTSUPP, t->d->lender, NULL,
				  "it wants blocks of %u bytes", g.block_min);
	out->size_bytes = g.size_bytes;
	out->flags = g.flags;
	return ret;
}

static bool is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* Plaintext goes by the interface that was named for it, and by no other. */
static int check_plain(struct talk *t, const struct sockaddr *sa)
{
	const char *by = t->d->plaintext_on;

	if (t->d->identity || is_loopback(sa))
		return 0;
	if (!by || !*by)
		return failure_set(t->f, -EPERM, t->d->lender,
				   "--plaintext-on INTERFACE",
				   "data would leave this machine in the clear");
	if (setsockopt(t->fd, SOL_SOCKET, SO_BINDTODEVICE, by,
		       (socklen_t)strlen(by)))
		return give_up(t, -errno, by);
	return 0;
}

static void tune(int fd)
{
	const int one = 1, idle = KEEPALIVE_S, probes = 3;
	const int buffer = SEND_BUFFER_BYTES;
	const unsigned int unanswered = UNANSWERED_MS;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered,
		   sizeof(unanswered));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer,
		       sizeof(buffer)))
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
}

static int reach(struct talk *t, const struct address *a)
{
	const struct sockaddr *sa = (const struct sockaddr *)&a->sa;
	socklen_t len = sizeof(int);
	int err = 0;
	int ret;

	t->fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC |
		       SOCK_NONBLOCK, 0);
	if (t->fd < 0)
		return give_up(t, -errno, "socket");
	ret = check_plain(t, sa);
	if (ret)
		return ret;
	tune(t->fd);
	if (!connect(t->fd, sa, a->len))
		return 0;
	if (errno != EINPROGRESS)
		return give_up(t, -errno, "not reached");
	ret = await(t, POLLOUT);
	if (!ret && getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0)
		ret = -err;
	return ret ? give_up(t, ret, "not reached") : 0;
}

static int try_one(struct talk *t, const struct address *a,
		   struct dialled *out)
{
	int blocking = 0;
	int ret;

	t->fd = -1;
	t->tls = NULL;
	ret = reach(t, a);
	if (!ret)
		ret = negotiate(t, out);
	tls_session_free(t->tls);
	if (!ret && ioctl(t->fd, FIONBIO, &blocking))
		ret = give_up(t, -errno, "socket");
	if (ret && t->fd >= 0)
		close(t->fd);
	out->fd = ret ? -1 : t->fd;
	return ret;
}

int dial(const struct dial *d, struct dialled *out, struct failure *f)
{
	struct address found[ADDRESS_MAX];
	struct talk t = { .d = d, .f = f };
	int n = address_resolve(d->addresses, NBD_PORT, false, found,
				ADDRESS_MAX);
	int ret = -EINVAL;
	int i;

	if (n < 0)
		return failure_set(f, n, d->lender, NULL,
				   "'%s' are no addresses", d->addresses);
	for (i = 0; i < n; i++) {
		u32 share = d->patience_ms / (u32)n;

		t.deadline_ms = now_ms() + share;
		ret = try_one(&t, &found[i], out);
		/* Another address of the same server says the same. */
		if (!ret || ret == -EACCES || ret == -ENOENT)
			break;
	}
	return ret;
}
