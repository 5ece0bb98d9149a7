/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The folder where a node keeps what it is:
 *
 *	STATE/identity/		node.crt node.key authority.crt, and on the
 *				home node authority.key
 *	STATE/catalog.db	the catalog, or a replica of it
 *	STATE/backup/		made by `virgo init`
 *	STATE/run/, jobs/, ...	made while virgod runs
 *	STATE/virgod.lock	held by the one virgod or verb that may write
 *
 * A machine is a node exactly when STATE/identity exists. It is made in
 * STATE/.making and moved into place by one rename, the last step; what an
 * interrupted init or join left of these two is cleared by the next one.
 */
#ifndef VIRGO_DAEMON_STATE_H
#define VIRGO_DAEMON_STATE_H

#include "authority.h"

enum { STATE_PATH_MAX = 4096 };

/* Reads @dir/@name, at most 16 MiB. -ENOENT and so on; @f may be NULL. */
int state_read(const char *dir, const char *name, struct blob *out,
	       struct failure *f);
/* Replaces @dir/@name as a whole: whoever reads it sees the old or the new
 * bytes, also after a power cut.
 */
int state_write(const char *dir, const char *name, struct span bytes,
		mode_t mode, struct failure *f);

/* Takes the lock of folder @state and gives its descriptor; -EBUSY and @f when
 * another process has it. Held until the process ends or closes it.
 */
int state_lock(const char *state, struct failure *f);

struct state_new {
	const char *state;
	char making[STATE_PATH_MAX]; /* where to put identity/ and catalog.db */
	char identity[STATE_PATH_MAX]; /* making/identity, exists, 0700 */
	int lock;
};

/* Makes @state where missing, locks it, and refuses one that holds anything:
 * -EEXIST when it is a node already, -ENOTEMPTY otherwise. Files in @s->making
 * beside identity and catalog are as an interrupted attempt left them.
 */
int state_begin(struct state_new *s, const char *state, struct failure *f);
/* Makes the new node real. After a failure nothing of it is left. */
int state_commit(struct state_new *s, struct failure *f);
/* Drops what was made. Harmless after state_commit(). */
void state_abandon(struct state_new *s);
/* Leaves what was made to the next attempt. */
void state_pause(struct state_new *s);

/* Removes what an init or join that was killed after its last step left; with the
 * lock held.
 */
void state_tidy(const char *state);

/* Removes the identity and the catalog: this machine is no node any more. */
int state_forget(const char *state, struct failure *f);

/* "@a/@b" into STATE_PATH_MAX bytes; -ENAMETOOLONG. */
int state_path(char *out, const char *a, const char *b);

#endif
