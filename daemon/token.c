// SPDX-License-Identifier: GPL-2.0-or-later
/* Invitations as text; the format is in token.h. */
#include "token.h"

#include "address.h"
#include "crc32c.h"
#include "cursor.h"
#include "node_name.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			     "abcdefghijklmnopqrstuvwxyz0123456789-_";
static const char prefix[] = "virgo1:";

static void base64_print(const u8 *in, size_t len, char *out)
{
	for (size_t i = 0; i < len; i += 3) {
		size_t have = len - i < 3 ? len - i : 3;
		u32 v = (u32)in[i] << 16;

		v |= have > 1 ? (u32)in[i + 1] << 8 : 0;
		v |= have > 2 ? in[i + 2] : 0;
		for (size_t k = 0; k <= have; k++)
			*out++ = digits[v >> (18 - 6 * k) & 63];
	}
	*out = '\0';
}

/* Gives the number of bytes, or -EINVAL. */
static ssize_t base64_parse(const char *text, u8 *out, size_t size)
{
	size_t len = 0, count = 0;
	u32 bits = 0;

	for (; *text; text++) {
		const char *d = strchr(digits, *text);

		if (!d)
			return -EINVAL;
		bits = bits << 6 | (u32)(d - digits);
		if (count++ % 4 == 0)
			continue;
		if (len == size)
			return -EINVAL;
		out[len++] = (u8)(bits >> (6 - 2 * ((count - 1) % 4)));
	}
	return count % 4 == 1 ? -EINVAL : (ssize_t)len;
}

void token_print(const struct token *t, char *out)
{
	u8 raw[TOKEN_RAW_MAX];
	struct wcursor c = wcursor_of(raw, sizeof(raw));
	size_t home = strlen(t->home), addresses = strlen(t->addresses);
	size_t len;

	wcursor_u8(&c, (u8)home);
	memcpy(wcursor_room(&c, home), t->home, home);
	wcursor_u16(&c, (u16)addresses);
	memcpy(wcursor_room(&c, addresses), t->addresses, addresses);
	memcpy(wcursor_room(&c, FINGERPRINT_BYTES), t->fingerprint,
	       FINGERPRINT_BYTES);
	memcpy(wcursor_room(&c, TOKEN_SECRET_BYTES), t->secret,
	       TOKEN_SECRET_BYTES);
	len = wcursor_len(&c);
	wcursor_u32(&c, crc32c(0, raw, len));
	strcpy(out, prefix);
	base64_print(raw, wcursor_len(&c), out + strlen(prefix));
}

static bool take_text(struct rcursor *c, size_t len, char *out, size_t size)
{
	struct span s = { .data = rcursor_take(c, len), .len = (u32)len };

	return s.data && span_to_cstr(s, out, size);
}

static bool fields_parse(struct token *t, const u8 *raw, size_t len)
{
	struct rcursor c = rcursor_of(raw, len);
	const u8 *fingerprint, *secret;

	if (!take_text(&c, rcursor_u8(&c), t->home, sizeof(t->home)) ||
	    !take_text(&c, rcursor_u16(&c), t->addresses, sizeof(t->addresses)))
		return false;
	fingerprint = rcursor_take(&c, FINGERPRINT_BYTES);
	secret = rcursor_take(&c, TOKEN_SECRET_BYTES);
	if (c.bad || rcursor_left(&c))
		return false;
	memcpy(t->fingerprint, fingerprint, FINGERPRINT_BYTES);
	memcpy(t->secret, secret, TOKEN_SECRET_BYTES);
	return true;
}

int token_parse(struct token *t, const char *text, struct failure *f)
{
	static const char remedy[] =
		"copy the whole command that 'virgo invite' printed";
	char listed[ADVERTISED_LIST_MAX + 1];
	u8 raw[TOKEN_RAW_MAX];
	ssize_t len;

	memset(t, 0, sizeof(*t));
	if (strncmp(text, "virgo", 5) != 0 || !strchr(text, ':'))
		return failure_set(f, -EINVAL, "invitation", remedy,
				   "it does not begin with 'virgo1:'");
	if (strncmp(text, prefix, strlen(prefix)) != 0)
		return failure_set(f, -EINVAL, "invitation",
				   "install the home node's version of virgo",
				   "it was made by a version this one does not know");
	len = base64_parse(text + strlen(prefix), raw, sizeof(raw));
	if (len < 4 ||
	    crc32c(0, raw, (size_t)len - 4) != get_u32(raw + len - 4))
		return failure_set(f, -EINVAL, "invitation", remedy,
				   "it was damaged or cut off on its way");
	if (!fields_parse(t, raw, (size_t)len - 4) ||
	    !node_name_valid(t->home) ||
	    advertised_list(t->addresses, VIRGO_PORT, listed, sizeof(listed),
			 NULL) < 0)
		return failure_set(f, -EINVAL, "invitation", remedy,
				   "it does not hold what an invitation must");
	return 0;
}
