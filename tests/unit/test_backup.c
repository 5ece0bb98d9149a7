// SPDX-License-Identifier: GPL-2.0-or-later
/* A backup gives back exactly what was sealed, to who has the passphrase. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "backup.h"

static char dir[64];
static struct authority *authority;
static struct catalog *catalog;
static struct blob sealed;

static const char pass[] = "correct horse battery";

static struct span span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

static void setup(void)
{
	struct catalog_head h = { .cloud = "test", .self = "alpha",
				  .change = 1ULL << EPOCH_SHIFT,
				  .key_number = 3 };
	struct rec_node_row r = {
		.name = span_of("alpha"),
		.addresses = span_of("10.0.0.1:8747"),
		.serial = span_of("40000000000000000000000000000000"),
	};
	struct failure f = { 0 };
	struct catalog_edit *e;
	char path[100];

	strcpy(dir, "/tmp/virgo-test-backup-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/c", dir);
	cr_assert_eq(authority_create(&authority, "test", NULL), 0);
	cr_assert_eq(catalog_sign_home(authority, &h, "alpha", 1), 0);
	cr_assert_eq(catalog_create(path, &h, &f), 0, "%s", f.what);
	cr_assert_eq(catalog_open(&catalog, path, authority, &f), 0);
	e = catalog_edit(catalog);
	catalog_edit_node(e, &r);
	cr_assert_eq(catalog_commit(e, &f), 0, "%s", f.what);
	cr_assert_eq(backup_seal(&sealed, authority, catalog, pass, &f), 0,
		     "%s", f.what);
}

static void teardown(void)
{
	char cmd[100];

	blob_free(&sealed);
	catalog_close(catalog);
	authority_free(authority);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	cr_assert_eq(system(cmd), 0);
}

TestSuite(backup, .init = setup, .fini = teardown);

Test(backup, round_trip)
{
	struct authority *back;
	struct failure f = { 0 };
	struct rec_catalog_row row;
	struct backup b;
	struct rcursor c;

	cr_assert_eq(backup_open(&b, span(&sealed), pass, &f), 0, "%s", f.what);
	cr_assert_eq(authority_from_pem(&back, b.certificate, &b.key, &f), 0);
	cr_assert(authority_can_sign(back));
	cr_assert_eq(b.head.epoch, 1);
	cr_assert_eq(b.head.change, (1ULL << EPOCH_SHIFT) + 1);
	c = rcursor_of(b.rows.data, b.rows.len);
	cr_assert_eq(rec_catalog_row_next(&c, &row), 1);
	cr_assert(span_equal(row.key, span_of("alpha")));
	cr_assert_eq(rec_catalog_row_next(&c, &row), 0);
	authority_free(back);
	backup_free(&b);
}

Test(backup, nothing_readable_is_in_it)
{
	cr_assert_null(memmem(sealed.data, sealed.len, "PRIVATE", 7));
	cr_assert_null(memmem(sealed.data, sealed.len, "alpha", 5));
}

Test(backup, wrong_passphrase)
{
	struct failure f = { 0 };
	struct backup b;

	cr_assert_eq(backup_open(&b, span(&sealed), "another passphrase", &f),
		     -EKEYREJECTED);
	cr_assert(strstr(f.what, "passphrase"), "%s", f.what);
}

Test(backup, damage_is_noticed_everywhere)
{
	struct backup b;

	/* Head, salt, nonce, text, tag; each try costs a derivation. */
	for (size_t i = 20; i < sealed.len; i += sealed.len / 5) {
		sealed.data[i] ^= 1;
		cr_assert_lt(backup_open(&b, span(&sealed), pass, NULL), 0,
			     "byte %zu", i);
		sealed.data[i] ^= 1;
	}
	sealed.len--;
	cr_assert_lt(backup_open(&b, span(&sealed), pass, NULL), 0);
	sealed.len++;
}

Test(backup, a_forged_work_factor_costs_nothing)
{
	struct backup b;

	memset(sealed.data + 16, 0xff, 4);
	cr_assert_eq(backup_open(&b, span(&sealed), pass, NULL), -EINVAL);
}

Test(backup, other_files)
{
	struct failure f = { 0 };
	struct backup b;

	cr_assert_eq(backup_open(&b, span_of("hello"), pass, &f), -EINVAL);
	cr_assert_eq(backup_open(&b, (struct span){ 0 }, pass, &f), -EINVAL);
}

Test(backup, short_passphrases_are_refused)
{
	struct blob out;

	cr_assert_eq(backup_seal(&out, authority, catalog, "short", NULL),
		     -EINVAL);
}

Test(backup, made_passphrases_differ)
{
	char a[PASSPHRASE_MADE + 1], b[PASSPHRASE_MADE + 1];

	passphrase_make(a);
	passphrase_make(b);
	cr_assert_eq(strlen(a), PASSPHRASE_MADE);
	cr_assert_neq(strcmp(a, b), 0);
}
