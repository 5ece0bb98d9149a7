// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory that programs of one user share across nodes:
 *
 *	shared make BYTES [LEASE_S]	prints a handle
 *	shared put HANDLE OFFSET < FILE
 *	shared get HANDLE OFFSET LENGTH
 *	shared free HANDLE
 *
 * The maker ends at once, so the object lives on by its lease alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <virgo.h>

static int fail(void)
{
	fprintf(stderr, "shared: %s\n", virgo_strerror());
	return 1;
}

static int make(uint64_t bytes, uint32_t lease_s)
{
	char text[VIRGO_HANDLE_TEXT];
	struct virgo_handle handle;

	if (virgo_malloc(bytes, lease_s * 1000, &handle))
		return fail();
	virgo_handle_print(&handle, text);
	puts(text);
	return 0;
}

static int put(const struct virgo_handle *handle, uint64_t offset)
{
	static char buf[4 << 20];
	size_t n;

	while ((n = fread(buf, 1, sizeof(buf), stdin))) {
		if (virgo_set(handle, buf, n, offset) < 0)
			return fail();
		offset += n;
	}
	return 0;
}

static int get(const struct virgo_handle *handle, uint64_t offset, size_t len)
{
	char *buf = malloc(len);
	int ret = 0;

	if (!buf)
		return 1;
	if (virgo_get(handle, buf, len, offset) < 0)
		ret = fail();
	else if (fwrite(buf, 1, len, stdout) != len)
		ret = 1;
	free(buf);
	return ret;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[1] : "";
	struct virgo_handle handle;

	if (!strcmp(verb, "make") && argc <= 4)
		return make(strtoull(argv[2], NULL, 0),
			    argc == 4 ? (uint32_t)atoi(argv[3]) : 0);
	if (argc > 2 && virgo_handle_parse(argv[2], &handle))
		return fail();
	if (!strcmp(verb, "put") && argc == 4)
		return put(&handle, strtoull(argv[3], NULL, 0));
	if (!strcmp(verb, "get") && argc == 5)
		return get(&handle, strtoull(argv[3], NULL, 0),
			   strtoull(argv[4], NULL, 0));
	if (!strcmp(verb, "free") && argc == 3)
		return virgo_free(&handle) ? fail() : 0;
	fprintf(stderr, "usage: shared make BYTES [LEASE_S] | put HANDLE OFFSET "
			"| get HANDLE OFFSET LENGTH | free HANDLE\n");
	return 2;
}
