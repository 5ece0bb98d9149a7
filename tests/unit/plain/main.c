// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs the registered tests one after another, each in a child of its own. */
#include <criterion/criterion.h>

struct plain_test *plain_tests;
bool plain_failed;

static void child(const struct plain_test *t)
{
	alarm(t->timeout > 0 ? (unsigned int)t->timeout + 1 : 100);
	if (t->init)
		t->init();
	t->run();
	if (t->fini)
		t->fini();
	/* exit(), not _exit(): a sanitizer reports at the end. */
	exit(plain_failed ? 99 : 0);
}

/* The TAP line for a child that ended with @status. */
static bool print_result(const struct plain_test *t, int n, int status)
{
	const char *more = "";
	bool ok;

	if (WIFSIGNALED(status))
		ok = t->signal && WTERMSIG(status) == t->signal;
	else
		ok = !t->signal && WEXITSTATUS(status) == t->exit_code;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		ok = true;
		more = " # SKIP";
	}
	printf("%sok %d - %s::%s%s\n", ok ? "" : "not ", n, t->suite, t->name,
	       more);
	fflush(stdout);
	return ok;
}

int main(void)
{
	bool ok = true;
	int count = 0;
	int n = 0;

	for (struct plain_test *t = plain_tests; t; t = t->next)
		count += !t->disabled;
	printf("1..%d\n", count);
	fflush(stdout);
	for (struct plain_test *t = plain_tests; t; t = t->next) {
		int status = 0;
		pid_t pid;

		if (t->disabled)
			continue;
		pid = fork();
		if (pid < 0)
			return 1;
		if (pid == 0)
			child(t);
		if (waitpid(pid, &status, 0) != pid)
			return 1;
		ok &= print_result(t, ++n, status);
	}
	return !ok;
}
