// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virgo-spawn as a whole: what a job gets, and every way its start can fail. How
 * jobs end is in test_spawn_end.c.
 */
#include <criterion/criterion.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "spawn_kit.h"

static void setup(void)
{
	open_spawner(false);
}

TestSuite(spawn, .init = setup, .fini = close_spawner, .timeout = 60);

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
