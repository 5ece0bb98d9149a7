// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-spawn as a whole, driven through virgod's side of it: what a job gets,
 * every way its start can fail, that nothing of it survives its end, and what
 * happens when either process dies. Each test runs a helper of its own.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "spawner.h"
#include "users.h"

enum { WAIT_MS = 10000, JOBS_MAX = 512 };

struct seen {
	pid_t pid; /* of STARTED */
	bool over;
	u32 stage; /* of FAILED */
	int error;
	char text[SPAWN_TEXT_MAX + 1];
	struct spawn_exit exit;
};

static struct loop *loop;
static struct spawner *spawner;
static struct seen seen[JOBS_MAX];
static char who[256];
static bool lost;

static void on_started(void *arg, u64 job, pid_t pid)
{
	seen[job].pid = pid;
}

static void on_failed(void *arg, u64 job, enum spawn_stage stage, int error,
		      const char *text)
{
	seen[job].over = true;
	seen[job].stage = stage;
	seen[job].error = error;
	snprintf(seen[job].text, sizeof(seen[job].text), "%s", text);
}

static void on_exited(void *arg, u64 job, const struct spawn_exit *e)
{
	seen[job].over = true;
	seen[job].pid = e->pid;
	seen[job].exit = *e;
}

static void on_name(void *arg, u32 uid, const char *name, int error)
{
	snprintf(who, sizeof(who), "%u %s%s", uid, name,
		 error ? strerror(error) : "");
}

static void on_lost(void *arg)
{
	lost = true;
}

static const struct spawner_ops ops = { on_started, on_failed, on_exited,
					on_name, on_lost };

static void open_spawner(bool no_cgroups)
{
	struct failure f = { 0 };

	loop = loop_new();
	cr_assert(loop);
	cr_assert_eq(spawner_new(&spawner, loop, VIRGO_SPAWN, no_cgroups, &ops,
				 NULL, &f), 0, "%s", f.what);
}

static void close_spawner(void)
{
	pid_t pid = spawner ? spawner_pid(spawner) : 0;

	spawner_free(spawner);
	spawner = NULL;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	loop_free(loop);
}

static void setup(void)
{
	open_spawner(false);
}

TestSuite(spawn, .init = setup, .fini = close_spawner, .timeout = 60);
TestSuite(spawn_plain, .timeout = 60);

#define UNTIL(condition)                                                       \
	do {                                                                   \
		u64 end_ = loop_clock_us() + WAIT_MS * 1000;                   \
									       \
		while (!(condition)) {                                         \
			cr_assert(loop_clock_us() < end_, "never: " #condition); \
			loop_step(loop, 10);                                   \
		}                                                              \
	} while (0)

struct spec {
	const char *const *argv;
	const char *const *env;
	const char *user;
	const char *cwd;
	u32 start_flags, flags;
	struct msg_job_start more;
	const char *blob;
	int folder_fd;
};

static struct span list_of(const char *const *v)
{
	size_t size = 0;
	struct wcursor c;
	int i;

	for (i = 0; v && v[i]; i++)
		size += 8 + strlen(v[i]);
	c = wcursor_of(malloc(size + 1), size);
	for (i = 0; v && v[i]; i++)
		rec_text_append(&c, &(struct rec_text){ span_of(v[i]) });
	return (struct span){ c.start, (u32)size };
}

static const char *me(void)
{
	return getpwuid(geteuid())->pw_name;
}

/* Starts job @id on the given descriptors, which it closes. */
static void start_on(u64 id, const struct spec *s, int in, int out, int err)
{
	struct msg_job_start m = s->more;
	const struct spawn_start how = { .pam = USER_PAM_NO, .from = "there" };
	int fds[SPAWN_FDS_MAX] = { in, out, err };
	u32 count = 3, flags = s->flags | SPAWN_ALLOW_SYSTEM;
	struct wcursor c;
	size_t size;
	void *buf;
	u32 i;

	m.node = span_of("here");
	m.user = span_of(s->user ? s->user : me());
	m.flags = s->start_flags;
	m.argv = list_of(s->argv);
	m.env = list_of(s->env);
	m.cwd = span_of(s->cwd);
	if (!m.umask)
		m.umask = JOB_UMASK_DEFAULT;
	if (s->blob) {
		flags |= SPAWN_HAS_BLOB;
		fds[count++] = open(s->blob, O_RDONLY | O_CLOEXEC);
	}
	if (s->folder_fd > 0) {
		flags |= SPAWN_HAS_FOLDER;
		fds[count++] = fcntl(s->folder_fd, F_DUPFD_CLOEXEC, 0);
	}
	if (s->user)
		flags &= ~(u32)SPAWN_ALLOW_SYSTEM;
	size = msg_job_start_size(&m);
	buf = malloc(size);
	c = wcursor_of(buf, size);
	msg_job_start_encode(&c, &m);
	memset(&seen[id], 0, sizeof(seen[id]));
	cr_assert_eq(spawner_start(spawner, id, flags, &how, buf, size, fds,
				   count), 0);
	for (i = 0; i < count; i++)
		if (i == 0 || fds[i] != fds[i - 1])
			close(fds[i]);
	free(buf);
	free((void *)m.argv.data);
	free((void *)m.env.data);
}

/* Runs a job with empty stdin to its end; gives what it wrote to either. */
static const char *run(const struct spec *s)
{
	static char out[65536];
	size_t have = 0;
	int fds[2];
	ssize_t n;

	cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
	start_on(1, s, open("/dev/null", O_RDONLY | O_CLOEXEC),
		 fcntl(fds[1], F_DUPFD_CLOEXEC, 0), fds[1]);
	UNTIL(seen[1].over);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	while ((n = read(fds[0], out + have, sizeof(out) - 1 - have)) > 0)
		have += (size_t)n;
	cr_assert(n == 0 || seen[1].stage, "its output is still open");
	close(fds[0]);
	out[have] = 0;
	return out;
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SH(text) ARGV("sh", "-c", text)
#define RUN(...) run(&(struct spec){ __VA_ARGS__ })

Test(spawn, gives_output_and_status)
{
	cr_assert_str_eq(RUN(.argv = SH("echo out; echo err >&2; exit 7")),
			 "out\nerr\n");
	cr_assert_eq(seen[1].stage, 0);
	cr_assert(seen[1].pid > 0);
	cr_assert(WIFEXITED(seen[1].exit.status));
	cr_assert_eq(WEXITSTATUS(seen[1].exit.status), 7);
	cr_assert(seen[1].exit.max_rss_bytes > 0);
	cr_assert_eq(seen[1].exit.left, 0);
}

Test(spawn, makes_the_environment)
{
	const char *out = RUN(.argv = ARGV("env"),
			      .env = ARGV("A=b", "nothing", "=x", "PATH=/usr/bin"));

	cr_assert(strstr(out, "A=b\n"));
	cr_assert(strstr(out, "VIRGO_JOB=here/1\n"));
	cr_assert(strstr(out, "VIRGO_NODE=here\n"));
	cr_assert(strstr(out, "PATH=/usr/bin\n"));
	cr_assert(strstr(out, "HOME="));
	cr_assert(!strstr(out, "nothing"));
	cr_assert(!strstr(out, "TERM="));
}

Test(spawn, starts_in_the_directory_or_home)
{
	char want[4200];

	cr_assert_str_eq(RUN(.argv = ARGV("pwd"), .cwd = "/usr/bin"),
			 "/usr/bin\n");
	snprintf(want, sizeof(want), "%s\n", getpwuid(geteuid())->pw_dir);
	cr_assert_str_eq(RUN(.argv = ARGV("pwd")), want);
}

Test(spawn, leaks_no_descriptor)
{
	cr_assert_str_eq(RUN(.argv = SH("cd /proc/self/fd && echo *")),
			 "0 1 2 3\n", "3 is the directory itself");
}

Test(spawn, resets_signals_and_session)
{
	const char *out = RUN(.argv = SH("grep -E '^Sig(Blk|Ign)' /proc/self/status;"
					 "ps -o sid= -p $$ | tr -d ' '; echo $$"));
	char want[200];

	snprintf(want, sizeof(want), "SigBlk:\t%016x\nSigIgn:\t%016x\n%d\n%d\n",
		 0, 0, seen[1].pid, seen[1].pid);
	cr_assert_str_eq(out, want);
}

Test(spawn, sets_umask_and_limits)
{
	cr_assert_str_eq(RUN(.argv = SH("umask; ulimit -n")), "0022\n1024\n");
	cr_assert_str_eq(RUN(.argv = SH("umask"), .more.umask = 077), "0077\n");
}

Test(spawn, opens_its_output_again)
{
	cr_assert_str_eq(RUN(.argv = SH("echo hi > /dev/stdout")), "hi\n");
}

Test(spawn, tells_why_it_cannot_start)
{
	char dir[] = "/tmp/test-spawn-XXXXXX", path[64];
	FILE *f;

	RUN(.argv = ARGV("no-such-program-here"));
	cr_assert_eq(seen[1].stage, STAGE_EXEC);
	cr_assert_eq(seen[1].error, ENOENT);
	RUN(.argv = ARGV("/etc/passwd"));
	cr_assert_eq(seen[1].stage, STAGE_EXEC);
	cr_assert_eq(seen[1].error, EACCES);
	RUN(.argv = ARGV("true"), .cwd = "/no/such/folder");
	cr_assert_eq(seen[1].stage, STAGE_CWD);
	cr_assert_eq(seen[1].error, ENOENT);
	RUN(.argv = ARGV("true"), .user = "no-such-user-here");
	cr_assert_eq(seen[1].stage, STAGE_USER);
	cr_assert(strstr(seen[1].text, "no-such-user-here"));
	RUN(.argv = ARGV(""));
	cr_assert_eq(seen[1].stage, STAGE_REQUEST);

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/prog", dir);
	f = fopen(path, "w");
	fwrite("\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\377\377", 20, 1, f);
	fclose(f);
	chmod(path, 0755);
	RUN(.argv = ARGV(path));
	cr_assert_eq(seen[1].stage, STAGE_EXEC);
	cr_assert_eq(seen[1].error, ENOEXEC);
	unlink(path);
	rmdir(dir);
}

Test(spawn, refuses_system_users)
{
	if (geteuid())
		cr_skip("needs root");
	RUN(.argv = ARGV("id"), .user = "root");
	cr_assert_eq(seen[1].stage, STAGE_USER);
	cr_assert_eq(seen[1].error, EPERM);
	RUN(.argv = ARGV("id"), .user = "nobody");
	cr_assert_eq(seen[1].stage, STAGE_USER);
	cr_assert_eq(seen[1].error, EPERM);
}

Test(spawn, takes_a_long_command_line)
{
	char *big = malloc(100001);
	const char *out;

	memset(big, 'x', 100000);
	big[100000] = 0;
	out = RUN(.argv = ARGV("sh", "-c", "echo ${#1}", "sh", big));
	cr_assert_str_eq(out, "100000\n");
	free(big);
}

Test(spawn, runs_a_program_sent_along)
{
	char dir[] = "/tmp/test-spawn-XXXXXX", path[64];
	FILE *f;

	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/script", dir);
	f = fopen(path, "w");
	fputs("#!/bin/sh\necho script $1\n", f);
	fclose(f);
	chmod(path, 0555);
	cr_assert_str_eq(RUN(.argv = ARGV("any", "arg"), .blob = path),
			 "script arg\n");
	cr_assert_str_eq(RUN(.argv = ARGV("echo", "elf"), .blob = "/bin/echo"),
			 "elf\n");
	unlink(path);
	rmdir(dir);
}

Test(spawn, carries_stdin_to_its_end)
{
	int in[2], out[2];
	char buf[64];

	cr_assert_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	start_on(1, &(struct spec){ .argv = ARGV("wc", "-c") }, in[0],
		 fcntl(out[1], F_DUPFD_CLOEXEC, 0), out[1]);
	UNTIL(seen[1].pid);
	cr_assert_eq(write(in[1], "12345", 5), 5);
	close(in[1]);
	UNTIL(seen[1].over);
	buf[read(out[0], buf, sizeof(buf) - 1)] = 0;
	cr_assert_str_eq(buf, "5\n");
}

Test(spawn, gives_a_terminal)
{
	struct winsize ws = { .ws_row = 33, .ws_col = 77 };
	int master = open("/dev/ptmx",
			  O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
	char buf[256] = "";
	size_t len = 0;
	ssize_t n;
	int slave;

	cr_assert(master >= 0);
	unlockpt(master);
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	ioctl(master, TIOCSWINSZ, &ws);
	start_on(1, &(struct spec){
			 .argv = SH("tty && stty size < /dev/tty && echo $TERM"),
			 .start_flags = JOB_PTY,
			 .more.term = span_of("vt100") },
		 slave, slave, slave);
	UNTIL(seen[1].over);
	/* Each write to the terminal may come as a read of its own. */
	while ((n = read(master, buf + len, sizeof(buf) - 1 - len)) > 0)
		len += (size_t)n;
	cr_assert(strstr(buf, "/dev/pts/"), "%s", buf);
	cr_assert(strstr(buf, "33 77\r\nvt100"), "%s", buf);
}

static void start_quiet(u64 id, const struct spec *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	start_on(id, s, null, null, null);
}

Test(spawn, signals_and_kills)
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

Test(spawn, leaves_nothing_behind)
{
	leaves_nothing();
}

Test(spawn_plain, leaves_nothing_behind_without_cgroups, .fini = close_spawner)
{
	open_spawner(true);
	leaves_nothing();
}

Test(spawn, kills_jobs_when_virgod_ends_but_not_detached_ones)
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

Test(spawn, comes_back_when_killed)
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

Test(spawn, children_that_wait_may_be_killed)
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

Test(spawn, children_that_wait_become_jobs_and_end_with_virgo_spawn)
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

Test(spawn, knows_names)
{
	char want[300];

	cr_assert_eq(spawner_who(spawner, geteuid()), 0);
	UNTIL(who[0]);
	snprintf(want, sizeof(want), "%u %s", geteuid(), me());
	cr_assert_str_eq(who, want);
	who[0] = 0;
	cr_assert_eq(spawner_who(spawner, 4000000), 0);
	UNTIL(who[0]);
	cr_assert_str_eq(who, "4000000 No such file or directory");
}

Test(spawn, runs_many_at_once)
{
	const struct spec s = { .argv = ARGV("sh", "-c", "exit 9") };
	u64 id;

	for (id = 1; id < 400; id++)
		start_quiet(id, &s);
	for (id = 1; id < 400; id++) {
		UNTIL(seen[id].over);
		cr_assert_eq(WEXITSTATUS(seen[id].exit.status), 9);
	}
}
