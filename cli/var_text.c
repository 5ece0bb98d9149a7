// SPDX-License-Identifier: GPL-2.0-or-later
/* Values of variables as text; see var_text.h. */
#include "var_text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FRACTION_DIGITS = 9 };

static const u64 billion = 1000000000;

static bool parse_u64(const char *text, u64 *value)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !*end && !errno;
}

static bool parse_s64(const char *text, u64 *value)
{
	bool minus = *text == '-';

	if (!parse_u64(text + minus, value) ||
	    *value > (u64)INT64_MAX + (minus ? 1 : 0))
		return false;
	if (minus)
		*value = -*value;
	return true;
}

/* The nine digits behind the point, "25" being 250000000. */
static bool parse_fraction(const char *text, u64 *billionths)
{
	int digits = 0;

	*billionths = 0;
	for (; isdigit((unsigned char)*text); text++)
		if (digits++ < FRACTION_DIGITS)
			*billionths = *billionths * 10 + (u64)(*text - '0');
	if (*text || !digits)
		return false;
	for (; digits < FRACTION_DIGITS; digits++)
		*billionths *= 10;
	return true;
}

static bool parse_fixed(const char *text, u64 *value)
{
	bool minus = *text == '-';
	char whole_text[24];
	u64 whole, fraction = 0;
	const char *point = strchr(text, '.');
	size_t len;

	text += minus;
	len = point ? (size_t)(point - text) : strlen(text);
	if (len >= sizeof(whole_text) ||
	    (point && !parse_fraction(point + 1, &fraction)))
		return false;
	memcpy(whole_text, text, len);
	whole_text[len] = '\0';
	if (!parse_u64(whole_text, &whole) || whole > INT32_MAX)
		return false;
	*value = whole << 32 | ((fraction << 32) + billion / 2) / billion;
	if (minus)
		*value = -*value;
	return true;
}

static bool parse_bool(const char *text, u64 *value)
{
	*value = !strcmp(text, "true") || !strcmp(text, "1");
	return *value || !strcmp(text, "false") || !strcmp(text, "0");
}

bool var_text_parse(u8 type, const char *text, u64 *value)
{
	switch (type) {
	case VAR_U64:
		return parse_u64(text, value);
	case VAR_S64:
		return parse_s64(text, value);
	case VAR_FIXED:
		return parse_fixed(text, value);
	case VAR_BOOL:
		return parse_bool(text, value);
	default:
		return false;
	}
}

static void print_fixed(u64 value, char *out)
{
	bool minus = value >> 63;
	u64 size = minus ? -value : value;
	u64 whole = size >> 32;
	u64 fraction = ((size & 0xffffffff) * billion + (1ull << 31)) >> 32;
	int len;

	if (fraction == billion) {
		fraction = 0;
		whole++;
	}
	len = snprintf(out, VAR_TEXT_BYTES, "%s%" PRIu64 ".%09" PRIu64,
		       minus ? "-" : "", whole, fraction);
	while (len > 1 && out[len - 1] == '0' && out[len - 2] != '.')
		out[--len] = '\0';
}

void var_text_print(u8 type, u64 value, char out[VAR_TEXT_BYTES])
{
	switch (type) {
	case VAR_S64:
		snprintf(out, VAR_TEXT_BYTES, "%" PRId64, (s64)value);
		break;
	case VAR_FIXED:
		print_fixed(value, out);
		break;
	case VAR_BOOL:
		snprintf(out, VAR_TEXT_BYTES, "%s", value ? "true" : "false");
		break;
	default:
		snprintf(out, VAR_TEXT_BYTES, "%" PRIu64, value);
	}
}

u8 var_text_type(const char *text)
{
	static const u8 order[] = { VAR_U64, VAR_S64, VAR_FIXED, VAR_BOOL };
	u64 value;

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (var_text_parse(order[i], text, &value))
			return order[i];
	return VAR_NONE;
}

void var_text_limits(u8 type, u64 *min, u64 *max)
{
	*min = 0;
	*max = UINT64_MAX;
	if (type == VAR_BOOL)
		*max = 1;
	if (type == VAR_S64 || type == VAR_FIXED) {
		*min = (u64)INT64_MIN;
		*max = INT64_MAX;
	}
}
