/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's side of NBD's negotiation, as a machine without I/O: it says how
 * many bytes it wants next and is given exactly those, so that nothing is read
 * that belongs to who comes after (TLS, then the kernel). Fixed newstyle,
 * STARTTLS where asked for, GO; structured replies stay off, since the kernel's
 * driver does not know them.
 *
 *	GREETING --> [TLS --> SECURED -->] GO --> DONE
 *	any state --> FAILED
 */
#ifndef VIRGO_NBD_GREET_H
#define VIRGO_NBD_GREET_H

#include "protocol.h"

enum { GREET_OUT_MAX = NBD_NAME_MAX + 64, GREET_IN_MAX = 4096 };

enum greet_state {
	GREET_GREETING, /* the server's first 18 bytes */
	GREET_TLS, /* its answer to STARTTLS */
	GREET_TLS_TEXT, /* the sentence that came with a refusal */
	GREET_SECURED, /* the caller does TLS, then calls greet_secured() */
	GREET_GO, /* the head of an answer to GO */
	GREET_GO_BODY, /* its data */
	GREET_DONE,
	GREET_FAILED,
};

struct greet {
	enum greet_state state;
	bool tls;
	char name[NBD_NAME_MAX + 1];
	u32 reply; /* type of the answer whose data comes next */
	u32 want; /* bytes that greet_take() is to be given */
	int error; /* once FAILED: -EPROTO, -ENOENT, -EACCES, -EOPNOTSUPP */
	char why[160];
	bool described; /* the export's size has come */
	u64 size_bytes;
	u16 flags;
	u32 block_min;
};

/* False when @name is too long. */
bool greet_init(struct greet *g, const char *name, bool tls);
/* Bytes to be read next, 1 to GREET_IN_MAX; 0 when none are wanted. */
u32 greet_want(const struct greet *g);
/* Takes exactly greet_want() bytes; what is to be sent goes to @out, and its
 * length is given.
 */
size_t greet_take(struct greet *g, const u8 *in, u8 out[static GREET_OUT_MAX]);
/* TLS is up: like greet_take(). */
size_t greet_secured(struct greet *g, u8 out[static GREET_OUT_MAX]);

#endif
