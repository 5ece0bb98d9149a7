/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accounts of this machine for virgo-spawn: name to ids, groups, home and shell,
 * allowed or refused by PAM. Name services and PAM may block for long, and load
 * libraries that would make every fork of virgo-spawn slower, so each question is
 * put to a program of its own, virgo-account; answers are kept for ACCOUNT_KEEP_MS and asked
 * again in the background after ACCOUNT_FRESH_MS, so a busy node answers from
 * memory and a removed user is noticed within half a minute.
 */
#ifndef VIRGO_DAEMON_ACCOUNT_H
#define VIRGO_DAEMON_ACCOUNT_H

#include "loop.h"
#include "users.h"

enum {
	ACCOUNT_FRESH_MS = 5000,
	ACCOUNT_KEEP_MS = 30000,
	ACCOUNT_WAIT_MS = 10000, /* a question unanswered for so long fails */
};

/* What virgo-account writes: this, then the groups, name, home and shell. */
struct account_answer {
	u32 uid, gid, group_count;
	u32 name_len, home_len, shell_len; /* with NUL */
	struct failure why; /* code 0: granted */
};

struct account {
	u32 uid;
	u32 gid;
	u32 group_count;
	const u32 *groups;
	const char *name;
	const char *home;
	const char *shell;
};

/* @a is valid during the call; NULL with @why otherwise. */
typedef void account_fn(void *arg, const struct account *a,
			const struct failure *why);

struct accounts;

/* NULL with errno; ENOENT when virgo-account is missing. */
struct accounts *accounts_new(struct loop *l);
/* Waiting questions are forgotten, their functions not called. */
void accounts_free(struct accounts *as);
/* Calls @found now or later, exactly once. PAM is asked as @pam says, about a
 * caller on node @from.
 */
void accounts_find(struct accounts *as, const char *name, enum user_pam pam,
		   const char *from, account_fn *found, void *arg);
/* The same by uid, without asking PAM. */
void accounts_find_uid(struct accounts *as, u32 uid, account_fn *found,
		       void *arg);
/* A child of this process ended; true when it was one of ours. */
bool accounts_reaped(struct accounts *as, pid_t pid);

#endif
