// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NBD negotiation; the contract is in handshake.h. Each option is looked at only
 * when all of its data is there, so an option is answered whole or not at all;
 * only LIST, whose answer grows with the exports, is answered in pieces.
 */
#include "handshake.h"

#include "protocol.h"

static const char allocation_name[] = "base:allocation";

enum { ALLOCATION_ID = 1 };

/* An option's data, read front to back. */
struct data {
	const u8 *at;
	u32 left;
	bool bad;
};

void handshake_init(struct handshake *h, enum handshake_tls tls)
{
	*h = (struct handshake){ .tls = tls };
}

void handshake_secured(struct handshake *h)
{
	h->secure = true;
	h->structured = false;
	h->meta_generation = 0;
}

void handshake_greeting(u8 out[static 18])
{
	put_be64(out, NBD_MAGIC);
	put_be64(out + 8, NBD_OPTION_MAGIC);
	put_be16(out + 16, NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES);
}

u16 handshake_export_flags(void)
{
	return NBD_FLAG_HAS_FLAGS | NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_FUA |
	       NBD_FLAG_SEND_TRIM | NBD_FLAG_SEND_WRITE_ZEROES |
	       NBD_FLAG_SEND_DF | NBD_FLAG_CAN_MULTI_CONN |
	       NBD_FLAG_SEND_CACHE | NBD_FLAG_SEND_FAST_ZERO;
}

static const u8 *take(struct data *d, u32 len)
{
	const u8 *at = d->at;

	if (d->bad || len > d->left) {
		d->bad = true;
		return NULL;
	}
	d->at += len;
	d->left -= len;
	return at;
}

static u16 take16(struct data *d)
{
	const u8 *at = take(d, 2);

	return at ? get_be16(at) : 0;
}

static u32 take32(struct data *d)
{
	const u8 *at = take(d, 4);

	return at ? get_be32(at) : 0;
}

/* A length and so many bytes. */
static const char *take_text(struct data *d, u32 *len)
{
	*len = take32(d);
	return (const char *)take(d, *len);
}

/* Room for @len bytes; HANDSHAKE_OUT_MIN covers every single answer. */
static u8 *emit(struct handshake_out *out, size_t len)
{
	u8 *at = out->data + out->used;

	out->used += len;
	return at;
}

/* The head of an answer, and room for its @len bytes. */
static u8 *answer(struct handshake_out *out, u32 option, u32 type, u32 len)
{
	u8 *at = emit(out, NBD_OPTION_REPLY_LEN + len);

	put_be64(at, NBD_OPTION_REPLY_MAGIC);
	put_be32(at + 8, option);
	put_be32(at + 12, type);
	put_be32(at + 16, len);
	return at + NBD_OPTION_REPLY_LEN;
}

static void acknowledge(struct handshake_out *out, u32 option)
{
	answer(out, option, NBD_REP_ACK, 0);
}

/* The specification lets an error carry a sentence for people. */
static enum handshake_verdict refuse(struct handshake_out *out, u32 option,
				     u32 type, const char *why)
{
	u32 len = (u32)strlen(why);

	memcpy(answer(out, option, type, len), why, len);
	return HANDSHAKE_MORE;
}

static enum handshake_verdict malformed(struct handshake_out *out, u32 option)
{
	return refuse(out, option, NBD_REP_ERR_INVALID, "malformed option");
}

static enum handshake_verdict go(struct handshake *h, struct export *e)
{
	h->chosen = e;
	h->allocation = h->structured && h->meta_generation == e->generation;
	return HANDSHAKE_GO;
}

static enum handshake_verdict do_export_name(struct handshake *h,
					     const struct handshake_view *view,
					     struct data *d,
					     struct handshake_out *out)
{
	struct export *e = view->find(view->arg, (const char *)d->at, d->left);
	u32 zeroes = h->no_zeroes ? 0 : 124;
	u8 *at;

	if (!e) /* this option has no way to say so */
		return HANDSHAKE_BROKEN;
	at = emit(out, 10 + zeroes);
	put_be64(at, e->size);
	put_be16(at + 8, handshake_export_flags());
	memset(at + 10, 0, zeroes);
	return go(h, e);
}

static void info_text(struct handshake_out *out, u32 option, u16 what,
		      const char *text)
{
	u32 len = (u32)strlen(text);
	u8 *at = answer(out, option, NBD_REP_INFO, 2 + len);

	put_be16(at, what);
	memcpy(at + 2, text, len);
}

static void info_all(struct handshake_out *out, u32 option,
		     const struct export *e, u32 asked)
{
	u8 *at = answer(out, option, NBD_REP_INFO, 12);

	put_be16(at, NBD_INFO_EXPORT);
	put_be64(at + 2, e->size);
	put_be16(at + 10, handshake_export_flags());
	at = answer(out, option, NBD_REP_INFO, 14);
	put_be16(at, NBD_INFO_BLOCK_SIZE);
	put_be32(at + 2, NBD_BLOCK_MIN);
	put_be32(at + 6, NBD_BLOCK_PREFERRED);
	put_be32(at + 10, NBD_PAYLOAD_MAX);
	if (asked & 1u << NBD_INFO_NAME)
		info_text(out, option, NBD_INFO_NAME, e->name);
	if (asked & 1u << NBD_INFO_DESCRIPTION)
		info_text(out, option, NBD_INFO_DESCRIPTION,
			  "memory lent by VIRGO");
}

/* INFO, or GO. */
static enum handshake_verdict do_info(struct handshake *h,
				      const struct handshake_view *view,
				      struct data *d, struct handshake_out *out)
{
	struct export *e;
	u32 option = h->option;
	u32 asked = 0;
	u32 len;
	const char *name = take_text(d, &len);
	u16 n = take16(d);

	for (; n && !d->bad; n--) {
		u16 what = take16(d);

		if (what <= NBD_INFO_BLOCK_SIZE)
			asked |= 1u << what;
	}
	if (d->bad || d->left || len > NBD_NAME_MAX)
		return malformed(out, option);
	e = view->find(view->arg, name, len);
	if (!e)
		return refuse(out, option, NBD_REP_ERR_UNKNOWN,
			      "no such export");
	info_all(out, option, e, asked);
	acknowledge(out, option);
	return option == NBD_OPT_GO ? go(h, e) : HANDSHAKE_MORE;
}

static bool query_matches(const char *query, u32 len, bool list)
{
	static const u32 base_len = sizeof("base:") - 1;

	if (len == sizeof(allocation_name) - 1)
		return !memcmp(query, allocation_name, len);
	return list && len == base_len && !memcmp(query, "base:", base_len);
}

/* LIST_META_CONTEXT, or SET_META_CONTEXT. */
static enum handshake_verdict do_meta(struct handshake *h,
				      const struct handshake_view *view,
				      struct data *d, struct handshake_out *out)
{
	bool list = h->option == NBD_OPT_LIST_META_CONTEXT;
	u32 option = h->option;
	struct export *e;
	bool found;
	u32 len;
	u32 n;
	const char *name = take_text(d, &len);

	if (!list)
		h->meta_generation = 0;
	n = take32(d);
	found = list && !n;
	if (len <= NBD_NAME_MAX && !h->structured)
		return refuse(out, option, NBD_REP_ERR_INVALID,
			      "structured replies come first");
	e = d->bad ? NULL : view->find(view->arg, name, len);
	for (; n && !d->bad; n--) {
		u32 query_len;
		const char *query = take_text(d, &query_len);

		if (query && query_matches(query, query_len, list))
			found = true;
	}
	if (d->bad || d->left || len > NBD_NAME_MAX)
		return malformed(out, option);
	if (!e)
		return refuse(out, option, NBD_REP_ERR_UNKNOWN,
			      "no such export");
	if (found) {
		u32 name_len = sizeof(allocation_name) - 1;
		u8 *at = answer(out, option, NBD_REP_META_CONTEXT,
				4 + name_len);

		put_be32(at, list ? 0 : ALLOCATION_ID);
		memcpy(at + 4, allocation_name, name_len);
		if (!list)
			h->meta_generation = e->generation;
	}
	acknowledge(out, option);
	return HANDSHAKE_MORE;
}

static enum handshake_verdict do_starttls(struct handshake *h, struct data *d,
					  struct handshake_out *out)
{
	if (d->left)
		return malformed(out, h->option);
	if (h->secure)
		return refuse(out, h->option, NBD_REP_ERR_INVALID,
			      "TLS is on already");
	if (h->tls == TLS_ABSENT)
		return refuse(out, h->option, NBD_REP_ERR_UNSUP,
			      "no TLS here");
	acknowledge(out, h->option);
	return HANDSHAKE_START_TLS;
}

/* Options that are nothing but a wish. */
static enum handshake_verdict do_plain(struct handshake *h, struct data *d,
				       struct handshake_out *out)
{
	if (h->option == NBD_OPT_ABORT) {
		acknowledge(out, h->option);
		return HANDSHAKE_END;
	}
	if (d->left)
		return malformed(out, h->option);
	if (h->option == NBD_OPT_LIST) {
		h->state = HANDSHAKE_LIST;
		h->list_at = 0;
		return HANDSHAKE_MORE;
	}
	h->structured = true;
	acknowledge(out, h->option);
	return HANDSHAKE_MORE;
}

static enum handshake_verdict do_option(struct handshake *h,
					const struct handshake_view *view,
					struct data *d,
					struct handshake_out *out)
{
	if (h->tls == TLS_REQUIRED && !h->secure &&
	    h->option != NBD_OPT_STARTTLS && h->option != NBD_OPT_ABORT) {
		if (h->option == NBD_OPT_EXPORT_NAME)
			return HANDSHAKE_BROKEN;
		return refuse(out, h->option, NBD_REP_ERR_TLS_REQD,
			      "TLS comes first");
	}
	switch (h->option) {
	case NBD_OPT_EXPORT_NAME:
		return do_export_name(h, view, d, out);
	case NBD_OPT_INFO:
	case NBD_OPT_GO:
		return do_info(h, view, d, out);
	case NBD_OPT_LIST_META_CONTEXT:
	case NBD_OPT_SET_META_CONTEXT:
		return do_meta(h, view, d, out);
	case NBD_OPT_STARTTLS:
		return do_starttls(h, d, out);
	case NBD_OPT_ABORT:
	case NBD_OPT_LIST:
	case NBD_OPT_STRUCTURED_REPLY:
		return do_plain(h, d, out);
	default:
		return refuse(out, h->option, NBD_REP_ERR_UNSUP,
			      "unknown option");
	}
}

static enum handshake_verdict run_flags(struct handshake *h, struct data *in)
{
	const u8 *at;
	u32 flags;

	if (in->left < 4)
		return HANDSHAKE_MORE;
	at = take(in, 4);
	flags = get_be32(at);
	if (flags & ~(u32)(NBD_FIXED_NEWSTYLE | NBD_NO_ZEROES))
		return HANDSHAKE_BROKEN;
	h->no_zeroes = flags & NBD_NO_ZEROES;
	h->state = HANDSHAKE_OPTION;
	return HANDSHAKE_SEND;
}

static enum handshake_verdict run_option(struct handshake *h,
					 const struct handshake_view *view,
					 struct data *in,
					 struct handshake_out *out)
{
	struct data d;
	enum handshake_verdict v;
	u32 len;

	if (in->left < NBD_OPTION_LEN)
		return HANDSHAKE_MORE;
	if (get_be64(in->at) != NBD_OPTION_MAGIC)
		return HANDSHAKE_BROKEN;
	len = get_be32(in->at + 12);
	h->option = get_be32(in->at + 8);
	if (len > HANDSHAKE_OPTION_MAX) {
		if (h->option == NBD_OPT_EXPORT_NAME)
			return HANDSHAKE_BROKEN;
		take(in, NBD_OPTION_LEN);
		h->state = HANDSHAKE_SKIP;
		h->skip = len;
		return HANDSHAKE_SEND;
	}
	if (in->left < NBD_OPTION_LEN + len)
		return HANDSHAKE_MORE;
	take(in, NBD_OPTION_LEN);
	d = (struct data){ .at = take(in, len), .left = len };
	v = do_option(h, view, &d, out);
	return v == HANDSHAKE_MORE ? HANDSHAKE_SEND : v;
}

static enum handshake_verdict run_skip(struct handshake *h, struct data *in,
				       struct handshake_out *out)
{
	u32 part = in->left < h->skip ? in->left : h->skip;

	take(in, part);
	h->skip -= part;
	if (h->skip)
		return HANDSHAKE_MORE;
	refuse(out, h->option, NBD_REP_ERR_TOO_BIG, "option too long");
	h->state = HANDSHAKE_OPTION;
	return HANDSHAKE_SEND;
}

static enum handshake_verdict run_list(struct handshake *h,
				       const struct handshake_view *view,
				       struct handshake_out *out)
{
	enum { ONE_MAX = NBD_OPTION_REPLY_LEN + 4 + EXPORT_NAME_MAX };

	while (out->room - out->used >= ONE_MAX + NBD_OPTION_REPLY_LEN) {
		struct export *e = view->next(view->arg, &h->list_at);
		u32 len;
		u8 *at;

		if (!e) {
			acknowledge(out, h->option);
			h->state = HANDSHAKE_OPTION;
			break;
		}
		len = (u32)strlen(e->name);
		at = answer(out, h->option, NBD_REP_SERVER, 4 + len);
		put_be32(at, len);
		memcpy(at + 4, e->name, len);
	}
	return HANDSHAKE_SEND;
}

enum handshake_verdict handshake_run(struct handshake *h,
				     const struct handshake_view *view,
				     const u8 *data, size_t len, size_t *used,
				     struct handshake_out *out)
{
	struct data in = { .at = data,
			   .left = len > UINT32_MAX ? UINT32_MAX : (u32)len };
	enum handshake_verdict v = HANDSHAKE_SEND;

	while (v == HANDSHAKE_SEND &&
	       out->room - out->used >= HANDSHAKE_OUT_MIN) {
		switch (h->state) {
		case HANDSHAKE_FLAGS:
			v = run_flags(h, &in);
			break;
		case HANDSHAKE_OPTION:
			v = run_option(h, view, &in, out);
			break;
		case HANDSHAKE_SKIP:
			v = run_skip(h, &in, out);
			break;
		case HANDSHAKE_LIST:
			v = run_list(h, view, out);
			break;
		}
	}
	*used = (size_t)(in.at - data);
	return v;
}
