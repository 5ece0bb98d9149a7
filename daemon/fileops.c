// SPDX-License-Identifier: GPL-2.0-or-later
/* Which function does which message of the file service. */
#include "fileops.h"

#include "wire.h"

/* Changes names, or what hangs on them. */
enum { CHANGE = FILEOP_WHO | FILEOP_ONCE | FILEOP_CHANGES };

static const struct fileop table[] = {
	{ MSG_FILE_IDS, 0, op_ids },
	{ MSG_FILE_LOOKUP, FILEOP_WHO, op_lookup },
	{ MSG_FILE_GETATTR, FILEOP_WHO, op_getattr },
	{ MSG_FILE_SETATTR, FILEOP_WHO | FILEOP_CHANGES, op_setattr },
	{ MSG_FILE_READLINK, FILEOP_WHO, op_readlink },
	{ MSG_FILE_MKNOD, CHANGE, op_mknod },
	{ MSG_FILE_MKDIR, CHANGE, op_mkdir },
	{ MSG_FILE_SYMLINK, CHANGE, op_symlink },
	{ MSG_FILE_UNLINK, CHANGE, op_unlink },
	{ MSG_FILE_RMDIR, CHANGE, op_rmdir },
	{ MSG_FILE_RENAME, CHANGE, op_rename },
	{ MSG_FILE_LINK, CHANGE, op_link },
	{ MSG_FILE_OPEN, FILEOP_WHO | FILEOP_ONCE, op_open },
	{ MSG_FILE_CREATE, CHANGE, op_create },
	{ MSG_FILE_TMPFILE, CHANGE, op_tmpfile },
	{ MSG_FILE_RELEASE, FILEOP_ONCE | FILEOP_UNLOCKS, op_release },
	{ MSG_FILE_READ, 0, op_read },
	{ MSG_FILE_WRITE, FILEOP_ONCE, op_write },
	{ MSG_FILE_FSYNC, 0, op_fsync },
	{ MSG_FILE_FSYNCDIR, FILEOP_WHO, op_fsyncdir },
	{ MSG_FILE_SYNCFS, FILEOP_WHO, op_syncfs },
	{ MSG_FILE_READDIR, FILEOP_WHO, op_readdir },
	{ MSG_FILE_STATFS, FILEOP_WHO, op_statfs },
	{ MSG_FILE_SETXATTR, CHANGE, op_setxattr },
	{ MSG_FILE_GETXATTR, FILEOP_WHO, op_getxattr },
	{ MSG_FILE_LISTXATTR, FILEOP_WHO, op_listxattr },
	{ MSG_FILE_REMOVEXATTR, CHANGE, op_removexattr },
	{ MSG_FILE_ACCESS, FILEOP_WHO, op_access },
	{ MSG_FILE_GETLK, 0, op_getlk },
	{ MSG_FILE_SETLK, FILEOP_ONCE | FILEOP_UNLOCKS, op_setlk },
	{ MSG_FILE_FLOCK, FILEOP_ONCE | FILEOP_UNLOCKS, op_flock },
	{ MSG_FILE_UNLOCK_OWNER, FILEOP_ONCE | FILEOP_UNLOCKS, op_unlock_owner },
	{ MSG_FILE_FALLOCATE, FILEOP_ONCE, op_fallocate },
	{ MSG_FILE_LSEEK, 0, op_lseek },
	{ MSG_FILE_COPY, FILEOP_ONCE, op_copy },
};

const struct fileop *fileop_of(u16 type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].type == type)
			return &table[i];
	return NULL;
}
