// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accounts asked of virgo-account; the contract is in account.h.
 *
 * A question is an entry in a list, keyed by name and calling node, or by uid. Its
 * child becomes virgo-account, whose answer comes through a pipe; end of file makes
 * it valid. An answer that cannot be had in time counts as a refusal, unless an
 * older one is still good.
 */
#include "account.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "where.h"

enum {
	ENTRIES_MAX = 256, /* the oldest unasked-for goes beyond */
	NAME_BYTES = 256,
	FROM_BYTES = 64,
	ANSWER_BYTES_MAX = 1 << 20,
};

struct waiter {
	struct waiter *next;
	account_fn *found;
	void *arg;
};

struct entry {
	struct entry *next;
	struct accounts *owner;
	bool by_uid;
	u32 uid;
	char name[NAME_BYTES];
	enum user_pam pam;
	char from[FROM_BYTES];

	u8 *data; /* answer and what follows it; NULL: none yet */
	u64 answered_us;

	pid_t child; /* 0: nobody asks now */
	struct watch pipe;
	struct timer deadline;
	u8 *incoming;
	size_t incoming_len, incoming_cap;
	struct waiter *waiters;
};

struct accounts {
	struct loop *loop;
	char program[4096]; /* virgo-account */
	struct entry *entries; /* most recently used first */
	u32 count;
};

/* Whether @data holds what its first bytes promise. */
static bool answer_whole(const u8 *data, size_t len)
{
	const struct account_answer *a = (const void *)data;

	if (len < sizeof(*a))
		return false;
	return len == sizeof(*a) + (size_t)a->group_count * sizeof(u32) +
			      a->name_len + a->home_len + a->shell_len;
}

static void tell_failure(int code, const char *what, account_fn *found,
			 void *arg)
{
	struct failure f = { 0 };

	failure_set(&f, code, "run", "once more", "%s", what);
	found(arg, NULL, &f);
}

static void tell(const u8 *data, const char *instead, account_fn *found,
		 void *arg)
{
	const struct account_answer *a = (const void *)data;
	struct account out = { 0 };
	const char *text;

	if (!a) {
		tell_failure(-EAGAIN, instead, found, arg);
		return;
	}
	if (a->why.code) {
		found(arg, NULL, &a->why);
		return;
	}
	out.uid = a->uid;
	out.gid = a->gid;
	out.group_count = a->group_count;
	out.groups = (const void *)(data + sizeof(*a));
	text = (const char *)(out.groups + a->group_count);
	out.name = text;
	out.home = text + a->name_len;
	out.shell = out.home + a->home_len;
	if (!out.shell[0])
		out.shell = "/bin/sh";
	found(arg, &out, NULL);
}

static void tell_waiters(struct entry *e, const char *instead)
{
	struct waiter *w = e->waiters, *next;

	e->waiters = NULL;
	for (; w; w = next) {
		next = w->next;
		tell(e->data, instead, w->found, w->arg);
		free(w);
	}
}

static void stop_asking(struct entry *e)
{
	loop_disarm(e->owner->loop, &e->deadline);
	if (e->pipe.fd >= 0) {
		loop_unwatch(e->owner->loop, &e->pipe);
		close(e->pipe.fd);
		e->pipe.fd = -1;
	}
	free(e->incoming);
	e->incoming = NULL;
	e->incoming_len = e->incoming_cap = 0;
}

static void answer_came(struct entry *e)
{
	if (answer_whole(e->incoming, e->incoming_len)) {
		free(e->data);
		e->data = e->incoming;
		e->incoming = NULL;
		e->answered_us = loop_clock_us();
	}
	stop_asking(e);
	tell_waiters(e, "the user data base gave no answer");
}

static void pipe_ready(struct watch *w, u32 events)
{
	struct entry *e = (void *)((u8 *)w - offsetof(struct entry, pipe));
	ssize_t n;

	for (;;) {
		if (e->incoming_len == e->incoming_cap) {
			size_t cap = e->incoming_cap ? e->incoming_cap * 2 : 4096;
			u8 *p = cap <= ANSWER_BYTES_MAX ?
					realloc(e->incoming, cap) : NULL;

			if (!p) {
				answer_came(e);
				return;
			}
			e->incoming = p;
			e->incoming_cap = cap;
		}
		n = read(w->fd, e->incoming + e->incoming_len,
			 e->incoming_cap - e->incoming_len);
		if (n > 0)
			e->incoming_len += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			break;
		else if (errno == EAGAIN)
			return;
	}
	answer_came(e);
}

static void deadline_passed(struct timer *t)
{
	struct entry *e = (void *)((u8 *)t - offsetof(struct entry, deadline));

	if (e->child > 0)
		kill(e->child, SIGKILL);
	stop_asking(e);
	tell_waiters(e, "the user data base does not answer");
}

/* Streams of jobs that are being started must not be held open by a data base that
 * is slow, so nothing is inherited.
 */
static void ask_child(const struct entry *e, int fd) __attribute__((noreturn));
static void ask_child(const struct entry *e, int fd)
{
	char number[16];
	char *argv[] = { "virgo-account", "name", (char *)e->name, number,
			 (char *)e->from, NULL };
	sigset_t none;

	snprintf(number, sizeof(number), "%u", e->by_uid ? e->uid : e->pam);
	if (e->by_uid) {
		argv[1] = "uid";
		argv[2] = number;
		argv[3] = NULL;
	}
	if (dup2(fd, STDOUT_FILENO) < 0 ||
	    syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0))
		_exit(126);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(e->owner->program, argv);
	_exit(126);
}

static void ask(struct entry *e)
{
	int fds[2];

	if (e->pipe.fd >= 0)
		return;
	if (pipe2(fds, O_CLOEXEC)) {
		tell_waiters(e, "too many open files");
		return;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	e->child = fork();
	if (e->child == 0)
		ask_child(e, fds[1]);
	close(fds[1]);
	e->pipe = (struct watch){ .fd = fds[0], .ready = pipe_ready };
	if (e->child < 0 || loop_watch(e->owner->loop, &e->pipe, EPOLLIN)) {
		close(fds[0]);
		e->pipe.fd = -1;
		tell_waiters(e, "out of processes or memory");
		return;
	}
	e->deadline.fire = deadline_passed;
	loop_arm(e->owner->loop, &e->deadline, ACCOUNT_WAIT_MS * 1000ULL);
}

static void entry_free(struct entry *e)
{
	struct waiter *w, *next;

	stop_asking(e);
	for (w = e->waiters; w; w = next) {
		next = w->next;
		free(w);
	}
	free(e->data);
	free(e);
}

/* Drops the entry used longest ago that nobody waits for. */
static void make_room(struct accounts *as)
{
	struct entry **at, **last = NULL;
	struct entry *e;

	for (at = &as->entries; *at; at = &(*at)->next)
		if (!(*at)->waiters && (*at)->pipe.fd < 0)
			last = at;
	if (!last)
		return;
	e = *last;
	*last = e->next;
	as->count--;
	entry_free(e);
}

static struct entry *entry_of(struct accounts *as, const char *name, u32 uid,
			      enum user_pam pam, const char *from)
{
	struct entry **at, *e;

	for (at = &as->entries; (e = *at); at = &e->next)
		if (name ? !e->by_uid && !strcmp(e->name, name) &&
				    !strcmp(e->from, from) && e->pam == pam :
			   e->by_uid && e->uid == uid)
			break;
	if (e) {
		*at = e->next;
	} else {
		if (as->count >= ENTRIES_MAX)
			make_room(as);
		e = calloc(1, sizeof(*e));
		if (!e)
			return NULL;
		e->owner = as;
		e->pipe.fd = -1;
		e->by_uid = !name;
		e->uid = uid;
		e->pam = pam;
		snprintf(e->from, sizeof(e->from), "%s", from);
		if (name)
			snprintf(e->name, sizeof(e->name), "%s", name);
		as->count++;
	}
	e->next = as->entries;
	as->entries = e;
	return e;
}

static void find(struct accounts *as, const char *name, u32 uid,
		 enum user_pam pam, const char *from, account_fn *found,
		 void *arg)
{
	struct entry *e = entry_of(as, name, uid, pam, from);
	u64 age_us = e && e->data ? loop_clock_us() - e->answered_us : 0;
	struct waiter *w;

	if (!e) {
		tell_failure(-ENOMEM, "out of memory", found, arg);
		return;
	}
	if (e->data && age_us < ACCOUNT_KEEP_MS * 1000ULL) {
		/* A refusal is asked again at once, so that its remedy works. */
		bool refused = ((struct account_answer *)e->data)->why.code;

		if (!refused || age_us < 1000000) {
			tell(e->data, NULL, found, arg);
			if (age_us > ACCOUNT_FRESH_MS * 1000ULL)
				ask(e);
			return;
		}
	}
	free(e->data);
	e->data = NULL;
	w = malloc(sizeof(*w));
	if (!w) {
		tell_failure(-ENOMEM, "out of memory", found, arg);
		return;
	}
	*w = (struct waiter){ .next = e->waiters, .found = found, .arg = arg };
	e->waiters = w;
	ask(e);
}

struct accounts *accounts_new(struct loop *l)
{
	struct accounts *as = calloc(1, sizeof(*as));

	if (!as)
		return NULL;
	as->loop = l;
	if (where_program("virgo-account", as->program, sizeof(as->program))) {
		free(as);
		errno = ENOENT;
		return NULL;
	}
	return as;
}

void accounts_free(struct accounts *as)
{
	struct entry *e, *next;

	if (!as)
		return;
	for (e = as->entries; e; e = next) {
		next = e->next;
		entry_free(e);
	}
	free(as);
}

void accounts_find(struct accounts *as, const char *name, enum user_pam pam,
		   const char *from, account_fn *found, void *arg)
{
	if (!name[0] || strlen(name) >= NAME_BYTES)
		tell_failure(-ENOENT, "no user can have that name", found, arg);
	else
		find(as, name, 0, pam, from, found, arg);
}

void accounts_find_uid(struct accounts *as, u32 uid, account_fn *found,
		       void *arg)
{
	find(as, NULL, uid, USER_PAM_NO, "", found, arg);
}

bool accounts_reaped(struct accounts *as, pid_t pid)
{
	struct entry *e;

	for (e = as->entries; e; e = e->next)
		if (e->child == pid) {
			e->child = 0;
			return true;
		}
	return false;
}
