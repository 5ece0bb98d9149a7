// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Invitations as text: refused, or printed again as a text that means the same.
 * A mutated text nearly never has the right checksum, so the input is also taken
 * as the parts of an invitation, printed, and parsed.
 */
#include <stdint.h>
#include <stdlib.h>

#include "token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const struct token *a, const struct token *b)
{
	return !strcmp(a->home, b->home) &&
	       !strcmp(a->addresses, b->addresses) &&
	       !memcmp(a->fingerprint, b->fingerprint,
		       sizeof(a->fingerprint)) &&
	       !memcmp(a->secret, b->secret, sizeof(a->secret));
}

static void parse(const char *text)
{
	char again[TOKEN_TEXT_MAX + 1];
	struct token t, u;

	if (token_parse(&t, text, NULL))
		return;
	token_print(&t, again);
	if (token_parse(&u, again, NULL) || !same(&t, &u))
		abort();
}

/* The input's first two bytes say how long the name and the addresses are. */
static void print(const u8 *data, size_t size)
{
	char text[TOKEN_TEXT_MAX + 1];
	struct token t = { 0 }, u;
	struct rcursor c = rcursor_of(data, size);
	size_t home = rcursor_u8(&c) % sizeof(t.home);
	size_t addresses = rcursor_u16(&c) % sizeof(t.addresses);
	const u8 *h = rcursor_take(&c, home);
	const u8 *a = rcursor_take(&c, addresses);

	if (c.bad)
		return;
	memcpy(t.home, h, home);
	memcpy(t.addresses, a, addresses);
	token_print(&t, text);
	if (token_parse(&u, text, NULL) == 0 && !same(&t, &u))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	parse(text);
	print(data, size);
	free(text);
	return 0;
}
