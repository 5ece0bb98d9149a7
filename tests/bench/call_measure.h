/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What tests/bench/call_*.c and .cpp have in common: calls of 64 bytes, one at a
 * time, first some that nobody counts. Prints "begin", then
 *
 *	MEAN P50 P99 SWITCHES IDLE
 *
 * nanoseconds a call, context switches a call of the whole machine, and the share
 * of the time, in per cent, in which it had nothing to do.
 */
#ifndef CALL_MEASURE_H
#define CALL_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CALL_BYTES = 64, CALL_WARM = 500 };

static inline void call_die(const char *what)
{
	perror(what);
	exit(1);
}

static inline uint64_t call_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Of all processors, since the machine began. */
static inline void call_machine(double *idle_ns, double *switches)
{
	unsigned long user, nice, system, idle, count;
	char line[4096];
	FILE *f = fopen("/proc/stat", "r");

	if (!f || fscanf(f, "cpu %lu %lu %lu %lu", &user, &nice, &system,
			 &idle) != 4)
		call_die("/proc/stat");
	*idle_ns = (double)idle * 1e9 / (double)sysconf(_SC_CLK_TCK);
	*switches = -1;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "ctxt %lu", &count) == 1)
			*switches = (double)count;
	fclose(f);
	if (*switches < 0)
		call_die("ctxt in /proc/stat");
}

static inline int call_by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* @call sends CALL_BYTES and receives what came back; it ends the program when
 * something fails.
 */
static inline void call_measure(unsigned long count,
				void (*call)(void *data, const char *sent,
					     char *got), void *data)
{
	uint64_t *each = (uint64_t *)malloc(count * sizeof(*each)), began, all;
	double idle, idle_after, switches, switches_after;
	char sent[CALL_BYTES], got[CALL_BYTES];

	if (!each || !count)
		call_die("count");
	memset(each, 0, count * sizeof(*each));
	memset(sent, 'x', sizeof(sent));
	for (int i = 0; i < CALL_WARM; i++) {
		memset(got, 0, sizeof(got));
		call(data, sent, got);
		if (memcmp(sent, got, sizeof(sent)))
			call_die("another answer");
	}
	puts("begin");
	fflush(stdout);
	call_machine(&idle, &switches);
	began = call_now();
	for (unsigned long i = 0; i < count; i++) {
		uint64_t before = call_now();

		call(data, sent, got);
		each[i] = call_now() - before;
	}
	all = call_now() - began;
	call_machine(&idle_after, &switches_after);
	qsort(each, count, sizeof(*each), call_by_size);
	printf("%.1f %.1f %.1f %.3f %.2f\n", (double)all / (double)count,
	       (double)each[count / 2], (double)each[count * 99 / 100],
	       (switches_after - switches) / (double)count,
	       100 * (idle_after - idle) / (double)all);
	free(each);
}

#endif
