/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Configuration files: sections of `key = value`, read strictly. What may stand
 * in a file is a table of rows (conf_cloud.h, conf_client.h), from which come
 * the parser's checks, the C struct the values arrive in, `virgo conf keys`, the
 * sample files and the tables of the manual pages.
 *
 *	# a comment, from a '#' that begins a line or follows white space
 *	[section]
 *	key = value
 *
 * A file is taken whole or not at all; every error in it is reported, not just
 * the first. The one line of comma-separated addresses that the files of the
 * original VIRGO were is understood, with a notice.
 *
 * The table of a file is a macro CONF_X(K, M). K(section, key, KIND, (limits),
 * "default", "help") is a key, M(section, KEYS, KIND, (limits), "help") a
 * section whose keys are names that the file's writer chooses. Kinds, their
 * limits, and the field section_key each makes:
 *
 *	BOOL ()			bool			yes, no
 *	NUMBER (min, max)	u32
 *	SIZE (min, max)		u64 section_key_bytes	512M, 8G; 1024 to a step
 *	DURATION (min, max)	u64 section_key_ms	500ms, 60s, 10m, 2h, 30d
 *	CHOICE ("a|b")		u32, place of the word in the list
 *	PATH ()			const char *, absolute
 *	LIST (most)		struct conf_list	words
 *	ADDRESSES (most)	struct conf_list	host or host:port
 *	USERS (most)		struct conf_list	user names, "*" or "none"
 *	NODES (most)		struct conf_list	node names, addresses or "*"
 *	CALLERS (most)		struct conf_list	NODE, USER@NODE, "*" for either
 *	USER ()			const char *		one user name
 *
 * A section of M makes a struct conf_map named as the section.
 */
#ifndef VIRGO_LIB_CONF_H
#define VIRGO_LIB_CONF_H

#include <stdio.h>

#include "failure.h"

enum {
	CONF_FILE_MAX = 64 << 10,
	CONF_LINE_MAX = 4096,
	CONF_REMARKS_MAX = 64, /* kept of one file; further ones are counted */
};

struct conf_list {
	u32 count;
	const char **items;
};

struct conf_map {
	u32 count;
	struct conf_pair {
		const char *key;
		struct conf_list values;
		u32 line;
	} *pairs;
};

enum conf_kind {
	CONF_BOOL,
	CONF_NUMBER,
	CONF_SIZE,
	CONF_DURATION,
	CONF_CHOICE,
	CONF_PATH,
	CONF_LIST,
	CONF_ADDRESSES,
	CONF_USERS,
	CONF_NODES,
	CONF_CALLERS,
	CONF_USER,
};

struct conf_row {
	const char *section;
	const char *key; /* in a map: what a key is, "NODE" */
	enum conf_kind kind;
	bool map;
	u64 min, max; /* NUMBER, SIZE, DURATION (in ms); max: items of a list */
	const char *choices; /* CHOICE: "a|b" */
	const char *standard; /* the default as it would be written */
	const char *help;
	size_t offset; /* of the value in the struct of values */
};

struct conf_schema {
	const char *file; /* "virgo_cloud.conf" */
	const char *about; /* what it is for, one line */
	const struct conf_row *rows; /* rows of a section stand together */
	size_t count;
	size_t size; /* of the struct of values */
	const char *legacy_section; /* where the original's addresses go */
	const char *legacy_key;
};

struct conf_remark {
	u32 line; /* 0: of the whole file */
	bool notice; /* not an error */
	char what[256];
	char remedy[160]; /* may be empty */
};

struct conf_report {
	char path[256];
	u32 count; /* remarks kept */
	u32 errors; /* found, kept or not */
	struct conf_remark remarks[CONF_REMARKS_MAX];
};

/*
 * Reads the file at @path, or @len bytes of @text, into the struct of values
 * @out, which has the type that @s describes; free it with conf_free(). @report
 * is overwritten and says also what was odd but not wrong. 0; -EINVAL when
 * there were errors, and then @out is not touched; or the negative errno of
 * reading. A file that does not exist gives -ENOENT; an empty @text gives the
 * defaults.
 */
int conf_read(const struct conf_schema *s, const char *path, void *out,
	      struct conf_report *report);
int conf_parse(const struct conf_schema *s, const char *path, const char *text,
	       size_t len, void *out, struct conf_report *report);
void conf_free(void *values);
/* Reads the file of @s where programs look for it (where_conf_dir(); @state NULL:
 * the state folder of the environment, or the default), or gives the defaults
 * when it does not exist. 0 or a negative errno and @f.
 */
int conf_load(const struct conf_schema *s, const char *state,
	      const char *conf_dir, void *out, struct failure *f);
/* Where that is, into PATH_MAX bytes. */
void conf_standard_path(const struct conf_schema *s, const char *state,
			const char *conf_dir, char *out);

/* One line for each remark: "virgo: PATH:LINE: WHAT. Try: REMEDY". */
void conf_report_print(const struct conf_report *r, FILE *out);
/* The first error, and how many more there are, as a failure with @code. */
int conf_report_failure(const struct conf_report *r, int code,
			struct failure *f);

/* Writes @values as a file that conf_parse() reads back to the same values. A
 * value that is the default is marked so.
 */
void conf_show(const struct conf_schema *s, const void *values, FILE *out);
/* The sample file: every key explained, commented out, at its default. */
void conf_sample(const struct conf_schema *s, FILE *out);
/* The table, for people: section, key, form, default, help. */
void conf_keys(const struct conf_schema *s, FILE *out);
/* What a value of @row must look like: "a number from 1 to 65535". */
void conf_expect(const struct conf_row *row, char *out, size_t size);

/* The word with the smallest edit distance to @word among @count @names, if it
 * is near enough to be what was meant; else NULL.
 */
const char *conf_nearest(const char *word, const char *const *names,
			 size_t count);

/* Parsing of single values; false when @text is not one. */
bool conf_parse_size(const char *text, u64 *bytes);
bool conf_parse_duration(const char *text, u64 *ms);
bool conf_parse_bool(const char *text, bool *value);
bool conf_user_name_valid(const char *text);

bool conf_list_has(const struct conf_list *l, const char *item);
const struct conf_pair *conf_map_find(const struct conf_map *m,
				      const char *key);

/* Fields of a struct of values, from the rows of a table. */
#define CONF_FIELD_BOOL(name) bool name;
#define CONF_FIELD_NUMBER(name) u32 name;
#define CONF_FIELD_SIZE(name) u64 name##_bytes;
#define CONF_FIELD_DURATION(name) u64 name##_ms;
#define CONF_FIELD_CHOICE(name) u32 name;
#define CONF_FIELD_PATH(name) const char *name;
#define CONF_FIELD_LIST(name) struct conf_list name;
#define CONF_FIELD_ADDRESSES(name) struct conf_list name;
#define CONF_FIELD_USERS(name) struct conf_list name;
#define CONF_FIELD_NODES(name) struct conf_list name;
#define CONF_FIELD_CALLERS(name) struct conf_list name;
#define CONF_FIELD_USER(name) const char *name;
#define CONF_FIELD(section, key, KIND, limits, standard, help)                 \
	CONF_FIELD_##KIND(section##_##key)
#define CONF_FIELD_MAP(section, KEYS, KIND, limits, help)                      \
	struct conf_map section;

/* @memory holds every string and array of the values. */
#define CONF_STRUCT(name, TABLE)                                               \
	struct name {                                                          \
		void *memory;                                                  \
		TABLE(CONF_FIELD, CONF_FIELD_MAP)                              \
	}

#endif
