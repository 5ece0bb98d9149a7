// SPDX-License-Identifier: GPL-2.0-or-later
/* Amounts with units; the contract is in amount.h. */
#include "amount.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct unit {
	const char *name;
	double factor;
};

static const struct unit sizes[] = {
	{ "", 1 },
	{ "K", 0x1p10 }, { "KB", 0x1p10 }, { "KiB", 0x1p10 },
	{ "M", 0x1p20 }, { "MB", 0x1p20 }, { "MiB", 0x1p20 },
	{ "G", 0x1p30 }, { "GB", 0x1p30 }, { "GiB", 0x1p30 },
	{ "T", 0x1p40 }, { "TB", 0x1p40 }, { "TiB", 0x1p40 },
};

static const struct unit times[] = {
	{ "", 1000 },	 { "ms", 1 },	    { "s", 1000 },
	{ "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

static const struct unit cpus[] = { { "", 1000000 }, { "%", 10000 } };
static const struct unit counts[] = { { "", 1 }, { "k", 1000 } };

/* @text in the smallest unit of @units; 0 if it is none, or below 1 or above
 * @most of that.
 */
static u64 parse(const char *text, const struct unit *units, size_t count,
		 double most)
{
	char *end;
	double v;
	size_t i;

	/* strtod() also takes signs, blanks, "inf" and hexadecimal numbers. */
	if (!isdigit((unsigned char)*text) && *text != '.')
		return 0;
	if (text[strspn(text, "0")] == 'x' || text[strspn(text, "0")] == 'X')
		return 0;
	v = strtod(text, &end);
	for (i = 0; i < count; i++)
		if (!strcasecmp(end, units[i].name))
			break;
	if (end == text || i == count)
		return 0;
	v *= units[i].factor;
	return v >= 1 && v <= most ? (u64)v : 0;
}

bool amount_bytes(const char *text, u64 *bytes)
{
	*bytes = parse(text, sizes, ARRAY_SIZE(sizes), 1e18);
	return *bytes;
}

bool amount_ms(const char *text, u64 *ms)
{
	*ms = parse(text, times, ARRAY_SIZE(times), 1e12);
	return *ms;
}

bool amount_cpus(const char *text, u32 *ppm)
{
	*ppm = (u32)parse(text, cpus, ARRAY_SIZE(cpus), 4096e6);
	return *ppm >= 10000;
}

bool amount_count(const char *text, u32 most, u32 *count)
{
	*count = (u32)parse(text, counts, ARRAY_SIZE(counts), most);
	return *count && !strchr(text, '.');
}
