// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Single values of a configuration file: text to value by the row's kind and
 * limits, and back. Nothing here knows of files or lines.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "address.h"
#include "conf_parts.h"
#include "node_name.h"

/* As virgo.ko has them. */
enum { FUNCTION_NAME_MAX = 47, CALLER_NAME_MAX = 63 };

struct unit {
	const char *suffix;
	u64 factor;
};

/* Largest first, so that printing finds the shortest form. */
static const struct unit sizes[] = {
	{ "T", 1ull << 40 }, { "G", 1ull << 30 }, { "M", 1ull << 20 },
	{ "K", 1ull << 10 }, { "", 1 },
};

static const struct unit durations[] = {
	{ "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
	{ "s", 1000 },	   { "ms", 1 },
};

void *conf_memory_take(struct conf_memory **m, size_t size)
{
	struct conf_memory *new = calloc(1, sizeof(*new) + size);

	if (!new)
		return NULL;
	new->next = *m;
	*m = new;
	return new->bytes;
}

void conf_memory_free(struct conf_memory *m)
{
	while (m) {
		struct conf_memory *next = m->next;

		free(m);
		m = next;
	}
}

static const char *keep(struct conf_memory **m, const char *text, size_t len)
{
	char *copy = conf_memory_take(m, len + 1);

	return copy ? memcpy(copy, text, len) : NULL;
}

/* Decimal digits from *@text on; false without one or above 64 bits. */
static bool digits(const char **text, u64 *value)
{
	const char *p = *text;

	*value = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (u64)(*p - '0'), value))
			return false;
	if (p == *text)
		return false;
	*text = p;
	return true;
}

static bool parse_units(const char *text, const struct unit *units,
			size_t count, u64 *value)
{
	if (!digits(&text, value))
		return false;
	if (!*value && !*text)
		return true;
	for (size_t i = 0; i < count; i++)
		if (!strcmp(text, units[i].suffix))
			return !__builtin_mul_overflow(*value, units[i].factor,
						       value);
	return false;
}

bool conf_parse_size(const char *text, u64 *bytes)
{
	return parse_units(text, sizes, ARRAY_SIZE(sizes), bytes);
}

bool conf_parse_duration(const char *text, u64 *ms)
{
	return parse_units(text, durations, ARRAY_SIZE(durations), ms);
}

bool conf_parse_bool(const char *text, bool *value)
{
	*value = !strcmp(text, "yes");
	return *value || !strcmp(text, "no");
}

bool conf_user_name_valid(const char *text)
{
	size_t len = strlen(text);

	if (!len || len > 255 || text[0] == '-')
		return false;
	/* "ann@lan" and "LAN\ann" are names in some directories. */
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f ||
		    strchr("/:,*#=\"'", *p))
			return false;
	return strcmp(text, "none") && strcmp(text, ".") && strcmp(text, "..");
}

bool conf_address_valid(const char *text)
{
	struct address a;

	return *text && !strchr(text, ',') &&
	       address_resolve(text, VIRGO_PORT, false, &a, 1) != -EINVAL;
}

static bool function_name_valid(const char *text)
{
	size_t len = strlen(text);

	for (const char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			return false;
	return len && len <= FUNCTION_NAME_MAX;
}

bool conf_key_valid(const struct conf_row *row, const char *key)
{
	if (!strcmp(row->key, "FUNCTION"))
		return function_name_valid(key);
	if (!strcmp(row->key, "USER"))
		return conf_user_name_valid(key);
	return !strcmp(key, "*") || node_name_valid(key);
}

/* NODE or USER@NODE, with * in place of either name. A user's name may have an @
 * in it.
 */
static bool caller_valid(const char *item)
{
	const char *at = strrchr(item, '@');
	const char *node = at ? at + 1 : item;
	char user[CALLER_NAME_MAX + 1];

	if (strcmp(node, "*") && !node_name_valid(node))
		return false;
	if (!at)
		return true;
	if ((size_t)(at - item) >= sizeof(user))
		return false;
	snprintf(user, sizeof(user), "%.*s", (int)(at - item), item);
	return !strcmp(user, "*") || conf_user_name_valid(user);
}

static bool item_valid(enum conf_kind kind, const char *item)
{
	switch (kind) {
	case CONF_ADDRESSES:
		return conf_address_valid(item);
	case CONF_USERS:
	case CONF_USER:
		return conf_user_name_valid(item);
	case CONF_NODES:
		return node_name_valid(item) || conf_address_valid(item);
	case CONF_CALLERS:
		return caller_valid(item);
	default:
		return *item && !strpbrk(item, " \t");
	}
}

bool conf_list_has(const struct conf_list *l, const char *item)
{
	for (u32 i = 0; i < l->count; i++)
		if (!strcmp(l->items[i], item))
			return true;
	return false;
}

static int add_item(const struct conf_row *row, struct conf_list *l,
		    const char *text, size_t len, struct conf_memory **m,
		    char *why)
{
	bool named = row->kind == CONF_USERS || row->kind == CONF_NODES;
	const char *item = keep(m, text, len);

	if (!item)
		return -ENOMEM;
	if (!*item) {
		snprintf(why, CONF_WHY_MAX, "an item of the list is empty");
		return -EINVAL;
	}
	if (!(named && !strcmp(item, "*")) && !item_valid(row->kind, item)) {
		snprintf(why, CONF_WHY_MAX, "'%.60s' is none", item);
		return -EINVAL;
	}
	if (conf_list_has(l, item)) {
		snprintf(why, CONF_WHY_MAX, "'%.60s' stands there twice", item);
		return -EINVAL;
	}
	if (l->count == row->max) {
		snprintf(why, CONF_WHY_MAX, "more than %" PRIu64 " items",
			 row->max);
		return -EINVAL;
	}
	l->items[l->count++] = item;
	return 0;
}

static int parse_list(const struct conf_row *row, const char *text,
		      struct conf_list *l, struct conf_memory **m, char *why)
{
	size_t commas = 0;
	int ret = 0;

	*l = (struct conf_list){ 0 };
	if (row->kind == CONF_USERS && !strcmp(text, "none"))
		return 0;
	if (!*text && (row->kind == CONF_LIST || row->kind == CONF_ADDRESSES))
		return 0;
	for (const char *p = text; *p; p++)
		commas += *p == ',';
	l->items = conf_memory_take(m, (commas + 1) * sizeof(*l->items));
	if (!l->items)
		return -ENOMEM;
	for (;;) {
		const char *end = strchrnul(text, ',');
		const char *last = end;

		text += strspn(text, " \t");
		while (last > text && (last[-1] == ' ' || last[-1] == '\t'))
			last--;
		if (last < text)
			last = text;
		ret = add_item(row, l, text, (size_t)(last - text), m, why);
		if (ret || !*end)
			break;
		text = end + 1;
	}
	if (!ret && l->count > 1 && row->kind != CONF_CALLERS &&
	    conf_list_has(l, "*")) {
		snprintf(why, CONF_WHY_MAX, "* means all and must stand alone");
		return -EINVAL;
	}
	return ret;
}

static bool parse_choice(const char *choices, const char *text, u32 *place)
{
	size_t len = strlen(text);

	for (*place = 0;; (*place)++) {
		size_t word = strcspn(choices, "|");

		if (word == len && !memcmp(choices, text, len))
			return true;
		if (!choices[word])
			return false;
		choices += word + 1;
	}
}

static bool within(const struct conf_row *row, u64 value)
{
	return value >= row->min && value <= row->max;
}

static bool path_valid(const char *text)
{
	return text[0] == '/' && strlen(text) < PATH_MAX;
}

static int parse_text(const char *text, const char **field, bool valid,
		      struct conf_memory **m)
{
	if (!valid)
		return -EINVAL;
	*field = keep(m, text, strlen(text));
	return *field ? 0 : -ENOMEM;
}

int conf_value_parse(const struct conf_row *row, const char *text, void *field,
		     struct conf_memory **m, char *why)
{
	u64 value = 0;
	bool ok = false;

	why[0] = '\0';
	switch (row->kind) {
	case CONF_BOOL:
		ok = conf_parse_bool(text, field);
		break;
	case CONF_NUMBER:
		ok = digits(&text, &value) && !*text && within(row, value);
		*(u32 *)field = (u32)value;
		break;
	case CONF_SIZE:
		ok = conf_parse_size(text, field) && within(row, *(u64 *)field);
		break;
	case CONF_DURATION:
		ok = conf_parse_duration(text, field) &&
		     within(row, *(u64 *)field);
		break;
	case CONF_CHOICE:
		ok = parse_choice(row->choices, text, field);
		break;
	case CONF_PATH:
		return parse_text(text, field, path_valid(text), m);
	case CONF_USER:
		return parse_text(text, field, item_valid(CONF_USER, text), m);
	case CONF_LIST:
	case CONF_ADDRESSES:
	case CONF_USERS:
	case CONF_NODES:
	case CONF_CALLERS:
		return parse_list(row, text, field, m, why);
	}
	return ok ? 0 : -EINVAL;
}

static void print_units(u64 value, const struct unit *u, FILE *out)
{
	if (!value) {
		fputs("0", out);
		return;
	}
	while (value % u->factor)
		u++;
	fprintf(out, "%" PRIu64 "%s", value / u->factor, u->suffix);
}

static void print_choice(const char *choices, u32 place, FILE *out)
{
	while (place--)
		choices = strchr(choices, '|') + 1;
	fprintf(out, "%.*s", (int)strcspn(choices, "|"), choices);
}

static void print_list(const struct conf_row *row, const struct conf_list *l,
		       FILE *out)
{
	if (!l->count && row->kind == CONF_USERS)
		fputs("none", out);
	for (u32 i = 0; i < l->count; i++)
		fprintf(out, "%s%s", i ? ", " : "", l->items[i]);
}

void conf_value_print(const struct conf_row *row, const void *field, FILE *out)
{
	switch (row->kind) {
	case CONF_BOOL:
		fputs(*(const bool *)field ? "yes" : "no", out);
		break;
	case CONF_NUMBER:
		fprintf(out, "%" PRIu32, *(const u32 *)field);
		break;
	case CONF_SIZE:
		print_units(*(const u64 *)field, sizes, out);
		break;
	case CONF_DURATION:
		print_units(*(const u64 *)field, durations, out);
		break;
	case CONF_CHOICE:
		print_choice(row->choices, *(const u32 *)field, out);
		break;
	case CONF_PATH:
	case CONF_USER:
		fputs(*(const char *const *)field, out);
		break;
	default:
		print_list(row, field, out);
	}
}

void conf_value_form(const struct conf_row *row, char *out, size_t size)
{
	static const char *const forms[] = {
		[CONF_BOOL] = "yes | no",
		[CONF_NUMBER] = "NUMBER",
		[CONF_SIZE] = "SIZE",
		[CONF_DURATION] = "DURATION",
		[CONF_PATH] = "PATH",
		[CONF_LIST] = "WORD, ...",
		[CONF_ADDRESSES] = "ADDRESS, ...",
		[CONF_USERS] = "USER, ... | * | none",
		[CONF_NODES] = "NODE, ... | *",
		[CONF_CALLERS] = "NODE | USER@NODE, ...",
		[CONF_USER] = "USER",
	};
	size_t at = 0;

	if (row->kind != CONF_CHOICE) {
		snprintf(out, size, "%s", forms[row->kind]);
		return;
	}
	for (const char *p = row->choices; *p && at + 4 < size; p++) {
		if (*p == '|')
			out[at++] = ' ';
		out[at++] = *p;
		if (*p == '|')
			out[at++] = ' ';
	}
	out[at] = '\0';
}

/* "@what from MIN to MAX" with the bounds as they are written in a file. */
static void expect_range(const struct conf_row *row, const char *what,
			 char *out, size_t size)
{
	struct conf_row bound = *row;
	FILE *f = fmemopen(out, size, "w");
	u32 min = (u32)row->min;
	u32 max = (u32)row->max;
	bool narrow = row->kind == CONF_NUMBER;

	if (!f) {
		snprintf(out, size, "%s", what);
		return;
	}
	fprintf(f, "%s from ", what);
	conf_value_print(&bound, narrow ? (void *)&min : &bound.min, f);
	fputs(" to ", f);
	conf_value_print(&bound, narrow ? (void *)&max : &bound.max, f);
	fclose(f);
	out[size - 1] = '\0';
}

void conf_expect(const struct conf_row *row, char *out, size_t size)
{
	switch (row->kind) {
	case CONF_NUMBER:
		expect_range(row, "a number", out, size);
		break;
	case CONF_SIZE:
		expect_range(row, "a size like 512M or 8G,", out, size);
		break;
	case CONF_DURATION:
		expect_range(row, "a time like 500ms, 60s or 2h,", out, size);
		break;
	case CONF_BOOL:
		snprintf(out, size, "yes or no");
		break;
	case CONF_CHOICE:
		snprintf(out, size, "one of ");
		conf_value_form(row, out + 7, size - 7);
		break;
	case CONF_PATH:
		snprintf(out, size, "a path that begins with /");
		break;
	case CONF_LIST:
		snprintf(out, size, "words with commas between them");
		break;
	case CONF_ADDRESSES:
		snprintf(out, size, "addresses like 10.0.0.1, [fd00::1]:8747 "
				    "or beta.lan, with commas between them");
		break;
	case CONF_USERS:
		snprintf(out, size, "user names with commas between them, * "
				    "for all, or none");
		break;
	case CONF_NODES:
		snprintf(out, size, "names or addresses of nodes with commas "
				    "between them, or * for all");
		break;
	case CONF_CALLERS:
		snprintf(out, size, "nodes, or USER@NODE, with commas between "
				    "them, * in place of any of them");
		break;
	case CONF_USER:
		snprintf(out, size, "one user name");
		break;
	}
}
