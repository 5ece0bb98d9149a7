// SPDX-License-Identifier: GPL-2.0-or-later
/* What virgo-spawn makes for a child: vectors and environment of a job. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "launch.h"

enum { LIST_MAX = 4 << 20 };

static u32 groups[] = { 7, 8 };
static const struct account ann = { .uid = 1000, .gid = 100, .group_count = 2,
				    .groups = groups, .name = "ann",
				    .home = "/home/ann", .shell = "/bin/sh" };
static u8 argv_bytes[4096];
static u8 env_bytes[LIST_MAX];
static struct msg_job_start start;
static struct launch *plan;

static void list_add(u8 *bytes, size_t size, struct span *list,
		     const void *text, size_t len)
{
	struct wcursor w = wcursor_of(bytes + list->len, size - list->len);
	const struct rec_text t = { .text = { text, (u32)len } };

	rec_text_append(&w, &t);
	cr_assert(!w.bad);
	list->data = bytes;
	list->len += (u32)wcursor_len(&w);
}

static void arg(const char *s)
{
	list_add(argv_bytes, sizeof(argv_bytes), &start.argv, s, strlen(s));
}

static void var(const char *s)
{
	list_add(env_bytes, sizeof(env_bytes), &start.env, s, strlen(s));
}

static void reset(void)
{
	start = (struct msg_job_start){ .umask = 022 };
	start.node = span_of("beta");
	plan = NULL;
}

static void release(void)
{
	free(plan);
}

TestSuite(launch_plan, .init = reset, .fini = release, .timeout = 30);

static void make(void)
{
	cr_assert_eq(launch_plan(&plan, &start, &ann, "VIRGO_JOB=beta/1"), 0);
}

/* The value, when the name is there exactly once. */
static const char *value(const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;
	char **e;

	for (e = plan->envp; *e; e++)
		if (!strncmp(*e, name, len) && (*e)[len] == '=') {
			cr_assert_null(found, "%s twice", name);
			found = *e + len + 1;
		}
	return found;
}

Test(launch_plan, views_nothing_of_what_it_is_made_from)
{
	arg("echo");
	arg("");
	arg("two words");
	make();
	memset(argv_bytes, 'x', sizeof(argv_bytes));
	groups[0] = 0;
	cr_assert_str_eq(plan->argv[0], "echo");
	cr_assert_str_eq(plan->argv[1], "");
	cr_assert_str_eq(plan->argv[2], "two words");
	cr_assert_null(plan->argv[3]);
	cr_assert_eq(plan->uid, 1000);
	cr_assert_eq(plan->gid, 100);
	cr_assert_eq(plan->group_count, 2);
	cr_assert_eq(plan->groups[0], 7);
	cr_assert_eq(plan->groups[1], 8);
	cr_assert_eq(plan->umask, 022);
}

Test(launch_plan, environment_of_its_own)
{
	arg("true");
	make();
	cr_assert_str_eq(value("HOME"), "/home/ann");
	cr_assert_str_eq(value("USER"), "ann");
	cr_assert_str_eq(value("LOGNAME"), "ann");
	cr_assert_str_eq(value("SHELL"), "/bin/sh");
	cr_assert_str_eq(value("PATH"), "/usr/local/bin:/usr/bin:/bin");
	cr_assert_str_eq(value("VIRGO_NODE"), "beta");
	cr_assert_str_eq(value("VIRGO_JOB"), "beta/1");
	cr_assert_null(value("TERM"));
	cr_assert_null(value("PWD"));
	cr_assert_str_eq(plan->path, value("PATH"));
	cr_assert_null(plan->cwd);
	cr_assert_str_eq(plan->home, "/home/ann");
}

Test(launch_plan, the_last_of_a_name_counts)
{
	arg("true");
	start.cwd = span_of("/tmp");
	var("A=1");
	var("PATH=/opt");
	var("A=2");
	var("AB=3");
	var("HOME=/root");
	var("VIRGO_JOB=forged");
	var("PWD=/elsewhere");
	var("A=");
	make();
	cr_assert_str_eq(value("A"), "");
	cr_assert_str_eq(value("AB"), "3");
	cr_assert_str_eq(value("HOME"), "/root");
	cr_assert_str_eq(value("VIRGO_JOB"), "beta/1");
	cr_assert_str_eq(value("PWD"), "/tmp");
	cr_assert_str_eq(plan->path, "/opt");
	cr_assert_str_eq(plan->cwd, "/tmp");
	cr_assert_str_eq(plan->home, "/home/ann", "the account's, not the caller's");
}

Test(launch_plan, what_is_no_variable_is_left_out)
{
	u32 count = 0;

	arg("true");
	var("novalue");
	var("=x");
	var("");
	make();
	while (plan->envp[count])
		count++;
	cr_assert_eq(count, 7); /* those of environment_of_its_own */
}

Test(launch_plan, a_terminal_has_a_type)
{
	arg("true");
	start.flags = JOB_PTY;
	make();
	cr_assert_str_eq(value("TERM"), "dumb");
	free(plan);
	start.term = span_of("xterm");
	make();
	cr_assert_str_eq(value("TERM"), "xterm");
	free(plan);
	var("TERM=vt100");
	make();
	cr_assert_str_eq(value("TERM"), "vt100");
}

Test(launch_plan, refuses_what_cannot_be_run)
{
	cr_assert_eq(launch_plan(&plan, &start, &ann, "M=1"), -EINVAL, "no argv");
	arg("");
	arg("x");
	cr_assert_eq(launch_plan(&plan, &start, &ann, "M=1"), -EINVAL, "no name");
	start.argv.len = 0;
	list_add(argv_bytes, sizeof(argv_bytes), &start.argv, "a\0b", 3);
	cr_assert_eq(launch_plan(&plan, &start, &ann, "M=1"), -EINVAL, "NUL");
	start.argv.len = 0;
	arg("true");
	start.argv.len--;
	cr_assert_eq(launch_plan(&plan, &start, &ann, "M=1"), -EBADMSG);
	start.argv.len++;
	list_add(env_bytes, sizeof(env_bytes), &start.env, "A=a\0b", 5);
	cr_assert_eq(launch_plan(&plan, &start, &ann, "M=1"), -EINVAL, "NUL");
	plan = NULL;
}

/* virgo-spawn has one thread: what one caller sends must not hold up the others. By
 * comparing all with all this takes minutes.
 */
Test(launch_plan, many_variables_take_no_time, .timeout = 10)
{
	char text[16];
	u32 i, count = 0;

	arg("true");
	for (i = 0; i < 200000; i++) {
		snprintf(text, sizeof(text), "V%u=x", i % 100000);
		var(text);
	}
	make();
	while (plan->envp[count])
		count++;
	cr_assert_eq(count, 100007);
}
