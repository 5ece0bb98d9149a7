/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Users of the file service. A fsuser is who a client says is asking; a fscred
 * is what that makes here under a volume's rules: the identity under which a
 * worker does the work, so that this machine's kernel decides what is allowed.
 */
#ifndef VIRGO_DAEMON_FSUSER_H
#define VIRGO_DAEMON_FSUSER_H

#include <sys/types.h>

#include "idnames.h"

enum squash { SQUASH_ROOT, SQUASH_ALL, SQUASH_NONE };

struct fsrules {
	enum squash squash;
	bool numeric; /* the client's numbers count, not its names */
};

struct fscred;
struct fsuser;

/* From FILE_CRED. NULL when memory is out or a name is not one. */
struct fsuser *fsuser_new(const struct msg_file_cred *m);
struct fsuser *fsuser_get(struct fsuser *u);
void fsuser_put(struct fsuser *u);
/* The name on the other node, "" when there is none. */
const char *fsuser_name(const struct fsuser *u);
/* The name of that user's account here, by [idmap]; what it was before counts no
 * more. Nothing when memory is out: then nobody is.
 */
void fsuser_set_account(struct fsuser *u, const char *account);
/* Whether policy keeps this user from everything; changes at a reload. */
void fsuser_set_refused(struct fsuser *u, bool refused);
bool fsuser_refused(const struct fsuser *u);
/* What @u is under @r, remembered for a minute, and for ten while the name service
 * does not answer. Blocks on that, as long as nameservice.h says. 0 and a
 * reference; -ETIMEDOUT, -ENOMEM.
 */
int fsuser_cred(struct fsuser *u, const struct fsrules *r, struct fscred **out);

struct fscred *fscred_get(struct fscred *c);
void fscred_put(struct fscred *c);
bool fscred_is_root(const struct fscred *c);
uid_t fscred_uid(const struct fscred *c);

/* First thing in a thread that uses the calls below: gives it a umask of its
 * own.
 */
void fscred_start(void);
/* This thread acts as @c from now on; NULL: as virgod itself. */
void fscred_become(const struct fscred *c);
/* As someone who owns nothing. */
void fscred_become_nobody(void);
void fscred_umask(mode_t mask);

#endif
