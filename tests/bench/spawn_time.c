// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a program again and again by posix_spawn and says how long it took:
 *
 *	spawn_time [-p N] TIMES COMMAND [ARGUMENT]...
 *
 * prints "p50 p99" in milliseconds, from the call to the end of the program; with
 * -p of N of them started together, to the end of the last. Standard input and
 * output are /dev/null. Any status but 0 ends it.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double once(int parallel, char **argv,
		   const posix_spawn_file_actions_t *actions)
{
	double start = now_ms();
	int i, status, ret;
	pid_t pid;

	for (i = 0; i < parallel; i++) {
		ret = posix_spawnp(&pid, argv[0], actions, NULL, argv, environ);
		if (ret) {
			fprintf(stderr, "%s: %s\n", argv[0], strerror(ret));
			exit(1);
		}
	}
	for (i = 0; i < parallel; i++)
		if (wait(&status) < 0 || status) {
			fprintf(stderr, "%s: wait status %d\n", argv[0], status);
			exit(1);
		}
	return now_ms() - start;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	int parallel = 1, times, i, c;
	double *took;

	while ((c = getopt(argc, argv, "+p:")) != -1)
		parallel = c == 'p' ? atoi(optarg) : 0;
	times = optind < argc ? atoi(argv[optind++]) : 0;
	if (parallel < 1 || times < 1 || optind == argc) {
		fputs("usage: spawn_time [-p N] TIMES COMMAND...\n", stderr);
		return 2;
	}
	took = calloc((size_t)times, sizeof(*took));
	if (!took)
		return 1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 1, 0);
	for (i = 0; i < times; i++)
		took[i] = once(parallel, argv + optind, &actions);
	qsort(took, (size_t)times, sizeof(*took), by_value);
	printf("%.4f %.4f\n", took[times / 2], took[times * 99 / 100]);
	return 0;
}
