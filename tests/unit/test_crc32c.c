// SPDX-License-Identifier: GPL-2.0-or-later
/* CRC-32C against published vectors (RFC 3720, B.4) and a bitwise reference. */
#include <criterion/criterion.h>

#include "crc32c.h"

static u32 reference(u32 crc, const u8 *p, size_t len)
{
	crc = ~crc;
	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return ~crc;
}

Test(crc32c, published_vectors)
{
	u8 buf[32];

	cr_assert_eq(crc32c(0, "123456789", 9), 0xe3069283);
	memset(buf, 0, sizeof(buf));
	cr_assert_eq(crc32c(0, buf, 32), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	cr_assert_eq(crc32c(0, buf, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		buf[i] = (u8)i;
	cr_assert_eq(crc32c(0, buf, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		buf[i] = (u8)(31 - i);
	cr_assert_eq(crc32c(0, buf, 32), 0x113fdb5c);
}

Test(crc32c, empty_input_keeps_the_value)
{
	cr_assert_eq(crc32c(0, "", 0), 0);
	cr_assert_eq(crc32c(0x12345678, "", 0), 0x12345678);
}

Test(crc32c, every_length_and_alignment_agrees_with_the_reference)
{
	u8 buf[96];

	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (u8)(i * 151 + 7);
	for (size_t at = 0; at < 8; at++)
		for (size_t len = 0; at + len <= sizeof(buf); len++)
			cr_assert_eq(crc32c(0, buf + at, len),
				     reference(0, buf + at, len),
				     "at %zu, %zu bytes", at, len);
}

Test(crc32c, continues_from_any_cut)
{
	const char text[] = "nodes that trust one certificate authority";
	size_t len = sizeof(text) - 1;

	for (size_t cut = 0; cut <= len; cut++)
		cr_assert_eq(crc32c(crc32c(0, text, cut), text + cut,
				    len - cut),
			     crc32c(0, text, len), "cut at %zu", cut);
}
