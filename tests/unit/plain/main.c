// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs the registered tests one after another, each in a child of its own. */
#include <criterion/criterion.h>

struct plain_test *plain_tests;
struct plain_test *plain_suites;
bool plain_failed;

static void child(const struct plain_test *t, void *param)
{
	alarm(t->timeout > 0 ? (unsigned int)t->timeout + 1 : 100);
	if (t->init)
		t->init();
	if (t->run_with)
		t->run_with(param);
	else
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

static bool run_one(const struct plain_test *t, int n, void *param)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		child(t, param);
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("# fork");
		return false;
	}
	return print_result(t, n, status);
}

static void take_defaults(struct plain_test *t)
{
	for (const struct plain_test *s = plain_suites; s; s = s->next) {
		if (strcmp(s->suite, t->suite) != 0)
			continue;
		t->init = t->init ? t->init : s->init;
		t->fini = t->fini ? t->fini : s->fini;
		t->timeout = t->timeout > 0 ? t->timeout : s->timeout;
	}
}

static size_t runs_of(const struct plain_test *t)
{
	return t->disabled ? 0 : t->params ? t->params().length : 1;
}

int main(void)
{
	bool ok = true;
	size_t count = 0;
	int n = 0;

	for (struct plain_test *t = plain_tests; t; t = t->next)
		count += runs_of(t);
	printf("1..%zu\n", count);
	fflush(stdout);
	for (struct plain_test *t = plain_tests; t; t = t->next) {
		struct criterion_test_params p = { 0 };
		size_t runs = runs_of(t);

		take_defaults(t);
		if (t->params)
			p = t->params();
		for (size_t i = 0; i < runs; i++)
			ok &= run_one(t, ++n, (char *)p.params + i * p.size);
	}
	return !ok;
}
