/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text that came from elsewhere, made safe for a terminal and for JSON. */
#ifndef VIRGO_CLI_TEXT_H
#define VIRGO_CLI_TEXT_H

#include <stdio.h>

#include "cursor.h"

enum { TEXT_SIZE = 24 };

/* @s with control characters shown as '?'. */
void text_print(struct span s, FILE *out);
/* @s as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD,
 * so that the line stays JSON whatever a file name or message held.
 */
void text_json(struct span s, FILE *out);
/* "512M", "7.8G": four places. */
void text_size(u64 bytes, char out[TEXT_SIZE]);

#endif
