/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of variables as people write and read them. */
#ifndef VIRGO_CLI_VAR_TEXT_H
#define VIRGO_CLI_VAR_TEXT_H

#include "var.h"

enum { VAR_TEXT_BYTES = 32 };

/* "-5", "0.25", "true"; false when @text is none of @type, or too large for it. */
bool var_text_parse(u8 type, const char *text, u64 *value);
/* Back: a fixed value with nine digits after the point at most. */
void var_text_print(u8 type, u64 value, char out[VAR_TEXT_BYTES]);
/* What type @text looks like: VAR_BOOL, VAR_FIXED, VAR_S64, VAR_U64; VAR_NONE. */
u8 var_text_type(const char *text);
/* The least and the greatest value of @type. */
void var_text_limits(u8 type, u64 *min, u64 *max);

#endif
