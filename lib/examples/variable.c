// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Acts on a variable and follows it: prints how many workers "example.workers" says
 * to use, 4 when it is not to be trusted, now and after each change:
 *
 *	variable [CHANGES]
 */
#include <stdio.h>
#include <stdlib.h>

#include <virgo.h>

int main(int argc, char **argv)
{
	const struct virgo_var_want want = {
		.type = VIRGO_VAR_U64,
		.min = 1,
		.max = 64,
		.fallback = 4,
		.max_age_ms = 60000,
	};
	int left = argc > 1 ? atoi(argv[1]) : 0;
	uint64_t workers, since = 0;

	for (;;) {
		/* Whatever it gives, workers is what to act on. */
		if (virgo_var_get("example.workers", &want, sizeof(want),
				  &workers))
			fprintf(stderr, "variable: %s\n", virgo_strerror());
		printf("%llu\n", (unsigned long long)workers);
		fflush(stdout);
		if (left-- <= 0)
			return 0;
		if (virgo_var_wait(&since, -1))
			return 1;
	}
}
