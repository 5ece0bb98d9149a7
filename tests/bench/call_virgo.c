// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * call_virgo echo|cache NODE COUNT: calls the kernel function "echo" of NODE, or has
 * the item "k" of its cache, by libvirgo, for tests/bench/call.sh. What it prints is in
 * call_measure.h.
 */
#include <virgo.h>

#include "call_measure.h"

static void echo(void *node, const char *sent, char *got)
{
	if (virgo_call((const char *)node, "echo", sent, CALL_BYTES, got,
		       CALL_BYTES, 5000) != CALL_BYTES)
		call_die("virgo_call");
}

/* Of its first cache; flags come before the value. */
static void cache(void *node, const char *sent, char *got)
{
	static const char item[] = { 0, 0, 'k' };
	char result[4 + CALL_BYTES];

	(void)sent;
	if (virgo_call((const char *)node, "virgo.cache.get", item, sizeof(item),
		       result, sizeof(result), 5000) != sizeof(result))
		call_die("virgo_call");
	memcpy(got, result + 4, CALL_BYTES);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	call_measure(strtoul(argv[3], NULL, 10),
		     strcmp(argv[1], "cache") ? echo : cache, argv[2]);
	return 0;
}
