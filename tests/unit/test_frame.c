// SPDX-License-Identifier: GPL-2.0-or-later
/* Frame headers: the golden bytes, and every way in which one is refused. */
#include <criterion/criterion.h>

#include "crc32c.h"
#include "frame.h"

static const struct frame sample = {
	.version = FRAME_VERSION,
	.flags = FRAME_REPLY | FRAME_EOF,
	.type = 0x0142,
	.length = 0x00010203,
	.stream = 0x0a0b0c0d,
	.tag = 0x1122334455667788,
	.credit = 0x99aabbcc,
};

/* Golden: these bytes may never change while FRAME_VERSION is 1. */
static const u8 golden[FRAME_HEADER_BYTES] = {
	'V',  'R',  'G',  'O',	0x01, 0x05, 0x42, 0x01, 0x03, 0x02, 0x01,
	0x00, 0x0d, 0x0c, 0x0b, 0x0a, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33,
	0x22, 0x11, 0xcc, 0xbb, 0xaa, 0x99, 0x94, 0xae, 0xc7, 0xd6
};

static void seal(u8 *header)
{
	put_u32(header + 28, crc32c(0, header, 28));
}

Test(frame, golden_bytes)
{
	u8 out[FRAME_HEADER_BYTES];

	frame_encode(&sample, out);
	cr_assert_arr_eq(out, golden, sizeof(golden));
}

Test(frame, there_and_back)
{
	struct frame f;

	cr_assert_eq(frame_decode(&f, golden), 0);
	cr_assert_eq(f.version, sample.version);
	cr_assert_eq(f.flags, sample.flags);
	cr_assert_eq(f.type, sample.type);
	cr_assert_eq(f.length, sample.length);
	cr_assert_eq(f.stream, sample.stream);
	cr_assert_eq(f.tag, sample.tag);
	cr_assert_eq(f.credit, sample.credit);
}

Test(frame, any_flipped_bit_is_refused)
{
	for (int bit = 0; bit < FRAME_HEADER_BYTES * 8; bit++) {
		u8 in[FRAME_HEADER_BYTES];
		struct frame f;

		memcpy(in, golden, sizeof(in));
		in[bit / 8] ^= (u8)(1 << bit % 8);
		cr_assert_eq(frame_decode(&f, in), -EPROTO, "bit %d", bit);
	}
}

Test(frame, another_version_is_told_apart_from_garbage)
{
	u8 in[FRAME_HEADER_BYTES];
	struct frame f;

	memcpy(in, golden, sizeof(in));
	in[4] = FRAME_VERSION + 1;
	seal(in);
	cr_assert_eq(frame_decode(&f, in), -EPROTONOSUPPORT);
}

Test(frame, length_is_bounded)
{
	u8 in[FRAME_HEADER_BYTES];
	struct frame f;

	memcpy(in, golden, sizeof(in));
	put_u32(in + 8, FRAME_MAX);
	seal(in);
	cr_assert_eq(frame_decode(&f, in), 0);
	put_u32(in + 8, FRAME_MAX + 1);
	seal(in);
	cr_assert_eq(frame_decode(&f, in), -EMSGSIZE);
	put_u32(in + 8, UINT32_MAX);
	seal(in);
	cr_assert_eq(frame_decode(&f, in), -EMSGSIZE);
}

Test(frame, unknown_flags_are_kept)
{
	u8 in[FRAME_HEADER_BYTES];
	struct frame f;

	memcpy(in, golden, sizeof(in));
	in[5] = (u8)~FRAME_FLAGS_KNOWN;
	seal(in);
	cr_assert_eq(frame_decode(&f, in), 0);
	cr_assert_eq(f.flags, (u8)~FRAME_FLAGS_KNOWN);
}
