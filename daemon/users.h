/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accounts of this machine: who a name is here, and whether the account may be
 * used. Looking an account up may block for seconds (NSS asks LDAP, PAM runs
 * modules), so these functions are for virgo-spawn's children and for worker
 * threads, never for virgod's loop.
 *
 * Rules, in this order: policy_admit() (policy.h) decides by the caller's node
 * and name and maps the name; user_find() finds the account; user_ordinary()
 * keeps root and system accounts out; user_account() asks PAM whether the
 * account is open now (not expired, allowed at this hour).
 */
#ifndef VIRGO_DAEMON_USERS_H
#define VIRGO_DAEMON_USERS_H

#include "failure.h"

enum { USER_NAME_MAX = 256 }; /* with its NUL */

#define LOGIN_DEFS "/etc/login.defs"

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
 * for nobody, and for uid 0 whatever UID_MIN is. @uid_min above 0 stands instead of
 * UID_MIN. Skip this call for a user whom policy names in jobs.system_users.
 */
int user_ordinary(const struct user *u, u32 uid_min, const char *login_defs,
		  const char *object, struct failure *f);

/* UID_MIN of @login_defs, NULL: this machine's; 1000 where none is said. */
u32 users_uid_min(const char *login_defs);

/* -EACCES when PAM's account stage of service "virgo" refuses @u, with PAM's
 * reason; with USER_PAM_YES also when there is no such service. @from is the
 * calling node's name. @pam_dir NULL: the system's services.
 */
int user_account(const struct user *u, enum user_pam pam, const char *pam_dir,
		 const char *from, const char *object, struct failure *f);

#endif
