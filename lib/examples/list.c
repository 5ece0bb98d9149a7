// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lists a directory of a volume, which needs not be mounted, with sizes, or the
 * caller's jobs on a node:
 *
 *	list beta:/
 *	list -j beta
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <virgo.h>

enum { JOBS_MAX = 64 };

static int fail(void)
{
	fprintf(stderr, "list: %s\n", virgo_strerror());
	return 1;
}

static int list_directory(const char *path)
{
	struct virgo_dirent e;
	int fd = virgo_opendir(path);
	int ret;

	if (fd < 0)
		return fail();
	while ((ret = virgo_readdir(fd, &e, sizeof(e))) > 0)
		printf("%06o %10" PRIu64 " %s\n", e.stat.mode, e.stat.size,
		       e.name);
	virgo_close(fd);
	return ret ? fail() : 0;
}

static int list_jobs(const char *node)
{
	struct virgo_job jobs[JOBS_MAX];
	ssize_t n = virgo_jobs(node, jobs, JOBS_MAX, sizeof(jobs[0]));

	for (ssize_t i = 0; i < n && i < JOBS_MAX; i++)
		printf("%s/%" PRIu64 " %s %s\n", jobs[i].node, jobs[i].job,
		       jobs[i].flags & VIRGO_JOB_ENDED ? "ended" : "running",
		       jobs[i].command);
	return n < 0 ? fail() : 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "-j"))
		return list_jobs(argv[2]);
	if (argc != 2) {
		fputs("Usage: list VOLUME:/PATH, list -j NODE\n", stderr);
		return 2;
	}
	return list_directory(argv[1]);
}
