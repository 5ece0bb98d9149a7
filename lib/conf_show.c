// SPDX-License-Identifier: LGPL-2.1-or-later
/* Configuration as people read it: values, samples, tables and remarks. */
#include <stdlib.h>

#include "conf_parts.h"

enum { WIDTH = 78, PATH_SHOWN = 100 };

/* Prints @text in lines of at most WIDTH columns, each behind @prefix. */
static void print_wrapped(const char *prefix, const char *text, FILE *out)
{
	size_t room = WIDTH - strlen(prefix);

	while (*text) {
		size_t len = strlen(text);

		if (len > room) {
			len = room;
			while (len && text[len] != ' ')
				len--;
			if (!len)
				len = strcspn(text, " ");
		}
		fprintf(out, "%s%.*s\n", prefix, (int)len, text);
		text += len;
		text += strspn(text, " ");
	}
}

static bool new_section(const struct conf_schema *s, size_t i)
{
	return !i || strcmp(s->rows[i].section, s->rows[i - 1].section);
}

static char *value_text(const struct conf_row *row, const void *field)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (f) {
		conf_value_print(row, field, f);
		fclose(f);
	}
	return text;
}

/* Whether @text is what the default of @row prints as: 60s is shown as 1m. */
static bool is_standard(const struct conf_row *row, const char *text)
{
	union {
		u64 number;
		struct conf_list list;
		const char *text;
	} value;
	struct conf_memory *m = NULL;
	char why[CONF_WHY_MAX];
	char *standard = NULL;
	bool same;

	if (!conf_value_parse(row, row->standard, &value, &m, why))
		standard = value_text(row, &value);
	same = standard && !strcmp(text, standard);
	free(standard);
	conf_memory_free(m);
	return same;
}

static void show_row(const struct conf_row *row, const u8 *values, FILE *out)
{
	char *text = value_text(row, values + row->offset);

	if (!text)
		return;
	if (is_standard(row, text))
		fprintf(out, "%s =%s%s  # default\n", row->key,
			*row->standard ? " " : "", row->standard);
	else
		fprintf(out, "%s =%s%s\n", row->key, *text ? " " : "", text);
	free(text);
}

static void show_map(const struct conf_row *row, const struct conf_map *map,
		     FILE *out)
{
	for (u32 i = 0; i < map->count; i++) {
		const struct conf_pair *p = &map->pairs[i];
		const void *field = &p->values;

		if (row->kind == CONF_USER)
			field = p->values.items;
		fprintf(out, "%s = ", p->key);
		conf_value_print(row, field, out);
		fputc('\n', out);
	}
}

void conf_show(const struct conf_schema *s, const void *values, FILE *out)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct conf_row *row = &s->rows[i];
		const u8 *base = values;

		if (new_section(s, i))
			fprintf(out, "%s[%s]\n", i ? "\n" : "", row->section);
		if (row->map)
			show_map(row, (const void *)(base + row->offset), out);
		else
			show_row(row, base, out);
	}
}

void conf_sample(const struct conf_schema *s, FILE *out)
{
	char form[128];

	fprintf(out, "# %s: %s.\n", s->file, s->about);
	fprintf(out, "# See %.*s(5). Check it with: virgo conf check\n",
		(int)strlen(s->file), s->file);
	for (size_t i = 0; i < s->count; i++) {
		const struct conf_row *row = &s->rows[i];

		if (new_section(s, i))
			fprintf(out, "\n[%s]\n", row->section);
		else
			fputc('\n', out);
		print_wrapped("# ", row->help, out);
		conf_value_form(row, form, sizeof(form));
		if (row->map)
			fprintf(out, "#%s = %s\n", row->key, form);
		else
			fprintf(out, "#%s =%s%s\n", row->key,
				*row->standard ? " " : "", row->standard);
	}
}

void conf_keys(const struct conf_schema *s, FILE *out)
{
	char form[128];

	fprintf(out, "%s: %s\n", s->file, s->about);
	for (size_t i = 0; i < s->count; i++) {
		const struct conf_row *row = &s->rows[i];

		if (new_section(s, i))
			fprintf(out, "\n[%s]\n", row->section);
		conf_value_form(row, form, sizeof(form));
		fprintf(out, "  %s = %s", row->key, form);
		if (!row->map && *row->standard)
			fprintf(out, "  (default: %s)", row->standard);
		fputc('\n', out);
		print_wrapped("      ", row->help, out);
	}
}

void conf_report_print(const struct conf_report *r, FILE *out)
{
	for (u32 i = 0; i < r->count; i++) {
		const struct conf_remark *m = &r->remarks[i];

		fprintf(out, "virgo: %s", r->path);
		if (m->line)
			fprintf(out, ":%u", m->line);
		fprintf(out, ": %s%s%s%s\n", m->notice ? "note: " : "",
			m->what, m->remedy[0] ? ". Try: " : "", m->remedy);
	}
	if (r->errors > CONF_REMARKS_MAX)
		fprintf(out, "virgo: %s: %u errors in all\n", r->path,
			r->errors);
}

int conf_report_failure(const struct conf_report *r, int code,
			struct failure *f)
{
	const struct conf_remark *m = r->remarks;
	const char *path = r->path;
	size_t len = strlen(path);
	char object[sizeof(f->object)];
	char more[32] = "";

	while (m < r->remarks + r->count && m->notice)
		m++;
	if (m == r->remarks + r->count)
		return failure_set(f, code, r->path, NULL, "%s",
				   strerror(-code));
	/* The end of a long path tells more than its beginning. */
	if (len > PATH_SHOWN)
		path += len - PATH_SHOWN;
	if (m->line)
		snprintf(object, sizeof(object), "%.*s:%u", PATH_SHOWN, path,
			 m->line);
	else
		snprintf(object, sizeof(object), "%.*s", PATH_SHOWN, path);
	if (r->errors > 1)
		snprintf(more, sizeof(more), " (and %u more errors)",
			 r->errors - 1);
	return failure_set(f, code, object, m->remedy, "%s%s", m->what, more);
}
