// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A device of another node: the line that the sample module virgo_line serves.
 *
 *	line NODE get | set 0|1 | watch COUNT | time CALLS
 *
 * watch prints the line now and after each of COUNT changes; time says how long a
 * reading takes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <virgo.h>

enum { STATE_BYTES = 5, CALLS_MAX = 100000 };

static const char *node;

static uint32_t count_of(const unsigned char *state)
{
	return state[1] | state[2] << 8 | state[3] << 16 |
	       (uint32_t)state[4] << 24;
}

static void ask(const char *name, const void *argument, size_t len,
		unsigned char *state, unsigned int timeout_ms)
{
	if (virgo_call(node, name, argument, len, state, STATE_BYTES,
		       timeout_ms) == STATE_BYTES)
		return;
	fprintf(stderr, "line: %s\n", virgo_strerror());
	exit(1);
}

static void show(const unsigned char *state)
{
	printf("%d\n", state[0]);
	fflush(stdout);
}

static void watch(long changes)
{
	unsigned char state[STATE_BYTES];
	uint32_t seen;

	ask("line.get", NULL, 0, state, 10000);
	show(state);
	while (changes > 0) {
		seen = count_of(state);
		/* The node answers before we give up, changed or not. */
		ask("line.watch", state + 1, 4, state, 3600000);
		if (count_of(state) == seen)
			continue;
		show(state);
		changes--;
	}
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void measure(long calls)
{
	static int64_t took[CALLS_MAX];
	unsigned char state[STATE_BYTES];
	long i;

	if (calls < 1 || calls > CALLS_MAX)
		calls = CALLS_MAX;
	for (i = 0; i < calls; i++) {
		took[i] = now_ns();
		ask("line.get", NULL, 0, state, 10000);
		took[i] = now_ns() - took[i];
	}
	qsort(took, (size_t)calls, sizeof(took[0]), compare);
	printf("p50 %.1f us, p99 %.1f us\n", (double)took[calls / 2] / 1000,
	       (double)took[calls * 99 / 100] / 1000);
}

int main(int argc, char **argv)
{
	unsigned char state[STATE_BYTES], value;

	if (argc < 3 || (strcmp(argv[2], "get") && argc < 4)) {
		fprintf(stderr, "usage: line NODE get | set 0|1 | watch COUNT | "
			"time CALLS\n");
		return 2;
	}
	node = argv[1];
	if (!strcmp(argv[2], "watch")) {
		watch(atol(argv[3]));
	} else if (!strcmp(argv[2], "time")) {
		measure(atol(argv[3]));
	} else if (!strcmp(argv[2], "set")) {
		value = argv[3][0] == '1';
		ask("line.set", &value, 1, state, 10000);
		show(state);
	} else {
		ask("line.get", NULL, 0, state, 10000);
		show(state);
	}
	return 0;
}
