// SPDX-License-Identifier: GPL-2.0-or-later
/* A state folder is a node's or it is not; nothing is ever half-made. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "state.h"

static char dir[64];

static void setup(void)
{
	strcpy(dir, "/tmp/virgo-test-state-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static int wipe(const char *path, const struct stat *st, int type,
		struct FTW *ftw)
{
	return remove(path);
}

static void teardown(void)
{
	nftw(dir, wipe, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(state, .init = setup, .fini = teardown);

static bool exists(const char *name)
{
	char path[STATE_PATH_MAX];

	cr_assert_eq(state_path(path, dir, name), 0);
	return access(path, F_OK) == 0;
}

static void fill(struct state_new *s)
{
	cr_assert_eq(state_write(s->identity, "node.key", span_of("k"), 0600,
				 NULL),
		     0);
	cr_assert_eq(state_write(s->making, "catalog.db", span_of("c"), 0600,
				 NULL),
		     0);
}

Test(state, write_then_read)
{
	char path[STATE_PATH_MAX];
	struct blob b;
	struct stat st;

	cr_assert_eq(state_write(dir, "x", span_of("one"), 0600, NULL), 0);
	cr_assert_eq(state_write(dir, "x", span_of("three"), 0640, NULL), 0);
	cr_assert_eq(state_read(dir, "x", &b, NULL), 0);
	cr_assert_str_eq(b.data, "three");
	blob_free(&b);
	state_path(path, dir, "x");
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0640);
	cr_assert(!exists("x.new"));
}

Test(state, missing_file_is_named)
{
	struct failure f = { 0 };
	struct blob b;

	cr_assert_eq(state_read(dir, "node.crt", &b, &f), -ENOENT);
	cr_assert(strstr(f.object, "node.crt"));
}

Test(state, begin_commit)
{
	struct failure f = { 0 };
	struct state_new s;

	cr_assert_eq(state_begin(&s, dir, &f), 0, "%s", f.what);
	fill(&s);
	cr_assert(!exists("identity"));
	cr_assert_eq(state_commit(&s, &f), 0, "%s", f.what);
	cr_assert(exists("identity/node.key"));
	cr_assert(exists("catalog.db"));
	cr_assert(!exists(".making"));
	cr_assert_eq(state_begin(&s, dir, &f), -EEXIST);
}

Test(state, abandoned_leaves_nothing)
{
	struct state_new s;

	cr_assert_eq(state_begin(&s, dir, NULL), 0);
	fill(&s);
	state_abandon(&s);
	cr_assert(!exists("identity"));
	cr_assert(!exists("catalog.db"));
	cr_assert(!exists(".making"));
}

Test(state, killed_in_the_middle_is_cleared_by_the_next)
{
	struct failure f = { 0 };
	struct state_new s;
	pid_t child = fork();
	int status;

	if (!child) {
		if (state_begin(&s, dir, NULL) ||
		    state_write(s.identity, "node.key", span_of("old"), 0600,
				NULL) ||
		    state_write(s.making, "key", span_of("kept"), 0600, NULL) ||
		    state_write(dir, "catalog.db", span_of("old"), 0600, NULL))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFSIGNALED(status));
	cr_assert(exists(".making/identity/node.key"));
	cr_assert_eq(state_begin(&s, dir, &f), 0, "%s", f.what);
	cr_assert(!exists("catalog.db"));
	cr_assert(!exists(".making/identity/node.key"));
	cr_assert(exists(".making/key"));
	state_pause(&s);
	cr_assert_eq(state_begin(&s, dir, &f), 0, "%s", f.what);
	cr_assert(exists(".making/key"));
	state_abandon(&s);
	cr_assert(!exists(".making"));
}

Test(state, what_is_left_of_the_last_step_goes)
{
	struct state_new s;

	cr_assert_eq(state_begin(&s, dir, NULL), 0);
	fill(&s);
	state_pause(&s);
	state_tidy(dir);
	cr_assert(exists(".making/catalog.db"), "nobody is a node yet");
	cr_assert_eq(state_begin(&s, dir, NULL), 0);
	fill(&s);
	cr_assert_eq(state_commit(&s, NULL), 0);
	cr_assert_eq(state_write(dir, ".making", span_of("left"), 0600, NULL),
		     0);
	state_tidy(dir);
	cr_assert(!exists(".making"));
	cr_assert(exists("identity/node.key"));
}

Test(state, foreign_files_are_refused)
{
	struct failure f = { 0 };
	struct state_new s;

	cr_assert_eq(state_write(dir, "letters.txt", span_of("x"), 0644, NULL),
		     0);
	cr_assert_eq(state_begin(&s, dir, &f), -ENOTEMPTY);
	cr_assert(strstr(f.what, "letters.txt"), "%s", f.what);
	cr_assert(exists("letters.txt"));
}

Test(state, one_holder)
{
	struct failure f = { 0 };
	int fd = state_lock(dir, &f);
	pid_t child;
	int status;

	cr_assert_geq(fd, 0);
	child = fork();
	if (!child)
		_exit(state_lock(dir, &f) == -EBUSY ? 0 : 1);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	close(fd);
	cr_assert_geq(state_lock(dir, &f), 0);
}

Test(state, forget)
{
	struct state_new s;

	cr_assert_eq(state_begin(&s, dir, NULL), 0);
	fill(&s);
	cr_assert_eq(state_commit(&s, NULL), 0);
	cr_assert_eq(state_forget(dir, NULL), 0);
	cr_assert(!exists("identity"));
	cr_assert(!exists("catalog.db"));
	cr_assert_eq(state_begin(&s, dir, NULL), 0);
	state_abandon(&s);
}
