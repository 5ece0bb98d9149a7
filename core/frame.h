/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The 32-byte header in front of every VIRGO message. Layout, little-endian:
 *
 *	offset size field
 *	0      4    magic      "VRGO"
 *	4      1    version    FRAME_VERSION
 *	5      1    flags      enum frame_flags
 *	6      2    type       enum virgo_msg (messages.h)
 *	8      4    length     payload bytes that follow, at most FRAME_MAX
 *	12     4    stream     which stream of the tag; meaning by type
 *	16     8    tag        chosen by the requester, echoed in every reply
 *	24     4    credit     bytes the sender of this frame newly allows the
 *			       receiver to send on this stream; 0 for none
 *	28     4    checksum   CRC-32C of bytes 0 to 27
 */
#ifndef VIRGO_CORE_FRAME_H
#define VIRGO_CORE_FRAME_H

#include "env.h"

enum {
	FRAME_MAGIC = 0x4f475256, /* "VRGO" */
	FRAME_VERSION = 1,
	FRAME_HEADER_BYTES = 32,
	/* 1 MiB of file data and room for the fields beside it. */
	FRAME_MAX = (1 << 20) + (64 << 10),
};

enum frame_flags {
	FRAME_REPLY = 1 << 0, /* answers the request with the same tag */
	FRAME_MORE = 1 << 1, /* further replies with this tag follow */
	FRAME_EOF = 1 << 2, /* last data of this stream */
	FRAME_FLAGS_KNOWN = (1 << 3) - 1,
};

struct frame {
	u8 version;
	u8 flags;
	u16 type;
	u32 length;
	u32 stream;
	u64 tag;
	u32 credit;
};

/* Writes the FRAME_HEADER_BYTES of @f to @out. */
void frame_encode(const struct frame *f, u8 *out);

/*
 * Reads a header of FRAME_HEADER_BYTES. 0, or: -EPROTO not a VIRGO frame or
 * wrong checksum, -EPROTONOSUPPORT another version, -EMSGSIZE length above
 * FRAME_MAX. After any of these the byte stream has no known frame boundary
 * and the connection must be closed. Unknown flags are kept and ignored.
 */
int frame_decode(struct frame *f, const u8 *in);

#endif
