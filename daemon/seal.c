// SPDX-License-Identifier: GPL-2.0-or-later
/* Sealed datagrams; the format and the contract are in seal.h. */
#include "seal.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>

struct group_key {
	u32 number; /* 0: none */
	u8 key[SEAL_KEY_BYTES];
	gnutls_aead_cipher_hd_t own; /* of this node's life */
};

struct seal {
	u64 self;
	u64 life;
	u64 counter;
	u64 changed_us; /* when now_key came */
	struct group_key now_key;
	struct group_key old_key;
};

/* The cipher of @sender's @life under a group key; NULL when memory is out. */
static gnutls_aead_cipher_hd_t derive(const struct group_key *g, u64 sender,
				      u64 life)
{
	u8 info[] = "virgo membership________________";
	enum { LABEL = 16 };
	u8 key[SEAL_KEY_BYTES];
	gnutls_datum_t secret = { (u8 *)g->key, sizeof(g->key) };
	gnutls_datum_t context = { info, LABEL + 16 };
	gnutls_datum_t of_life = { key, sizeof(key) };
	gnutls_aead_cipher_hd_t h = NULL;

	put_u64(info + LABEL, sender);
	put_u64(info + LABEL + 8, life);
	if (gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &secret, &context, key,
			       sizeof(key)) ||
	    gnutls_aead_cipher_init(&h, GNUTLS_CIPHER_AES_256_GCM, &of_life))
		h = NULL;
	gnutls_memset(key, 0, sizeof(key));
	return h;
}

static void group_key_end(struct group_key *g)
{
	if (g->own)
		gnutls_aead_cipher_deinit(g->own);
	gnutls_memset(g, 0, sizeof(*g));
}

struct seal *seal_new(u64 self, u64 life)
{
	struct seal *s = calloc(1, sizeof(*s));

	if (s) {
		s->self = self;
		s->life = life;
	}
	return s;
}

void seal_free(struct seal *s)
{
	if (!s)
		return;
	group_key_end(&s->now_key);
	group_key_end(&s->old_key);
	free(s);
}

int seal_set_key(struct seal *s, u64 now_us, u32 number,
		 const u8 key[SEAL_KEY_BYTES])
{
	struct group_key g = { .number = number };

	if (number <= s->now_key.number)
		return 0;
	memcpy(g.key, key, sizeof(g.key));
	g.own = derive(&g, s->self, s->life);
	if (!g.own) {
		group_key_end(&g);
		return -ENOMEM;
	}
	group_key_end(&s->old_key);
	s->old_key = s->now_key;
	s->now_key = g;
	s->changed_us = now_us;
	gnutls_memset(&g, 0, sizeof(g));
	return 0;
}

u32 seal_key_number(const struct seal *s)
{
	return s->now_key.number;
}

static void nonce_of(u64 counter, u8 nonce[12])
{
	memset(nonce, 0, 4);
	put_u64(nonce + 4, counter);
}

/* What is authenticated beside the content. */
static void aside(const u8 *head, u64 to, u8 out[SEAL_HEAD_BYTES + 8])
{
	memcpy(out, head, SEAL_HEAD_BYTES);
	put_u64(out + SEAL_HEAD_BYTES, to);
}

static const struct group_key *key_for(const struct seal *s, u64 now_us,
				       const struct seal_sender *to)
{
	if (s->old_key.number && now_us < s->changed_us + SEAL_LINGER_US &&
	    (!to || to->key_number != s->now_key.number))
		return &s->old_key;
	return &s->now_key;
}

ssize_t seal_close(struct seal *s, u64 now_us, u64 to,
		   const struct seal_sender *known, const void *data,
		   size_t len, u8 *out)
{
	const struct group_key *g = key_for(s, now_us, known);
	size_t sealed = len + SEAL_TAG_BYTES;
	u8 nonce[12], beside[SEAL_HEAD_BYTES + 8];

	if (!g->number)
		return -ENOKEY;
	put_u32(out, g->number);
	put_u64(out + 4, s->self);
	put_u64(out + 12, s->life);
	put_u64(out + 20, ++s->counter);
	nonce_of(s->counter, nonce);
	aside(out, to, beside);
	if (gnutls_aead_cipher_encrypt(g->own, nonce, sizeof(nonce), beside,
				       sizeof(beside), SEAL_TAG_BYTES, data,
				       len, out + SEAL_HEAD_BYTES, &sealed))
		return -EIO;
	return (ssize_t)(SEAL_HEAD_BYTES + sealed);
}

u64 seal_claimed(const u8 *data, size_t len)
{
	return len > SEAL_BYTES ? get_u64(data + 4) : 0;
}

u32 seal_claimed_key(const u8 *data)
{
	return get_u32(data);
}

static const struct group_key *key_numbered(const struct seal *s, u64 now_us,
					    u32 number)
{
	if (number && number == s->now_key.number)
		return &s->now_key;
	if (number && number == s->old_key.number &&
	    now_us < s->changed_us + SEAL_OVERLAP_US)
		return &s->old_key;
	return NULL;
}

/* True when the counter was taken before, or is too old to tell. */
static bool repeated(const struct seal_sender *p, u64 life, u64 counter)
{
	if (life != p->life)
		return life < p->life;
	if (counter > p->highest)
		return false;
	return p->highest - counter >= SEAL_WINDOW ||
	       p->seen >> (p->highest - counter) & 1;
}

static void remember(struct seal_sender *p, u64 life, u64 counter)
{
	u64 ahead;

	if (life != p->life) {
		p->life = life;
		p->highest = counter;
		p->seen = 1;
		return;
	}
	if (counter <= p->highest) {
		p->seen |= (u64)1 << (p->highest - counter);
		return;
	}
	ahead = counter - p->highest;
	p->seen = ahead < SEAL_WINDOW ? p->seen << ahead | 1 : 1;
	p->highest = counter;
}

static ssize_t decrypt(gnutls_aead_cipher_hd_t h, u64 to, const u8 *data,
		       size_t len, u8 *out)
{
	size_t plain = len - SEAL_BYTES;
	u8 nonce[12], beside[SEAL_HEAD_BYTES + 8];

	nonce_of(get_u64(data + 20), nonce);
	aside(data, to, beside);
	if (gnutls_aead_cipher_decrypt(h, nonce, sizeof(nonce), beside,
				       sizeof(beside), SEAL_TAG_BYTES,
				       data + SEAL_HEAD_BYTES,
				       len - SEAL_HEAD_BYTES, out, &plain))
		return -EBADMSG;
	return (ssize_t)plain;
}

ssize_t seal_open(struct seal *s, u64 now_us, struct seal_sender *from,
		  const u8 *data, size_t len, u8 *out)
{
	u64 sender = seal_claimed(data, len);
	const struct group_key *g;
	gnutls_aead_cipher_hd_t h;
	u64 life, counter;
	ssize_t plain;
	bool known;

	if (!sender)
		return -EBADMSG;
	life = get_u64(data + 12);
	counter = get_u64(data + 20);
	g = key_numbered(s, now_us, get_u32(data));
	if (!g)
		return -ENOKEY;
	if (from && repeated(from, life, counter))
		return -EALREADY;
	known = from && from->key && from->life == life &&
		from->key_number == g->number;
	h = known ? from->key : derive(g, sender, life);
	plain = h ? decrypt(h, s->self, data, len, out) : -EBADMSG;
	if (plain >= 0 && from) {
		remember(from, life, counter);
		if (!known) {
			seal_sender_end(from);
			from->key = h;
			from->key_number = g->number;
		}
	} else if (h && !known) {
		gnutls_aead_cipher_deinit(h);
	}
	return plain;
}

void seal_sender_end(struct seal_sender *p)
{
	if (p->key)
		gnutls_aead_cipher_deinit(p->key);
	p->key = NULL;
}
