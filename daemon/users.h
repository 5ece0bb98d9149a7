/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accounts of this machine: who a name is here, and whether the account may be
 * used. Looking an account up may block for seconds (NSS asks LDAP, PAM runs
 * modules), so the functions of the first half are for virgo-spawn and for
 * worker threads; virgod's loop uses struct users, which asks in one worker
 * thread and remembers answers for a short while.
 *
 * Rules, in this order: policy_admit() (policy.h) decides by the caller's node
 * and name and maps the name; user_find() finds the account; user_ordinary()
 * keeps root and system accounts out; user_account() asks PAM whether the
 * account is open now (not expired, not locked, allowed at this hour).
 */
#ifndef VIRGO_DAEMON_USERS_H
#define VIRGO_DAEMON_USERS_H

#include "failure.h"

struct loop;

enum { USER_NAME_MAX = 256 }; /* with its NUL */

struct user {
	uid_t uid;
	gid_t gid;
	const char *name;
	const char *home;
	const char *shell;
	int group_count; /* the primary group is among them */
	gid_t *groups;
};

enum user_pam {
	USER_PAM_AUTO, /* ask PAM if it has a service "virgo" */
	USER_PAM_YES, /* refuse everybody where it has none */
	USER_PAM_NO,
};

/*
 * Each gives 0, or fills @f and gives its code. @object is the first part of
 * what the user will read, "run on beta". They may block; they may be called
 * from any thread or process, and keep nothing.
 */

/* The account of @name or @uid, with its groups as this machine has them.
 * -ENOENT: there is none; -EAGAIN: the user data base did not answer. One
 * allocation: free(*out).
 */
int user_find(struct user **out, const char *name, const char *object,
	      struct failure *f);
int user_find_uid(struct user **out, uid_t uid, const char *object,
		  struct failure *f);

/* -EPERM for an account below UID_MIN of @login_defs (NULL: /etc/login.defs),
 * for nobody, and for whoever has uid 0. @uid_min above 0 stands instead of
 * UID_MIN. Skip this call for a user whom policy names in jobs.system_users.
 */
int user_ordinary(const struct user *u, u32 uid_min, const char *login_defs,
		  const char *object, struct failure *f);

/* -EACCES when PAM's account stage of service "virgo" refuses @u, with PAM's
 * reason; with USER_PAM_YES also when the service has no file. @from is the
 * calling node's name.
 */
int user_account(const struct user *u, enum user_pam pam, const char *from,
		 const char *object, struct failure *f);

/*
 * For the loop. Answers are remembered USERS_KEEP_S seconds, a missing user
 * USERS_KEEP_NONE_S, at most USERS_MAX of them.
 */
enum { USERS_KEEP_S = 30, USERS_KEEP_NONE_S = 2, USERS_MAX = 256 };

struct users;

/* Runs in the loop's thread, never from inside users_ask(). @u is NULL when @f
 * tells why; both are valid during the call only.
 */
typedef void users_fn(void *arg, const struct user *u,
		      const struct failure *f);

/* NULL with errno. */
struct users *users_new(struct loop *l);
/* Waits for a lookup under way; functions not yet called never will be. */
void users_free(struct users *us);
/* Looks up @name or, where that is NULL, @uid. Gives a ticket for
 * users_forget(); 0 when memory is out, and then @fn will not run.
 */
u64 users_ask(struct users *us, const char *name, uid_t uid,
	      const char *object, users_fn *fn, void *arg);
/* The function of @ticket will not run any more. */
void users_forget(struct users *us, u64 ticket);

#endif
