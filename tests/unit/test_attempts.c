// SPDX-License-Identifier: GPL-2.0-or-later
/* Who fails too often has to wait, and only they. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdio.h>

#include "attempts.h"

static struct sockaddr_storage at(const char *text)
{
	struct sockaddr_storage sa = { 0 };
	struct sockaddr_in *v4 = (void *)&sa;
	struct sockaddr_in6 *v6 = (void *)&sa;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1)
		sa.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1)
		sa.ss_family = AF_INET6;
	return sa;
}

static u32 wait_of(struct attempts *a, const char *from, u64 now_s)
{
	struct sockaddr_storage sa = at(from);

	return attempts_wait_s(a, (struct sockaddr *)&sa, now_s * 1000000);
}

static void fail_from(struct attempts *a, const char *from, u64 now_s, int n)
{
	struct sockaddr_storage sa = at(from);

	while (n--)
		attempts_failed(a, (struct sockaddr *)&sa, now_s * 1000000);
}

Test(attempts, some_are_free)
{
	static struct attempts a;

	fail_from(&a, "10.0.0.1", 100, ATTEMPTS_FREE - 1);
	cr_assert_eq(wait_of(&a, "10.0.0.1", 100), 0);
	fail_from(&a, "10.0.0.1", 100, 1);
	cr_assert_eq(wait_of(&a, "10.0.0.1", 110), ATTEMPTS_WINDOW_S - 10);
	cr_assert_eq(wait_of(&a, "10.0.0.2", 110), 0);
}

Test(attempts, the_wait_ends)
{
	static struct attempts a;

	fail_from(&a, "10.0.0.1", 100, 50);
	cr_assert_eq(wait_of(&a, "10.0.0.1", 100 + ATTEMPTS_WINDOW_S), 0);
	fail_from(&a, "10.0.0.1", 100 + ATTEMPTS_WINDOW_S, 1);
	cr_assert_eq(wait_of(&a, "10.0.0.1", 100 + ATTEMPTS_WINDOW_S), 0);
}

Test(attempts, a_v6_network_is_one_source)
{
	static struct attempts a;

	fail_from(&a, "fd00::1", 1, ATTEMPTS_FREE);
	cr_assert_gt(wait_of(&a, "fd00::2", 1), 0);
	cr_assert_eq(wait_of(&a, "fd00:0:0:1::1", 1), 0);
}

Test(attempts, mapped_v4_is_v4)
{
	static struct attempts a;

	fail_from(&a, "::ffff:10.0.0.1", 1, ATTEMPTS_FREE);
	cr_assert_gt(wait_of(&a, "10.0.0.1", 1), 0);
	cr_assert_eq(wait_of(&a, "::ffff:10.0.0.2", 1), 0);
}

Test(attempts, the_least_recent_source_gives_way)
{
	static struct attempts a;
	char from[32];

	for (int i = 0; i < ATTEMPTS_SOURCES; i++) {
		snprintf(from, sizeof(from), "10.1.%d.%d", i / 256, i % 256);
		fail_from(&a, from, 1 + (u64)i / 100, ATTEMPTS_FREE);
	}
	fail_from(&a, "10.2.0.0", 10, ATTEMPTS_FREE);
	cr_assert_gt(wait_of(&a, "10.2.0.0", 10), 0);
	cr_assert_eq(wait_of(&a, "10.1.0.0", 10), 0);
	cr_assert_gt(wait_of(&a, "10.1.0.255", 10), 0);
}
