// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache of programs sent along: only a content with the right hash becomes
 * visible, only to its user, and not what was there before the last boot.
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs.h"
#include "sha256.h"

static char state[64];
static struct blobs *blobs;

static void setup(void)
{
	struct failure f = { 0 };

	snprintf(state, sizeof(state), "/tmp/test-blobs-XXXXXX");
	cr_assert(mkdtemp(state));
	cr_assert_eq(blobs_open(&blobs, state, &f), 0, "%s", f.what);
}

static void teardown(void)
{
	char command[128];

	blobs_close(blobs);
	snprintf(command, sizeof(command), "rm -rf %s", state);
	cr_assert_eq(system(command), 0);
}

TestSuite(blobs, .init = setup, .fini = teardown);

static void hash_of(const char *text, u8 out[SHA256_BYTES])
{
	struct sha256 s;

	sha256_init(&s);
	sha256_add(&s, text, strlen(text));
	sha256_end(&s, out);
}

static int put(const char *user, const u8 *hash, const char *text)
{
	return blobs_put(blobs, user, hash, 0, text, strlen(text), true);
}

/* What is stored for @user under the hash of @text, "" for nothing. */
static const char *found(const char *user, const char *text)
{
	static char buf[64];
	u8 hash[SHA256_BYTES];
	ssize_t n = 0;
	int fd;

	hash_of(text, hash);
	fd = blobs_find(blobs, user, hash);
	if (fd >= 0) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	buf[n] = 0;
	return buf;
}

Test(blobs, keeps_a_content_for_its_user)
{
	u8 hash[SHA256_BYTES];

	hash_of("program", hash);
	cr_assert_str_eq(found("ann", "program"), "");
	cr_assert_eq(put("ann", hash, "program"), 0);
	cr_assert_str_eq(found("ann", "program"), "program");
	cr_assert_str_eq(found("eve", "program"), "");
}

Test(blobs, refuses_another_content)
{
	u8 hash[SHA256_BYTES];

	hash_of("program", hash);
	cr_assert_eq(put("ann", hash, "poison!"), -EBADMSG);
	cr_assert_str_eq(found("ann", "program"), "");
	cr_assert_eq(put("ann", hash, "program"), 0);
	cr_assert_eq(put("ann", hash, "poison!"), -EBADMSG);
	cr_assert_str_eq(found("ann", "program"), "program");
}

Test(blobs, takes_pieces_in_order_only)
{
	u8 hash[SHA256_BYTES];

	hash_of("one two three", hash);
	cr_assert_eq(blobs_put(blobs, "ann", hash, 4, "two ", 4, false), -EINVAL);
	cr_assert_eq(blobs_put(blobs, "ann", hash, 0, "one ", 4, false), 0);
	cr_assert_eq(blobs_put(blobs, "ann", hash, 8, "three", 5, true), -EINVAL);
	cr_assert_eq(blobs_put(blobs, "ann", hash, 4, "two ", 4, false), -EINVAL,
		     "what came out of order ended it");
	cr_assert_eq(blobs_put(blobs, "ann", hash, 0, "one ", 4, false), 0);
	cr_assert_eq(blobs_put(blobs, "eve", hash, 0, "eve ", 4, false), 0);
	cr_assert_eq(blobs_put(blobs, "ann", hash, 4, "two ", 4, false), 0);
	cr_assert_str_eq(found("ann", "one two three"), "");
	cr_assert_eq(blobs_put(blobs, "ann", hash, 8, "three", 5, true), 0);
	cr_assert_str_eq(found("ann", "one two three"), "one two three");
}

Test(blobs, bounds_one_content)
{
	u8 hash[SHA256_BYTES] = { 0 };
	u8 *piece = calloc(1, 1 << 20);
	u64 at;

	for (at = 0; at < BLOB_BYTES_MAX; at += 1 << 20)
		cr_assert_eq(blobs_put(blobs, "ann", hash, at, piece, 1 << 20,
				       false), 0);
	cr_assert_eq(blobs_put(blobs, "ann", hash, at, "x", 1, true), -EFBIG);
	free(piece);
}

Test(blobs, a_name_is_no_path)
{
	u8 hash[SHA256_BYTES];
	char path[128];
	struct stat st;

	hash_of("program", hash);
	cr_assert_eq(put("../../x", hash, "program"), 0);
	cr_assert_str_eq(found("../../x", "program"), "program");
	snprintf(path, sizeof(path), "%s/blobs/=2e=2e=2f=2e=2e=2fx", state);
	cr_assert_eq(stat(path, &st), 0);
}

Test(blobs, forgets_at_boot)
{
	struct failure f = { 0 };
	u8 hash[SHA256_BYTES];
	char path[128];
	FILE *boot;

	hash_of("program", hash);
	cr_assert_eq(put("ann", hash, "program"), 0);
	blobs_close(blobs);
	cr_assert_eq(blobs_open(&blobs, state, &f), 0);
	cr_assert_str_eq(found("ann", "program"), "program");
	blobs_close(blobs);
	snprintf(path, sizeof(path), "%s/blobs/.boot", state);
	boot = fopen(path, "w");
	fputs("another boot\n", boot);
	fclose(boot);
	cr_assert_eq(blobs_open(&blobs, state, &f), 0);
	cr_assert_str_eq(found("ann", "program"), "");
}
