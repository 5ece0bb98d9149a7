// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket; its language is in control.h. */
#include "control.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "holder.h"
#include "listen.h"
#include "log.h"
#include "reclaim.h"

enum {
	LINE_MAX_BYTES = 512,
	WORDS_MAX = 5,
	CALLERS_MAX = 32,
};

struct caller {
	struct watch watch;
	struct control *control;
	struct caller *next;
	char line[LINE_MAX_BYTES];
	size_t len;
	char *answer; /* what is still to be sent; NULL: nothing */
	size_t answer_at;
	size_t answer_len;
};

struct control {
	struct watch watch;
	struct server *server;
	struct caller *callers;
	u32 count;
	char path[108];
};

static void caller_end(struct caller *c)
{
	struct caller **at = &c->control->callers;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->control->count--;
	loop_unwatch(c->control->server->loop, &c->watch);
	close(c->watch.fd);
	free(c->answer);
	free(c);
}

static void say_error(FILE *out, int ret)
{
	fprintf(out, "error %s %s\n", strerrorname_np(-ret), strerror(-ret));
}

static bool number(const char *text, u64 *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static void do_add(struct server *s, char **word, int words, FILE *out)
{
	const char *owner = words == 4 && strcmp(word[3], "-") ? word[3] : "";
	struct export *e;
	u64 size;
	int ret = -EINVAL;

	if ((words == 3 || words == 4) && number(word[2], &size))
		ret = pool_add(s->pool, word[1], owner, size, &e);
	if (ret)
		say_error(out, ret);
	else
		fprintf(out, "ok %llu\n", (unsigned long long)e->generation);
}

static void do_remove(struct server *s, char **word, int words, FILE *out)
{
	char *mark = words == 2 ? strchr(word[1], '@') : NULL;
	struct export *e;
	u64 generation = 0;

	if (mark)
		*mark++ = '\0';
	if (words != 2 || (mark && !number(mark, &generation))) {
		say_error(out, -EINVAL);
		return;
	}
	e = pool_find(s->pool, word[1], strlen(word[1]));
	if (!e || (mark && e->generation != generation)) {
		say_error(out, -ENOENT);
		return;
	}
	server_cut(s, e);
	pool_remove(s->pool, e);
	fputs("ok\n", out);
}

static void do_list(struct server *s, char **word, int words, FILE *out)
{
	struct export *e;
	u32 at = 0;

	while ((e = pool_next(s->pool, &at)))
		fprintf(out, "%s %llu %llu %s %llu %u %llu %llu\n", e->name,
			(unsigned long long)e->size,
			(unsigned long long)e->generation,
			e->owner[0] ? e->owner : "-",
			(unsigned long long)e->held_pages * PAGE_BYTES,
			server_users(s, e), (unsigned long long)e->since_s,
			(unsigned long long)e->packed_pages * PAGE_BYTES);
	fprintf(out, "ok %u\n", pool_count(s->pool));
}

static void do_status(struct server *s, char **word, int words, FILE *out)
{
	const struct pool *p = s->pool;

	fprintf(out, "ok held=%llu quota=%llu locked=%s exports=%u "
		"connections=%u requests=%llu stored=%llu "
		"compressed=%llu short=%s\n",
		(unsigned long long)pool_held_pages(p) * PAGE_BYTES,
		(unsigned long long)pool_quota_pages(p) * PAGE_BYTES,
		pool_locked(p) ? "yes" : "no", pool_count(p),
		server_users(s, NULL), (unsigned long long)server_requests(s),
		(unsigned long long)pool_stored_pages(p) * PAGE_BYTES,
		(unsigned long long)pool_packed_pages(p) * PAGE_BYTES,
		reclaim_is_short(s->reclaim) ? "yes" : "no");
}

static void do_headroom(struct server *s, char **word, int words, FILE *out)
{
	u64 bytes;

	if (words != 2 || !number(word[1], &bytes)) {
		say_error(out, -EINVAL);
		return;
	}
	reclaim_set_headroom(s->reclaim, bytes);
	fputs("ok\n", out);
}

static void do_quota(struct server *s, char **word, int words, FILE *out)
{
	u64 bytes;

	if (words != 2 || !number(word[1], &bytes)) {
		say_error(out, -EINVAL);
		return;
	}
	pool_set_quota(s->pool, bytes);
	fputs("ok\n", out);
}

static void do_reload(struct server *s, char **word, int words, FILE *out)
{
	struct secure_keys *keys;
	struct failure f;

	if (!s->tls && !s->psk) {
		say_error(out, -EINVAL);
		return;
	}
	if (secure_keys_load(&keys, s->tls, s->psk, &f)) {
		log_error("%s: %s", f.object, f.what);
		say_error(out, f.code);
		return;
	}
	secure_keys_put(s->keys);
	s->keys = keys;
	fputs("ok\n", out);
}

static void do_end(struct server *s, char **word, int words, FILE *out)
{
	const char end = HOLDER_FORGET;

	if (pool_count(s->pool)) {
		say_error(out, -EBUSY);
		return;
	}
	if (s->holder >= 0 && send(s->holder, &end, 1, MSG_NOSIGNAL) != 1) {
		say_error(out, -errno);
		return;
	}
	loop_stop(s->loop);
	fputs("ok\n", out);
}

static const struct verb {
	const char *name;
	void (*run)(struct server *s, char **word, int words, FILE *out);
} verbs[] = {
	{ "add", do_add },	 { "end", do_end },
	{ "headroom", do_headroom }, { "list", do_list },
	{ "quota", do_quota },	 { "reload", do_reload },
	{ "remove", do_remove }, { "status", do_status },
};

static void run_line(struct server *s, char *line, FILE *out)
{
	char *word[WORDS_MAX];
	char *rest = NULL;
	int words = 0;
	size_t i;
	char *w;

	for (w = strtok_r(line, " ", &rest); w && words < WORDS_MAX;
	     w = strtok_r(NULL, " ", &rest))
		word[words++] = w;
	for (i = 0; words && words < WORDS_MAX && i < ARRAY_SIZE(verbs); i++)
		if (!strcmp(word[0], verbs[i].name)) {
			verbs[i].run(s, word, words, out);
			return;
		}
	say_error(out, -EOPNOTSUPP);
}

/* 0 when all was sent, or a negative errno. */
static int send_answer(struct caller *c)
{
	while (c->answer_at < c->answer_len) {
		ssize_t n = send(c->watch.fd, c->answer + c->answer_at,
				 c->answer_len - c->answer_at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return -errno;
		c->answer_at += (size_t)n;
	}
	free(c->answer);
	c->answer = NULL;
	return 0;
}

/* Answers the first line that came; false when there is none. */
static bool answer_line(struct caller *c)
{
	char *end = memchr(c->line, '\n', c->len);
	size_t used;
	FILE *out;

	if (!end)
		return false;
	*end = '\0';
	used = (size_t)(end - c->line) + 1;
	c->answer_at = 0;
	out = open_memstream(&c->answer, &c->answer_len);
	if (!out)
		return false;
	run_line(c->control->server, c->line, out);
	fclose(out);
	memmove(c->line, c->line + used, c->len - used);
	c->len -= used;
	return c->answer != NULL;
}

static void caller_ready(struct watch *w, u32 events)
{
	struct caller *c = (struct caller *)w;
	struct loop *loop = c->control->server->loop;
	ssize_t n;
	int ret = 0;

	if (!c->answer) {
		n = recv(w->fd, c->line + c->len, sizeof(c->line) - c->len,
			 MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			caller_end(c);
			return;
		}
		c->len += (size_t)n;
	}
	do
		ret = c->answer ? send_answer(c) : 0;
	while (!ret && answer_line(c));
	if (ret == -EAGAIN) {
		loop_rewatch(loop, w, EPOLLOUT);
		return;
	}
	if (ret || c->len == sizeof(c->line)) {
		caller_end(c);
		return;
	}
	loop_rewatch(loop, w, EPOLLIN);
}

static bool may_call(int fd)
{
	struct ucred who;
	socklen_t len = sizeof(who);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) &&
	       (who.uid == 0 || who.uid == geteuid());
}

static void accept_caller(struct watch *w, u32 events)
{
	struct control *control = (struct control *)w;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct caller *c;

	if (fd < 0)
		return;
	c = control->count < CALLERS_MAX && may_call(fd) ?
		    calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		close(fd);
		return;
	}
	c->control = control;
	c->watch.fd = fd;
	c->watch.ready = caller_ready;
	c->next = control->callers;
	control->callers = c;
	control->count++;
	if (loop_watch(control->server->loop, &c->watch, EPOLLIN))
		caller_end(c);
}

int control_open(struct control **out, struct server *s, const char *path,
		 struct failure *f)
{
	struct control *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return failure_set(f, -ENOMEM, path, NULL, "out of memory");
	c->server = s;
	c->watch.ready = accept_caller;
	c->watch.fd = listen_unix_socket(path, 0600, f);
	if (c->watch.fd < 0) {
		ret = c->watch.fd;
		free(c);
		return ret;
	}
	snprintf(c->path, sizeof(c->path), "%s", path);
	ret = loop_watch(s->loop, &c->watch, EPOLLIN);
	if (ret) {
		control_close(c);
		return failure_set(f, ret, path, NULL, "%s", strerror(-ret));
	}
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	while (c->callers)
		caller_end(c->callers);
	loop_unwatch(c->server->loop, &c->watch);
	close(c->watch.fd);
	unlink(c->path);
	free(c);
}
