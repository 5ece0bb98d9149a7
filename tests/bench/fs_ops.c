// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file operations that tests/bench/fs.sh measures:
 *
 *	fs_ops create|stat|openread|rename|unlink DIR COUNT	operations a second
 *	fs_ops write|read FILE MEGABYTES			megabytes a second
 *	fs_ops randread FILE SECONDS				4 KiB reads a second,
 *								16 at a time
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 16, BLOCK = 1 << 20, SMALL = 4096 };

static char block[BLOCK];
static char path[4096];
static atomic_long reads;
static double until;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static const char *name(const char *dir, const char *kind, int i)
{
	snprintf(path, sizeof(path), "%s/%s%05d", dir, kind, i);
	return path;
}

static void one(const char *op, const char *dir, int i)
{
	char from[4096];
	struct stat st;
	int fd;

	if (!strcmp(op, "create")) {
		fd = open(name(dir, "f", i), O_WRONLY | O_CREAT | O_EXCL, 0644);
		if (fd < 0 || write(fd, block, SMALL) != SMALL || close(fd))
			die(path);
	} else if (!strcmp(op, "stat")) {
		if (stat(name(dir, "f", i), &st) || st.st_size != SMALL)
			die(path);
	} else if (!strcmp(op, "openread")) {
		fd = open(name(dir, "f", i), O_RDONLY);
		if (fd < 0 || read(fd, block, SMALL) != SMALL || close(fd))
			die(path);
	} else if (!strcmp(op, "rename")) {
		strcpy(from, name(dir, "f", i));
		if (rename(from, name(dir, "g", i)))
			die(from);
	} else if (unlink(name(dir, "g", i))) {
		die(path);
	}
}

static void stream(const char *op, const char *file, long megabytes)
{
	int writing = !strcmp(op, "write");
	int fd = open(file, writing ? O_WRONLY | O_CREAT | O_TRUNC : O_RDONLY,
		      0644);
	long i;

	if (fd < 0)
		die(file);
	for (i = 0; i < megabytes; i++)
		if ((writing ? write(fd, block, BLOCK) :
			       read(fd, block, BLOCK)) != BLOCK)
			die(file);
	if (close(fd))
		die(file);
}

static void *read_some(void *arg)
{
	unsigned int seed = (unsigned int)(size_t)&seed ^ (unsigned int)getpid();
	int fd = open(arg, O_RDONLY);
	struct stat st;
	char buf[SMALL];

	if (fd < 0 || fstat(fd, &st) ||
	    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		die(arg);
	while (now() < until) {
		off_t at = (off_t)(rand_r(&seed) % (unsigned int)(st.st_size / SMALL));

		if (pread(fd, buf, SMALL, at * SMALL) != SMALL)
			die(arg);
		reads++;
	}
	close(fd);
	return NULL;
}

static double random_reads(char *file, double seconds)
{
	pthread_t threads[THREADS];
	double start = now();
	int i;

	until = start + seconds;
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, read_some, file))
			die("pthread_create");
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return (double)reads / (now() - start);
}

int main(int argc, char **argv)
{
	double start = now();
	double rate;
	int i, n;

	if (argc != 4)
		return 2;
	n = atoi(argv[3]);
	memset(block, 'v', sizeof(block));
	if (!strcmp(argv[1], "randread")) {
		rate = random_reads(argv[2], n);
	} else {
		if (!strcmp(argv[1], "write") || !strcmp(argv[1], "read"))
			stream(argv[1], argv[2], n);
		else
			for (i = 0; i < n; i++)
				one(argv[1], argv[2], i);
		rate = n / (now() - start);
	}
	printf("%.1f\n", rate);
	return 0;
}
