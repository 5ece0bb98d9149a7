// SPDX-License-Identifier: GPL-2.0-or-later
/* This node's cache in words; the contract is in cache_text.h. */
#include "cache_text.h"

#include "text.h"

void cache_print(const struct msg_cache_listed *k)
{
	bool kernel = span_equal(k->where, span_of("kernel"));
	char bytes[TEXT_SIZE], value[TEXT_SIZE];

	text_size(k->bytes, bytes);
	text_size(k->value_max_bytes, value);
	fputs(kernel ? "in the kernel" : "in virgod", stdout);
	printf(": %s, values up to %s, ", bytes, value);
	if (k->port)
		printf("%s port %u", kernel ? "127.0.0.1" : "127.0.0.1 and ::1",
		       k->port);
	else
		fputs("no port", stdout);
	if (k->why.len) {
		fputs(" (not in the kernel: ", stdout);
		text_print(k->why, stdout);
		putchar(')');
	}
	putchar('\n');
}
