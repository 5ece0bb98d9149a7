// SPDX-License-Identifier: GPL-2.0-or-later
/* Invitations survive being printed, and nothing but them is accepted. */
#include <criterion/criterion.h>

#include "token.h"

static struct token sample(void)
{
	struct token t = { .home = "alpha",
			   .addresses = "10.0.0.1:8747,[fd00::1]:8747" };

	random_fill(t.fingerprint, sizeof(t.fingerprint));
	random_fill(t.secret, sizeof(t.secret));
	return t;
}

Test(token, round_trip)
{
	/* Every length of the encoding's last group. */
	static const char *const home[] = { "a", "ab", "abc", "abcd" };

	for (size_t i = 0; i < ARRAY_SIZE(home); i++) {
		struct token t = sample(), back;
		char text[TOKEN_TEXT_MAX + 1];
		struct failure f = { 0 };

		strncpy(t.home, home[i], sizeof(t.home) - 1);
		token_print(&t, text);
		cr_assert_eq(token_parse(&back, text, &f), 0, "%s", f.what);
		cr_assert_eq(memcmp(&t, &back, sizeof(t)), 0);
	}
}

Test(token, no_character_needs_quoting)
{
	struct token t = sample();
	char text[TOKEN_TEXT_MAX + 1];

	token_print(&t, text);
	cr_assert_eq(strspn(text, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_:"),
		     strlen(text));
}

Test(token, longest)
{
	struct token t = sample(), back;
	char text[TOKEN_TEXT_MAX + 1];
	struct failure f = { 0 };
	size_t len = 0;

	memset(t.home, 'a', NODE_NAME_MAX);
	t.addresses[0] = '\0';
	while (len + 13 < ADVERTISED_LIST_MAX)
		len += (size_t)sprintf(t.addresses + len, "%sabcdef:1234",
				       len ? "," : "");
	token_print(&t, text);
	cr_assert_eq(token_parse(&back, text, &f), 0, "%s", f.what);
	cr_assert_eq(memcmp(&t, &back, sizeof(t)), 0);
}

Test(token, any_changed_character_is_noticed)
{
	struct token t = sample(), back;
	char text[TOKEN_TEXT_MAX + 1];
	struct failure f = { 0 };

	token_print(&t, text);
	for (size_t i = 7; text[i]; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		/* The last digit may carry bits beyond the last byte. */
		if (text[i + 1])
			cr_assert_eq(token_parse(&back, text, &f), -EINVAL);
		text[i] = was;
	}
}

Test(token, cut_off)
{
	struct token t = sample(), back;
	char text[TOKEN_TEXT_MAX + 1];
	struct failure f = { 0 };

	token_print(&t, text);
	for (size_t len = strlen(text) - 1; len; len--) {
		text[len] = '\0';
		cr_assert_eq(token_parse(&back, text, &f), -EINVAL);
	}
	cr_assert(strstr(f.remedy, "whole command"));
}

Test(token, later_version_says_so)
{
	struct token back;
	struct failure f = { 0 };

	cr_assert_eq(token_parse(&back, "virgo2:abcd", &f), -EINVAL);
	cr_assert(strstr(f.what, "version"), "%s", f.what);
}
