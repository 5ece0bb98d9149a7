// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * collide COUNT BITS: prints that many keys, one a line, whose hash in a cache
 * with seed 0 ends in BITS zeros: chains of its index would be 2^BITS times as
 * long as others'. About COUNT * 2^BITS hashes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "siphash.h"

int main(int argc, char **argv)
{
	unsigned long count, mask, i;
	char key[32];

	if (argc != 3)
		return 2;
	count = strtoul(argv[1], NULL, 10);
	mask = (1ul << strtoul(argv[2], NULL, 10)) - 1;
	for (i = 0; count; i++) {
		int len = snprintf(key, sizeof(key), "c%lu", i);

		if (sip_hash(0, 0, key, (size_t)len) & mask)
			continue;
		puts(key);
		count--;
	}
	return 0;
}
