// SPDX-License-Identifier: GPL-2.0-or-later
/* What is read of /proc/stat and of a load file. */
#include <criterion/criterion.h>

#include "loads.h"

Test(loads, processor_times)
{
	u64 busy, idle;

	cr_assert(loads_parse_stat("cpu  100 20 30 4000 500 6 7 8 900 1000\n"
				   "cpu0 1 2 3 4 5 6 7 8 9 10\n",
				   &busy, &idle));
	cr_assert_eq(busy, 100 + 20 + 30 + 6 + 7 + 8);
	cr_assert_eq(idle, 4500);
	cr_assert(loads_parse_stat("cpu 1 2 3 4 5\n", &busy, &idle));
	cr_assert_not(loads_parse_stat("cpu 1 2 3 4\n", &busy, &idle));
	cr_assert_not(loads_parse_stat("", &busy, &idle));
}

Test(loads, a_file_replaces_what_it_names)
{
	struct load l = { .cpus = 2, .idle_ppm = 5, .jobs = 7 };

	cr_assert(loads_parse_source("# three nodes on one machine\n"
				     "idle_ppm = 900000\n\n"
				     "  memory_bytes=17179869184\n"
				     "memory_free_bytes = 4096\n"
				     "load1_milli = 1250",
				     &l));
	cr_assert_eq(l.cpus, 2);
	cr_assert_eq(l.idle_ppm, 900000);
	cr_assert_eq(l.memory_bytes, 17179869184);
	cr_assert_eq(l.memory_free_bytes, 4096);
	cr_assert_eq(l.load1_milli, 1250);
	cr_assert_eq(l.jobs, 7);
	cr_assert(loads_parse_source("", &l));
}

Test(loads, other_lines_are_refused)
{
	static const char *const bad[] = { "idle_ppm",	   "idle_ppm = ",
					   "idle_ppm = x", "idle_ppm = 1000001",
					   "jobs = 3",	   "speed = 1",
					   "cpus = 4 5",   "= 4" };
	struct load l;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_not(loads_parse_source(bad[i], &l), "%s", bad[i]);
}
