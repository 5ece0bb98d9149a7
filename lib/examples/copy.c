// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Copies a file between volumes of the cloud, none of which need be mounted:
 *
 *	copy beta:/notes.txt gamma:/notes.txt
 */
#include <fcntl.h>
#include <stdio.h>

#include <virgo.h>

static char buf[1 << 20];

static int fail(const char *path)
{
	fprintf(stderr, "copy: %s: %s\n", path, virgo_strerror());
	return 1;
}

int main(int argc, char **argv)
{
	ssize_t n;
	int from, to;

	if (argc != 3) {
		fprintf(stderr, "usage: copy VOLUME:/PATH VOLUME:/PATH\n");
		return 2;
	}
	from = virgo_open(argv[1], O_RDONLY, 0);
	if (from < 0)
		return fail(argv[1]);
	to = virgo_open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
	if (to < 0)
		return fail(argv[2]);
	while ((n = virgo_read(from, buf, sizeof(buf))) > 0)
		if (virgo_write(to, buf, (size_t)n) != n)
			return fail(argv[2]);
	if (n < 0)
		return fail(argv[1]);
	if (virgo_fsync(to) || virgo_close(to))
		return fail(argv[2]);
	virgo_close(from);
	return 0;
}
