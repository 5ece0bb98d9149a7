// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-spawn: starts jobs for virgod, watches over them, and cleans up after
 * both. The protocol is in spawn_protocol.h; the socket to virgod is descriptor 3.
 *
 *	WAITING -> STARTING -> RUNNING -> ENDING -> (gone)
 *	(account)  (till exec)           (till its group is empty)
 *
 * One thread, one loop. SIGCHLD comes through a signalfd. Requests are read
 * without blocking; events to virgod are written blocking, which is safe because
 * virgod never blocks on this socket, and its end ends the write too. As the
 * child subreaper it inherits whatever a job leaves behind.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "jobgroup.h"
#include "launch.h"
#include "log.h"
#include "loop.h"
#include "ready.h"
#include "spawn_protocol.h"
#include "users.h"

enum {
	VIRGOD_FD = 3,
	BUCKETS = 1024,
	NOFILE_JOB = 1024, /* soft limit of descriptors that programs expect */
	REQUEST_BYTES = sizeof(struct spawn_message) +
			sizeof(struct spawn_start) + SPAWN_INLINE_MAX,
	SPEC_BYTES_MAX = 2 << 20, /* more than exec() takes */
	RECHECK_FIRST_US = 100,
	RECHECK_MOST_US = 20000,
	GIVE_UP_US = 5000000,
	SWEEP_US = 300000,
	START_LATE_US = 3000, /* a start nobody waits for is told so late */
	SWEEPS = 8,
	SIGNALS_MOST = 4, /* kinds that open_signals() takes: one is pending each */
};

enum job_state { WAITING, STARTING, RUNNING, ENDING };

struct job {
	struct job *next_id, *next_pid; /* hash chains */
	u64 id;
	enum job_state state;
	bool detached;
	bool killed; /* while waiting or starting */
	u32 flags; /* enum spawn_flags */

	struct spawn_start how;
	u8 *spec; /* the JOB_START, until exec */
	size_t spec_len;
	struct msg_job_start start; /* views into it */
	int fds[SPAWN_FDS_MAX]; /* until exec; -1: none */
	int folder_fd; /* detached; else -1 */

	struct jobgroup group;
	struct watch status; /* read end of the child's status pipe */
	struct launch_failure failure;

	int wait_status;
	struct rusage usage;
	struct timer recheck;
	u64 ending_us, recheck_us;
};

static struct {
	struct loop *loop;
	struct accounts *accounts;
	struct watch virgod;
	struct watch signals;
	struct timer sweep;
	struct post fill; /* of the children that wait */
	bool fill_due;
	int sweeps; /* left to do */
	bool orphan; /* virgod is gone */
	struct rlimit nofile; /* what jobs get */
	struct job *by_id[BUCKETS];
	struct job *by_pid[BUCKETS];
	u32 jobs;
} spawn;

/* --- events to virgod --- */

static void event(u32 kind, u64 job, s32 value, u32 stage, const void *data,
		  size_t len)
{
	struct spawn_message m = { .kind = kind, .job = job, .value = value,
				   .stage = stage };
	struct iovec iov[2] = { { &m, sizeof(m) }, { (void *)data, len } };
	struct msghdr h = { .msg_iov = iov, .msg_iovlen = data ? 2 : 1 };

	if (spawn.orphan)
		return;
	while (sendmsg(VIRGOD_FD, &h, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static void failed(u64 job, u32 stage, int error, const char *text)
{
	event(SPAWN_FAILED, job, error, stage, text, strlen(text));
}

/* --- the table --- */

static struct job **id_slot(u64 id)
{
	struct job **at = &spawn.by_id[id % BUCKETS];

	while (*at && (*at)->id != id)
		at = &(*at)->next_id;
	return at;
}

static struct job **pid_slot(pid_t pid)
{
	struct job **at = &spawn.by_pid[(u32)pid % BUCKETS];

	while (*at && (*at)->group.leader != pid)
		at = &(*at)->next_pid;
	return at;
}

static void drop_start(struct job *j)
{
	int i;

	free(j->spec);
	j->spec = NULL;
	for (i = 0; i < SPAWN_FDS_MAX; i++)
		if (j->fds[i] >= 0) {
			close(j->fds[i]);
			j->fds[i] = -1;
		}
}

static void job_forget(struct job *j)
{
	struct job **at = id_slot(j->id);

	if (*at)
		*at = j->next_id;
	if (j->group.leader > 0) {
		at = pid_slot(j->group.leader);
		if (*at)
			*at = j->next_pid;
	}
	loop_disarm(spawn.loop, &j->recheck);
	if (j->status.fd >= 0) {
		loop_unwatch(spawn.loop, &j->status);
		close(j->status.fd);
	}
	drop_start(j);
	jobgroup_give_back(&j->group);
	if (j->folder_fd >= 0)
		close(j->folder_fd);
	free(j);
	if (--spawn.jobs == 0 && spawn.orphan)
		loop_stop(spawn.loop);
}

/* --- a detached job's files, for the virgod that comes after this one --- */

static void folder_write(struct job *j, const char *name, const char *text)
{
	char temporary[32];
	ssize_t n;
	int fd;

	if (j->folder_fd < 0)
		return;
	snprintf(temporary, sizeof(temporary), ".%s", name);
	fd = openat(j->folder_fd, temporary,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	n = fd >= 0 ? write(fd, text, strlen(text)) : -1;
	if (n != (ssize_t)strlen(text) ||
	    renameat(j->folder_fd, temporary, j->folder_fd, name))
		log_error("job %llu: cannot write its %s: %s",
			  (unsigned long long)j->id, name, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static unsigned long long start_time(pid_t pid)
{
	char path[32], buf[1024];
	unsigned long long ticks = 0;
	const char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	buf[fread(buf, 1, sizeof(buf) - 1, f)] = 0;
	fclose(f);
	p = strrchr(buf, ')');
	/* After the name: state is field 3, starttime field 22. */
	if (p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			       "%*u %*u %*d %*d %*d %*d %*d %*d %llu",
			&ticks) != 1)
		ticks = 0;
	return ticks;
}

static void write_pid(struct job *j)
{
	char path[600], text[700];

	if (j->folder_fd < 0)
		return;
	jobgroup_path(&j->group, path, sizeof(path));
	snprintf(text, sizeof(text), "%d %llu %s\n", j->group.leader,
		 start_time(j->group.leader), path);
	folder_write(j, SPAWN_PID_FILE, text);
}

static void write_status(struct job *j, const struct spawn_exit *e)
{
	char text[160];

	snprintf(text, sizeof(text), "%d %u %llu %llu %llu %u\n", e->status,
		 e->oom, (unsigned long long)e->user_us,
		 (unsigned long long)e->system_us,
		 (unsigned long long)e->max_rss_bytes, e->left);
	folder_write(j, SPAWN_STATUS_FILE, text);
}

/* --- the end of a job --- */

static u64 timeval_us(struct timeval t)
{
	return (u64)t.tv_sec * 1000000 + (u64)t.tv_usec;
}

static void report_end(struct job *j, bool empty)
{
	struct spawn_exit e = {
		.status = j->wait_status,
		.oom = jobgroup_oom(&j->group),
		.user_us = timeval_us(j->usage.ru_utime),
		.system_us = timeval_us(j->usage.ru_stime),
		.max_rss_bytes = (u64)j->usage.ru_maxrss * 1024,
		.left = empty ? 0 : jobgroup_count(&j->group),
		.pid = j->group.leader,
	};

	if (j->failure.stage) {
		failed(j->id, j->failure.stage, j->failure.error, "");
	} else {
		write_status(j, &e);
		event(SPAWN_EXITED, j->id, 0, 0, &e, sizeof(e));
	}
	job_forget(j);
}

/* After the leader: whatever it left is killed, and the end is told when nothing
 * is left. A process in an uninterruptible wait is waited for only so long.
 */
static void end_or_recheck(struct job *j)
{
	bool empty = jobgroup_empty(&j->group);

	if (empty || loop_clock_us() - j->ending_us > GIVE_UP_US) {
		report_end(j, empty);
		return;
	}
	jobgroup_kill(&j->group);
	loop_arm(spawn.loop, &j->recheck, j->recheck_us);
	j->recheck_us = j->recheck_us * 2 < RECHECK_MOST_US ? j->recheck_us * 2 :
							      RECHECK_MOST_US;
}

static void recheck_fired(struct timer *t)
{
	end_or_recheck((void *)((u8 *)t - offsetof(struct job, recheck)));
}

/* --- the start of a job --- */

/* The status pipe: bytes say why the child failed, its end that it runs. False
 * while that is not known. Gives the job's state, tells nobody.
 */
static bool start_known(struct job *j)
{
	ssize_t n;

	do
		n = read(j->status.fd, &j->failure, sizeof(j->failure));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n != (ssize_t)sizeof(j->failure))
		j->failure.stage = 0;
	loop_disarm(spawn.loop, &j->recheck);
	j->state = RUNNING;
	return true;
}

static void tell_started(struct job *j)
{
	write_pid(j);
	event(SPAWN_STARTED, j->id, j->group.leader, 0, NULL, 0);
}

/* Looks from now on whether the child has got to its program. */
static void watch_start(struct job *j)
{
	if (loop_watch(spawn.loop, &j->status, EPOLLIN))
		jobgroup_kill(&j->group);
}

static void start_late(struct timer *t)
{
	struct job *j = (void *)((u8 *)t - offsetof(struct job, recheck));

	if (j->state == STARTING)
		watch_start(j);
}

static void status_ready(struct watch *w, u32 events)
{
	struct job *j = (void *)((u8 *)w - offsetof(struct job, status));

	if (!start_known(j))
		return;
	if (!j->failure.stage)
		tell_started(j);
	loop_unwatch(spawn.loop, w);
	close(w->fd);
	w->fd = -1;
}

static void fail_start(struct job *j, u32 stage, int error, const char *text)
{
	failed(j->id, stage, error, text);
	job_forget(j);
}

/* UID_MIN here; the file is read again when it has changed. */
static u32 uid_min(void)
{
	static struct stat seen;
	static u32 min;
	struct stat now = { 0 };

	if (stat(LOGIN_DEFS, &now))
		now.st_size = -1;
	if (!min || now.st_ino != seen.st_ino || now.st_size != seen.st_size ||
	    now.st_mtim.tv_sec != seen.st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != seen.st_mtim.tv_nsec) {
		min = users_uid_min(NULL);
		seen = now;
	}
	return min;
}

/* Root and system accounts run nothing unless policy names them. */
static int ordinary(const struct job *j, const struct account *a,
		    struct failure *f)
{
	const struct user u = { .uid = a->uid, .gid = a->gid, .name = a->name };

	if (geteuid() || j->flags & SPAWN_ALLOW_SYSTEM)
		return 0;
	return user_ordinary(&u, j->how.uid_min ?: uid_min(), NULL, "run", f);
}

static void fill(struct post *p)
{
	spawn.fill_due = false;
	if (!spawn.orphan)
		ready_fill();
}

static void fill_later(void)
{
	if (spawn.fill_due)
		return;
	spawn.fill_due = true;
	spawn.fill.run = fill;
	loop_defer(spawn.loop, &spawn.fill);
}

/* Starts @j in a child that waits; gives its status descriptor, or -1. */
static int launch_ready(struct job *j, const struct launch *l, const char *node)
{
	const struct msg_job_start *s = &j->start;

	if (j->detached || s->memory_bytes || s->cpu_ppm || s->pids)
		return -1;
	return ready_launch(&j->group, j->id, node, l, j->spec, j->spec_len);
}

/* The same in a group and a child of its own; -1 when it cannot be and that has
 * been told.
 */
static int launch_fork(struct job *j, struct launch *l, const char *node)
{
	struct jobgroup_limits limits = { j->start.memory_bytes,
					  j->start.cpu_ppm, j->start.pids };
	const char *what = "limit";
	int fds[2], ret;

	ret = jobgroup_take(&j->group, j->id, node, j->detached, &limits,
			    &l->rlimits, &what);
	if (ret) {
		fail_start(j, ret == -EOPNOTSUPP ? STAGE_LIMIT : STAGE_FORK, -ret,
			   what);
		return -1;
	}
	if (pipe2(fds, O_CLOEXEC)) {
		fail_start(j, STAGE_FORK, errno, "");
		return -1;
	}
	l->status_fd = fds[1];
	if (jobgroup_fork(&j->group) == 0)
		launch_child(l);
	ret = errno;
	close(fds[1]);
	if (j->group.leader < 0) {
		close(fds[0]);
		fail_start(j, STAGE_FORK, ret, "");
		return -1;
	}
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	return fds[0];
}

static void launch(struct job *j, const struct account *a)
{
	struct launch l = { .start = &j->start, .account = a, .group = &j->group,
			    .streams = { j->fds[0], j->fds[1], j->fds[2] },
			    .blob_fd = j->flags & SPAWN_HAS_BLOB ? j->fds[3] : -1,
			    .nofile_soft = spawn.nofile.rlim_cur,
			    .nofile_hard = spawn.nofile.rlim_max };
	char node[64];
	struct job **at;
	int fd;

	span_to_cstr(j->start.node, node, sizeof(node));
	fd = launch_ready(j, &l, node);
	if (fd < 0)
		fd = launch_fork(j, &l, node);
	fill_later();
	if (fd < 0)
		return;
	j->status = (struct watch){ .fd = fd, .ready = status_ready };
	drop_start(j);
	at = pid_slot(j->group.leader);
	j->next_pid = NULL;
	*at = j;
	j->state = STARTING;
	if (!(j->start.flags & JOB_NO_INPUT)) {
		watch_start(j);
		return;
	}
	/* Most such jobs end soon, and their end tells the start too. */
	j->recheck.fire = start_late;
	loop_arm(spawn.loop, &j->recheck, START_LATE_US);
}

/* What is wrong, and after a line feed what mends it. */
static void fail_account(struct job *j, u32 stage, const struct failure *f)
{
	char text[SPAWN_TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s%s", f->what, f->remedy[0] ? "\n" : "",
		 f->remedy);
	fail_start(j, stage, -f->code, text);
}

static void account_known(void *arg, const struct account *a,
			  const struct failure *why)
{
	struct job *j = arg;
	struct failure f = { 0 };

	if (j->killed)
		fail_start(j, STAGE_REQUEST, ECANCELED, "");
	else if (!a)
		fail_account(j, STAGE_USER, why);
	else if (ordinary(j, a, &f))
		fail_account(j, STAGE_USER, &f);
	else
		launch(j, a);
}

/* The JOB_START itself, from the packet or from the memfd that came with it. */
static int take_spec(struct job *j, const void *data, size_t len, int memfd)
{
	if (memfd >= 0) {
		off_t size = lseek(memfd, 0, SEEK_END);

		if (size < 0 || size > SPEC_BYTES_MAX)
			return -E2BIG;
		len = (size_t)size;
	}
	j->spec_len = len;
	j->spec = malloc(len ? len : 1);
	if (!j->spec)
		return -ENOMEM;
	if (memfd < 0)
		memcpy(j->spec, data, len);
	else if (pread(memfd, j->spec, len, 0) != (ssize_t)len)
		return -EIO;
	return msg_job_start_decode(&j->start, j->spec, len);
}

static u32 fds_wanted(u32 flags)
{
	return JOB_STREAMS + !!(flags & SPAWN_HAS_BLOB) +
	       !!(flags & SPAWN_HAS_SPEC) + !!(flags & SPAWN_HAS_FOLDER);
}

static void start_request(const struct spawn_message *m, const void *data,
			  size_t len, int *fds, u32 count)
{
	struct job *j = calloc(1, sizeof(*j));
	int spec_fd = -1;
	char user[256];
	u32 i, at;

	if (!j || count != fds_wanted(m->flags) || len < sizeof(j->how)) {
		for (i = 0; i < count; i++)
			close(fds[i]);
		free(j);
		failed(m->job, STAGE_REQUEST, j ? EMFILE : ENOMEM, "");
		return;
	}
	j->id = m->job;
	memcpy(&j->how, data, sizeof(j->how));
	j->how.from[sizeof(j->how.from) - 1] = 0;
	j->flags = m->flags;
	j->status.fd = j->folder_fd = -1;
	j->group.dir_fd = j->group.events_fd = -1;
	for (i = 0; i < SPAWN_FDS_MAX; i++)
		j->fds[i] = i < count ? fds[i] : -1;
	j->next_id = spawn.by_id[j->id % BUCKETS];
	spawn.by_id[j->id % BUCKETS] = j;
	spawn.jobs++;
	at = JOB_STREAMS + !!(m->flags & SPAWN_HAS_BLOB);
	if (m->flags & SPAWN_HAS_SPEC)
		spec_fd = j->fds[at++];
	if (m->flags & SPAWN_HAS_FOLDER) {
		j->folder_fd = j->fds[at];
		j->fds[at] = -1;
	}
	if (take_spec(j, (const u8 *)data + sizeof(j->how),
		      len - sizeof(j->how), spec_fd) ||
	    !span_to_cstr(j->start.user, user, sizeof(user))) {
		fail_start(j, STAGE_REQUEST, EBADMSG, "");
		return;
	}
	j->detached = j->start.flags & JOB_DETACH;
	accounts_find(spawn.accounts, user, (enum user_pam)j->how.pam,
		      j->how.from, account_known, j);
}

/* --- other requests --- */

static void kill_all(struct job *j)
{
	if (j->state == WAITING) {
		j->killed = true;
		return;
	}
	/* Before its setsid() the leader is in no session of its own yet. */
	if (j->state != ENDING)
		kill(j->group.leader, SIGKILL);
	jobgroup_kill(&j->group);
}

static void signal_job(struct job *j, int sig)
{
	/* Until its exec the child has our handlers, not the program's. */
	if (sig <= 0 || sig >= NSIG || j->state == WAITING)
		return;
	if (j->state == ENDING)
		jobgroup_kill(&j->group);
	else if (kill(-j->group.leader, sig) && errno == ESRCH)
		kill(j->group.leader, sig);
}

static void who_known(void *arg, const struct account *a,
		      const struct failure *why)
{
	struct spawn_message *m = arg;
	const char *name = a ? a->name : "";

	event(SPAWN_NAME, m->job, m->value, a ? 0 : (u32)-why->code, name,
	      strlen(name));
	free(m);
}

static void who_request(const struct spawn_message *m)
{
	struct spawn_message *copy = malloc(sizeof(*copy));

	if (!copy) {
		event(SPAWN_NAME, m->job, m->value, ENOMEM, "", 0);
		return;
	}
	*copy = *m;
	accounts_find_uid(spawn.accounts, (u32)m->value, who_known, copy);
}

static void request(const struct spawn_message *m, const void *data, size_t len,
		    int *fds, u32 count)
{
	struct job *j = *id_slot(m->job);

	if (m->kind == SPAWN_START) {
		start_request(m, data, len, fds, count);
		return;
	}
	while (count)
		close(fds[--count]);
	if (m->kind == SPAWN_WHO)
		who_request(m);
	else if (j && m->kind == SPAWN_SIGNAL)
		signal_job(j, m->value);
	else if (j && m->kind == SPAWN_KILL)
		kill_all(j);
}

/* --- virgod's end, and ours --- */

static void virgod_gone(void)
{
	struct job *j, *next;
	u32 i;

	spawn.orphan = true;
	loop_unwatch(spawn.loop, &spawn.virgod);
	close(VIRGOD_FD);
	ready_close();
	for (i = 0; i < BUCKETS; i++)
		for (j = spawn.by_id[i]; j; j = next) {
			next = j->next_id;
			if (!j->detached)
				kill_all(j);
		}
	if (!spawn.jobs)
		loop_stop(spawn.loop);
}

static u32 take_fds(struct msghdr *h, int *fds)
{
	struct cmsghdr *c;
	u32 count = 0;

	for (c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			count = (u32)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(c), count * sizeof(int));
		}
	return count;
}

static void virgod_ready(struct watch *w, u32 events)
{
	static u8 buf[REQUEST_BYTES] __attribute__((aligned(8)));
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(SPAWN_FDS_MAX * sizeof(int))];
	} control;
	int fds[SPAWN_FDS_MAX];

	while (!spawn.orphan) {
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1,
				    .msg_control = &control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(w->fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		const struct spawn_message *m = (const void *)buf;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < (ssize_t)sizeof(*m)) {
			virgod_gone();
			return;
		}
		request(m, buf + sizeof(*m), (size_t)n - sizeof(*m), fds,
			take_fds(&h, fds));
	}
}

static void child_ended(pid_t pid, int status, const struct rusage *usage)
{
	struct job *j = *pid_slot(pid);

	if (!j || j->state == ENDING) {
		if (!ready_reaped(pid))
			accounts_reaped(spawn.accounts, pid);
		return;
	}
	/* What comes after its end is told only to those who look for it later:
	 * every event is a wake-up of virgod on the way of the answer.
	 */
	if (j->state == STARTING && start_known(j) && !j->failure.stage &&
	    j->detached)
		tell_started(j);
	j->state = ENDING;
	j->wait_status = status;
	j->usage = *usage;
	j->ending_us = loop_clock_us();
	j->recheck_us = RECHECK_FIRST_US;
	j->recheck.fire = recheck_fired;
	end_or_recheck(j);
}

static void signals_ready(struct watch *w, u32 events)
{
	struct signalfd_siginfo info[SIGNALS_MOST];
	struct rusage usage;
	bool stop = false;
	int status;
	pid_t pid;
	ssize_t n;

	/* What is left is told again by the loop. */
	n = read(w->fd, info, sizeof(info));
	for (; n >= (ssize_t)sizeof(info[0]); n -= (ssize_t)sizeof(info[0]))
		stop |= info[n / (ssize_t)sizeof(info[0]) - 1].ssi_signo !=
			SIGCHLD;
	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		child_ended(pid, status, &usage);
	if (stop && !spawn.orphan)
		virgod_gone();
}

static void sweep_fired(struct timer *t)
{
	jobgroup_sweep();
	if (--spawn.sweeps)
		loop_arm(spawn.loop, t, SWEEP_US);
}

static void raise_nofile(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &spawn.nofile);
	r = spawn.nofile;
	r.rlim_cur = r.rlim_max;
	if (spawn.nofile.rlim_cur > NOFILE_JOB)
		spawn.nofile.rlim_cur = NOFILE_JOB;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* Jobs inherit how signals are taken here: as nobody has changed it. */
static void reset_signals(void)
{
	static const u8 by_default[64]; /* the kernel's struct, all zero */
	int sig;

	/* Not signal(): it spares two that the C library keeps for itself. */
	for (sig = 1; sig < NSIG; sig++)
		syscall(SYS_rt_sigaction, sig, by_default, NULL, NSIG / 8);
}

static int open_signals(void)
{
	sigset_t set;

	reset_signals();
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_SETMASK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(int argc, char **argv)
{
	bool avoid = argc > 1 && !strcmp(argv[1], "--no-cgroups");
	int type = 0;
	socklen_t len = sizeof(type);

	log_open("virgo-spawn", LOG_LEVEL_INFO);
	if (getsockopt(VIRGOD_FD, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    type != SOCK_SEQPACKET || argc > 1 + avoid) {
		fprintf(stderr, "virgo-spawn: started by virgod only, with its "
				"socket as descriptor 3\n");
		return 2;
	}
	fcntl(VIRGOD_FD, F_SETFD, FD_CLOEXEC);
	raise_nofile();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	jobgroup_open(avoid);
	spawn.loop = loop_new();
	if (spawn.loop)
		spawn.accounts = accounts_new(spawn.loop);
	if (!spawn.accounts) {
		log_error("cannot start: virgo-account: %s", strerror(errno));
		return 1;
	}
	spawn.virgod = (struct watch){ .fd = VIRGOD_FD, .ready = virgod_ready };
	spawn.signals = (struct watch){ .fd = open_signals(),
					.ready = signals_ready };
	if (spawn.signals.fd < 0 ||
	    loop_watch(spawn.loop, &spawn.virgod, EPOLLIN) ||
	    loop_watch(spawn.loop, &spawn.signals, EPOLLIN)) {
		log_error("cannot start: %s", strerror(errno));
		return 1;
	}
	spawn.sweeps = SWEEPS;
	spawn.sweep.fire = sweep_fired;
	loop_arm(spawn.loop, &spawn.sweep, SWEEP_US);
	fill_later();
	loop_run(spawn.loop);
	loop_disarm(spawn.loop, &spawn.sweep);
	loop_unwatch(spawn.loop, &spawn.signals);
	accounts_free(spawn.accounts);
	ready_close();
	jobgroup_close();
	loop_free(spawn.loop);
	return 0;
}
