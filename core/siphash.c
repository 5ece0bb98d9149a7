// SPDX-License-Identifier: LGPL-2.1-or-later
#include "siphash.h"

static inline u64 rotate(u64 v, int by)
{
	return v << by | v >> (64 - by);
}

struct sip {
	u64 a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
	s->a += s->b;
	s->b = rotate(s->b, 13) ^ s->a;
	s->a = rotate(s->a, 32);
	s->c += s->d;
	s->d = rotate(s->d, 16) ^ s->c;
	s->a += s->d;
	s->d = rotate(s->d, 21) ^ s->a;
	s->c += s->b;
	s->b = rotate(s->b, 17) ^ s->c;
	s->c = rotate(s->c, 32);
}

u64 sip_hash(u64 k0, u64 k1, const void *data, size_t len)
{
	struct sip s = {
		.a = k0 ^ 0x736f6d6570736575ULL,
		.b = k1 ^ 0x646f72616e646f6dULL,
		.c = k0 ^ 0x6c7967656e657261ULL,
		.d = k1 ^ 0x7465646279746573ULL,
	};
	const u8 *p = data;
	u64 word = (u64)len << 56;
	size_t i;

	for (; len >= 8; len -= 8, p += 8) {
		u64 m = get_u64(p);

		s.d ^= m;
		sip_round(&s);
		s.a ^= m;
	}
	for (i = 0; i < len; i++)
		word |= (u64)p[i] << (8 * i);
	s.d ^= word;
	sip_round(&s);
	s.a ^= word;
	s.c ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(&s);
	return s.a ^ s.b ^ s.c ^ s.d;
}
