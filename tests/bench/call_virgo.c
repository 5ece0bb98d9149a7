// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * call_virgo NODE COUNT: calls the kernel function "echo" of NODE by libvirgo, for
 * tests/bench/call.sh. What it prints is in call_measure.h.
 */
#include <virgo.h>

#include "call_measure.h"

static void call(void *node, const char *sent, char *got)
{
	if (virgo_call((const char *)node, "echo", sent, CALL_BYTES, got,
		       CALL_BYTES, 5000) != CALL_BYTES)
		call_die("virgo_call");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	call_measure(strtoul(argv[2], NULL, 10), call, argv[1]);
	return 0;
}
