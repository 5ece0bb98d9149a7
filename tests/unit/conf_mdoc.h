/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of a configuration file as its manual page has it. */
#ifndef VIRGO_TESTS_CONF_MDOC_H
#define VIRGO_TESTS_CONF_MDOC_H

#include "conf_parts.h"

/* Each sentence begins a line, as mdoc wants it, and is wrapped. */
static inline void mdoc_sentences(const char *text, FILE *out)
{
	size_t column = 0;

	while (*text) {
		size_t len = strcspn(text, " ");
		bool ends = text[len - 1] == '.';

		if (column && column + 1 + len > 78) {
			fputc('\n', out);
			column = 0;
		}
		column += (size_t)fprintf(out, "%s%.*s", column ? " " : "",
					  (int)len, text);
		text += len + (text[len] == ' ');
		if (ends || !*text) {
			fputc('\n', out);
			column = 0;
		}
	}
}

static inline void conf_mdoc(const struct conf_schema *s, FILE *out)
{
	char form[128];

	for (size_t i = 0; i < s->count; i++) {
		const struct conf_row *row = &s->rows[i];

		if (!i || strcmp(row->section, row[-1].section))
			fprintf(out, "%s.Ss Section %s\n.Bl -tag -width Ds\n",
				i ? ".El\n" : "", row->section);
		conf_value_form(row, form, sizeof(form));
		fprintf(out, ".It Li %s = %s\n", row->key, form);
		mdoc_sentences(row->help, out);
		if (!row->map && *row->standard)
			fprintf(out, "Default: %s\n", row->standard);
	}
	fputs(".El\n", out);
}

#endif
