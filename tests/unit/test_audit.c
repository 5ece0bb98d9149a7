// SPDX-License-Identifier: GPL-2.0-or-later
/* The audit log: what is written is found again, whatever happened between. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "audit.h"

enum { KEPT = 8192 };

static char dir[] = "/tmp/virgo-audit.XXXXXX";
static struct failure f;

struct seen {
	int count;
	u64 numbers[KEPT];
	char last[4096]; /* of the entry seen last, which is the oldest */
};

static struct seen seen;

static bool see(void *arg, const struct audit_entry *e)
{
	cr_assert_lt(seen.count, KEPT);
	seen.numbers[seen.count++] = e->number;
	snprintf(seen.last, sizeof(seen.last), "%s|%s|%s|%s|%s", e->node,
		 e->user, e->action, e->object, e->result);
	return true;
}

static int scan(u64 since_s, u32 count, const char *user)
{
	seen.count = 0;
	cr_assert_eq(audit_scan(dir, since_s, count, user, see, NULL), 0);
	return seen.count;
}

static const char *path(const char *name)
{
	static char out[128];

	snprintf(out, sizeof(out), "%s/%s", dir, name);
	return out;
}

static struct audit *reopen(struct audit *a)
{
	audit_log_close(a);
	cr_assert_eq(audit_log_open(&a, dir, &f), 0, "%s", f.what);
	return a;
}

static void write_one(struct audit *a, const char *user)
{
	cr_assert_eq(audit_write(a, "alpha", user, "run", "true", "ok"), 0);
}

static void setup(void)
{
	cr_assert(mkdtemp(dir));
}

static void teardown(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while ((e = readdir(d)))
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(dir);
}

TestSuite(audit, .init = setup, .fini = teardown);

Test(audit, an_entry_comes_back_as_it_was)
{
	struct audit *a = reopen(NULL);
	const struct failure no = { .code = -EACCES, .what = "no" };
	struct stat st;

	cr_assert_eq(audit_write(a, "alpha", "ann", "run",
				 "a\tb\nc\\d\x1b\x7f \xc3\xa4", "ok"), 0);
	cr_assert_eq(stat(path("audit.log"), &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0600);
	cr_assert_eq(scan(0, 10, NULL), 1);
	cr_assert_str_eq(seen.last, "alpha|ann|run|a\tb\nc\\d\x1b\x7f "
				    "\xc3\xa4|ok");
	cr_assert_eq(audit_write_failure(a, NULL, "", "run", "x", &no), 0);
	cr_assert_eq(scan(0, 1, NULL), 1);
	cr_assert_str_eq(seen.last, "-|-|run|x|no");
	cr_assert_eq(audit_write_failure(a, "a", "b", "c", "d", NULL), 0);
	cr_assert_eq(scan(0, 1, NULL), 1);
	cr_assert_str_eq(seen.last, "a|b|c|d|ok");
	cr_assert_eq(seen.numbers[0], 3);
	audit_log_close(a);
}

Test(audit, long_fields_are_cut_and_still_found)
{
	struct audit *a = reopen(NULL);
	char object[4 * AUDIT_TEXT_MAX];

	memset(object, 1, sizeof(object) - 1);
	object[sizeof(object) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		cr_assert_eq(audit_write(a, object, object, object, object,
					 object), 0);
	cr_assert_eq(scan(0, 1000, NULL), 100);
	cr_assert_eq(strlen(seen.last), 5 * AUDIT_TEXT_MAX + 4);
	audit_log_close(a);
}

Test(audit, the_newest_are_given_by_user_count_and_time)
{
	struct audit *a = reopen(NULL);
	u64 now;

	for (int i = 0; i < 3000; i++)
		write_one(a, i % 3 ? "ann" : "bob");
	now = (u64)time(NULL);
	cr_assert_eq(scan(0, 5, NULL), 5);
	for (int i = 0; i < 5; i++)
		cr_assert_eq(seen.numbers[i], 3000u - (u32)i);
	cr_assert_eq(scan(0, 2, "bob"), 2);
	cr_assert_eq(seen.numbers[0], 2998);
	cr_assert_eq(seen.numbers[1], 2995);
	cr_assert_eq(scan(0, KEPT, NULL), 3000);
	cr_assert_eq(scan(0, KEPT, "nobody"), 0);
	cr_assert_eq(scan(now + 10, KEPT, NULL), 0);
	cr_assert_eq(scan(now - 100, KEPT, NULL), 3000);
	cr_assert_eq(scan(0, 0, NULL), 0);
	audit_log_close(a);
}

/* Cuts the log at every byte of its last entry. */
Test(audit, a_torn_last_line_is_recognised_and_closed)
{
	struct audit *a = reopen(NULL);
	struct stat st;
	off_t first, whole;

	write_one(a, "ann");
	stat(path("audit.log"), &st);
	first = st.st_size;
	write_one(a, "bob");
	stat(path("audit.log"), &st);
	whole = st.st_size;
	for (off_t cut = whole - 1; cut > first; cut--) {
		cr_assert_eq(truncate(path("audit.log"), cut), 0);
		/* Without its LF an entry is still whole. */
		bool lost = cut < whole - 1;

		a = reopen(a);
		cr_assert_eq(scan(0, 10, NULL), lost ? 1 : 2);
		write_one(a, "carl");
		cr_assert_eq(scan(0, 10, NULL), lost ? 2 : 3);
		cr_assert_eq(seen.numbers[0], lost ? 2 : 3);
		cr_assert_eq(seen.numbers[1], lost ? 1 : 2);
		audit_log_close(a);
		/* Back to two whole entries. */
		unlink(path("audit.log"));
		a = reopen(NULL);
		write_one(a, "ann");
		write_one(a, "bob");
	}
	audit_log_close(a);
}

Test(audit, noise_in_the_file_is_skipped)
{
	struct audit *a = reopen(NULL);
	char *noise = malloc(200000);
	int fd;

	write_one(a, "ann");
	fd = open(path("audit.log"), O_WRONLY | O_APPEND);
	for (int i = 0; i < 200000; i++)
		noise[i] = (char)(i * 7919 >> 3 | 1);
	cr_assert_eq(write(fd, noise, 200000), 200000);
	cr_assert_eq(write(fd, "\n5\t6\tx\ty\tz\tw\tv\t00000000\n", 25), 25);
	close(fd);
	free(noise);
	a = reopen(a);
	write_one(a, "bob");
	cr_assert_eq(scan(0, 10, NULL), 2);
	cr_assert_eq(seen.numbers[0], 2);
	cr_assert_eq(seen.numbers[1], 1);
	audit_log_close(a);
}

Test(audit, files_are_rotated_and_numbers_go_on)
{
	struct audit *a = reopen(NULL);
	struct stat st;
	int files = 0;
	char name[32];

	audit_set_bound(a, 4096, 3);
	for (int i = 0; i < 1000; i++)
		write_one(a, "ann");
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), i ? "audit.log.%d" : "audit.log",
			 i);
		if (stat(path(name), &st))
			continue;
		files++;
		cr_assert_leq(st.st_size, 4096);
		cr_assert_eq(st.st_mode & 07777, 0600);
	}
	cr_assert_eq(files, 4);
	scan(0, KEPT, NULL);
	cr_assert_gt(seen.count, 200);
	for (int i = 0; i < seen.count; i++)
		cr_assert_eq(seen.numbers[i], 1000u - (u32)i);
	/* kill -9 between the renaming and the new file. */
	audit_log_close(a);
	rename(path("audit.log"), path("audit.log.1.x"));
	unlink(path("audit.log.1.x"));
	a = reopen(NULL);
	write_one(a, "ann");
	cr_assert_eq(scan(0, 2, NULL), 2);
	cr_assert_eq(seen.numbers[0], seen.numbers[1] + 1);
	/* Fewer are kept. */
	audit_set_bound(a, 100, 0);
	write_one(a, "ann");
	cr_assert_eq(scan(0, KEPT, NULL), 1);
	audit_log_close(a);
}

Test(audit, a_full_disk_tears_one_line_and_no_more)
{
	struct rlimit small = { 0 };
	struct rlimit before;
	struct audit *a = reopen(NULL);
	struct stat st;

	signal(SIGXFSZ, SIG_IGN);
	write_one(a, "ann");
	stat(path("audit.log"), &st);
	getrlimit(RLIMIT_FSIZE, &before);
	small.rlim_max = before.rlim_max;
	small.rlim_cur = (rlim_t)st.st_size + 20;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
	cr_assert_lt(audit_write(a, "alpha", "bob", "run", "x", "ok"), 0);
	cr_assert_lt(audit_write(a, "alpha", "bob", "run", "x", "ok"), 0);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
	write_one(a, "carl");
	cr_assert_eq(scan(0, 10, NULL), 2);
	cr_assert_eq(seen.numbers[0], 2);
	cr_assert_str_eq(seen.last, "alpha|ann|run|true|ok");
	audit_log_close(a);
}

Test(audit, what_was_acknowledged_survives_kill_9)
{
	int fds[2];
	int written = 0;
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(fds), 0);
	/* So that the child is at most a page ahead. */
	cr_assert_geq(fcntl(fds[1], F_SETPIPE_SZ, 4096), 0);
	pid = fork();
	if (!pid) {
		struct audit *a = reopen(NULL);

		audit_set_bound(a, 64 << 10, 99);
		for (;;) {
			write_one(a, "ann");
			if (write(fds[1], "x", 1) != 1)
				_exit(1);
		}
	}
	close(fds[1]);
	while (written < 500 && read(fds[0], &byte, 1) == 1)
		written++;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	while (read(fds[0], &byte, 1) == 1)
		written++;
	audit_log_close(reopen(NULL));
	cr_assert_geq(scan(0, KEPT, NULL), written);
	for (int i = 0; i < seen.count; i++)
		cr_assert_eq(seen.numbers[i], (u32)(seen.count - i));
}

Test(audit, a_link_in_place_of_the_log_is_refused)
{
	struct audit *a;

	cr_assert_eq(symlink("/etc/passwd", path("audit.log")), 0);
	cr_assert_lt(audit_log_open(&a, dir, &f), 0);
	cr_assert(strstr(f.what, "cannot open it"));
}
