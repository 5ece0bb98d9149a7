// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-spawn as a whole: that jobs can be ended, that nothing of one survives its
 * end, and what happens when virgod, virgo-spawn or a child that waits dies.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "spawn_kit.h"

static void setup(void)
{
	open_spawner(false);
}

TestSuite(spawn_end, .init = setup, .fini = close_spawner, .timeout = 60);
TestSuite(spawn_plain, .timeout = 60);

Test(spawn_end, signals_and_kills)
{
	start_quiet(1, &(struct spec){ .argv = ARGV("sleep", "1000") });
	UNTIL(seen[1].pid);
	spawner_signal(spawner, 1, SIGUSR1);
	UNTIL(seen[1].over);
	cr_assert(WIFSIGNALED(seen[1].exit.status));
	cr_assert_eq(WTERMSIG(seen[1].exit.status), SIGUSR1);

	start_quiet(2, &(struct spec){
		.argv = SH("trap '' TERM INT HUP; sleep 1000 & wait") });
	UNTIL(seen[2].pid);
	spawner_kill(spawner, 2);
	UNTIL(seen[2].over);
	cr_assert_eq(WTERMSIG(seen[2].exit.status), SIGKILL);
	/* A cgroup that was killed once would kill what is born in it. */
	cr_assert_str_eq(RUN(.argv = SH("echo next")), "next\n");
}

/* Processes whose command line holds @mark. */
static int alive(const char *mark)
{
	DIR *d = opendir("/proc");
	struct dirent *e;
	int count = 0;

	while ((e = readdir(d))) {
		char path[300], buf[512];
		ssize_t n;
		int fd;

		snprintf(path, sizeof(path), "/proc/%s/cmdline", e->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd >= 0 ? read(fd, buf, sizeof(buf) - 1) : 0;
		if (fd >= 0)
			close(fd);
		if (n > 0 && memmem(buf, (size_t)n, mark, strlen(mark)))
			count++;
	}
	closedir(d);
	return count;
}

/* A duration no other process on the machine sleeps for. */
static const char *mark(void)
{
	static char text[32];

	snprintf(text, sizeof(text), "987%d.%d", getpid(), rand() % 1000);
	return text;
}

static void leaves_nothing(void)
{
	const char *m = mark();
	char script[256];

	snprintf(script, sizeof(script),
		 "sleep %s & setsid sleep %s & (setsid sh -c 'sleep %s & sleep %s' &)"
		 "; sleep 0.2; exit 3", m, m, m, m);
	RUN(.argv = SH(script));
	cr_assert_eq(WEXITSTATUS(seen[1].exit.status), 3);
	cr_assert_eq(seen[1].exit.left, 0);
	cr_assert_eq(alive(m), 0);
}

Test(spawn_end, leaves_nothing_behind)
{
	leaves_nothing();
}

/* Its end may come before virgo-spawn has looked whether it began. */
Test(spawn_end, is_told_however_soon_the_leader_ends)
{
	const struct spec s = { .argv = SH("sleep 1000 & exit 9") };
	u64 id;

	for (id = 1; id < 200; id++)
		start_quiet(id, &s);
	for (id = 1; id < 200; id++) {
		UNTIL(seen[id].over);
		cr_assert_eq(WEXITSTATUS(seen[id].exit.status), 9);
		cr_assert_eq(seen[id].exit.left, 0);
	}
}

Test(spawn_plain, leaves_nothing_behind_without_cgroups, .fini = close_spawner)
{
	open_spawner(true);
	leaves_nothing();
}

/* Starts job @id, which says when it is up, and ends when its stdin does; gives the
 * end to close.
 */
static int start_held(u64 id, const char *script)
{
	int in[2], out[2];
	char up;

	cr_assert_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC | O_NONBLOCK),
		     0);
	start_on(id, &(struct spec){ .argv = SH(script) }, in[0], out[1],
		 open("/dev/null", O_RDWR | O_CLOEXEC));
	UNTIL(seen[id].pid && read(out[0], &up, 1) == 1);
	close(out[0]);
	return in[1];
}

static void end_held(u64 id, int hold)
{
	close(hold);
	UNTIL(seen[id].over);
	cr_assert_eq(WEXITSTATUS(seen[id].exit.status), 3);
	cr_assert_eq(seen[id].exit.left, 0);
}

/* Starts a job with a process that has cleared its environment, left its session,
 * and lost its parent: it keeps nothing of the job but that virgo-spawn inherits it.
 */
static int start_nameless(u64 id, const char *m)
{
	char script[256];

	snprintf(script, sizeof(script),
		 "(env -i setsid sh -c 'echo up; exec sleep %s' &); "
		 "read end; exit 3", m);
	return start_held(id, script);
}

Test(spawn_plain, ends_what_cleared_its_environment, .fini = close_spawner)
{
	const char *m = mark();

	open_spawner(true);
	end_held(1, start_nameless(1, m));
	cr_assert_eq(alive(m), 0);
}

/* Whose it is cannot be told while the other runs, which must not suffer. */
Test(spawn_plain, ends_the_nameless_with_the_last_job, .fini = close_spawner)
{
	const char *m = mark();
	int hold;

	open_spawner(true);
	hold = start_held(1, "echo up; read end; exit 3");
	end_held(2, start_nameless(2, m));
	cr_assert(alive(m), "it may be the other's");
	cr_assert(!seen[1].over);
	end_held(1, hold);
	cr_assert_eq(alive(m), 0);
}

/* Inside exec a process has no environment that would name its job: here is one that
 * is there most of the time. It ends by itself, should it be missed.
 */
Test(spawn_plain, finds_processes_inside_exec, .fini = close_spawner)
{
	static const char again[] = "[ $1 -gt 0 ] && exec sh -c \"$0\" \"$0\" "
				    "$(($1 - 1)) $2";
	const char *m = mark();
	char script[512];
	u64 id;

	open_spawner(true);
	snprintf(script, sizeof(script),
		 "setsid sh -c '%s' '%s' 3000 %s & echo up; read end; exit 3",
		 again, again, m);
	for (id = 1; id <= 40; id++) {
		end_held(id, start_held(id, script));
		cr_assert_eq(alive(m), 0, "job %llu left some",
			     (unsigned long long)id);
	}
}

Test(spawn_end, kills_jobs_when_virgod_ends_but_not_detached_ones)
{
	char dir[] = "/tmp/test-spawn-XXXXXX", path[80], buf[64] = "";
	const char *m = mark();
	int folder, fd, n = 0;
	char script[128];
	u64 end;

	cr_assert(mkdtemp(dir));
	snprintf(script, sizeof(script),
		 "until [ -e %s/go ]; do sleep 0.05; done; exit 5", dir);
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	start_quiet(1, &(struct spec){ .argv = ARGV("sleep", m) });
	start_quiet(2, &(struct spec){ .argv = SH(script),
				       .start_flags = JOB_DETACH,
				       .folder_fd = folder });
	UNTIL(seen[1].pid && seen[2].pid);
	spawner_free(spawner);
	spawner = NULL;
	end = loop_clock_us() + WAIT_MS * 1000;
	while (alive(m) && loop_clock_us() < end)
		loop_step(loop, 10);
	cr_assert_eq(alive(m), 0);
	cr_assert_eq(kill(seen[2].pid, 0), 0, "the detached one goes on");
	fd = openat(folder, "go", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0);
	close(fd);
	end = loop_clock_us() + WAIT_MS * 1000;
	snprintf(path, sizeof(path), "%s/" SPAWN_STATUS_FILE, dir);
	while (access(path, F_OK) && loop_clock_us() < end)
		loop_step(loop, 10);
	fd = open(path, O_RDONLY);
	cr_assert(fd >= 0);
	cr_assert(read(fd, buf, sizeof(buf) - 1) > 0);
	cr_assert_eq(sscanf(buf, "%d", &n), 1);
	cr_assert_eq(WEXITSTATUS(n), 5);
	unlink(path);
	snprintf(path, sizeof(path), "%s/" SPAWN_PID_FILE, dir);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(unlinkat(folder, "go", 0), 0);
	close(folder);
	cr_assert_eq(rmdir(dir), 0);
}

Test(spawn_end, comes_back_when_killed)
{
	start_quiet(2, &(struct spec){ .argv = ARGV("sleep", "1000") });
	UNTIL(seen[2].pid);
	kill(spawner_pid(spawner), SIGKILL);
	UNTIL(lost);
	UNTIL(spawner_pid(spawner));
	cr_assert_str_eq(RUN(.argv = ARGV("echo", "again")), "again\n");
	kill(-seen[2].pid, SIGKILL);
}

#if CHILDREN_WAIT /* daemon/raw.h says where */
/* Up to two children of virgo-spawn into @out; how many. */
static int children(pid_t *out)
{
	char path[64];
	int pid = spawner_pid(spawner), n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	f = fopen(path, "re");
	while (f && n < 2 && fscanf(f, "%d", &pid) == 1)
		out[n++] = pid;
	if (f)
		fclose(f);
	return n;
}

Test(spawn_end, children_that_wait_may_be_killed)
{
	pid_t pid[2];

	UNTIL(children(pid) == 2);
	kill(pid[0], SIGKILL);
	kill(pid[1], SIGKILL);
	UNTIL(kill(pid[0], 0) && kill(pid[1], 0));
	cr_assert_str_eq(RUN(.argv = ARGV("echo", "forked")), "forked\n");
	UNTIL(children(pid) == 2);
	cr_assert_str_eq(RUN(.argv = ARGV("echo", "ready")), "ready\n");
}

Test(spawn_end, children_that_wait_become_jobs_and_end_with_virgo_spawn)
{
	pid_t pid[2];

	UNTIL(children(pid) == 2);
	start_quiet(1, &(struct spec){ .argv = ARGV("sleep", "1000") });
	UNTIL(seen[1].pid);
	cr_assert(seen[1].pid == pid[0] || seen[1].pid == pid[1]);
	UNTIL(children(pid) == 2);
	kill(spawner_pid(spawner), SIGKILL);
	UNTIL(lost);
	UNTIL(kill(pid[0], 0) && kill(pid[1], 0));
	kill(-seen[1].pid, SIGKILL);
}
#endif
