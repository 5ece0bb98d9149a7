// SPDX-License-Identifier: GPL-2.0-or-later
/* Netlink messages: written within their bounds, read whatever they hold. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink.h"

/* A message of three attributes, one of them a nest. */
static size_t sample(u8 *out, size_t size)
{
	struct nl_message m = nl_begin(out, size, 0x20, NLM_F_ACK, 7, 3, 1);
	size_t nest;

	nl_put_text(&m, 1, "alpha");
	nest = nl_nest_begin(&m, 2);
	nl_put_u32(&m, 9, 0x01020304);
	nl_nest_end(&m, nest);
	nl_put_u64(&m, 3, 5);
	return nl_end(&m);
}

Test(netlink, what_is_written_is_read)
{
	u8 m[128];
	size_t len = sample(m, sizeof(m));
	struct nl_rest value, inner;
	struct nl_header h;

	/* header 20, text 4 + 6 + 2, nest 4 + 8, number 4 + 8 */
	cr_assert_eq(len, 20 + 12 + 12 + 12);
	cr_assert_eq(nl_decode(m, len, &h), len);
	cr_assert_eq(h.type, 0x20);
	cr_assert_eq(h.sequence, 7);
	cr_assert_eq(h.command, 3);
	cr_assert_eq(nl_next(&h.attributes, &value), 1);
	cr_assert(nl_is(&value, "alpha"));
	cr_assert_not(nl_is(&value, "alph"));
	cr_assert_eq(nl_next(&h.attributes, &value), 2);
	cr_assert_eq(nl_next(&value, &inner), 9);
	cr_assert_eq(nl_u32(&inner), 0x01020304);
	cr_assert_eq(nl_next(&value, &inner), -1);
	cr_assert_eq(nl_next(&h.attributes, &value), 3);
	cr_assert_eq(nl_u64(&value), 5);
	cr_assert_eq(nl_next(&h.attributes, &value), -1);
}

Test(netlink, nothing_is_written_beyond_the_buffer)
{
	u8 whole[128];
	size_t len = sample(whole, sizeof(whole));

	for (size_t size = 0; size < len; size++) {
		u8 *small = malloc(size + 1);

		small[size] = 0xa5;
		cr_assert_eq(sample(small, size), 0, "of %zu", size);
		cr_assert_eq(small[size], 0xa5);
		free(small);
	}
}

Test(netlink, cut_anywhere_it_is_refused_or_says_less)
{
	u8 m[128];
	size_t len = sample(m, sizeof(m));
	struct nl_rest value;
	struct nl_header h;

	for (size_t cut = 0; cut < len; cut++) {
		u32 claimed = (u32)cut;
		u8 *copy = malloc(cut + 1);

		memcpy(copy, m, cut);
		cr_assert_lt(nl_decode(copy, cut, &h), 0);
		if (cut >= 4)
			memcpy(copy, &claimed, 4);
		if (nl_decode(copy, cut, &h) > 0)
			while (nl_next(&h.attributes, &value) >= 0)
				cr_assert_leq(value.at + value.left,
					      copy + cut);
		free(copy);
	}
}

Test(netlink, families_are_known_by_name_and_groups_too)
{
	u8 m[256];
	struct nl_message out = nl_begin(m, sizeof(m), GENL_ID_CTRL, 0, 1,
					 CTRL_CMD_NEWFAMILY, 1);
	const u16 id = 33;
	struct nl_family f;
	struct nl_header h;
	size_t list, one;

	nl_put_text(&out, CTRL_ATTR_FAMILY_NAME, "virgo");
	nl_put(&out, CTRL_ATTR_FAMILY_ID, &id, sizeof(id));
	list = nl_nest_begin(&out, CTRL_ATTR_MCAST_GROUPS);
	for (u32 i = 1; i <= 2; i++) {
		one = nl_nest_begin(&out, (u16)i);
		nl_put_u32(&out, CTRL_ATTR_MCAST_GRP_ID, 40 + i);
		nl_put_text(&out, CTRL_ATTR_MCAST_GRP_NAME,
			    i == 1 ? "vars" : "peers");
		nl_nest_end(&out, one);
	}
	nl_nest_end(&out, list);
	cr_assert_gt(nl_decode(m, nl_end(&out), &h), 0);
	nl_family_decode(h.attributes, "virgo", "peers", &f);
	cr_assert(f.named && f.id == 33 && f.group == 42);
	nl_family_decode(h.attributes, "virg", "pears", &f);
	cr_assert(!f.named && f.id == 33 && !f.group);
}

/* The kernel's own controller answers, whatever else is loaded. */
Test(netlink, a_family_is_found_by_its_name)
{
	struct nl_family f;
	int fd = nl_open(0);

	cr_assert_geq(fd, 0);
	cr_assert_eq(nl_find_family(fd, 1, "nlctrl", "notify", &f), 0);
	cr_assert(f.id == GENL_ID_CTRL && f.group && f.named);
	cr_assert_eq(nl_find_family(fd, 2, "nlctrl", "no such", &f), 0);
	cr_assert_eq(f.group, 0);
	cr_assert_eq(nl_find_family(fd, 3, "no such", "notify", &f), -ENOENT);
	cr_assert_eq(f.id, 0);
	cr_assert_eq(nl_ask(fd, NULL, 0, 4, NULL, NULL), -EMSGSIZE);
	close(fd);
}

static void count(const struct nl_header *h, void *arg)
{
	struct nl_family f;

	nl_family_decode(h->attributes, "nlctrl", "notify", &f);
	*(int *)arg += f.named;
}

/* A dump has no acknowledgement; its last message is waited for. */
Test(netlink, a_dump_ends)
{
	u8 data[64];
	struct nl_message m = nl_begin(data, sizeof(data), GENL_ID_CTRL,
				       NLM_F_DUMP, 8, CTRL_CMD_GETFAMILY, 1);
	int fd = nl_open(SOCK_NONBLOCK), found = 0;

	cr_assert_geq(fd, 0);
	cr_assert_eq(nl_ask(fd, data, nl_end(&m), 8, count, &found), 0);
	cr_assert_eq(found, 1);
	close(fd);
}
