/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sealed datagrams between the nodes of a cloud, under the group key that the
 * catalog hands out. A datagram on the wire, little-endian:
 *
 *	u32	key number	of the group key
 *	u64	sender		its number
 *	u64	life		number of the sender's life, above all earlier
 *	u64	counter		1, 2, ... in this life
 *	...	AES-256-GCM of the content; the 28 bytes above and the
 *		receiver's number are authenticated, the counter is the nonce
 *	16	tag
 *
 * Each life of a sender has a key of its own, derived from the group key with
 * HKDF-SHA256, so that no nonce is ever used twice although all share one group
 * key. A datagram is good for its receiver only, and taken once: counters already seen, or SEAL_WINDOW behind
 * the highest seen, are refused, and so are earlier lives.
 *
 * After a change of the group key the old one is accepted for SEAL_OVERLAP_US,
 * and used for sending during SEAL_LINGER_US to whoever has not yet sent under
 * the new one. Used in the loop's thread only.
 */
#ifndef VIRGO_DAEMON_SEAL_H
#define VIRGO_DAEMON_SEAL_H

#include "env.h"

enum {
	SEAL_KEY_BYTES = 32,
	SEAL_HEAD_BYTES = 28,
	SEAL_TAG_BYTES = 16,
	SEAL_BYTES = SEAL_HEAD_BYTES + SEAL_TAG_BYTES,
	SEAL_WINDOW = 64,
	SEAL_LINGER_US = 3000000,
	SEAL_OVERLAP_US = 30000000,
};

struct seal;

/* What is remembered of a sender; zero before its first datagram. */
struct seal_sender {
	u64 life;
	u64 highest; /* counter */
	u64 seen;    /* bit i: highest - i was taken */
	u32 key_number;
	void *key; /* of its life; seal_sender_end() frees it */
};

/* @life: see above. NULL when memory is out. */
struct seal *seal_new(u64 self, u64 life);
void seal_free(struct seal *s);

/* Takes a new group key into use; the same or a lower number than the present
 * is ignored. 0 or -ENOMEM.
 */
int seal_set_key(struct seal *s, u64 now_us, u32 number,
		 const u8 key[SEAL_KEY_BYTES]);
/* 0 before the first. */
u32 seal_key_number(const struct seal *s);

/*
 * Seals @len bytes into @out of @len + SEAL_BYTES, for node @to, of which
 * @known is remembered (NULL: nothing). The length, or -ENOKEY before a key is
 * set.
 */
ssize_t seal_close(struct seal *s, u64 now_us, u64 to,
		   const struct seal_sender *known, const void *data,
		   size_t len, u8 *out);

/* The number of the sender that a datagram claims; 0 when it is too short. */
u64 seal_claimed(const u8 *data, size_t len);
/* The number of the group key that it claims; only of one not too short. */
u32 seal_claimed_key(const u8 *data);

/*
 * Opens a datagram into @out of @len bytes, @from being what is remembered of
 * the sender it claims (NULL: nothing, then a repeated one is not noticed). The
 * length; -EBADMSG: not genuine; -ENOKEY: under a group key that is not known
 * or no longer accepted; -EALREADY: taken before, or of an earlier life.
 * Nothing is remembered of a datagram that is not genuine.
 */
ssize_t seal_open(struct seal *s, u64 now_us, struct seal_sender *from,
		  const u8 *data, size_t len, u8 *out);

void seal_sender_end(struct seal_sender *p);

#endif
