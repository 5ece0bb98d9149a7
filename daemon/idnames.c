// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache of names; the contract is in idnames.h. A fixed table, each entry in
 * one of its hash's places; a newcomer replaces the oldest there, so memory is
 * bounded without a clean-up. The mutex is not held while a name service works.
 */
#include "idnames.h"

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop.h"

enum { SETS = 256, WAYS = 4, BUFFER = 64 << 10 };

#define VALID_US (60 * 1000000ull)

struct idname {
	u64 since_us; /* 0: free */
	u32 id;
	u8 kind;
	char name[IDNAME_MAX];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards table */
static struct idname table[SETS][WAYS];

static struct idname *set_of(enum file_id_kind kind, u32 id)
{
	return table[(id * 2654435761u + (u32)kind) >> 8 & (SETS - 1)];
}

static bool look(enum file_id_kind kind, u32 id, u64 since_us, char *out)
{
	struct idname *set = set_of(kind, id);
	bool found = false;
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < WAYS && !found; i++)
		if (set[i].since_us > since_us && set[i].id == id &&
		    set[i].kind == kind) {
			memcpy(out, set[i].name, IDNAME_MAX);
			found = true;
		}
	pthread_mutex_unlock(&lock);
	return found;
}

static void keep(enum file_id_kind kind, u32 id, const char *name)
{
	struct idname *set = set_of(kind, id);
	struct idname *at = set;
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < WAYS; i++) {
		if (set[i].id == id && set[i].kind == kind) {
			at = &set[i];
			break;
		}
		if (set[i].since_us < at->since_us)
			at = &set[i];
	}
	at->since_us = loop_clock_us();
	at->id = id;
	at->kind = (u8)kind;
	snprintf(at->name, IDNAME_MAX, "%s", name);
	pthread_mutex_unlock(&lock);
}

/* Asks the name service; false when the number has no name. */
static bool ask_name(enum file_id_kind kind, u32 id, char *out)
{
	char *buf = malloc(BUFFER);
	struct passwd pw, *p = NULL;
	struct group gr, *g = NULL;
	const char *name = NULL;

	if (!buf)
		return false;
	if (kind == FILE_ID_USER) {
		if (getpwuid_r(id, &pw, buf, BUFFER, &p) == 0 && p)
			name = p->pw_name;
	} else {
		if (getgrgid_r(id, &gr, buf, BUFFER, &g) == 0 && g)
			name = g->gr_name;
	}
	if (name)
		snprintf(out, IDNAME_MAX, "%s", name);
	free(buf);
	return name != NULL;
}

bool idnames_peek(enum file_id_kind kind, u32 id, bool fresh, char *out)
{
	u64 now = loop_clock_us();

	return look(kind, id, fresh && now > VALID_US ? now - VALID_US : 0, out);
}

void idnames_name(enum file_id_kind kind, u32 id, char *out)
{
	if (idnames_peek(kind, id, true, out))
		return;
	if (!ask_name(kind, id, out))
		snprintf(out, IDNAME_MAX, "#%u", id);
	keep(kind, id, out);
}

int idnames_id(enum file_id_kind kind, const char *name, u32 *id)
{
	struct passwd pw, *p = NULL;
	struct group gr, *g = NULL;
	char known[IDNAME_MAX];
	char *buf, *end;
	unsigned long n;
	int ret = -ENOENT;

	if (name[0] == '#') {
		n = strtoul(name + 1, &end, 10);
		if (!name[1] || *end || n >= (u32)-1)
			return -ENOENT;
		idnames_name(kind, (u32)n, known);
		*id = (u32)n;
		return known[0] == '#' ? 0 : -ENOENT;
	}
	buf = malloc(BUFFER);
	if (!buf)
		return -ENOENT;
	if (kind == FILE_ID_USER) {
		if (getpwnam_r(name, &pw, buf, BUFFER, &p) == 0 && p) {
			*id = p->pw_uid;
			ret = 0;
		}
	} else if (getgrnam_r(name, &gr, buf, BUFFER, &g) == 0 && g) {
		*id = g->gr_gid;
		ret = 0;
	}
	free(buf);
	return ret;
}
