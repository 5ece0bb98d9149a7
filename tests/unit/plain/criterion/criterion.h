/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Stands in for Criterion in builds with the thread sanitizer, under which
 * Criterion's own runner cannot start. The same test files compile: each test
 * runs in a forked child, results are printed as TAP. Only what the tests use is
 * here.
 */
#ifndef VIRGO_TESTS_PLAIN_CRITERION_H
#define VIRGO_TESTS_PLAIN_CRITERION_H

#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct criterion_test_params {
	size_t size; /* bytes of one element */
	void *params;
	size_t length;
};

struct plain_test {
	const char *suite;
	const char *name;
	void (*run)(void);
	/* A parameterized test has these two instead of run. */
	void (*run_with)(void *param);
	struct criterion_test_params (*params)(void);
	void (*init)(void);
	void (*fini)(void);
	int signal;
	int exit_code;
	double timeout;
	bool disabled;
	const char *description;
	struct plain_test *next;
};

extern struct plain_test *plain_tests;
/* Defaults of a suite's tests: suite, init, fini and timeout are used. */
extern struct plain_test *plain_suites;
extern bool plain_failed;

__attribute__((format(printf, 4, 5))) static inline void
plain_fail(bool fatal, const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	plain_failed = true;
	printf("# %s:%d: ", file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	if (fatal)
		_exit(99);
}

/* Text in front of __VA_ARGS__ joins the message, if there is one. As with
 * Criterion the message is only made when it is needed.
 */
#define PLAIN(ok, fatal, text, ...)                                            \
	((ok) ? (void)0 :                                                      \
		plain_fail(fatal, __FILE__, __LINE__, text " " __VA_ARGS__))
#define PLAIN_STR(a, op, b) (strcmp(a, b) op 0)
#define PLAIN_ARR(a, op, b, n) (memcmp(a, b, n) op 0)

#define cr_assert(c, ...) PLAIN(!!(c), true, "not true", __VA_ARGS__)
#define cr_assert_not(c, ...) PLAIN(!(c), true, "not false", __VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN((a) == (b), true, "==", __VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN((a) != (b), true, "!=", __VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN((a) < (b), true, "<", __VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN((a) > (b), true, ">", __VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN((a) <= (b), true, "<=", __VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN((a) >= (b), true, ">=", __VA_ARGS__)
#define cr_assert_null(p, ...) PLAIN(!(p), true, "not NULL", __VA_ARGS__)
#define cr_assert_not_null(p, ...) PLAIN(!!(p), true, "NULL", __VA_ARGS__)
#define cr_assert_fail(...) PLAIN(false, true, "failed", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                            \
	PLAIN(PLAIN_STR(a, ==, b), true, "text differs", __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                           \
	PLAIN(PLAIN_STR(a, !=, b), true, "text is the same", __VA_ARGS__)
#define cr_assert_str_empty(a, ...)                                            \
	PLAIN(!*(a), true, "text is not empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...)                                         \
	PLAIN(PLAIN_ARR(a, ==, b, n), true, "bytes differ", __VA_ARGS__)
#define cr_assert_arr_neq(a, b, n, ...)                                        \
	PLAIN(PLAIN_ARR(a, !=, b, n), true, "bytes are the same", __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...)                                       \
	PLAIN((a) - (b) <= (e) && (b) - (a) <= (e), true, "number differs",    \
	      __VA_ARGS__)

#define cr_expect(c, ...) PLAIN(!!(c), false, "not true", __VA_ARGS__)
#define cr_expect_not(c, ...) PLAIN(!(c), false, "not false", __VA_ARGS__)
#define cr_expect_eq(a, b, ...) PLAIN((a) == (b), false, "==", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)                                            \
	PLAIN(PLAIN_STR(a, ==, b), false, "text differs", __VA_ARGS__)

#define cr_skip(...) _exit(77)
#define cr_skip_test(...) _exit(77)

#define TestSuite(suite_, ...)                                                 \
	__attribute__((constructor)) static void plain_suite_##suite_(void)    \
	{                                                                      \
		static struct plain_test t_ = { .suite = #suite_,               \
					       ##__VA_ARGS__ };                \
                                                                               \
		t_.next = plain_suites;                                         \
		plain_suites = &t_;                                             \
	}                                                                      \
	struct plain_suite_##suite_##_semicolon

#define Test(suite_, name_, ...)                                               \
	static void test_##suite_##_##name_(void);                             \
	__attribute__((constructor)) static void test_##suite_##_##name_##_add(void) \
	{                                                                      \
		static struct plain_test t_ = { .suite = #suite_,               \
					       .name = #name_,                 \
					       .run = test_##suite_##_##name_, \
					       ##__VA_ARGS__ };                \
                                                                               \
		t_.next = plain_tests;                                          \
		plain_tests = &t_;                                              \
	}                                                                      \
	static void test_##suite_##_##name_(void)

#define cr_make_param_array(type, array, count, ...)                           \
	((struct criterion_test_params){ sizeof(type), (void *)(array), count })

#define ParameterizedTestParameters(suite_, name_)                             \
	static struct criterion_test_params test_##suite_##_##name_##_params(void)

#define ParameterizedTest(param, suite_, name_, ...)                           \
	static void test_##suite_##_##name_(param);                            \
	static void test_##suite_##_##name_##_with(void *p)                    \
	{                                                                      \
		test_##suite_##_##name_(p);                                    \
	}                                                                      \
	__attribute__((constructor)) static void test_##suite_##_##name_##_add(void) \
	{                                                                      \
		static struct plain_test t_ = {                                 \
			.suite = #suite_,                                      \
			.name = #name_,                                        \
			.run_with = test_##suite_##_##name_##_with,            \
			.params = test_##suite_##_##name_##_params,            \
			##__VA_ARGS__                                          \
		};                                                             \
                                                                               \
		t_.next = plain_tests;                                          \
		plain_tests = &t_;                                              \
	}                                                                      \
	static void test_##suite_##_##name_(param)

#endif
