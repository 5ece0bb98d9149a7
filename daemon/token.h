/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An invitation as one word that survives shells, chats and line ends:
 *
 *	virgo1:<base64url of>
 *	  u8 length, home node's name
 *	  u16 length, addresses of the home node ("host:port,host:port")
 *	  32 bytes, SHA-256 of the authority's certificate
 *	  16 bytes, secret
 *	  4 bytes, CRC-32C of all before
 *
 * The checksum only tells a damaged copy from a refused one.
 */
#ifndef VIRGO_DAEMON_TOKEN_H
#define VIRGO_DAEMON_TOKEN_H

#include "advertise.h"
#include "authority.h"
#include "tls.h"

enum {
	TOKEN_SECRET_BYTES = 16,
	TOKEN_RAW_MAX = 1 + NODE_NAME_MAX + 2 + ADVERTISED_LIST_MAX +
			FINGERPRINT_BYTES + TOKEN_SECRET_BYTES + 4,
	TOKEN_TEXT_MAX = 7 + (TOKEN_RAW_MAX + 2) / 3 * 4,
};

struct token {
	char home[NODE_NAME_MAX + 1];
	char addresses[ADVERTISED_LIST_MAX + 1];
	u8 fingerprint[FINGERPRINT_BYTES];
	u8 secret[TOKEN_SECRET_BYTES];
};

/* @out has TOKEN_TEXT_MAX + 1 bytes. */
void token_print(const struct token *t, char *out);
/* -EINVAL and @f: not a token, cut off, damaged, or of a later version. */
int token_parse(struct token *t, const char *text, struct failure *f);

#endif
