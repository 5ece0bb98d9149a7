// SPDX-License-Identifier: GPL-2.0-or-later
/* Safe printing; see text.h. */
#include "text.h"

#include <inttypes.h>

static bool control(u8 c)
{
	return c < ' ' || c == 0x7f;
}

void text_print(struct span s, FILE *out)
{
	for (u32 i = 0; i < s.len; i++)
		fputc(control(s.data[i]) ? '?' : s.data[i], out);
}

/* Length of the UTF-8 character that begins at @p; 0 for what is none. */
static u32 character(const u8 *p, u32 left)
{
	u32 len = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : *p >= 0x80 ? 2 : 1;
	u8 second = left > 1 ? p[1] : 0;

	if (len == 1)
		return 1;
	if (*p < 0xc2 || *p > 0xf4 || left < len)
		return 0;
	for (u32 i = 1; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong, surrogates, beyond U+10FFFF. */
	if ((*p == 0xe0 && second < 0xa0) || (*p == 0xed && second > 0x9f) ||
	    (*p == 0xf0 && second < 0x90) || (*p == 0xf4 && second > 0x8f))
		return 0;
	return len;
}

void text_json(struct span s, FILE *out)
{
	u32 len;

	fputc('"', out);
	for (u32 i = 0; i < s.len; i += len) {
		const u8 *p = s.data + i;

		len = character(p, s.len - i);
		if (!len) {
			fputs("\\ufffd", out);
			len = 1;
		} else if (control(*p)) {
			fprintf(out, "\\u%04x", *p);
		} else {
			if (*p == '"' || *p == '\\')
				fputc('\\', out);
			fwrite(p, 1, len, out);
		}
	}
	fputc('"', out);
}

void text_size(u64 bytes, char out[TEXT_SIZE])
{
	static const char units[] = "KMGTPE";
	u64 tenths = bytes * 10 / 1024;
	u32 unit = 0;

	while (tenths >= 10240 && units[unit + 1]) {
		tenths /= 1024;
		unit++;
	}
	if (tenths < 100)
		snprintf(out, TEXT_SIZE, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10,
			 tenths % 10, units[unit]);
	else
		snprintf(out, TEXT_SIZE, "%" PRIu64 "%c", tenths / 10, units[unit]);
}
