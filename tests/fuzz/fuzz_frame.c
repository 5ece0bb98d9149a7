// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Frame headers from a stranger: refused or encoded again to the same bytes. A
 * mutated header nearly never has the right checksum, so the input is tried as
 * it is and once more sealed.
 */
#include <stdint.h>
#include <stdlib.h>

#include "crc32c.h"
#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try(const u8 *in)
{
	u8 out[FRAME_HEADER_BYTES];
	struct frame f;

	if (frame_decode(&f, in))
		return;
	if (f.length > FRAME_MAX)
		abort();
	frame_encode(&f, out);
	if (memcmp(in, out, sizeof(out)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 in[FRAME_HEADER_BYTES];

	if (size < sizeof(in))
		return 0;
	memcpy(in, data, sizeof(in));
	try(in);
	put_u32(in, FRAME_MAGIC);
	put_u32(in + 28, crc32c(0, in, 28));
	try(in);
	return 0;
}
