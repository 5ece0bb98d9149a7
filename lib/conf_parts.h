/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the configuration parser share; conf.h is for the rest. */
#ifndef VIRGO_LIB_CONF_PARTS_H
#define VIRGO_LIB_CONF_PARTS_H

#include "conf.h"

/* Every allocation of a struct of values, so that it goes in one step. */
struct conf_memory {
	struct conf_memory *next;
	max_align_t bytes[];
};

/* Zeroed; NULL when memory is out. */
void *conf_memory_take(struct conf_memory **m, size_t size);
void conf_memory_free(struct conf_memory *m);

enum { CONF_WHY_MAX = 200 };

/*
 * Turns @text into a value of @row at @field, which is the field itself, or the
 * struct conf_list of a pair in a map. 0; -EINVAL, and @why says what is wrong
 * if more can be said than conf_expect() does; -ENOMEM.
 */
int conf_value_parse(const struct conf_row *row, const char *text, void *field,
		     struct conf_memory **m, char *why);
/* Whether @key may be a key in the map @row. */
bool conf_key_valid(const struct conf_row *row, const char *key);
/* Writes the value at @field as conf_value_parse() reads it. */
void conf_value_print(const struct conf_row *row, const void *field, FILE *out);
/* "NUMBER", "a | b", "ADDRESS, ...": the form of a value of @row. */
void conf_value_form(const struct conf_row *row, char *out, size_t size);
/* Whether @text is one address, with or without a port. */
bool conf_address_valid(const char *text);

#endif
