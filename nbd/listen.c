// SPDX-License-Identifier: GPL-2.0-or-later
/* Listening sockets and who may be answered on them; see listen.h. */
#include "listen.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "address.h"
#include "log.h"
#include "protocol.h"

enum { BACKLOG = 128 };

static bool is_loopback(const struct sockaddr *sa)
{
	const struct sockaddr_in *v4 = (const void *)sa;
	const struct sockaddr_in6 *v6 = (const void *)sa;

	if (sa->sa_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	if (sa->sa_family != AF_INET6)
		return true; /* a unix socket */
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return v6->sin6_addr.s6_addr[12] == 127;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	if (!b || a->sa_family != b->sa_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)(const void *)a)->sin_addr
			       .s_addr ==
		       ((const struct sockaddr_in *)(const void *)b)->sin_addr
			       .s_addr;
	return !memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		       &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
		       sizeof(struct in6_addr));
}

static bool on_interface(const struct sockaddr *sa, const char *name)
{
	struct ifaddrs *all;
	struct ifaddrs *i;

	if (getifaddrs(&all))
		return false;
	for (i = all; i; i = i->ifa_next)
		if (!strcmp(i->ifa_name, name) && same_host(sa, i->ifa_addr))
			break;
	freeifaddrs(all);
	return i != NULL;
}

/* Whether @sa may be listened on as things are. */
static int check_plain(const struct listeners *l, const struct server *s,
		       const struct sockaddr *sa, struct failure *f)
{
	char text[ADDRESS_TEXT_MAX];

	if (s->keys || is_loopback(sa))
		return 0;
	if (l->plain_on && on_interface(sa, l->plain_on))
		return 0;
	return failure_set(f, -EPERM, address_text(sa, text),
			   l->plain_on ? "an address of that interface" :
			   "--tls DIR or --psk FILE, or --plaintext-on INTERFACE",
			   l->plain_on ? "not an address of %s" :
			   "data would leave this machine in the clear%s",
			   l->plain_on ? l->plain_on : "");
}

static void accept_one(struct watch *w, u32 events)
{
	struct listener *l = (struct listener *)w;
	struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
	socklen_t len = sizeof(sa);
	int fd = accept4(w->fd, (struct sockaddr *)&sa, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		connection_start(l->server, fd, l->trusted);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		log_error("connection refused: %s", strerror(errno));
}

static int add(struct listeners *l, struct server *s, int fd, bool trusted,
	       const char *path, const char *object, struct failure *f)
{
	struct listener *at = l->at + l->count;
	int ret;

	if (l->count == LISTENERS_MAX)
		return failure_set(f, -E2BIG, object, NULL,
				   "more than %d sockets to listen on",
				   LISTENERS_MAX);
	*at = (struct listener){ .server = s, .trusted = trusted };
	at->watch.fd = fd;
	at->watch.ready = accept_one;
	if (path)
		snprintf(at->path, sizeof(at->path), "%s", path);
	ret = loop_watch(s->loop, &at->watch, EPOLLIN);
	if (ret)
		return failure_set(f, ret, object, NULL, "%s", strerror(-ret));
	l->count++;
	return 0;
}

static int open_tcp(const struct listeners *l, const struct address *a,
		    bool bind_interface, struct failure *f)
{
	const struct sockaddr *sa = (const struct sockaddr *)&a->sa;
	const int one = 1;
	char text[ADDRESS_TEXT_MAX];
	int fd = socket(sa->sa_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err;

	if (fd < 0)
		goto fail;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (sa->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind_interface && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE,
					 l->plain_on,
					 (socklen_t)strlen(l->plain_on)))
		goto fail_close;
	if (bind(fd, sa, a->len) || listen(fd, BACKLOG))
		goto fail_close;
	return fd;

fail_close:
	err = errno;
	close(fd);
	errno = err;
fail:
	return failure_set(f, -errno, address_text(sa, text), NULL,
			   "cannot listen: %s", strerror(errno));
}

int listen_address(struct listeners *l, struct server *s, const char *list,
		   struct failure *f)
{
	struct address found[ADDRESS_MAX];
	int n = address_resolve(list, NBD_PORT, true, found, ADDRESS_MAX);
	char text[ADDRESS_TEXT_MAX];
	int i;

	if (n < 0)
		return failure_set(f, n, list, "an address like 10.0.0.1:10809",
				   n == -EINVAL ? "malformed address" :
						  "no such host");
	for (i = 0; i < n; i++) {
		const struct sockaddr *sa = (const void *)&found[i].sa;
		bool inside = is_loopback(sa);
		int ret = check_plain(l, s, sa, f);
		int fd;

		if (ret)
			return ret;
		fd = open_tcp(l, &found[i], !inside && !s->keys, f);
		if (fd < 0)
			return fd;
		ret = add(l, s, fd, inside, NULL, address_text(sa, text), f);
		if (ret) {
			close(fd);
			return ret;
		}
	}
	return 0;
}

/* A socket file that nobody listens on any more is in the way. */
static void remove_stale(const char *path, const struct sockaddr_un *sa)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) &&
	    errno == ECONNREFUSED)
		unlink(path);
	close(fd);
}

int listen_unix_socket(const char *path, mode_t mode, struct failure *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;
	int fd;

	if (strlen(path) >= sizeof(sa.sun_path))
		return failure_set(f, -ENAMETOOLONG, path,
				   "a path of at most 107 bytes",
				   "path too long for a socket");
	strcpy(sa.sun_path, path);
	remove_stale(path, &sa);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return failure_set(f, -errno, path, NULL, "%s",
				   strerror(errno));
	mask = umask(0777 & ~mode);
	err = bind(fd, (struct sockaddr *)&sa, sizeof(sa)) ||
	      listen(fd, BACKLOG) ? errno : 0;
	umask(mask);
	if (!err)
		return fd;
	close(fd);
	return failure_set(f, -err, path, err == EADDRINUSE ?
			   "another path, or stop the program that uses it" :
			   NULL, "cannot listen: %s", strerror(err));
}

int listen_unix(struct listeners *l, struct server *s, const char *path,
		struct failure *f)
{
	int fd = listen_unix_socket(path, 0600, f);
	int ret;

	if (fd < 0)
		return fd;
	ret = add(l, s, fd, true, path, path, f);
	if (ret) {
		unlink(path);
		close(fd);
	}
	return ret;
}

int listen_passed(struct listeners *l, struct server *s, struct failure *f)
{
	int n = sd_listen_fds(1);
	int i;

	for (i = 0; i < n; i++) {
		struct sockaddr_storage sa = { .ss_family = AF_UNSPEC };
		socklen_t len = sizeof(sa);
		int fd = SD_LISTEN_FDS_START + i;
		int ret;

		if (getsockname(fd, (struct sockaddr *)&sa, &len))
			return failure_set(f, -errno, "socket activation",
					   NULL, "%s", strerror(errno));
		ret = check_plain(l, s, (struct sockaddr *)&sa, f);
		if (ret)
			return ret;
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		ret = add(l, s, fd, is_loopback((struct sockaddr *)&sa), NULL,
			  "socket activation", f);
		if (ret)
			return ret;
	}
	return n;
}

void listen_end(struct listeners *l)
{
	for (; l->count; l->count--) {
		struct listener *at = l->at + l->count - 1;

		loop_unwatch(at->server->loop, &at->watch);
		close(at->watch.fd);
		if (at->path[0])
			unlink(at->path);
	}
}
