// SPDX-License-Identifier: GPL-2.0-or-later
/* The client's side of the negotiation, against our own server's and lies. */
#include <criterion/criterion.h>

#include "greet.h"

static u8 out[GREET_OUT_MAX];

static size_t greeting(struct greet *g, u16 flags)
{
	u8 in[NBD_GREETING_LEN];

	put_be64(in, NBD_MAGIC);
	put_be64(in + 8, NBD_OPTION_MAGIC);
	put_be16(in + 16, flags);
	cr_assert_eq(greet_want(g), sizeof(in));
	return greet_take(g, in, out);
}

static size_t reply(struct greet *g, u32 option, u32 type, const void *data,
		    u32 len)
{
	u8 in[NBD_OPTION_REPLY_LEN];

	put_be64(in, NBD_OPTION_REPLY_MAGIC);
	put_be32(in + 8, option);
	put_be32(in + 12, type);
	put_be32(in + 16, len);
	cr_assert_eq(greet_want(g), sizeof(in));
	greet_take(g, in, out);
	if (!len || g->state == GREET_FAILED)
		return 0;
	cr_assert_eq(greet_want(g), len);
	return greet_take(g, data, out);
}

static void describe(struct greet *g, u64 size, u16 flags)
{
	u8 in[12];

	put_be16(in, NBD_INFO_EXPORT);
	put_be64(in + 2, size);
	put_be16(in + 10, flags);
	reply(g, NBD_OPT_GO, NBD_REP_INFO, in, sizeof(in));
}

Test(greet, plain)
{
	struct greet g;
	size_t len;

	cr_assert(greet_init(&g, "beta/swap@3", false));
	len = greeting(&g, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	cr_assert_eq(len, 4 + NBD_OPTION_LEN + 4 + 11 + 4);
	cr_assert_eq(get_be32(out), NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
	cr_assert_eq(get_be32(out + 12), NBD_OPT_GO);
	cr_assert_eq(memcmp(out + 24, "beta/swap@3", 11), 0);
	describe(&g, 1 << 20, NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH);
	reply(&g, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	cr_assert_eq(g.state, GREET_DONE);
	cr_assert_eq(g.size_bytes, 1 << 20);
	cr_assert_eq(greet_want(&g), 0);
}

Test(greet, tls_comes_before_the_name)
{
	struct greet g;
	size_t len;

	greet_init(&g, "x", true);
	len = greeting(&g, NBD_FIXED_NEWSTYLE);
	cr_assert_eq(len, 4 + NBD_OPTION_LEN);
	cr_assert_eq(get_be32(out + 12), NBD_OPT_STARTTLS);
	reply(&g, NBD_OPT_STARTTLS, NBD_REP_ACK, NULL, 0);
	cr_assert_eq(g.state, GREET_SECURED);
	cr_assert_eq(greet_want(&g), 0);
	len = greet_secured(&g, out);
	cr_assert_eq(get_be32(out + 8), NBD_OPT_GO);
	cr_assert_eq(len, NBD_OPTION_LEN + 4 + 1 + 4);
}

/* A server without TLS must not get us to speak in the clear. */
Test(greet, no_way_around_tls)
{
	struct greet g;

	greet_init(&g, "x", true);
	greeting(&g, NBD_FIXED_NEWSTYLE);
	cr_assert_eq(reply(&g, NBD_OPT_STARTTLS, NBD_REP_ERR_UNSUP, "none", 4),
		     0);
	cr_assert_eq(g.state, GREET_FAILED);
	cr_assert_eq(g.error, -EOPNOTSUPP);
	cr_assert_not_null(strstr(g.why, "none"));
}

Test(greet, refusals)
{
	struct greet g;

	greet_init(&g, "x", false);
	greeting(&g, NBD_FIXED_NEWSTYLE);
	reply(&g, NBD_OPT_GO, NBD_REP_ERR_UNKNOWN, "no such export", 14);
	cr_assert_eq(g.error, -ENOENT);
	greet_init(&g, "x", false);
	greeting(&g, 0);
	cr_assert_eq(g.error, -EPROTO, "old style");
	greet_init(&g, "x", false);
	greeting(&g, NBD_FIXED_NEWSTYLE);
	reply(&g, NBD_OPT_GO, NBD_REP_ACK, NULL, 0);
	cr_assert_eq(g.error, -EPROTO, "GO without a size");
	greet_init(&g, "x", false);
	greeting(&g, NBD_FIXED_NEWSTYLE);
	reply(&g, NBD_OPT_INFO, NBD_REP_ACK, NULL, 0);
	cr_assert_eq(g.error, -EPROTO, "an answer to something else");
	greet_init(&g, "x", false);
	greeting(&g, NBD_FIXED_NEWSTYLE);
	reply(&g, NBD_OPT_GO, NBD_REP_INFO, NULL, GREET_IN_MAX + 1);
	cr_assert_eq(g.error, -EPROTO, "more than there is room for");
}

Test(greet, long_names)
{
	static char name[NBD_NAME_MAX + 2];
	struct greet g;

	memset(name, 'n', NBD_NAME_MAX + 1);
	cr_assert_not(greet_init(&g, name, false));
	name[NBD_NAME_MAX] = '\0';
	cr_assert(greet_init(&g, name, false));
	cr_assert_leq(greeting(&g, NBD_FIXED_NEWSTYLE), GREET_OUT_MAX);
}
