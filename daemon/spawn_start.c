// SPDX-License-Identifier: GPL-2.0-or-later
/* How virgo-spawn starts a job: its account is looked up, then a child that waits
 * or a new one becomes its program; see spawn_impl.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "spawn_impl.h"
#include "users.h"

enum {
	SPEC_BYTES_MAX = 2 << 20, /* more than exec() takes */
	START_LATE_US = 3000, /* a start nobody waits for is told so late */
};

bool spawn_start_known(struct job *j)
{
	ssize_t n;

	do
		n = read(j->status.fd, &j->failure, sizeof(j->failure));
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return false;
	if (n != (ssize_t)sizeof(j->failure)) {
		j->failure.stage = 0;
		spawn_drop_launch(j);
	}
	loop_disarm(spawn.loop, &j->recheck);
	j->state = RUNNING;
	return true;
}

void spawn_tell_started(struct job *j)
{
	spawn_write_pid(j);
	spawn_event(SPAWN_STARTED, j->id, j->group.leader, 0, NULL, 0);
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

void spawn_start_over(struct job *j)
{
	if (j->status.fd < 0)
		return;
	loop_unwatch(spawn.loop, &j->status);
	close(j->status.fd);
	j->status.fd = -1;
}

static void status_ready(struct watch *w, u32 events)
{
	struct job *j = (void *)((u8 *)w - offsetof(struct job, status));

	if (!spawn_start_known(j))
		return;
	if (!j->failure.stage)
		spawn_tell_started(j);
	spawn_start_over(j);
}

static void fail_start(struct job *j, u32 stage, int error, const char *text)
{
	spawn_failed(j->id, stage, error, text);
	spawn_forget(j);
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

void spawn_fill_later(void)
{
	if (spawn.fill_due)
		return;
	spawn.fill_due = true;
	spawn.fill.run = fill;
	loop_defer(spawn.loop, &spawn.fill);
}

/* Starts @j in a child that waits; gives its status descriptor, or -1. */
static int launch_ready(struct job *j, const char *node)
{
	const struct msg_job_start *s = &j->start;

	if (j->detached || s->memory_bytes || s->cpu_ppm || s->pids)
		return -1;
	return ready_launch(&j->group, j->id, node, j->launch, j->fds,
			    j->fds[JOB_STREAMS], &j->room);
}

/* The same in a group and a child of its own; -1 when it cannot be and that has
 * been told.
 */
static int launch_fork(struct job *j, const char *node)
{
	struct jobgroup_limits limits = { j->start.memory_bytes,
					  j->start.cpu_ppm, j->start.pids };
	const char *what = "limit";
	int fds[2], ret;

	ret = jobgroup_take(&j->group, j->id, node, j->detached, &limits,
			    &j->launch->rlimits, &what);
	if (ret) {
		fail_start(j, ret == -EOPNOTSUPP ? STAGE_LIMIT : STAGE_FORK, -ret,
			   what);
		return -1;
	}
	if (pipe2(fds, O_CLOEXEC)) {
		fail_start(j, STAGE_FORK, errno, "");
		return -1;
	}
	if (jobgroup_fork(&j->group) == 0)
		launch_child(j->launch, j->fds, j->fds[JOB_STREAMS], fds[1]);
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

/* What the child will do, as account @a; 0 or a negative errno. */
static int plan(struct job *j, const struct account *a, const char *node)
{
	struct jobgroup named;
	char head[2] = "";
	int ret;

	jobgroup_name(&named, j->id, node);
	ret = launch_plan(&j->launch, &j->start, a, named.mark);
	if (ret)
		return ret;
	j->launch->nofile_soft = spawn.nofile.rlim_cur;
	j->launch->nofile_hard = spawn.nofile.rlim_max;
	if (!(j->flags & SPAWN_HAS_BLOB))
		return 0;
	j->launch->blob = true;
	if (pread(j->fds[JOB_STREAMS], head, sizeof(head), 0) < 0)
		return -errno;
	j->launch->script = !memcmp(head, "#!", 2);
	return 0;
}

static void launch(struct job *j, const struct account *a)
{
	struct job **at;
	char node[64];
	int fd, ret;

	span_to_cstr(j->start.node, node, sizeof(node));
	ret = plan(j, a, node);
	if (ret) {
		fail_start(j, STAGE_REQUEST, -ret, "");
		return;
	}
	fd = launch_ready(j, node);
	if (fd < 0)
		fd = launch_fork(j, node);
	spawn_fill_later();
	if (fd < 0)
		return;
	j->status = (struct watch){ .fd = fd, .ready = status_ready };
	spawn_drop_start(j);
	at = spawn_pid_slot(j->group.leader);
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

void spawn_start(const struct spawn_message *m, const void *data, size_t len,
		 int *fds, u32 count)
{
	struct job *j = calloc(1, sizeof(*j));
	int spec_fd = -1;
	char user[256];
	u32 i, at;

	if (!j || count != fds_wanted(m->flags) || len < sizeof(j->how)) {
		for (i = 0; i < count; i++)
			close(fds[i]);
		free(j);
		spawn_failed(m->job, STAGE_REQUEST, j ? EMFILE : ENOMEM, "");
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
	j->next_id = spawn.by_id[j->id % SPAWN_BUCKETS];
	spawn.by_id[j->id % SPAWN_BUCKETS] = j;
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
