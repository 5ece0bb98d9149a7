// SPDX-License-Identifier: LGPL-2.1-or-later
/* Frame header codec; the layout is in frame.h. */
#include "frame.h"
#include "crc32c.h"

enum { CHECKSUM_AT = 28 };

void frame_encode(const struct frame *f, u8 *out)
{
	put_u32(out, FRAME_MAGIC);
	out[4] = FRAME_VERSION;
	out[5] = f->flags;
	put_u16(out + 6, f->type);
	put_u32(out + 8, f->length);
	put_u32(out + 12, f->stream);
	put_u64(out + 16, f->tag);
	put_u32(out + 24, f->credit);
	put_u32(out + CHECKSUM_AT, crc32c(0, out, CHECKSUM_AT));
}

int frame_decode(struct frame *f, const u8 *in)
{
	if (get_u32(in) != FRAME_MAGIC)
		return -EPROTO;
	if (get_u32(in + CHECKSUM_AT) != crc32c(0, in, CHECKSUM_AT))
		return -EPROTO;
	if (in[4] != FRAME_VERSION)
		return -EPROTONOSUPPORT;
	f->version = in[4];
	f->flags = in[5];
	f->type = get_u16(in + 6);
	f->length = get_u32(in + 8);
	f->stream = get_u32(in + 12);
	f->tag = get_u64(in + 16);
	f->credit = get_u32(in + 24);
	return f->length > FRAME_MAX ? -EMSGSIZE : 0;
}
