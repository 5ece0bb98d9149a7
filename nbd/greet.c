// SPDX-License-Identifier: GPL-2.0-or-later
/* NBD negotiation of a client; the contract is in greet.h. */
#include "greet.h"

#include <stdarg.h>
#include <stdio.h>

bool greet_init(struct greet *g, const char *name, bool tls)
{
	size_t len = strlen(name);

	*g = (struct greet){ .tls = tls, .want = NBD_GREETING_LEN };
	if (len > NBD_NAME_MAX)
		return false;
	memcpy(g->name, name, len + 1);
	return true;
}

u32 greet_want(const struct greet *g)
{
	return g->want;
}

__attribute__((format(printf, 3, 4)))
static size_t fail(struct greet *g, int error, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(g->why, sizeof(g->why), fmt, ap);
	va_end(ap);
	g->error = error;
	g->state = GREET_FAILED;
	g->want = 0;
	return 0;
}

static size_t option(u8 *out, u32 what, u32 len)
{
	put_be64(out, NBD_OPTION_MAGIC);
	put_be32(out + 8, what);
	put_be32(out + 12, len);
	return NBD_OPTION_LEN;
}

static size_t ask_go(struct greet *g, u8 *out)
{
	u32 len = (u32)strlen(g->name);
	size_t at = option(out, NBD_OPT_GO, 4 + len + 4);

	put_be32(out + at, len);
	memcpy(out + at + 4, g->name, len);
	put_be16(out + at + 4 + len, 1);
	put_be16(out + at + 6 + len, NBD_INFO_BLOCK_SIZE);
	g->state = GREET_GO;
	g->want = NBD_OPTION_REPLY_LEN;
	return at + 8 + len;
}

static size_t take_greeting(struct greet *g, const u8 *in, u8 *out)
{
	u16 flags = get_be16(in + 16);

	if (get_be64(in) != NBD_MAGIC ||
	    get_be64(in + 8) != NBD_OPTION_MAGIC)
		return fail(g, -EPROTO, "this is not an NBD server");
	if (!(flags & NBD_FIXED_NEWSTYLE))
		return fail(g, -EPROTO, "the server's NBD is too old");
	put_be32(out, NBD_FIXED_NEWSTYLE | (flags & NBD_NO_ZEROES));
	if (!g->tls)
		return 4 + ask_go(g, out + 4);
	g->state = GREET_TLS;
	g->want = NBD_OPTION_REPLY_LEN;
	return 4 + option(out + 4, NBD_OPT_STARTTLS, 0);
}

/* The head of an answer to @what; its type into g->reply. False when broken. */
static bool take_head(struct greet *g, const u8 *in, u32 what, u32 *len)
{
	g->reply = get_be32(in + 12);
	*len = get_be32(in + 16);
	if (get_be64(in) != NBD_OPTION_REPLY_MAGIC ||
	    get_be32(in + 8) != what || *len > GREET_IN_MAX) {
		fail(g, -EPROTO, "the server breaks the protocol");
		return false;
	}
	return true;
}

/* Refusals may carry a sentence for people. */
static size_t refused(struct greet *g, const u8 *text, u32 len)
{
	static const struct {
		u32 reply;
		int error;
		const char *what;
	} known[] = {
		{ NBD_REP_ERR_UNSUP, -EOPNOTSUPP, "does not know this option" },
		{ NBD_REP_ERR_POLICY, -EACCES, "does not allow it" },
		{ NBD_REP_ERR_UNKNOWN, -ENOENT, "has no such export" },
		{ NBD_REP_ERR_TLS_REQD, -EACCES, "wants TLS" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known) && known[i].reply != g->reply; i++)
		;
	return fail(g, i < ARRAY_SIZE(known) ? known[i].error : -EPROTO,
		    "the server %s%s%.*s",
		    i < ARRAY_SIZE(known) ? known[i].what : "refuses",
		    len ? ": " : "", (int)(len > 80 ? 80 : len),
		    (const char *)text);
}

static size_t secured_next(struct greet *g)
{
	g->state = GREET_SECURED;
	g->want = 0;
	return 0;
}

static size_t take_tls(struct greet *g, const u8 *in)
{
	u32 len;

	if (!take_head(g, in, NBD_OPT_STARTTLS, &len))
		return 0;
	if (g->reply == NBD_REP_ACK && !len)
		return secured_next(g);
	if (!len)
		return refused(g, (const u8 *)"", 0);
	g->state = GREET_TLS_TEXT;
	g->want = len;
	return 0;
}

static size_t take_info(struct greet *g, const u8 *in, u32 len)
{
	u16 what = len >= 2 ? get_be16(in) : 0xffff;

	if (what == NBD_INFO_EXPORT && len == 12) {
		g->size_bytes = get_be64(in + 2);
		g->flags = get_be16(in + 10);
		g->described = true;
	} else if (what == NBD_INFO_BLOCK_SIZE && len == 14) {
		g->block_min = get_be32(in + 2);
	} else if (what == NBD_INFO_EXPORT || what == NBD_INFO_BLOCK_SIZE ||
		   len < 2) {
		return fail(g, -EPROTO, "the server breaks the protocol");
	}
	g->state = GREET_GO;
	g->want = NBD_OPTION_REPLY_LEN;
	return 0;
}

/* All there is of an answer to GO. */
static size_t take_go(struct greet *g, const u8 *in, u32 len)
{
	if (g->reply == NBD_REP_INFO)
		return take_info(g, in, len);
	if (g->reply != NBD_REP_ACK)
		return refused(g, in, len);
	if (len || !g->described || !(g->flags & NBD_FLAG_HAS_FLAGS))
		return fail(g, -EPROTO, "the server breaks the protocol");
	g->state = GREET_DONE;
	g->want = 0;
	return 0;
}

static size_t take_go_head(struct greet *g, const u8 *in)
{
	u32 len;

	if (!take_head(g, in, NBD_OPT_GO, &len))
		return 0;
	if (!len)
		return take_go(g, (const u8 *)"", 0);
	g->state = GREET_GO_BODY;
	g->want = len;
	return 0;
}

size_t greet_take(struct greet *g, const u8 *in, u8 out[static GREET_OUT_MAX])
{
	switch (g->state) {
	case GREET_GREETING:
		return take_greeting(g, in, out);
	case GREET_TLS:
		return take_tls(g, in);
	case GREET_TLS_TEXT:
		return refused(g, in, g->want);
	case GREET_GO:
		return take_go_head(g, in);
	case GREET_GO_BODY:
		return take_go(g, in, g->want);
	case GREET_SECURED:
	case GREET_DONE:
	case GREET_FAILED:
		break;
	}
	return 0;
}

size_t greet_secured(struct greet *g, u8 out[static GREET_OUT_MAX])
{
	return g->state == GREET_SECURED ? ask_go(g, out) : 0;
}
