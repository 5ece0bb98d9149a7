// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Groups of processes; the contract is in jobgroup.h.
 *
 * With cgroups: <mount>/<where we may>/virgo-<pid>/{s<N>,l<JOB>,d<JOB>}. s<N>
 * are slots, made once and used again for jobs without limits, because making and
 * removing a cgroup costs more than the fork (0.2 ms against 0.1). l<JOB> are for
 * jobs with limits, whose charges must start from zero, d<JOB> for detached ones.
 * The folder is locked with flock() by the process that made it; a folder that can
 * be locked belongs to a dead one, and is cleared of all but detached jobs.
 *
 * Without, jobgroup_plain.h says what belongs to a job. That catches what
 * daemonises, not what sets out to hide; with cgroups nothing hides.
 */
#include "jobgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "jobgroup_plain.h"
#include "raw.h"

enum { SLOTS_KEPT = 256, OWN_NAME = 32, READ_MAX = 4096 };

static struct {
	int parent_fd; /* where our folder is */
	int dir_fd; /* our folder; -1: no cgroups */
	char name[OWN_NAME];
	char path[512]; /* of our folder below the mount */
	bool memory, cpu, pids; /* controllers that work in it */
	u32 slots; /* made so far */
	struct { u32 slot; int dir_fd, events_fd; } kept[SLOTS_KEPT];
	u32 kept_count;
} own = { .parent_fd = -1, .dir_fd = -1 };

static int write_at(int dir_fd, const char *name, const char *text)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? (int)n : 0;
}

/* A short file as a string; "" when it cannot be read. */
static void read_at(int dir_fd, const char *name, char *out, size_t size)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t n;

	while (fd >= 0 && have + 1 < size &&
	       (n = read(fd, out + have, size - 1 - have)) > 0)
		have += (size_t)n;
	if (fd >= 0)
		close(fd);
	out[have] = 0;
}

/* Kills what is in cgroup @dir_fd; older kernels have no cgroup.kill. */
static void kill_cgroup(int dir_fd)
{
	char buf[READ_MAX];
	char *p = buf, *end;

	if (write_at(dir_fd, "cgroup.kill", "1") == 0)
		return;
	read_at(dir_fd, "cgroup.procs", buf, sizeof(buf));
	for (;; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		if (pid > 0)
			kill((pid_t)pid, SIGKILL);
	}
}

/* Clears folder @name of a dead virgo-spawn: kills jobs that were not detached,
 * removes what is empty.
 */
static void clear_folder(const char *name)
{
	int fd = openat(own.parent_fd, name,
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) || !(d = fdopendir(fd))) {
		close(fd);
		return;
	}
	while ((e = readdir(d))) {
		int job;

		if (!strchr("sl", e->d_name[0]) || e->d_type != DT_DIR)
			continue;
		job = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (job < 0)
			continue;
		kill_cgroup(job);
		close(job);
	}
	rewinddir(d);
	while ((e = readdir(d)))
		if (e->d_type == DT_DIR && strchr("sld", e->d_name[0]))
			unlinkat(fd, e->d_name, AT_REMOVEDIR);
	closedir(d);
	unlinkat(own.parent_fd, name, AT_REMOVEDIR);
}

void jobgroup_sweep(void)
{
	int fd = own.parent_fd < 0 ? -1 :
		 openat(own.parent_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (!strncmp(e->d_name, "virgo-", 6) && strcmp(e->d_name, own.name))
			clear_folder(e->d_name);
	closedir(d);
}

/* Mount point of the cgroup2 hierarchy, from mountinfo: its fields are
 * "id parent dev root mount options [tags] - type source options".
 */
static bool find_mount(char *out, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	bool found = false;
	size_t cap = 0;

	while (f && !found && getline(&line, &cap, f) > 0) {
		char point[256];

		if (!strstr(line, " - cgroup2 "))
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %255s", point) == 1) {
			snprintf(out, size, "%s", point);
			found = true;
		}
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

/* Our own cgroup, "/" when it is the root or unknown. */
static void find_self(char *out, size_t size)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char *line = NULL;
	size_t cap = 0;

	snprintf(out, size, "/");
	while (f && getline(&line, &cap, f) > 0)
		if (!strncmp(line, "0::", 3)) {
			line[strcspn(line, "\n")] = 0;
			snprintf(out, size, "%s", line + 3);
		}
	free(line);
	if (f)
		fclose(f);
}

static void move_to(int leaf, long pid)
{
	char text[24];

	snprintf(text, sizeof(text), "%ld", pid);
	write_at(leaf, "cgroup.procs", text);
}

/* A service manager gave us this cgroup to divide (Delegate=yes): its processes
 * and we move to a leaf, because only then may controllers be passed on to
 * children.
 */
static bool use_delegated(int fd)
{
	char procs[READ_MAX];
	char *p = procs, *end;
	int leaf;

	if (mkdirat(fd, "daemon", 0755) && errno != EEXIST)
		return false;
	leaf = openat(fd, "daemon", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (leaf < 0)
		return false;
	read_at(fd, "cgroup.procs", procs, sizeof(procs));
	for (;; p = end) {
		long pid = strtol(p, &end, 10);

		if (end == p)
			break;
		move_to(leaf, pid);
	}
	move_to(leaf, getpid());
	close(leaf);
	return true;
}

static bool pass_on(int parent_fd, int dir_fd, const char *controller)
{
	char text[16];

	snprintf(text, sizeof(text), "+%s", controller);
	write_at(parent_fd, "cgroup.subtree_control", text);
	return write_at(dir_fd, "cgroup.subtree_control", text) == 0;
}

/* -1 unless @path was given to us to divide. */
static int open_delegated(const char *mount, const char *path)
{
	char full[768];
	char mark[8];
	int fd;

	snprintf(full, sizeof(full), "%s%s", mount, path);
	if (getxattr(full, "user.delegate", mark, sizeof(mark)) <= 0 &&
	    getxattr(full, "trusted.delegate", mark, sizeof(mark)) <= 0)
		return -1;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !use_delegated(fd)) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		snprintf(own.path, sizeof(own.path), "%s", path);
	return fd;
}

/* As the units have it, jobs are in a cgroup beside virgod's: into one that is
 * divided systemd could put no new virgod while detached jobs of the last one
 * run.
 */
static bool find_jobs_unit(const char *self, char *out, size_t size)
{
	static const char unit[] = "/virgod.service";
	size_t len = strlen(self);
	size_t tail = sizeof(unit) - 1;

	if (len < tail || strcmp(self + len - tail, unit))
		return false;
	snprintf(out, size, "%.*s/virgo-jobs.service", (int)(len - tail), self);
	return true;
}

/* Opens the folder ours is made in: a delegated cgroup, else the hierarchy's
 * root.
 */
static int open_parent(const char *mount, const char *self)
{
	char jobs[448];
	int fd = -1;

	if (find_jobs_unit(self, jobs, sizeof(jobs)))
		fd = open_delegated(mount, jobs);
	if (fd < 0 && strcmp(self, "/"))
		fd = open_delegated(mount, self);
	if (fd >= 0)
		return fd;
	own.path[0] = 0;
	return open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void jobgroup_open(bool avoid)
{
	char mount[256], self[400];
	size_t len;

	if (avoid || !find_mount(mount, sizeof(mount)))
		return;
	find_self(self, sizeof(self));
	own.parent_fd = open_parent(mount, self);
	if (own.parent_fd < 0)
		return;
	snprintf(own.name, sizeof(own.name), "virgo-%d", getpid());
	jobgroup_sweep();
	if (mkdirat(own.parent_fd, own.name, 0755) && errno != EEXIST)
		return;
	own.dir_fd = openat(own.parent_fd, own.name,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own.dir_fd < 0 || flock(own.dir_fd, LOCK_EX | LOCK_NB)) {
		jobgroup_close();
		return;
	}
	len = strlen(own.path);
	snprintf(own.path + len, sizeof(own.path) - len, "/%s", own.name);
	own.memory = pass_on(own.parent_fd, own.dir_fd, "memory");
	own.cpu = pass_on(own.parent_fd, own.dir_fd, "cpu");
	own.pids = pass_on(own.parent_fd, own.dir_fd, "pids");
}

static void close_pair(int *a, int *b)
{
	if (*a >= 0)
		close(*a);
	if (*b >= 0)
		close(*b);
	*a = *b = -1;
}

static void group_name(char *out, size_t size, char kind, u64 number)
{
	snprintf(out, size, "%c%llu", kind, (unsigned long long)number);
}

static void name_of(const struct jobgroup *g, char *out, size_t size)
{
	group_name(out, size, g->kind, g->kind == 's' ? g->slot : g->job);
}

void jobgroup_close(void)
{
	char name[32];

	while (own.kept_count) {
		own.kept_count--;
		close_pair(&own.kept[own.kept_count].dir_fd,
			   &own.kept[own.kept_count].events_fd);
		group_name(name, sizeof(name), 's',
			   own.kept[own.kept_count].slot);
		unlinkat(own.dir_fd, name, AT_REMOVEDIR);
	}
	if (own.dir_fd >= 0)
		unlinkat(own.parent_fd, own.name, AT_REMOVEDIR);
	close_pair(&own.dir_fd, &own.parent_fd);
}

bool jobgroup_cgroups(void)
{
	return own.dir_fd >= 0;
}

static int set_limits(int fd, const struct jobgroup_limits *l)
{
	char text[48];
	int ret = 0;

	if (l->memory_bytes) {
		snprintf(text, sizeof(text), "%llu",
			 (unsigned long long)l->memory_bytes);
		ret = write_at(fd, "memory.max", text);
		write_at(fd, "memory.swap.max", "0");
		write_at(fd, "memory.oom.group", "1");
	}
	if (!ret && l->cpu_ppm) {
		snprintf(text, sizeof(text), "%llu 100000",
			 (unsigned long long)l->cpu_ppm / 10);
		ret = write_at(fd, "cpu.max", text);
	}
	if (!ret && l->pids) {
		snprintf(text, sizeof(text), "%u", l->pids);
		ret = write_at(fd, "pids.max", text);
	}
	return ret;
}

/* Moves to @rest what no controller can keep; what not even an rlimit can is
 * refused.
 */
static int split_limits(struct jobgroup_limits *here, const struct jobgroup_limits *l,
			struct jobgroup_limits *rest, const char **what)
{
	*here = *l;
	memset(rest, 0, sizeof(*rest));
	if (l->cpu_ppm && !own.cpu) {
		*what = "cpu";
		return -EOPNOTSUPP;
	}
	if (l->memory_bytes && !own.memory) {
		rest->memory_bytes = l->memory_bytes;
		here->memory_bytes = 0;
	}
	if (l->pids && !own.pids) {
		rest->pids = l->pids;
		here->pids = 0;
	}
	return 0;
}

static int make_group(struct jobgroup *g)
{
	char name[32];
	int ret;

	name_of(g, name, sizeof(name));
	if (mkdirat(own.dir_fd, name, 0755) && errno != EEXIST)
		return -errno;
	g->dir_fd = openat(own.dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->dir_fd < 0)
		return -errno;
	g->events_fd = openat(g->dir_fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
	if (g->events_fd < 0) {
		ret = -errno;
		close_pair(&g->dir_fd, &g->events_fd);
		return ret;
	}
	return 0;
}

void jobgroup_name(struct jobgroup *g, u64 job, const char *node)
{
	g->job = job;
	snprintf(g->mark, sizeof(g->mark), "VIRGO_JOB=%.63s/%llu", node,
		 (unsigned long long)job);
}

void jobgroup_assign(struct jobgroup *g, u64 job, const char *node)
{
	jobgroup_name(g, job, node);
	plain_named(g->leader, plain_now());
}

int jobgroup_take(struct jobgroup *g, u64 job, const char *node, bool detached,
		  const struct jobgroup_limits *l, struct jobgroup_limits *rest,
		  const char **what)
{
	struct jobgroup_limits here;
	int ret = split_limits(&here, l, rest, what);

	*g = (struct jobgroup){ .dir_fd = -1, .events_fd = -1 };
	jobgroup_name(g, job, node);
	if (ret)
		return ret;
	if (own.dir_fd < 0)
		return plain_reserve();
	g->kind = detached ? 'd' : 's';
	if (!detached && (here.memory_bytes || here.cpu_ppm || here.pids))
		g->kind = 'l';
	if (g->kind != 's') {
		ret = make_group(g);
		if (!ret)
			ret = set_limits(g->dir_fd, &here);
		if (ret)
			jobgroup_give_back(g);
		return ret;
	}
	if (own.kept_count) {
		own.kept_count--;
		g->slot = own.kept[own.kept_count].slot;
		g->dir_fd = own.kept[own.kept_count].dir_fd;
		g->events_fd = own.kept[own.kept_count].events_fd;
		return 0;
	}
	g->slot = own.slots++;
	return make_group(g);
}

pid_t jobgroup_fork(struct jobgroup *g)
{
	struct clone3 args = { .exit_signal = SIGCHLD };

	if (g->dir_fd >= 0) {
		args.flags = CLONE3_INTO_CGROUP;
		args.cgroup = (u64)g->dir_fd;
	}
	g->leader = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (g->leader > 0 && g->dir_fd < 0)
		plain_enter(g->leader, plain_now());
	return g->leader;
}

pid_t jobgroup_share(struct jobgroup *g, void *stack, size_t size,
		     void (*run)(void *), void *arg)
{
	struct clone3 args = { .exit_signal = SIGCHLD, .stack = (uintptr_t)stack,
			       .stack_size = size };

	if (g->dir_fd >= 0) {
		args.flags = CLONE3_INTO_CGROUP;
		args.cgroup = (u64)g->dir_fd;
	}
	g->leader = share_clone(&args, run, arg);
	if (g->leader > 0 && g->dir_fd < 0)
		plain_enter(g->leader, 0);
	return g->leader;
}

void jobgroup_path(const struct jobgroup *g, char *out, size_t size)
{
	char name[32];

	if (g->dir_fd < 0) {
		snprintf(out, size, "-");
		return;
	}
	name_of(g, name, sizeof(name));
	snprintf(out, size, "%s/%s", own.path, name);
}

static struct plain_found look(const struct jobgroup *g, int sig)
{
	const struct plain_view v = { "/proc", getpid(), getsid(0) };

	if (g->leader <= 0)
		return (struct plain_found){ 0 };
	return plain_look(&v, g->leader, g->mark, sig);
}

void jobgroup_kill(struct jobgroup *g)
{
	/* Linux 6.18 kills at birth what clone3() puts into a cgroup that was
	 * ever killed, so such a one is not given to another job.
	 */
	g->killed = true;
	if (g->dir_fd >= 0)
		kill_cgroup(g->dir_fd);
	else
		look(g, SIGKILL);
}

bool jobgroup_empty(struct jobgroup *g)
{
	struct plain_found left;
	char buf[128];
	ssize_t n;

	if (g->dir_fd < 0) {
		left = look(g, 0);
		return !left.ours && !left.unsure;
	}
	n = pread(g->events_fd, buf, sizeof(buf) - 1, 0);
	if (n < 0)
		return true; /* the cgroup is gone */
	buf[n] = 0;
	return strstr(buf, "populated 0") != NULL;
}

u32 jobgroup_count(struct jobgroup *g)
{
	char buf[READ_MAX];
	u32 lines = 0;

	if (g->dir_fd < 0)
		return look(g, 0).ours;
	read_at(g->dir_fd, "cgroup.procs", buf, sizeof(buf));
	for (const char *p = buf; *p; p++)
		lines += *p == '\n';
	return lines;
}

bool jobgroup_oom(struct jobgroup *g)
{
	char buf[256];
	const char *p;

	if (g->dir_fd < 0 || g->kind == 's')
		return false;
	read_at(g->dir_fd, "memory.events", buf, sizeof(buf));
	p = strstr(buf, "oom_kill ");
	return p && strtoul(p + strlen("oom_kill "), NULL, 10) > 0;
}

void jobgroup_give_back(struct jobgroup *g)
{
	char name[32];

	plain_leave(g->leader);
	if (g->dir_fd < 0)
		return;
	if (g->kind == 's' && !g->killed && own.kept_count < SLOTS_KEPT &&
	    jobgroup_empty(g)) {
		own.kept[own.kept_count].slot = g->slot;
		own.kept[own.kept_count].dir_fd = g->dir_fd;
		own.kept[own.kept_count].events_fd = g->events_fd;
		own.kept_count++;
		g->dir_fd = g->events_fd = -1;
		return;
	}
	close_pair(&g->dir_fd, &g->events_fd);
	name_of(g, name, sizeof(name));
	unlinkat(own.dir_fd, name, AT_REMOVEDIR);
}
