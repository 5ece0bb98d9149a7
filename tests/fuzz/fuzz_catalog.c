// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a home node could send: a CATALOG_ROWS message as raw bytes, and, so that
 * the fuzzer gets past the signature of the head, the same bytes as rows of a
 * message whose head is right. The copy must stay usable whatever came, and an
 * unsigned removal must never count.
 */
#include <stdlib.h>
#include <unistd.h>

#include "catalog.h"

static char path[] = "/tmp/virgo-fuzz-catalog-XXXXXX/c";
static struct authority *authority;
static struct catalog *current;

/* Closing it also removes what sqlite keeps beside it. */
static void clean(void)
{
	catalog_close(current);
	authority_free(authority);
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
}

static struct catalog *fresh(void)
{
	struct catalog_head h = { .cloud = "fuzz", .self = "beta",
				  .key_number = 1 };
	struct catalog *c;

	unlink(path);
	if (catalog_sign_home(authority, &h, "alpha", 1) ||
	    catalog_create(path, &h, NULL) ||
	    catalog_open(&c, path, authority, NULL))
		abort();
	return c;
}

static struct catalog *copy(void)
{
	static int uses;

	if (!current) {
		char *slash = strrchr(path, '/');

		*slash = '\0';
		if (!mkdtemp(path) || authority_create(&authority, "f", NULL))
			abort();
		*slash = '/';
		current = fresh();
		atexit(clean);
	} else if (++uses % 4096 == 0) {
		catalog_close(current);
		current = fresh();
	}
	return current;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u8 key[GROUP_KEY_BYTES];
	struct catalog *c = copy();
	struct msg_catalog_rows m;
	struct failure f;
	size_t at = 0;

	if (size > 1 << 16)
		return 0;
	if (!msg_catalog_rows_decode(&m, data, size))
		catalog_take(c, &m, &f);
	m = (struct msg_catalog_rows){ .epoch = 1,
				       .change = (1ULL << EPOCH_SHIFT) - 1,
				       .whole = 1,
				       .home = span_of("alpha"),
				       .group_key = { key, sizeof(key) },
				       .rows = { data, (u32)size } };
	catalog_take(c, &m, &f);
	if (catalog_next_removal(c, &at))
		abort();
	at = 0;
	while (catalog_next_node(c, &at))
		;
	return 0;
}
