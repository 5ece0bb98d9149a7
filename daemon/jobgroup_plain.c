// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The processes of a job without cgroups; the rules are in jobgroup_plain.h. Each
 * look reads /proc anew: first what every process says of itself, then who
 * descends from whom.
 */
#include "jobgroup_plain.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LEADERS_MORE = 64, PROCESSES_MORE = 256, READINGS = 3 };

struct leader {
	pid_t pid;
	u64 since; /* has its job; 0: waits for one */
};

static struct {
	struct leader *at;
	u32 count, room;
} leaders;

/* Of /proc/PID/stat. */
struct process {
	pid_t pid, parent, session;
	bool gone; /* or a zombie */
	bool hidden; /* what its memory holds is not for us */
	bool ours;
	u64 start;
	u64 env_start, env_end; /* 0 while it is inside exec */
};

static struct {
	struct process *at; /* by pid */
	u32 count, room;
} processes;

static void *more_room(void *at, u32 count, u32 *room, u32 more, size_t size)
{
	void *p = at;

	if (count < *room)
		return at;
	p = realloc(at, (*room + more) * size);
	if (p)
		*room += more;
	return p;
}

int plain_reserve(void)
{
	void *p = more_room(leaders.at, leaders.count, &leaders.room,
			    LEADERS_MORE, sizeof(leaders.at[0]));

	if (!p)
		return -ENOMEM;
	leaders.at = p;
	return 0;
}

static struct leader *leader_of(pid_t pid)
{
	u32 i;

	for (i = 0; i < leaders.count; i++)
		if (leaders.at[i].pid == pid)
			return &leaders.at[i];
	return NULL;
}

void plain_enter(pid_t leader, u64 now)
{
	leaders.at[leaders.count++] = (struct leader){ leader, now };
}

void plain_named(pid_t leader, u64 now)
{
	struct leader *l = leader_of(leader);

	if (l)
		l->since = now;
}

void plain_leave(pid_t leader)
{
	struct leader *l = leader_of(leader);

	if (l)
		*l = leaders.at[--leaders.count];
}

u64 plain_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return ((u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec) /
	       (1000000000 / (u64)sysconf(_SC_CLK_TCK));
}

/* --- what a process says of itself --- */

static size_t read_stat(const struct plain_view *v, pid_t pid, char *out,
			size_t size)
{
	char path[300];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%d/stat", v->proc, pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd >= 0 ? read(fd, out, size - 1) : -1;
	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

static struct process process_of(const struct plain_view *v, pid_t pid)
{
	enum { STATE = 3, PARENT = 4, SESSION = 6, THREADS = 20, START = 22,
	       CODE = 26, ENV_START = 50, ENV_END = 51 }; /* as in proc(5) */
	struct process p = { .pid = pid, .gone = true };
	u64 field[ENV_END + 1] = { 0 };
	char buf[1024];
	char *at;
	u32 i;

	if (!read_stat(v, pid, buf, sizeof(buf)))
		return p;
	at = strrchr(buf, ')'); /* the name before may hold anything */
	if (!at || strlen(at) < 4)
		return p;
	field[STATE] = (u8)at[2];
	at += 3;
	for (i = PARENT; i <= ENV_END; i++)
		field[i] = strtoull(at, &at, 10);
	p.parent = (pid_t)field[PARENT];
	p.session = (pid_t)field[SESSION];
	/* The first thread of one that goes on may have ended. */
	p.gone = strchr("ZX", (int)field[STATE]) && field[THREADS] < 2;
	p.hidden = field[CODE] == 1 || field[STATE] == 'Z';
	p.start = field[START];
	p.env_start = field[ENV_START];
	p.env_end = field[ENV_END];
	return p;
}

/* Whether the environment of @pid holds @mark; @bytes: how much of one there was. */
static bool holds_mark(const struct plain_view *v, pid_t pid, const char *mark,
		       u64 *bytes)
{
	char path[300];
	char *line = NULL;
	bool found = false;
	size_t cap = 0;
	ssize_t n;
	FILE *f;

	*bytes = 0;
	snprintf(path, sizeof(path), "%s/%d/environ", v->proc, pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && (n = getdelim(&line, &cap, 0, f)) > 0) {
		*bytes += (u64)n;
		found = !strcmp(line, mark);
	}
	free(line);
	fclose(f);
	return found;
}

enum named { NAMELESS, OURS, UNSURE };

/* Whether @was names the job. An environment that is cut was read on the way into
 * an exec or out of it, or else it is so for good.
 */
static enum named named_by(const struct plain_view *v, const struct process *was,
			   const char *mark)
{
	struct process p = *was, before;
	u64 bytes;
	u32 i;

	for (i = 0; i < READINGS; i++) {
		if (holds_mark(v, p.pid, mark, &bytes))
			return OURS;
		before = p;
		p = process_of(v, p.pid);
		if (p.gone || p.hidden)
			return NAMELESS;
		if (!p.env_end)
			return UNSURE;
		if (bytes >= p.env_end - p.env_start)
			return NAMELESS;
	}
	return p.env_end == before.env_end && p.env_start == before.env_start ?
		       NAMELESS : UNSURE;
}

/* --- who descends from whom --- */

static int by_pid(const void *a, const void *b)
{
	const struct process *p = a, *q = b;

	return (p->pid > q->pid) - (p->pid < q->pid);
}

static struct process *process_at(pid_t pid)
{
	const struct process key = { .pid = pid };

	return bsearch(&key, processes.at, processes.count, sizeof(key), by_pid);
}

static void read_all(const struct plain_view *v)
{
	DIR *d = opendir(v->proc);
	struct dirent *e;
	void *p;

	processes.count = 0;
	while (d && (e = readdir(d))) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);

		if (pid <= 0)
			continue;
		p = more_room(processes.at, processes.count, &processes.room,
			      PROCESSES_MORE, sizeof(processes.at[0]));
		if (!p)
			break;
		processes.at = p;
		processes.at[processes.count++] = process_of(v, pid);
	}
	if (d)
		closedir(d);
	if (processes.count)
		qsort(processes.at, processes.count, sizeof(processes.at[0]),
		      by_pid);
}

/* Only then its environment counts: another virgod on this machine may give its
 * jobs the same names.
 */
static bool descends(const struct plain_view *v, const struct process *p)
{
	u32 steps = 0;

	while (p && p->pid != v->self && ++steps <= processes.count)
		p = process_at(p->parent);
	return p && p->pid == v->self;
}

/* A job other than @leader's that is still there can have left @p. */
static bool may_be_others(const struct process *p, pid_t leader)
{
	u32 i;

	for (i = 0; i < leaders.count; i++)
		if (leaders.at[i].pid != leader && leaders.at[i].since &&
		    leaders.at[i].since <= p->start)
			return true;
	return false;
}

/* Of one that neither its session nor its environment gave to the job. */
static enum named judge(const struct plain_view *v, const struct process *p,
			pid_t leader, const char *mark)
{
	const struct process *up = p, *child;
	enum named named;
	u32 steps = 0;

	do {
		if (up->ours)
			return OURS;
		if (up->session == v->session || leader_of(up->pid))
			return NAMELESS; /* a helper, or another job's */
		child = up;
		up = process_at(child->parent);
	} while (up && up->pid != v->self && ++steps < processes.count);
	if (!up) /* not for us to see, or it ended while we looked */
		return process_of(v, child->pid).parent == child->parent ?
			       NAMELESS : UNSURE;
	if (up->pid != v->self)
		return NAMELESS;
	named = named_by(v, p, mark);
	if (named == NAMELESS && !may_be_others(p, leader))
		return OURS;
	return named;
}

struct plain_found plain_look(const struct plain_view *v, pid_t leader,
			      const char *mark, int sig)
{
	struct plain_found found = { 0 };
	struct process *p;
	u64 bytes;

	read_all(v);
	for (p = processes.at; p < processes.at + processes.count; p++)
		p->ours = !p->gone && p->pid != v->self &&
			  (p->session == leader ||
			   (p->session != v->session && descends(v, p) &&
			    holds_mark(v, p->pid, mark, &bytes)));
	for (p = processes.at; p < processes.at + processes.count; p++) {
		enum named named;

		if (p->gone || p->pid == v->self)
			continue;
		named = judge(v, p, leader, mark);
		found.ours += named == OURS;
		found.unsure += named == UNSURE;
		if (sig && named == OURS)
			kill(p->pid, sig);
	}
	return found;
}
