// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whose process it is where there are no cgroups, judged from a /proc that the test
 * has written: so each state is there for as long as it is looked at, even those
 * that last a moment.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobgroup_plain.h"

/* Beyond any pid that Linux gives; no signal is sent here. */
enum { SELF = 5000000, HELPER, LEADER, OTHER, WAITING, CHILD, GRANDCHILD };

#define MARK "VIRGO_JOB=here/1"
#define OTHER_MARK "VIRGO_JOB=here/2"

static char proc[] = "/tmp/test-plain-XXXXXX";
static struct plain_view view = { proc, SELF, SELF };

struct fake {
	pid_t pid, parent, session;
	const char *environ; /* one variable; NULL: none */
	bool inside_exec, hidden;
	bool cut; /* it has more than can be read */
	char state; /* 0: 'S' */
	u32 threads; /* 0: 1 */
	u64 start;
};

static void put(const char *name, const void *data, size_t size)
{
	char path[100];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	f = fopen(path, "w");
	cr_assert(f);
	cr_assert_eq(fwrite(data, 1, size, f), size);
	fclose(f);
}

static void add_process(const struct fake *p)
{
	size_t len = p->environ ? strlen(p->environ) + 1 : 0;
	char name[60], stat[400];
	u64 from = p->inside_exec || p->hidden ? 0 : 0x7ffc1000;
	u64 to = from ? from + len + (p->cut ? 10 : 0) : 0;
	int n;

	snprintf(name, sizeof(name), "%s/%d", proc, p->pid);
	mkdir(name, 0755);
	snprintf(name, sizeof(name), "%d/environ", p->pid);
	put(name, len ? p->environ : "", len);
	n = snprintf(stat, sizeof(stat),
		     "%d (a) S 1 (b) %c %d %d %d 0 -1 4194304 1 2 3 4 5 6 7 8 "
		     "20 0 %u 0 %llu 99 98 97 %d 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 "
		     "0 0 0 1 2 3 4 5 %llu %llu 0\n", p->pid,
		     p->state ? p->state : 'S', p->parent, p->session,
		     p->session, p->threads ? p->threads : 1,
		     (unsigned long long)p->start, p->hidden,
		     (unsigned long long)from, (unsigned long long)to);
	snprintf(name, sizeof(name), "%d/stat", p->pid);
	put(name, stat, (size_t)n);
}

#define ADD(...) add_process(&(struct fake){ __VA_ARGS__ })

static void add_leader(pid_t pid, u64 now)
{
	cr_assert_eq(plain_reserve(), 0);
	plain_enter(pid, now);
}

/* virgo-spawn, its helper, a child that waits, and the job's leader has ended. */
static void setup(void)
{
	cr_assert(mkdtemp(proc));
	put("version", "Linux", 5);
	ADD(1, 0, 1, "A=b");
	ADD(SELF, 1, SELF, "A=b");
	ADD(HELPER, SELF, SELF, "A=b");
	ADD(WAITING, SELF, WAITING, "A=b");
	add_leader(WAITING, 0);
	add_leader(LEADER, 100);
}

static void teardown(void)
{
	char command[80];

	snprintf(command, sizeof(command), "rm -r %s", proc);
	cr_assert_eq(system(command), 0);
}

TestSuite(plain, .init = setup, .fini = teardown, .timeout = 10);

static void expect(u32 ours, u32 unsure)
{
	const struct plain_found f = plain_look(&view, LEADER, MARK, 0);

	cr_expect_eq(f.ours, ours, "ours: %u, not %u", f.ours, ours);
	cr_expect_eq(f.unsure, unsure, "unsure: %u, not %u", f.unsure, unsure);
}

Test(plain, nothing_is_left)
{
	expect(0, 0);
	ADD(CHILD, 1, CHILD, "A=b");
	ADD(GRANDCHILD, CHILD, CHILD, NULL, .inside_exec = true);
	expect(0, 0);
}

Test(plain, session_and_mark)
{
	ADD(CHILD, SELF, LEADER, "A=b");
	expect(1, 0);
	ADD(GRANDCHILD, SELF, GRANDCHILD, MARK);
	expect(2, 0);
	ADD(GRANDCHILD, 1, GRANDCHILD, MARK); /* another virgod's */
	expect(1, 0);
	ADD(CHILD, SELF, LEADER, NULL, .state = 'Z');
	expect(0, 0);
	ADD(CHILD, SELF, LEADER, NULL, .state = 'Z', .threads = 2);
	expect(1, 0);
}

Test(plain, inside_exec_is_looked_at_again)
{
	ADD(CHILD, SELF, CHILD, NULL, .inside_exec = true, .start = 200);
	expect(0, 1);
	add_leader(OTHER, 100);
	expect(0, 1);
	ADD(CHILD, SELF, CHILD, OTHER_MARK, .start = 200);
	expect(0, 0);
	ADD(CHILD, SELF, CHILD, MARK, .start = 200);
	expect(1, 0);
}

Test(plain, what_has_no_environment_is_not_waited_for)
{
	add_leader(OTHER, 100);
	ADD(CHILD, SELF, CHILD, NULL, .start = 200);
	expect(0, 0);
	ADD(CHILD, SELF, CHILD, NULL, .hidden = true, .start = 200);
	expect(0, 0);
	ADD(CHILD, SELF, CHILD, "A=b", .cut = true, .start = 200);
	expect(0, 0);
	plain_leave(OTHER);
	expect(1, 0);
}

Test(plain, orphans_are_not_of_jobs_that_came_later)
{
	add_leader(OTHER, 300);
	ADD(CHILD, SELF, CHILD, NULL, .start = 299);
	expect(1, 0);
	ADD(CHILD, SELF, CHILD, NULL, .start = 300);
	expect(0, 0);
}

Test(plain, a_child_that_waits_gets_a_job)
{
	ADD(CHILD, SELF, CHILD, NULL, .start = 200);
	expect(1, 0);
	plain_named(WAITING, 201);
	expect(1, 0);
	plain_named(WAITING, 200);
	expect(0, 0);
}

Test(plain, descendants)
{
	add_leader(OTHER, 100);
	ADD(OTHER, SELF, OTHER, OTHER_MARK, .start = 100);
	ADD(CHILD, OTHER, CHILD, NULL, .start = 200);
	ADD(GRANDCHILD, CHILD, GRANDCHILD, NULL, .inside_exec = true);
	expect(0, 0);
	ADD(CHILD, SELF, CHILD, MARK, .start = 200);
	expect(2, 0);
	ADD(CHILD, HELPER, CHILD, NULL, .start = 200);
	expect(0, 0);
}

Test(plain, a_parent_that_nobody_shows)
{
	ADD(CHILD, GRANDCHILD, CHILD, NULL, .inside_exec = true);
	expect(0, 0);
}

Test(plain, many_processes_and_leaders)
{
	pid_t pid;

	for (pid = GRANDCHILD + 1; pid < GRANDCHILD + 600; pid++) {
		ADD(pid, SELF, pid, pid & 1 ? MARK : NULL, .start = 200);
		add_leader(pid + 1000, 200);
	}
	expect(300, 0);
	for (pid = GRANDCHILD + 1; pid < GRANDCHILD + 600; pid++)
		plain_leave(pid + 1000);
	expect(599, 0);
}
