// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Detached jobs and what is kept of them: a folder STATE/jobs/<number> with
 *
 *	spec	user, calling node, start time, command, one a line
 *	stdout, stderr
 *	pid	written by virgo-spawn once it runs (spawn_protocol.h)
 *	status	written by virgo-spawn at its end
 *
 * These files, not memory, are the truth: virgo-spawn outlives virgod until the
 * last detached job has ended, so a virgod that starts again finds here what ran
 * and what ended meanwhile. The end of a job whose virgo-spawn is not ours is
 * seen by inotify, as is the growth of output that somebody follows.
 */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "job_kept_impl.h"
#include "log.h"
#include "wallclock.h"

enum {
	KEPT_ENDED_MAX = 1000, /* the oldest ended ones go beyond */
	KEPT_SECONDS = 7 * 24 * 3600, /* after its start */
	LINE_MAX_BYTES = 320,
};

/* --- inotify --- */

/* An adopted job tells its end by a rename in its folder; output is watched only
 * while somebody follows it.
 */
void kept_rewatch(struct kept *k)
{
	char path[64];
	u32 mask = 0;

	if (k->adopted && k->state == KEPT_RUNNING)
		mask |= IN_MOVED_TO;
	if (k->followers && k->state == KEPT_RUNNING)
		mask |= IN_MODIFY;
	if (mask) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", k->dir_fd);
		k->wd = inotify_add_watch(k->jobs->inotify.fd, path,
					  mask | IN_ONLYDIR);
		if (k->wd < 0)
			log_error("job %llu: cannot be watched: %s",
				  (unsigned long long)k->id, strerror(errno));
	} else if (k->wd >= 0) {
		inotify_rm_watch(k->jobs->inotify.fd, k->wd);
		k->wd = -1;
	}
}

/* --- files --- */

static ssize_t read_file(int dir_fd, const char *name, char *out, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, out, size - 1);
		close(fd);
	}
	out[n > 0 ? n : 0] = 0;
	return n;
}

static bool read_status(struct kept *k)
{
	unsigned long long user, system, rss;
	char text[200];

	if (read_file(k->dir_fd, SPAWN_STATUS_FILE, text, sizeof(text)) <= 0 ||
	    sscanf(text, "%d %u %llu %llu %llu %u", &k->exit.status,
		   &k->exit.oom, &user, &system, &rss, &k->exit.left) != 6)
		return false;
	k->exit.user_us = user;
	k->exit.system_us = system;
	k->exit.max_rss_bytes = rss;
	return true;
}

static void read_pid(struct kept *k)
{
	unsigned long long ticks = 0;
	char text[700];

	if (read_file(k->dir_fd, SPAWN_PID_FILE, text, sizeof(text)) > 0 &&
	    sscanf(text, "%d %llu %599s", &k->pid, &ticks, k->cgroup) >= 2)
		k->start_ticks = ticks;
}

/* A descriptor of the process if it is still the one that was started. */
static int open_process(const struct kept *k)
{
	unsigned long long ticks = 0;
	char path[64], text[1024];
	const char *p;
	int fd;

	fd = k->pid > 0 ? (int)syscall(SYS_pidfd_open, k->pid, 0) : -1;
	if (fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/stat", k->pid);
	read_file(AT_FDCWD, path, text, sizeof(text));
	p = strrchr(text, ')');
	if (p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			       "%*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&ticks) == 1 &&
	    ticks == k->start_ticks)
		return fd;
	close(fd);
	return -1;
}

static int write_spec(struct kept *k)
{
	char text[LINE_MAX_BYTES + 128];
	int fd = openat(k->dir_fd, "spec", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);
	int len, ret = 0;

	if (fd < 0)
		return -errno;
	len = snprintf(text, sizeof(text), "%s\n%s\n%llu\n%s\n", k->user,
		       k->from, (unsigned long long)k->started_s, k->command);
	if (write(fd, text, (size_t)len) != len)
		ret = -ENOSPC;
	close(fd);
	return ret;
}

static bool take_line(char **at, char *out, size_t size)
{
	size_t len = strcspn(*at, "\n");

	if ((*at)[len] != '\n')
		return false;
	snprintf(out, size, "%.*s", (int)len, *at);
	*at += len + 1;
	return true;
}

static bool read_spec(struct kept *k)
{
	char text[LINE_MAX_BYTES + 256], number[32];
	char *at = text;

	if (read_file(k->dir_fd, "spec", text, sizeof(text)) <= 0 ||
	    !take_line(&at, k->user, sizeof(k->user)) ||
	    !take_line(&at, k->from, sizeof(k->from)) ||
	    !take_line(&at, number, sizeof(number)) ||
	    !take_line(&at, k->command, sizeof(k->command)))
		return false;
	k->started_s = strtoull(number, NULL, 10);
	return true;
}

static void remove_folder(struct kept *k)
{
	static const char *const names[] = { "spec", "stdout", "stderr",
					     SPAWN_PID_FILE, SPAWN_STATUS_FILE };
	char name[32];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		unlinkat(k->dir_fd, names[i], 0);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)k->id);
	unlinkat(k->jobs->state_fd, name, AT_REMOVEDIR);
}

/* --- records --- */

static void kept_free(struct kept *k)
{
	struct kept **at = &k->jobs->kept;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	k->jobs->kept_count--;
	while (k->followers)
		follower_free(k->followers);
	k->state = KEPT_ENDED;
	kept_rewatch(k);
	close(k->dir_fd);
	free(k);
}

void kept_drop(struct kept *k)
{
	remove_folder(k);
	kept_free(k);
}

static struct kept *kept_add(struct jobs *js, u64 id)
{
	struct kept *k = calloc(1, sizeof(*k));
	char name[32];

	if (!k)
		return NULL;
	snprintf(name, sizeof(name), "%llu", (unsigned long long)id);
	k->jobs = js;
	k->id = id;
	k->wd = -1;
	k->dir_fd = openat(js->state_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dir_fd < 0) {
		free(k);
		return NULL;
	}
	k->next = js->kept;
	js->kept = k;
	js->kept_count++;
	return k;
}

/* Ended records that are old or too many go, the oldest first. */
static void forget_old(struct jobs *js)
{
	/* What a job printed is not lost to a clock that is wrong. */
	u64 now = wallclock_confirmed(js->node) ? (u64)time(NULL) : 0;

	for (;;) {
		struct kept *k, *oldest = NULL;
		u32 ended = 0;

		for (k = js->kept; k; k = k->next) {
			if (k->state < KEPT_ENDED)
				continue;
			ended++;
			if (!oldest || k->id < oldest->id)
				oldest = k;
		}
		if (!oldest || (ended <= KEPT_ENDED_MAX &&
				oldest->started_s + KEPT_SECONDS > now))
			return;
		kept_drop(oldest);
	}
}

int kept_new(struct kept **out, struct jobs *js, u64 id, const char *user,
	     const struct caller *who, const char *command)
{
	char name[32];
	struct kept *k;
	int ret;

	forget_old(js);
	snprintf(name, sizeof(name), "%llu", (unsigned long long)id);
	if (mkdirat(js->state_fd, name, 0700))
		return -errno;
	k = kept_add(js, id);
	if (!k) {
		unlinkat(js->state_fd, name, AT_REMOVEDIR);
		return -ENOMEM;
	}
	k->started_s = (u64)time(NULL);
	snprintf(k->user, sizeof(k->user), "%s", user);
	snprintf(k->from, sizeof(k->from), "%s", who->node);
	snprintf(k->command, sizeof(k->command), "%s", command);
	ret = write_spec(k);
	if (ret)
		kept_drop(k);
	else
		*out = k;
	return ret;
}

int kept_open_streams(struct kept *k, int *fds, int *folder)
{
	static const char *const names[] = { NULL, "stdout", "stderr" };
	int s;

	fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (s = 1; s < JOB_STREAMS; s++)
		fds[s] = openat(k->dir_fd, names[s],
				O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	*folder = fcntl(k->dir_fd, F_DUPFD_CLOEXEC, 0);
	return fds[0] < 0 || fds[1] < 0 || fds[2] < 0 || *folder < 0 ? -EMFILE :
								      0;
}

void kept_started(struct kept *k, pid_t pid)
{
	k->pid = pid;
	k->state = KEPT_RUNNING;
}

void kept_ended(struct kept *k, const struct spawn_exit *e)
{
	k->exit = *e;
	k->state = KEPT_ENDED;
	kept_over(k);
}

/* --- changes in folders --- */

static struct kept *by_watch(struct jobs *js, int wd)
{
	struct kept *k;

	for (k = js->kept; k && k->wd != wd; k = k->next)
		;
	return k;
}

static void changed(struct kept *k, const struct inotify_event *e)
{
	if (e->mask & IN_MOVED_TO && !strcmp(e->name, SPAWN_STATUS_FILE) &&
	    k->adopted && read_status(k)) {
		k->state = KEPT_ENDED;
		kept_over(k);
		return;
	}
	kept_pump(k);
}

static void inotify_ready(struct watch *w, u32 events)
{
	struct jobs *js = (void *)((u8 *)w - offsetof(struct jobs, inotify));
	char buf[8192] __attribute__((aligned(8)));
	ssize_t n = read(w->fd, buf, sizeof(buf));
	ssize_t at = 0;

	while (at < n) {
		const struct inotify_event *e = (const void *)(buf + at);
		struct kept *k = by_watch(js, e->wd);

		if (k)
			changed(k, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
}

/* --- after a restart --- */

static void adopt(struct jobs *js, u64 id)
{
	struct kept *k = kept_add(js, id);
	int fd;

	if (!k)
		return;
	if (!read_spec(k)) {
		kept_drop(k); /* it had not got as far as running */
		return;
	}
	k->adopted = true;
	read_pid(k);
	k->state = KEPT_RUNNING;
	kept_rewatch(k); /* before looking, so that no end falls between */
	fd = open_process(k);
	if (read_status(k))
		k->state = KEPT_ENDED;
	else if (fd < 0)
		k->state = KEPT_UNSEEN;
	if (fd >= 0)
		close(fd);
	kept_rewatch(k);
}

int kept_load(struct jobs *js, struct failure *f)
{
	int fd = openat(js->state_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	js->inotify = (struct watch){ .fd = inotify_init1(IN_CLOEXEC |
							  IN_NONBLOCK),
				      .ready = inotify_ready };
	if (!d || js->inotify.fd < 0 ||
	    loop_watch(js->node->loop, &js->inotify, EPOLLIN)) {
		if (d)
			closedir(d);
		return failure_set(f, -errno, "jobs", NULL,
				   "cannot watch %s/jobs: %s", js->node->state,
				   strerror(errno));
	}
	while ((e = readdir(d))) {
		char *end;
		u64 id = strtoull(e->d_name, &end, 10);

		if (id && !*end)
			adopt(js, id);
	}
	closedir(d);
	forget_old(js);
	return 0;
}

void kept_free_all(struct jobs *js)
{
	while (js->kept)
		kept_free(js->kept);
	if (js->inotify.fd >= 0) {
		loop_unwatch(js->node->loop, &js->inotify);
		close(js->inotify.fd);
	}
}

/* --- listing and signals --- */

struct kept *kept_find(struct jobs *js, u64 id)
{
	struct kept *k;

	for (k = js->kept; k && k->id != id; k = k->next)
		;
	return k;
}

bool kept_owned(const struct kept *k, const struct caller *who)
{
	return who->root || !strcmp(k->user, who->user);
}

void kept_each(struct jobs *js, void (*fn)(void *arg, const struct kept *k),
	       void *arg)
{
	struct kept *k;

	for (k = js->kept; k; k = k->next)
		fn(arg, k);
}

void kept_describe(const struct kept *k, struct rec_job_status *r)
{
	static const char *const states[] = { "starting", "running", "ended",
					      "lost" };
	struct msg_job_exit m;
	char why[96];

	exit_message(&k->exit, false, &m, why, sizeof(why));
	*r = (struct rec_job_status){
		.job = k->id,
		.node = span_of(k->jobs->node->local.node),
		.user = span_of(k->user),
		.from = span_of(k->from),
		.state = span_of(states[k->state]),
		.started_s = k->started_s,
		.status = k->state == KEPT_ENDED ? m.status : 0,
		.pid = (u32)k->pid,
		.command = span_of(k->command),
		.detached = 1,
	};
}

/* Kills all of an adopted job's cgroup; its name was written when it started. */
static bool kill_cgroup(const struct kept *k)
{
	static const char *const mounts[] = { "/sys/fs/cgroup",
					      "/sys/fs/cgroup/unified" };
	char path[700];
	size_t i;

	for (i = 0; k->cgroup[0] == '/' && i < ARRAY_SIZE(mounts); i++) {
		int fd;

		snprintf(path, sizeof(path), "%s%s/cgroup.kill", mounts[i],
			 k->cgroup);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (write(fd, "1", 1) != 1)
			log_error("%s: %s", path, strerror(errno));
		close(fd);
		return true;
	}
	return false;
}

void kept_signal(struct kept *k, int sig)
{
	int fd;

	if (k->state != KEPT_RUNNING)
		return;
	if (!k->adopted) {
		if (sig == SIGKILL)
			spawner_kill(k->jobs->spawner, k->id);
		else
			spawner_signal(k->jobs->spawner, k->id, sig);
		return;
	}
	fd = open_process(k);
	if (fd < 0)
		return;
	/* Its number cannot be used again while its leader is there to be seen;
	 * the group is its session's first.
	 */
	if ((sig != SIGKILL || !kill_cgroup(k)) && kill(-k->pid, sig))
		syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
	close(fd);
}
