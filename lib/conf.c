// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Reading of configuration files; the contract and the format are in conf.h.
 * The text is checked as a whole (size, UTF-8, no control characters), then cut
 * into lines; each line goes to the row of the schema that it names, and the
 * value straight into a struct of values that replaces the caller's only when
 * the whole file had no error.
 */
#include "conf.h"

#include <stdarg.h>
#include <stdlib.h>

#include "conf_parts.h"

enum { ROWS_MAX = 96, PAIRS_MAX = 1024, LEGACY_MAX = 16 };

struct reader {
	const struct conf_schema *schema;
	struct conf_report *report;
	u8 *values; /* begins with the struct conf_memory pointer */
	const char *section; /* as in the rows; NULL before the first */
	bool skipping; /* in an unknown section, which has been reported */
	u32 line;
	u32 seen[ROWS_MAX]; /* by row: line on which its key stood */
	u32 begun[ROWS_MAX]; /* by a section's first row: line of its [name] */
	bool no_memory;
};

/* A part of the file as it is quoted in a remark: short, whole characters. */
struct quoted {
	char text[64];
};

static struct quoted quote(const char *s)
{
	struct quoted q;
	size_t len = strnlen(s, sizeof(q.text));

	if (len == sizeof(q.text)) {
		len -= 4;
		while (len && ((u8)s[len] & 0xc0) == 0x80)
			len--;
		memcpy(q.text, s, len);
		memcpy(q.text + len, "...", 4);
	} else {
		memcpy(q.text, s, len + 1);
	}
	return q;
}

__attribute__((format(printf, 4, 5)))
static void remark(struct reader *r, bool notice, const char *remedy,
		   const char *fmt, ...)
{
	struct conf_report *report = r->report;
	struct conf_remark *to;
	va_list ap;

	report->errors += !notice;
	if (report->count == CONF_REMARKS_MAX)
		return;
	to = &report->remarks[report->count++];
	to->line = r->line;
	to->notice = notice;
	snprintf(to->remedy, sizeof(to->remedy), "%s", remedy ? remedy : "");
	va_start(ap, fmt);
	vsnprintf(to->what, sizeof(to->what), fmt, ap);
	va_end(ap);
}

#define error(r, remedy, ...) remark(r, false, remedy, __VA_ARGS__)

static const struct conf_row *find(const struct conf_schema *s,
				   const char *section, const char *key)
{
	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->rows[i].section, section) &&
		    (s->rows[i].map || !strcmp(s->rows[i].key, key)))
			return &s->rows[i];
	return NULL;
}

static void unknown_section(struct reader *r, const char *name)
{
	const char *names[ROWS_MAX];
	const char *near;
	char remedy[128];
	size_t count = 0;

	for (size_t i = 0; i < r->schema->count; i++)
		if (!i || strcmp(names[count - 1], r->schema->rows[i].section))
			names[count++] = r->schema->rows[i].section;
	near = conf_nearest(name, names, count);
	if (near)
		snprintf(remedy, sizeof(remedy), "[%s]", near);
	else
		snprintf(remedy, sizeof(remedy),
			 "virgo conf keys lists what there is");
	error(r, remedy, "no section [%s]", quote(name).text);
}

static void unknown_key(struct reader *r, const char *key)
{
	const struct conf_schema *s = r->schema;
	const char *names[ROWS_MAX];
	const char *near;
	char remedy[128];
	size_t count = 0;

	for (size_t i = 0; i < s->count; i++)
		if (!strcmp(s->rows[i].section, r->section))
			names[count++] = s->rows[i].key;
	near = conf_nearest(key, names, count);
	snprintf(remedy, sizeof(remedy), "%s",
		 near ? near : "virgo conf keys lists what there is");
	for (size_t i = 0; !near && i < s->count; i++)
		if (!s->rows[i].map && !strcmp(s->rows[i].key, key)) {
			snprintf(remedy, sizeof(remedy),
				 "move it below [%s]", s->rows[i].section);
			break;
		}
	error(r, remedy, "no key '%s' in [%s]", quote(key).text, r->section);
}

static void read_section(struct reader *r, char *line)
{
	size_t len = strlen(line);
	const struct conf_schema *s = r->schema;
	size_t first;

	r->section = NULL;
	r->skipping = true;
	if (len < 3 || line[len - 1] != ']') {
		error(r, "[node]", "a section's name stands alone between "
				   "[ and ]");
		return;
	}
	line[len - 1] = '\0';
	line++;
	for (first = 0; first < s->count; first++)
		if (!strcmp(s->rows[first].section, line))
			break;
	if (first == s->count) {
		unknown_section(r, line);
		return;
	}
	r->section = s->rows[first].section;
	r->skipping = false;
	if (r->begun[first])
		error(r, "put both together",
		      "[%s] has begun before, on line %u", r->section,
		      r->begun[first]);
	else
		r->begun[first] = r->line;
}

static void bad_value(struct reader *r, const struct conf_row *row,
		      const char *key, const char *text, const char *why)
{
	char expect[160];
	char words[128];
	const char *names[16];
	const char *near = NULL;
	size_t count = 0;

	conf_expect(row, expect, sizeof(expect));
	if (row->kind == CONF_CHOICE || row->kind == CONF_BOOL) {
		snprintf(words, sizeof(words), "%s",
			 row->kind == CONF_BOOL ? "yes|no" : row->choices);
		for (char *w = strtok(words, "|"); w && count < 16;
		     w = strtok(NULL, "|"))
			names[count++] = w;
		near = conf_nearest(text, names, count);
	}
	error(r, near, "%s = %s: expected %s%s%s", quote(key).text,
	      quote(text).text, expect, *why ? "; " : "", why);
}

/* A field of the right type for @row: in place, or of a new pair of a map. */
static void *field_of(struct reader *r, const struct conf_row *row,
		      const char *key)
{
	struct conf_map *map = (void *)(r->values + row->offset);
	struct conf_memory **m = (void *)r->values;
	char *copy;

	if (!row->map)
		return r->values + row->offset;
	if (!map->pairs)
		map->pairs = conf_memory_take(m, PAIRS_MAX *
						 sizeof(*map->pairs));
	copy = conf_memory_take(m, strlen(key) + 1);
	if (!map->pairs || !copy)
		return NULL;
	map->pairs[map->count].key = strcpy(copy, key);
	map->pairs[map->count].line = r->line;
	return &map->pairs[map->count++].values;
}

/* Puts a single name, which a map keeps as a list of one, into @l. */
static int parse_one(const struct conf_row *row, const char *text,
		     struct conf_list *l, struct conf_memory **m, char *why)
{
	l->items = conf_memory_take(m, sizeof(*l->items));
	if (!l->items)
		return -ENOMEM;
	l->count = 1;
	return conf_value_parse(row, text, l->items, m, why);
}

/* False when @key may not be given (again). */
static bool key_allowed(struct reader *r, const struct conf_row *row,
			const char *key)
{
	struct conf_map *map = (void *)(r->values + row->offset);
	u32 *seen = &r->seen[row - r->schema->rows];
	const struct conf_pair *pair;
	u32 first = *seen;

	if (row->map) {
		pair = conf_map_find(map, key);
		first = pair ? pair->line : 0;
	}
	if (first) {
		error(r, "keep one of them", "'%s' stands on line %u already",
		      quote(key).text, first);
		return false;
	}
	*seen = r->line;
	if (!row->map)
		return true;
	if (!conf_key_valid(row, key)) {
		error(r, NULL, "'%s': expected %s before the =",
		      quote(key).text,
		      !strcmp(row->key, "USER") ? "a user's name" :
		      !strcmp(row->key, "FUNCTION") ? "a function's name" :
						      "a node's name or *");
		return false;
	}
	if (map->count == PAIRS_MAX) {
		error(r, NULL, "more than %d lines in [%s]", PAIRS_MAX,
		      row->section);
		return false;
	}
	return true;
}

static void assign(struct reader *r, const char *key, const char *text)
{
	const struct conf_row *row = find(r->schema, r->section, key);
	char why[CONF_WHY_MAX] = "";
	struct conf_memory **m = (void *)r->values;
	void *field;
	int ret;

	if (!row) {
		unknown_key(r, key);
		return;
	}
	if (!key_allowed(r, row, key))
		return;
	field = field_of(r, row, key);
	if (!field)
		ret = -ENOMEM;
	else if (row->map && row->kind == CONF_USER)
		ret = parse_one(row, text, field, m, why);
	else
		ret = conf_value_parse(row, text, field, m, why);
	if (ret == -ENOMEM)
		r->no_memory = true;
	else if (ret)
		bad_value(r, row, key, text, why);
}

/* Cuts white space from both ends, and a comment. */
static char *trim(char *s)
{
	char *p;
	size_t len;

	for (p = s; *p; p++)
		if (*p == '#' && (p == s || p[-1] == ' ' || p[-1] == '\t')) {
			*p = '\0';
			break;
		}
	s += strspn(s, " \t\r");
	len = strlen(s);
	while (len && strchr(" \t\r", s[len - 1]))
		s[--len] = '\0';
	return s;
}

static void read_line(struct reader *r, char *line)
{
	char *equals;
	char *key;
	char *text;

	if (strlen(line) > CONF_LINE_MAX) {
		error(r, NULL, "line longer than %d bytes", CONF_LINE_MAX);
		return;
	}
	line = trim(line);
	if (!*line)
		return;
	if (*line == '[') {
		read_section(r, line);
		return;
	}
	if (r->skipping)
		return;
	equals = strchr(line, '=');
	if (!equals || equals == line) {
		error(r, "[section] or key = value",
		      "cannot make sense of '%s'", quote(line).text);
		return;
	}
	*equals = '\0';
	key = trim(line);
	text = trim(equals + 1);
	if (r->section)
		assign(r, key, text);
	else
		error(r, "virgo conf keys lists the sections",
		      "'%s' stands above the first [section]",
		      quote(key).text);
}

/* The next line of @text, ended by a NUL; @text moves behind it. */
static char *next_line(char **text)
{
	char *line = *text;
	char *end = strchrnul(line, '\n');

	*text = *end ? end + 1 : end;
	*end = '\0';
	return line;
}

/* The only line with something on it, trimmed, in @copy; NULL when there are
 * more or none.
 */
static char *only_line(char *copy, u32 *at)
{
	char *found = NULL;

	for (u32 line = 1; *copy; line++) {
		char *one = trim(next_line(&copy));

		if (!*one)
			continue;
		if (found)
			return NULL;
		found = one;
		*at = line;
	}
	return found;
}

/*
 * The original's format: nothing but one line of addresses. Gives them as a
 * list without duplicates (the original's sample names one address twice) that
 * the caller frees, or NULL.
 */
static char *legacy_list(const char *text, u32 *at)
{
	char *copy = strdup(text);
	char *line = copy ? only_line(copy, at) : NULL;
	const char *items[LEGACY_MAX];
	struct conf_list list = { .items = items };
	char *out = NULL;
	size_t size;
	FILE *f;

	/* One plain word is more likely a slip than a cloud of one. */
	if (!line || !strpbrk(line, ".,:") || strpbrk(line, "=["))
		goto free_copy;
	for (char *p = strtok(line, ","); p; p = strtok(NULL, ",")) {
		p = trim(p);
		if (!conf_address_valid(p) || list.count == LEGACY_MAX)
			goto free_copy;
		if (!conf_list_has(&list, p))
			items[list.count++] = p;
	}
	f = open_memstream(&out, &size);
	if (f) {
		for (u32 i = 0; i < list.count; i++)
			fprintf(f, "%s%s", i ? ", " : "", items[i]);
		fclose(f);
	}
free_copy:
	free(copy);
	return out;
}

/* True when @text was in the original's format. */
static bool read_legacy(struct reader *r, const char *text)
{
	const struct conf_schema *s = r->schema;
	char *list = legacy_list(text, &r->line);

	if (!list)
		return false;
	r->section = s->legacy_section;
	assign(r, s->legacy_key, list);
	remark(r, true, "write it so", "addresses in the format of the original "
				"VIRGO, read as [%s] %s = %s",
	       s->legacy_section, s->legacy_key, quote(list).text);
	free(list);
	return true;
}

/* Length of the UTF-8 character at @p of @left bytes; 0 for none, a control
 * character, or more than one way of writing the same one.
 */
static size_t character(const u8 *p, size_t left)
{
	size_t len = *p < 0x80 ? 1 : *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	u32 c = *p;

	if (len == 1)
		return (c >= ' ' && c != 0x7f) || strchr("\t\n\r", (int)c) ?
			       !!c : 0;
	if (*p < 0xc2 || *p > 0xf4 || left < len)
		return 0;
	c = *p & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) ||
	    c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return len;
}

static bool is_text(struct reader *r, const char *text, size_t len)
{
	const u8 *p = (const u8 *)text;
	size_t at = 0;

	if (len > CONF_FILE_MAX) {
		error(r, NULL, "larger than %d KiB; not a configuration file",
		      CONF_FILE_MAX >> 10);
		return false;
	}
	for (r->line = 1; at < len;) {
		size_t step = character(p + at, len - at);

		if (!step) {
			error(r, NULL, "byte 0x%02x at offset %zu: this is "
				       "not a text file", p[at], at);
			return false;
		}
		r->line += p[at] == '\n';
		at += step;
	}
	return true;
}

static void set_defaults(struct reader *r)
{
	char why[CONF_WHY_MAX];

	for (size_t i = 0; i < r->schema->count; i++) {
		const struct conf_row *row = &r->schema->rows[i];
		int ret = 0;

		if (!row->map)
			ret = conf_value_parse(row, row->standard,
					       r->values + row->offset,
					       (void *)r->values, why);
		assert(ret == 0 || ret == -ENOMEM);
		r->no_memory |= ret == -ENOMEM;
	}
}

static void read_text(struct reader *r, char *text)
{
	char *rest = text;

	if (read_legacy(r, text))
		return;
	for (r->line = 1; *rest; r->line++)
		read_line(r, next_line(&rest));
}

static void report_begin(struct conf_report *report, const char *path)
{
	*report = (struct conf_report){ 0 };
	snprintf(report->path, sizeof(report->path), "%s", path);
}

int conf_parse(const struct conf_schema *s, const char *path, const char *text,
	       size_t len, void *out, struct conf_report *report)
{
	struct reader r = { .schema = s,
			    .report = report,
			    .values = calloc(1, s->size) };
	char *copy = NULL;
	int ret = -EINVAL;

	assert(s->count <= ROWS_MAX);
	report_begin(report, path);
	if (!r.values)
		return -ENOMEM;
	set_defaults(&r);
	if (is_text(&r, text, len)) {
		copy = strndup(text, len);
		if (copy)
			read_text(&r, copy);
		else
			r.no_memory = true;
	}
	if (r.no_memory)
		ret = -ENOMEM;
	else if (!report->errors)
		ret = 0;
	if (ret)
		conf_free(r.values);
	else
		memcpy(out, r.values, s->size);
	free(r.values);
	free(copy);
	return ret;
}

void conf_free(void *values)
{
	struct conf_memory **m = values;

	conf_memory_free(*m);
	*m = NULL;
}

const struct conf_pair *conf_map_find(const struct conf_map *m,
				      const char *key)
{
	for (u32 i = 0; i < m->count; i++)
		if (!strcmp(m->pairs[i].key, key))
			return &m->pairs[i];
	return NULL;
}
