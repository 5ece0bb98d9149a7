// SPDX-License-Identifier: GPL-2.0-or-later
/* Amounts with units: what is taken, and what is not. */
#include <criterion/criterion.h>

#include "amount.h"

Test(amount, bytes)
{
	u64 n;

	cr_assert(amount_bytes("1", &n) && n == 1);
	cr_assert(amount_bytes("1.5k", &n) && n == 1536);
	cr_assert(amount_bytes("512MiB", &n) && n == 512 << 20);
	cr_assert(amount_bytes("2GB", &n) && n == 2ull << 30);
	cr_assert(amount_bytes(".5T", &n) && n == 1ull << 39);
}

Test(amount, times)
{
	u64 ms;

	cr_assert(amount_ms("90", &ms) && ms == 90000);
	cr_assert(amount_ms("0.3", &ms) && ms == 300);
	cr_assert(amount_ms("1s", &ms) && ms == 1000);
	cr_assert(amount_ms("500ms", &ms) && ms == 500);
	cr_assert(amount_ms("1.5m", &ms) && ms == 90000);
	cr_assert(amount_ms("2H", &ms) && ms == 7200000);
	cr_assert(amount_ms("1d", &ms) && ms == 86400000);
}

Test(amount, cpus_and_counts)
{
	u32 n;

	cr_assert(amount_cpus("1.5", &n) && n == 1500000);
	cr_assert(amount_cpus("50%", &n) && n == 500000);
	cr_assert(amount_cpus("1%", &n) && n == 10000);
	cr_assert(amount_cpus("4096", &n) && n == 4096000000u);
	cr_assert(amount_count("100", 1000, &n) && n == 100);
	cr_assert(amount_count("32k", 100000, &n) && n == 32000);
}

Test(amount, refuses_the_rest)
{
	static const char *const wrong[] = {
		"", " 1", "-1", "+1", "0", "0x10", "00x1", "inf", "nan", "1e99",
		"1 s", "1ss", "1mss", "1kk", "1KiBs", "s", ".", "1.5.5",
	};
	u64 wide;
	u32 n;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cr_assert(!amount_bytes(wrong[i], &wide), "%s", wrong[i]);
		cr_assert(!amount_ms(wrong[i], &wide), "%s", wrong[i]);
		cr_assert(!amount_cpus(wrong[i], &n), "%s", wrong[i]);
		cr_assert(!amount_count(wrong[i], 1000, &n), "%s", wrong[i]);
	}
	cr_assert(!amount_bytes("1s", &wide));
	cr_assert(!amount_ms("1M%", &wide));
	cr_assert(!amount_ms("0.0001", &wide), "less than a millisecond");
	cr_assert(!amount_cpus("0.5%", &n));
	cr_assert(!amount_cpus("4097", &n));
	cr_assert(!amount_count("1.5", 1000, &n));
	cr_assert(!amount_count("1001", 1000, &n));
}
