// SPDX-License-Identifier: GPL-2.0-or-later
/* Backups of the home node; the format is in backup.h. */
#include "backup.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	MAGIC_BYTES = 16,
	SALT_BYTES = 16,
	NONCE_BYTES = 12,
	TAG_BYTES = 16,
	HEAD_BYTES = MAGIC_BYTES + 4 + SALT_BYTES + NONCE_BYTES,
	ITERATIONS = 600000, /* OWASP's figure for PBKDF2-HMAC-SHA256 */
	ITERATIONS_MAX = 20000000, /* a forged file must not cost hours */
	KEY_BYTES = 32,
};

static const char magic[MAGIC_BYTES] = "VIRGO-BACKUP-1\n";

static int derive(const char *passphrase, const u8 *salt, u32 iterations,
		  u8 key[KEY_BYTES])
{
	gnutls_datum_t pass = { (unsigned char *)passphrase,
				(unsigned int)strlen(passphrase) };
	gnutls_datum_t s = { (unsigned char *)salt, SALT_BYTES };

	return gnutls_pbkdf2(GNUTLS_MAC_SHA256, &pass, &s, iterations, key,
			     KEY_BYTES) ?
		       -EIO :
		       0;
}

/* Rows of all messages one after another: a list is just that. */
struct gather {
	struct blob list;
	int ret;
};

static void gather_rows(const struct msg_catalog_rows *m, void *arg)
{
	struct gather *g = arg;
	char *data;

	if (g->ret)
		return;
	data = realloc(g->list.data, g->list.len + m->rows.len + 1);
	if (!data) {
		g->ret = -ENOMEM;
		return;
	}
	if (m->rows.len)
		memcpy(data + g->list.len, m->rows.data, m->rows.len);
	g->list.data = data;
	g->list.len += m->rows.len;
}

static struct span blob_span(const struct blob *b)
{
	return (struct span){ (const u8 *)b->data, (u32)b->len };
}

/* The part to be encrypted, with room for the rest around it. */
static int plain_make(struct blob *out, const struct authority *a,
		      const struct catalog *c)
{
	struct rec_catalog_head head = catalog_head_record(catalog_head(c));
	const struct blob *crt = authority_certificate(a);
	struct gather g = { 0 };
	struct blob key = { 0 };
	struct wcursor w;
	size_t size;

	/* Who starts from a backup is in the middle of nothing. */
	head.heir = (struct span){ 0 };
	g.ret = authority_key(a, &key);
	if (!g.ret)
		catalog_feed(c, 0, gather_rows, &g);
	if (!g.ret) {
		size = 4 + key.len + 4 + crt->len + 4 +
		       rec_catalog_head_size(&head) + 4 + g.list.len;
		out->len = HEAD_BYTES + size + TAG_BYTES;
		out->data = malloc(out->len);
		g.ret = out->data ? 0 : -ENOMEM;
	}
	if (!g.ret) {
		w = wcursor_of(out->data + HEAD_BYTES, size);
		wcursor_span(&w, blob_span(&key));
		wcursor_span(&w, blob_span(crt));
		rec_catalog_head_append(&w, &head);
		wcursor_span(&w, blob_span(&g.list));
	}
	blob_free(&key);
	blob_free(&g.list);
	return g.ret;
}

/* Encrypts or decrypts in place between head and tag. */
static int crypt(struct blob *file, const u8 key[KEY_BYTES], bool encrypt)
{
	gnutls_datum_t k = { (unsigned char *)key, KEY_BYTES };
	u8 *p = (u8 *)file->data;
	size_t size = file->len - HEAD_BYTES - TAG_BYTES;
	size_t out = encrypt ? size + TAG_BYTES : size;
	gnutls_aead_cipher_hd_t h;
	u8 *copy = malloc(size + TAG_BYTES);
	int ret = -ENOMEM;

	if (!copy)
		return ret;
	memcpy(copy, p + HEAD_BYTES, size + TAG_BYTES);
	if (gnutls_aead_cipher_init(&h, GNUTLS_CIPHER_AES_256_GCM, &k) == 0) {
		ret = encrypt ?
			      gnutls_aead_cipher_encrypt(
				      h, p + HEAD_BYTES - NONCE_BYTES,
				      NONCE_BYTES, p, HEAD_BYTES, TAG_BYTES,
				      copy, size, p + HEAD_BYTES, &out) :
			      gnutls_aead_cipher_decrypt(
				      h, p + HEAD_BYTES - NONCE_BYTES,
				      NONCE_BYTES, p, HEAD_BYTES, TAG_BYTES,
				      copy, size + TAG_BYTES, p + HEAD_BYTES,
				      &out);
		ret = ret ? -EKEYREJECTED : 0;
		gnutls_aead_cipher_deinit(h);
	}
	explicit_bzero(copy, size + TAG_BYTES);
	free(copy);
	return ret;
}

int backup_seal(struct blob *out, const struct authority *a,
		const struct catalog *c, const char *passphrase,
		struct failure *f)
{
	u8 key[KEY_BYTES], *p;
	int ret;

	*out = (struct blob){ 0 };
	if (strlen(passphrase) < PASSPHRASE_MIN)
		return failure_set(f, -EINVAL, "backup", "a longer one",
				   "the passphrase has less than %d characters",
				   PASSPHRASE_MIN);
	ret = plain_make(out, a, c);
	if (!ret) {
		p = (u8 *)out->data;
		memcpy(p, magic, MAGIC_BYTES);
		put_u32(p + MAGIC_BYTES, ITERATIONS);
		random_fill(p + MAGIC_BYTES + 4, SALT_BYTES + NONCE_BYTES);
		ret = derive(passphrase, p + MAGIC_BYTES + 4, ITERATIONS, key);
	}
	if (!ret)
		ret = crypt(out, key, true);
	explicit_bzero(key, sizeof(key));
	if (!ret)
		return 0;
	blob_free(out);
	return failure_set(f, ret, "backup", NULL, "cannot be made: %s",
			   strerror(-ret));
}

static int parse(struct backup *b)
{
	struct rcursor c = rcursor_of(b->plain.data + HEAD_BYTES,
				      b->plain.len - HEAD_BYTES - TAG_BYTES);

	b->key = rcursor_span(&c);
	b->certificate = rcursor_span(&c);
	if (c.bad || rec_catalog_head_next(&c, &b->head) != 1)
		return -EINVAL;
	b->rows = rcursor_span(&c);
	return c.bad ? -EINVAL : 0;
}

int backup_open(struct backup *out, struct span file, const char *passphrase,
		struct failure *f)
{
	u8 key[KEY_BYTES];
	u32 iterations;
	int ret;

	memset(out, 0, sizeof(*out));
	if (file.len < HEAD_BYTES + TAG_BYTES ||
	    memcmp(file.data, magic, MAGIC_BYTES))
		return failure_set(f, -EINVAL, "backup", NULL,
				   "this file is not a backup of virgo");
	iterations = get_u32(file.data + MAGIC_BYTES);
	if (!iterations || iterations > ITERATIONS_MAX)
		return failure_set(f, -EINVAL, "backup", NULL,
				   "the file is damaged");
	out->plain.data = malloc(file.len);
	if (!out->plain.data)
		return failure_set(f, -ENOMEM, "backup", NULL, "out of memory");
	memcpy(out->plain.data, file.data, file.len);
	out->plain.len = file.len;
	ret = derive(passphrase, file.data + MAGIC_BYTES + 4, iterations, key);
	if (!ret)
		ret = crypt(&out->plain, key, false);
	explicit_bzero(key, sizeof(key));
	if (!ret)
		ret = parse(out);
	if (!ret)
		return 0;
	backup_free(out);
	return failure_set(f, ret, "backup", "the passphrase again",
			   "the passphrase is wrong, or the file is damaged");
}

void backup_free(struct backup *b)
{
	blob_free(&b->plain);
	memset(b, 0, sizeof(*b));
}

void passphrase_make(char out[PASSPHRASE_MADE + 1])
{
	/* Without letters and digits that look alike. */
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	u8 random[26];
	char *p = out;

	static_assert(sizeof(letters) == 33, "five bits a letter");
	random_fill(random, sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++) {
		if (i && i % 4 == 0)
			*p++ = '-';
		*p++ = letters[random[i] & 31];
	}
	*p = '\0';
	explicit_bzero(random, sizeof(random));
}

int passphrase_read(const char *path, char *out, struct failure *f)
{
	FILE *in = strcmp(path, "-") ? fopen(path, "re") : stdin;
	char *line;
	size_t len;

	if (!in)
		return failure_set(f, -errno, path, NULL, "cannot be read: %s",
				   strerror(errno));
	line = fgets(out, PASSPHRASE_MAX + 1, in);
	if (in != stdin)
		fclose(in);
	len = line ? strcspn(out, "\r\n") : 0;
	out[len] = '\0';
	if (!len)
		return failure_set(f, -EINVAL, path, NULL,
				   "it holds no passphrase");
	return 0;
}
