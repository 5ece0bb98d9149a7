/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This machine's accounts for mount.virgo, whose one thread must never wait for
 * a name service. Threads of their own ask it; answers are remembered, in a table
 * of bounded size, and asked again in the background when they are old. All
 * functions are for the loop's thread and none blocks.
 */
#ifndef VIRGO_FS_NAMES_H
#define VIRGO_FS_NAMES_H

#include "loop.h"
#include "wire.h"

enum {
	NAMES_MAX = 4096, /* answers remembered */
	NAMES_THREADS = 8, /* questions that may hang before others wait */
	NAMES_BYTES = 256, /* of a name, with its NUL */
	NAMES_WAIT_MS = 5000, /* then who waits is told that it took too long */
};

struct names;

struct names_answer {
	bool found; /* of a name: there is such an account */
	u32 number; /* of a name: the account's */
	char name[NAMES_BYTES]; /* of a number: or "#<number>" if it has none */
	char group[NAMES_BYTES]; /* of a caller: its group's name, likewise */
	u32 group_count; /* of a caller */
	u32 *groups;
};

/* Who waits for an answer. */
struct names_waiter {
	/* Once: with the answer; or NULL, when it took longer than asked for or
	 * names_free() came. May free @w.
	 */
	void (*ready)(struct names_waiter *w, const struct names_answer *a);
	u64 deadline_us; /* owned by names.c, like what follows */
	struct names_waiter *next;
};

/* @learnt runs when a caller asked for by names_caller() has become known. */
struct names *names_new(struct loop *l, void (*learnt)(void *arg), void *arg);
/* Everybody who waits is told so. A thread that hangs is left behind. */
void names_free(struct names *n);

/*
 * Each gives the answer, valid until the next call, or NULL while it is being
 * asked for; then @w->ready runs later, at the latest after @wait_ms (0: never
 * without an answer).
 */
/* The number of the account @name. "#7" is 7 if that has no name here. */
const struct names_answer *names_account(struct names *n,
					 enum file_id_kind kind,
					 const char *name, u32 wait_ms,
					 struct names_waiter *w);
/* The name of number @id. */
const struct names_answer *names_name(struct names *n, enum file_id_kind kind,
				      u32 id, u32 wait_ms,
				      struct names_waiter *w);
/* Names and groups of who runs as @uid and @gid. Nobody waits: see @learnt. Sets
 * @late when it has been asked for NAMES_WAIT_MS already.
 */
const struct names_answer *names_caller(struct names *n, u32 uid, u32 gid,
					bool *late);

/* How long to wait for a name that came from a server: less while some other
 * question hangs.
 */
u32 names_patience_ms(const struct names *n);

#endif
