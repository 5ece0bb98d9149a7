/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Identities for unit tests: an authority in memory, node folders below /tmp. */
#ifndef VIRGO_TESTS_IDENTITY_KIT_H
#define VIRGO_TESTS_IDENTITY_KIT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "authority.h"
#include "tls.h"

static inline void kit_write(const char *dir, const char *name,
			     const struct blob *b)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	out = fopen(path, "w");
	cr_assert_not_null(out);
	cr_assert_eq(fwrite(b->data, 1, b->len, out), b->len);
	fclose(out);
}

/* A node's identity under @a, valid from now for @life_s (which may be over). */
static inline struct tls_identity *kit_identity(struct authority *a,
						const char *name, s64 start_s,
						s64 life_s)
{
	char dir[] = "/tmp/virgo-identity-XXXXXX";
	struct issue want = { .name = name,
			      .cloud = "test",
			      .now_s = start_s,
			      .life_s = life_s };
	struct tls_identity *id = NULL;
	struct issued got = { 0 };
	struct failure f = { 0 };
	struct blob key = { 0 };
	struct blob der = { 0 };
	char command[600];

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(node_key_create(&key, &f), 0, "%s", f.what);
	cr_assert_eq(node_request_create((struct span){ (u8 *)key.data,
							(u32)key.len },
					 name, &der, &f),
		     0, "%s", f.what);
	cr_assert_eq(authority_issue(a,
				     (struct span){ (u8 *)der.data,
						    (u32)der.len },
				     &want, &got, &f),
		     0, "%s", f.what);
	kit_write(dir, "node.key", &key);
	kit_write(dir, "node.crt", &got.pem);
	kit_write(dir, "authority.crt", authority_certificate(a));
	cr_assert_eq(tls_identity_load(&id, dir, &f), 0, "%s: %s", f.object,
		     f.what);
	blob_free(&key);
	blob_free(&der);
	blob_free(&got.pem);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
	return id;
}

static inline struct authority *kit_authority(void)
{
	struct authority *a = NULL;
	struct failure f = { 0 };

	cr_assert_eq(authority_create(&a, "test", &f), 0, "%s", f.what);
	return a;
}

#endif
