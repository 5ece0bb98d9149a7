// SPDX-License-Identifier: GPL-2.0-or-later
/* Records of what is borrowed, and small decisions about the machine. */
#include <criterion/criterion.h>

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
