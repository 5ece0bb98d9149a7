// SPDX-License-Identifier: GPL-2.0-or-later
/* The authority issues what nodes may trust, and nothing else verifies. */
#include <criterion/criterion.h>
#include <time.h>

#include "authority.h"

static struct span span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

static struct authority *make(void)
{
	struct failure f = { 0 };
	struct authority *a = NULL;

	cr_assert_eq(authority_create(&a, "test", &f), 0, "%s", f.what);
	return a;
}

static struct issue wanted(const char *name, const char *stem)
{
	return (struct issue){ .name = name, .cloud = "test", .stem = stem,
			       .now_s = (s64)time(NULL), .life_s = 1000 };
}

struct joiner {
	struct blob key, request;
};

static struct joiner joiner(const char *name)
{
	struct failure f = { 0 };
	struct joiner j = { 0 };

	cr_assert_eq(node_key_create(&j.key, &f), 0, "%s", f.what);
	cr_assert_eq(node_request_create(span(&j.key), name, &j.request, &f),
		     0, "%s", f.what);
	return j;
}

static void joiner_free(struct joiner *j)
{
	blob_free(&j->key);
	blob_free(&j->request);
}

Test(authority, issues_under_the_name_it_chose)
{
	struct authority *a = make();
	struct joiner j = joiner("another");
	struct issue w = wanted("beta", NULL);
	struct failure f = { 0 };
	struct issued got;

	cr_assert_eq(authority_issue(a, span(&j.request), &w, &got, &f), 0,
		     "%s", f.what);
	cr_assert_eq(strlen(got.serial), SERIAL_DIGITS);
	cr_assert_eq(authority_check_issued(a, span(&got.pem), span(&j.key),
					    "beta", &f),
		     0, "%s", f.what);
	cr_assert_eq(authority_check_issued(a, span(&got.pem), span(&j.key),
					    "another", &f),
		     -EKEYREJECTED);
	blob_free(&got.pem);
	joiner_free(&j);
	authority_free(a);
}

Test(authority, renewal_keeps_the_stem)
{
	struct authority *a = make();
	struct joiner j = joiner("beta");
	struct issue w = wanted("beta", NULL);
	struct issued one, two;
	char stem[STEM_DIGITS + 1];

	cr_assert_eq(authority_issue(a, span(&j.request), &w, &one, NULL), 0);
	memcpy(stem, one.serial, STEM_DIGITS);
	stem[STEM_DIGITS] = '\0';
	w.stem = stem;
	cr_assert_eq(authority_issue(a, span(&j.request), &w, &two, NULL), 0);
	cr_assert_eq(strncmp(one.serial, two.serial, STEM_DIGITS), 0);
	cr_assert_neq(strcmp(one.serial, two.serial), 0);
	blob_free(&one.pem);
	blob_free(&two.pem);
	joiner_free(&j);
	authority_free(a);
}

Test(authority, malformed_stem_is_refused)
{
	struct authority *a = make();
	struct joiner j = joiner("beta");
	struct issue w = wanted("beta", "zz00112233445566");
	struct issued got;

	cr_assert_lt(authority_issue(a, span(&j.request), &w, &got, NULL), 0);
	w.stem = "4411";
	cr_assert_lt(authority_issue(a, span(&j.request), &w, &got, NULL), 0);
	joiner_free(&j);
	authority_free(a);
}

Test(authority, every_damaged_request_is_refused)
{
	struct authority *a = make();
	struct joiner j = joiner("beta");
	struct issue w = wanted("beta", NULL);
	struct issued got;

	for (size_t i = 0; i < j.request.len; i++) {
		j.request.data[i] ^= 1;
		cr_assert_lt(authority_issue(a, span(&j.request), &w, &got,
					     NULL),
			     0, "byte %zu", i);
		j.request.data[i] ^= 1;
	}
	joiner_free(&j);
	authority_free(a);
}

Test(authority, another_clouds_certificate_is_refused)
{
	struct authority *a = make(), *b = make();
	struct joiner j = joiner("beta");
	struct issue w = wanted("beta", NULL);
	struct failure f = { 0 };
	struct issued got;

	cr_assert_eq(authority_issue(b, span(&j.request), &w, &got, NULL), 0);
	cr_assert_eq(authority_check_issued(a, span(&got.pem), span(&j.key),
					    "beta", &f),
		     -EKEYREJECTED);
	cr_assert(strstr(f.what, "authority"), "%s", f.what);
	blob_free(&got.pem);
	joiner_free(&j);
	authority_free(a);
	authority_free(b);
}

Test(authority, another_key_is_refused)
{
	struct authority *a = make();
	struct joiner j = joiner("beta"), k = joiner("beta");
	struct issue w = wanted("beta", NULL);
	struct issued got;

	cr_assert_eq(authority_issue(a, span(&j.request), &w, &got, NULL), 0);
	cr_assert_eq(authority_check_issued(a, span(&got.pem), span(&k.key),
					    "beta", NULL),
		     -EKEYREJECTED);
	blob_free(&got.pem);
	joiner_free(&j);
	joiner_free(&k);
	authority_free(a);
}

Test(authority, clocks_that_disagree_are_named)
{
	struct authority *a = make();
	struct joiner j = joiner("beta");
	struct issue w = wanted("beta", NULL);
	struct failure f = { 0 };
	struct issued got;

	w.now_s += 3600;
	cr_assert_eq(authority_issue(a, span(&j.request), &w, &got, NULL), 0);
	cr_assert_eq(authority_check_issued(a, span(&got.pem), span(&j.key),
					    "beta", &f),
		     -EKEYREJECTED);
	cr_assert(strstr(f.what, "clock"), "%s", f.what);
	blob_free(&got.pem);
	joiner_free(&j);
	authority_free(a);
}

Test(authority, statements_verify_only_as_signed)
{
	struct authority *a = make(), *b = make();
	u8 sig[SIGNATURE_MAX];
	int len = authority_sign(a, "removal", span_of("beta"), sig);
	struct span s = { sig, (u32)len };

	cr_assert_gt(len, 0);
	cr_assert_eq(authority_verify(a, "removal", span_of("beta"), s), 0);
	cr_assert_lt(authority_verify(a, "removal", span_of("gamma"), s), 0);
	cr_assert_lt(authority_verify(a, "home", span_of("beta"), s), 0);
	cr_assert_lt(authority_verify(b, "removal", span_of("beta"), s), 0);
	s.len--;
	cr_assert_lt(authority_verify(a, "removal", span_of("beta"), s), 0);
	s.len = 0;
	cr_assert_lt(authority_verify(a, "removal", span_of("beta"), s), 0);
	authority_free(a);
	authority_free(b);
}

Test(authority, without_its_key_it_only_verifies)
{
	struct authority *a = make(), *b = NULL;
	struct joiner j = joiner("beta");
	struct issue w = wanted("beta", NULL);
	u8 sig[SIGNATURE_MAX];
	struct blob key;
	struct issued got;
	int len = authority_sign(a, "removal", span_of("beta"), sig);

	cr_assert_eq(authority_from_pem(&b, span(authority_certificate(a)),
					NULL, NULL),
		     0);
	cr_assert(!authority_can_sign(b));
	cr_assert_eq(authority_key(b, &key), -ENOKEY);
	cr_assert_eq(authority_sign(b, "removal", span_of("x"), sig), -ENOKEY);
	cr_assert_eq(authority_issue(b, span(&j.request), &w, &got, NULL),
		     -ENOKEY);
	cr_assert_eq(authority_verify(b, "removal", span_of("beta"),
				      (struct span){ sig, (u32)len }),
		     0);
	cr_assert_eq(memcmp(authority_fingerprint(a), authority_fingerprint(b),
			    FINGERPRINT_BYTES),
		     0);
	joiner_free(&j);
	authority_free(a);
	authority_free(b);
}

Test(authority, key_of_another_is_refused)
{
	struct authority *a = make(), *b = make(), *c = NULL;
	struct blob key;
	struct span s;

	cr_assert_eq(authority_key(b, &key), 0);
	s = span(&key);
	cr_assert_eq(authority_from_pem(&c, span(authority_certificate(a)), &s,
					NULL),
		     -EINVAL);
	blob_free(&key);
	authority_free(a);
	authority_free(b);
}

Test(authority, same_key_same_hash)
{
	struct joiner j = joiner("beta"), k = joiner("beta");
	struct blob again;
	u8 one[32], two[32];

	cr_assert_eq(node_request_create(span(&j.key), "x", &again, NULL), 0);
	cr_assert_eq(node_request_key_hash(span(&j.request), one), 0);
	cr_assert_eq(node_request_key_hash(span(&again), two), 0);
	cr_assert_eq(memcmp(one, two, 32), 0);
	cr_assert_eq(node_request_key_hash(span(&k.request), two), 0);
	cr_assert_neq(memcmp(one, two, 32), 0);
	blob_free(&again);
	joiner_free(&j);
	joiner_free(&k);
}
