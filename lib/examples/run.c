// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Runs a program on a node of the cloud and copies its output:
 *
 *	run NODE PROGRAM [ARGUMENT...]
 *
 * NODE may be "-" for the best one.
 */
#include <stdio.h>
#include <string.h>

#include <virgo.h>

static int copy(int job, enum virgo_stream stream, FILE *to)
{
	char buf[65536];
	ssize_t n;

	while ((n = virgo_job_read(job, stream, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)n, to);
	return n < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	struct virgo_clone_args args = { .flags = VIRGO_CLONE_NO_STDIN };
	struct virgo_result result;
	int job;

	if (argc < 3) {
		fprintf(stderr, "usage: run NODE PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	if (strcmp(argv[1], "-") != 0)
		args.node = argv[1];
	args.argv = (const char *const *)argv + 2;
	job = virgo_clone(&args, sizeof(args));
	if (job < 0 || copy(job, VIRGO_STDOUT, stdout) ||
	    copy(job, VIRGO_STDERR, stderr) ||
	    virgo_job_wait(job, &result, sizeof(result), -1)) {
		fprintf(stderr, "run: %s\n", virgo_strerror());
		return 1;
	}
	virgo_close(job);
	fprintf(stderr, "run: job %llu on %s: status %d, %llu us of CPU\n",
		(unsigned long long)result.job, result.node, result.status,
		(unsigned long long)(result.user_us + result.system_us));
	return result.status;
}
