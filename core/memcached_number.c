// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Numbers and base64 as memcached reads and writes them: like strtol() and its
 * kin with white space and a sign in front, ended by white space or the end, and
 * cut to 32 bits where memcached cuts them.
 */
#include "memcached_impl.h"

static bool is_space(u8 c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Whatever digit comes next. */
static const u64 MAY_GROW = ~0ULL / 10 - 1;

struct number {
	u64 value; /* without its sign */
	bool negative;
};

static bool read_number(struct token t, struct number *n)
{
	const u8 *p = t.text, *end = t.text + t.len;
	const u8 *digits;

	n->value = 0;
	n->negative = false;
	while (p < end && is_space(*p))
		p++;
	if (p < end && (*p == '-' || *p == '+'))
		n->negative = *p++ == '-';
	for (digits = p; p < end && *p >= '0' && *p <= '9'; p++) {
		u32 digit = *p - '0';

		if (n->value > MAY_GROW && n->value > (~0ULL - digit) / 10)
			return false;
		n->value = n->value * 10 + digit;
	}
	return p > digits && (p == end || is_space(*p) || *p == '\0');
}

bool number_u64(struct token t, u64 *out)
{
	struct number n;
	u64 value;

	*out = 0;
	if (!read_number(t, &n))
		return false;
	value = n.negative ? -n.value : n.value;
	if ((s64)value < 0 && n.negative)
		return false;
	*out = value;
	return true;
}

bool number_u32(struct token t, u32 *out)
{
	u64 value;
	bool ok = number_u64(t, &value);

	*out = (u32)value;
	return ok;
}

bool number_s32(struct token t, s32 *out)
{
	struct number n;

	*out = 0;
	if (!read_number(t, &n) ||
	    n.value > (n.negative ? 1ULL << 63 : (1ULL << 63) - 1))
		return false;
	*out = (s32)(u32)(n.negative ? -n.value : n.value);
	return true;
}

static u32 digits_of(u64 v)
{
	u64 power = 10000;
	u32 n = 4;

	if (v < power)
		return 1 + (v >= 10) + (v >= 100) + (v >= 1000);
	for (; n < 20 && v >= power; power *= 10)
		n++;
	return n;
}

u32 number_print(u64 v, u8 *out)
{
	u32 n = digits_of(v);
	u8 *p = out + n;
	u32 low;

	while (v > 0xffffffff) {
		u64 tenth = div_u64(v, 10);

		*--p = (u8)('0' + (u32)(v - tenth * 10));
		v = tenth;
	}
	for (low = (u32)v; p > out; low /= 10)
		*--p = (u8)('0' + low % 10);
	return n;
}

static const char alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* '=' counts as a zero; -1 for what is skipped. */
static int sextet(u8 c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : c == '=' ? 0 : -1;
}

u32 mc_base64_decode(const u8 *in, u32 len, u8 *out)
{
	u32 count = 0, used = 0, word = 0, pad = 0, i;

	for (i = 0; i < len; i++)
		count += sextet(in[i]) >= 0;
	if (!count || count % 4)
		return 0;
	count = 0;
	for (i = 0; i < len; i++) {
		int v = sextet(in[i]);

		if (v < 0)
			continue;
		pad += in[i] == '=';
		word = word << 6 | (u32)v;
		if (++count % 4)
			continue;
		if (pad > 2)
			return 0;
		out[used] = (u8)(word >> 16);
		if (pad < 2)
			out[used + 1] = (u8)(word >> 8);
		if (pad < 1)
			out[used + 2] = (u8)word;
		used += 3 - pad;
		if (pad)
			break;
	}
	return used;
}

u32 mc_base64_encode(const u8 *in, u32 len, u8 *out)
{
	u32 used = 0;

	for (; len; in += 3) {
		u32 n = len < 3 ? len : 3;
		u32 word = (u32)in[0] << 16 | (n > 1 ? (u32)in[1] << 8 : 0) |
			   (n > 2 ? in[2] : 0);

		out[used] = (u8)alphabet[word >> 18];
		out[used + 1] = (u8)alphabet[word >> 12 & 63];
		out[used + 2] = n > 1 ? (u8)alphabet[word >> 6 & 63] : '=';
		out[used + 3] = n > 2 ? (u8)alphabet[word & 63] : '=';
		used += 4;
		len -= n;
	}
	return used;
}
