// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The client's side of NBD's negotiation: the first byte says whether TLS is
 * wanted; whatever a server sends, the machine asks for no more than it has room
 * for, ends, and never skips TLS.
 */
#include <stdlib.h>

#include "greet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 out[GREET_OUT_MAX];
	bool tls = size && data[0] & 1;
	bool secured = false;
	size_t at = 1;
	struct greet g;

	if (!size || !greet_init(&g, "beta/swap-1@7", tls))
		return 0;
	while (g.state != GREET_DONE && g.state != GREET_FAILED) {
		u32 want = greet_want(&g);
		size_t sent;
		u8 *copy;

		if (g.state == GREET_SECURED) {
			secured = true;
			sent = greet_secured(&g, out);
			if (!sent)
				abort();
			continue;
		}
		if (!want || want > GREET_IN_MAX)
			abort();
		if (want > size - at)
			return 0;
		copy = malloc(want);
		if (!copy)
			abort();
		memcpy(copy, data + at, want);
		at += want;
		sent = greet_take(&g, copy, out);
		free(copy);
		if (sent > sizeof(out))
			abort();
	}
	if (g.state == GREET_DONE && (tls != secured || !g.described))
		abort();
	if (g.state == GREET_FAILED && (!g.error || !g.why[0]))
		abort();
	return 0;
}
