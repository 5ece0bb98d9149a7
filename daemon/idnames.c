// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The cache of names; the contract is in idnames.h. A fixed table, each entry in
 * one of its hash's places; a newcomer replaces the oldest there, so memory is
 * bounded without a clean-up. The mutex is not held while a name service works.
 */
#include "idnames.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "loop.h"

enum { SETS = 256, WAYS = 4 };

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

bool idnames_peek(enum file_id_kind kind, u32 id, bool fresh, char *out)
{
	u64 now = loop_clock_us();

	return look(kind, id, fresh && now > VALID_US ? now - VALID_US : 0, out);
}

bool idnames_name(enum file_id_kind kind, u32 id, char *out)
{
	struct nameservice_answer a;

	if (idnames_peek(kind, id, true, out))
		return true;
	if (nameservice_ask(NAMESERVICE_NAME, kind, NULL, id, &a)) {
		if (!idnames_peek(kind, id, false, out))
			snprintf(out, IDNAME_MAX, "#%u", id);
		return false;
	}
	if (a.found)
		memcpy(out, a.name, IDNAME_MAX);
	else
		snprintf(out, IDNAME_MAX, "#%u", id);
	keep(kind, id, out);
	return true;
}

int idnames_id(enum file_id_kind kind, const char *name, u32 *id)
{
	struct nameservice_answer a;
	char known[IDNAME_MAX];
	unsigned long n;
	char *end;

	if (name[0] == '#') {
		n = strtoul(name + 1, &end, 10);
		if (!name[1] || *end || n >= (u32)-1)
			return -ENOENT;
		if (!idnames_name(kind, (u32)n, known))
			return -ETIMEDOUT;
		*id = (u32)n;
		return known[0] == '#' ? 0 : -ENOENT;
	}
	if (nameservice_ask(NAMESERVICE_NUMBER, kind, name, 0, &a))
		return -ETIMEDOUT;
	if (a.found)
		*id = a.id;
	return a.found ? 0 : -ENOENT;
}
