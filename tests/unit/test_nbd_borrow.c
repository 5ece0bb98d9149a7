// SPDX-License-Identifier: GPL-2.0-or-later
/* Records of what is borrowed, and small decisions about the machine. */
#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protect.h"
#include "ready.h"
#include "record.h"
#include "swap_room.h"

static struct record sample(void)
{
	struct record r = { .name = "swap", .swap = true, .bytes = 1ull << 33,
			    .mirror = 2, .priority = -1, .seal = true,
			    .ready = true, .md = 101, .boot = "a-b", .next = 4,
			    .patience_s = 30, .legs = 2 };

	r.leg[0] = (struct record_leg){ .number = 1, .index = 0,
					.lender = "beta", .generation = 9,
					.export_ = "swap/alpha/swap-1@9",
					.addresses = "10.0.0.2:10809",
					.part = true };
	r.leg[1] = (struct record_leg){ .number = 3, .index = -1,
					.lender = "gamma", .leaving = true };
	return r;
}

Test(record, round_trip)
{
	struct record r = sample(), back;
	char text[4096], again[4096];

	record_print(&r, text, sizeof(text));
	cr_assert_eq(record_parse(&back, "swap", text), 0);
	record_print(&back, again, sizeof(again));
	cr_assert_str_eq(text, again);
	cr_assert_eq(back.bytes, r.bytes);
	cr_assert_eq(back.priority, -1);
	cr_assert_str_empty(back.plaintext_on);
	cr_assert_eq(back.legs, 2);
	cr_assert_eq(back.leg[1].index, -1);
	cr_assert(back.leg[1].leaving && back.leg[0].part);
	cr_assert_str_empty(back.leg[1].export_);
}

Test(record, what_was_lost)
{
	struct record r = sample(), back;
	char text[4096], why[300];

	record_lost(&r, "beta", "it did not answer");
	record_lost(&r, "gamma", "said \"no\\\n\x1b[2J\xff");
	record_print(&r, text, sizeof(text));
	cr_assert_eq(record_parse(&back, "swap", text), 0);
	cr_assert_eq(back.lost, 2);
	cr_assert_str_eq(back.lost_lender, "gamma");
	cr_assert_str_eq(back.lost_why, "said no[2J");
	cr_assert_eq(back.legs, 2);
	memset(why, 'x', sizeof(why));
	why[sizeof(why) - 1] = '\0';
	record_lost(&r, "beta", why);
	record_lost(&back, "", "\n");
	record_print(&back, text, sizeof(text));
	cr_assert_eq(record_parse(&back, "swap", text), 0);
	cr_assert_eq(back.lost, 3);
	cr_assert_str_empty(back.lost_why);
	record_print(&r, text, sizeof(text));
	cr_assert_eq(record_parse(&back, "swap", text), 0);
	cr_assert_eq(strlen(back.lost_why), sizeof(back.lost_why) - 1);
}

Test(record, who_refused_is_left_alone_for_a_minute)
{
	struct record r = sample(), back;
	char text[4096];

	record_lost(&r, "beta", "it did not answer");
	cr_assert_not(record_avoids(&r, "beta", 1000));
	r.refused_s = 1000;
	record_print(&r, text, sizeof(text));
	cr_assert_eq(record_parse(&back, "swap", text), 0);
	cr_assert(record_avoids(&back, "beta", 1000));
	cr_assert(record_avoids(&back, "beta", 1059));
	cr_assert_not(record_avoids(&back, "beta", 1060));
	cr_assert_not(record_avoids(&back, "gamma", 1000));
	cr_assert_not(record_avoids(&back, "beta", 5)); /* of another boot */
	record_lost(&back, "beta", "it did not answer");
	cr_assert_not(record_avoids(&back, "beta", 1000));
}

Test(record, torn_is_refused)
{
	struct record r = sample(), back;
	char text[4096];
	size_t len = record_print(&r, text, sizeof(text));
	char *second = strstr(text, "\nleg") + 1;

	cr_assert_lt(len, sizeof(text));
	second[10] = '\0';
	cr_assert_eq(record_parse(&back, "swap", text), -EBADMSG);
	cr_assert_eq(record_parse(&back, "swap", ""), -EBADMSG);
	cr_assert_eq(record_parse(&back, "../swap", text), -EBADMSG);
}

Test(record, names)
{
	cr_assert(record_name_valid("scratch-1.a"));
	cr_assert_not(record_name_valid(""));
	cr_assert_not(record_name_valid(".hidden"));
	cr_assert_not(record_name_valid("a/b"));
	cr_assert_not(record_name_valid("A"));
	cr_assert_not(record_name_valid(
		"a-name-that-is-much-too-long-for-a-lease-of-its"));
}

Test(record, leg_of_the_guard)
{
	struct record r = sample();
	struct guard_leg g;
	char id[128];

	record_guard_leg(&r, &r.leg[0], &g);
	cr_assert_eq(g.size_bytes, r.bytes);
	cr_assert_eq(g.md, 101);
	cr_assert_str_eq(g.name, "swap/alpha/swap-1@9");
	cr_assert_geq(g.sockets, 1);
	guard_identifier(&g, id);
	cr_assert_str_eq(id, "virgo:swap:1");
}

Test(protect, path_of_a_process)
{
	char out[64];

	protect_path("0::/system.slice/ssh.service\n", out, sizeof(out));
	cr_assert_str_eq(out, "/system.slice/ssh.service");
	protect_path("5:memory:/a\n1:name=systemd:/b\n0::/c\n", out,
		     sizeof(out));
	cr_assert_str_eq(out, "/c");
	protect_path("5:memory:/a\n", out, sizeof(out));
	cr_assert_str_empty(out);
}

Test(ready, reserve)
{
	cr_assert_eq(ready_min_free_kib(256ull << 20), 8192);
	cr_assert_eq(ready_min_free_kib(64ull << 30), 32768);
}

Test(swap_room, what_a_cgroup_lacks)
{
	struct swap_cgroup c = { .max = 100, .current = 90, .swapped = 30 };

	cr_assert_eq(swap_cgroup_lacks(&c), 20);
	c.pages = 15; /* can be had back */
	cr_assert_eq(swap_cgroup_lacks(&c), 5);
	c.both = 5; /* counted twice */
	cr_assert_eq(swap_cgroup_lacks(&c), 0);
	c.both = 0;
	c.max = -1;
	cr_assert_eq(swap_cgroup_lacks(&c), 0);
	/* Over its limit for other reasons: nothing comes back. */
	c = (struct swap_cgroup){ .max = 10, .current = 90 };
	cr_assert_eq(swap_cgroup_lacks(&c), 0);
}

static void told_nothing(const char *text)
{
	(void)text;
}

static pid_t start_hog(size_t bytes)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe(ready))
		return -1;
	pid = fork();
	if (!pid) {
		void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
				   -1, 0);

		c = 1;
		if (pages == MAP_FAILED || write(ready[1], &c, 1) != 1)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (pid > 0 && read(ready[0], &c, 1) != 1)
		pid = -1;
	close(ready[0]);
	return pid;
}

/* The first process of a namespace of its own: ends with the number of the step
 * that failed.
 */
static int alone_with_a_hog(void)
{
	pid_t hog, sleeper;
	int status;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("proc", "/proc", "proc", 0, NULL))
		return 1;
	sleeper = fork();
	if (!sleeper) {
		execlp("sleep", "sleep", "1000", (char *)NULL);
		_exit(127);
	}
	hog = start_hog(64 << 20);
	if (hog < 0 || sleeper < 0)
		return 2;
	if (swap_room_make(told_nothing))
		return 3;
	if (waitpid(hog, &status, 0) != hog || !WIFSIGNALED(status))
		return 4;
	/* There are others, but what they have is not worth their end. */
	if (swap_room_make(told_nothing) != -ESRCH)
		return 5;
	return waitpid(sleeper, &status, WNOHANG) ? 6 : 0;
}

Test(swap_room, ends_the_biggest_and_no_small_one)
{
	pid_t first;
	int status;

	if (unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWPID |
		    CLONE_NEWNS))
		cr_skip_test("no namespace of processes to be had");
	first = fork();
	if (!first)
		_exit(alone_with_a_hog());
	cr_assert_gt(first, 0);
	cr_assert_eq(waitpid(first, &status, 0), first);
	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 0, "step %d", WEXITSTATUS(status));
}
