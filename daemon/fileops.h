/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The operations of the file service, one function a message, run by workers.
 * Each decodes its message, looks up what it names through the job, does the
 * system calls and fills in the reply; 0 without a reply means MSG_OK.
 */
#ifndef VIRGO_DAEMON_FILEOPS_H
#define VIRGO_DAEMON_FILEOPS_H

#include "env.h"

struct job;

enum fileop_flags {
	/* Must not happen twice: the answer is kept for asking again. */
	FILEOP_ONCE = 1 << 0,
	/* Ends or changes locks: those that wait for one are tried again. */
	FILEOP_UNLOCKS = 1 << 1,
	/* Its message begins with `who`. */
	FILEOP_WHO = 1 << 2,
	/* Not for a client that may only read. */
	FILEOP_CHANGES = 1 << 3,
};

struct fileop {
	u16 type;
	unsigned int flags;
	int (*run)(struct job *j);
};

/* NULL for a message that is not an operation. */
const struct fileop *fileop_of(u16 type);

int op_attach(struct job *j); /* j->volume is set */

int op_lookup(struct job *j);
int op_readlink(struct job *j);
int op_mknod(struct job *j);
int op_mkdir(struct job *j);
int op_symlink(struct job *j);
int op_unlink(struct job *j);
int op_rmdir(struct job *j);
int op_rename(struct job *j);
int op_link(struct job *j);

int op_getattr(struct job *j);
int op_setattr(struct job *j);
int op_statfs(struct job *j);
int op_access(struct job *j);
int op_ids(struct job *j);

int op_setxattr(struct job *j);
int op_getxattr(struct job *j);
int op_listxattr(struct job *j);
int op_removexattr(struct job *j);

int op_open(struct job *j);
int op_create(struct job *j);
/* FILE_CREATE that an earlier virgod did, of which j->before is the handle. */
int op_created_before(struct job *j);
/* j->op, which an earlier virgod had begun: op_again.c. */
int op_again(struct job *j);
int op_tmpfile(struct job *j);
int op_release(struct job *j);
int op_read(struct job *j);
int op_write(struct job *j);
int op_fsync(struct job *j);
int op_fsyncdir(struct job *j);
int op_syncfs(struct job *j);
int op_fallocate(struct job *j);
int op_lseek(struct job *j);
int op_copy(struct job *j);

int op_readdir(struct job *j);

int op_getlk(struct job *j);
int op_setlk(struct job *j);
int op_flock(struct job *j);
int op_unlock_owner(struct job *j);

#endif
