// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * File operations on extended attributes. POSIX ACLs are among them; the store's
 * kernel checks and obeys them. The trusted and security spaces are root's: a
 * worker keeps capabilities that a changed user would not have for those, so
 * that is checked here.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>

#include "filejob.h"

enum xattr_use { XATTR_READ, XATTR_WRITE };

/* Handle to the path that the system calls take. */
static int locate(struct job *j, struct span handle, char path[64])
{
	struct descriptor *d;
	int ret = job_at(j, handle, &d);

	if (!ret)
		snprintf(path, 64, "/proc/self/fd/%d", d->fd);
	return ret;
}

#define take_path(j, message, m, path)                                         \
	(job_decode(j, message, m) ? -EBADMSG : locate(j, (m)->handle, path))

static int check_name(struct job *j, struct span s, enum xattr_use use,
		      char name[XATTR_NAME_MAX + 1])
{
	bool root = fscred_is_root(j->cred);

	if (!span_to_cstr(s, name, XATTR_NAME_MAX + 1))
		return s.len > XATTR_NAME_MAX ? -ERANGE : -EINVAL;
	if (!strncmp(name, "user.", 5) ||
	    !strncmp(name, "system.posix_acl_", 17))
		return 0;
	if (!strncmp(name, "trusted.", 8))
		return root ? 0 : use == XATTR_WRITE ? -EPERM : -ENODATA;
	if (!strncmp(name, "security.", 9))
		return root || use == XATTR_READ ? 0 : -EPERM;
	return -EOPNOTSUPP;
}

int op_setxattr(struct job *j)
{
	char name[XATTR_NAME_MAX + 1];
	struct msg_file_setxattr m;
	char path[64];
	int ret = take_path(j, file_setxattr, &m, path);

	if (!ret)
		ret = check_name(j, m.name, XATTR_WRITE, name);
	if (!ret && m.value.len > XATTR_SIZE_MAX)
		ret = -E2BIG;
	if (!ret && setxattr(path, name, m.value.data, m.value.len,
			     (int)(m.flags & (XATTR_CREATE | XATTR_REPLACE))))
		ret = -errno;
	return ret;
}

/* The accounts an ACL names; its layout is in linux/posix_acl_xattr.h. */
static void tell_acl(struct job *j, const u8 *value, size_t len)
{
	enum { HEAD = 4, ENTRY = 8, TAG_USER = 0x02, TAG_GROUP = 0x08 };
	size_t at;

	for (at = HEAD; at + ENTRY <= len; at += ENTRY) {
		u16 tag = get_u16(value + at);

		if (tag == TAG_USER || tag == TAG_GROUP)
			job_tell_id(j, tag == TAG_USER ? FILE_ID_USER :
							 FILE_ID_GROUP,
				    get_u32(value + at + 4));
	}
}

int op_getxattr(struct job *j)
{
	char name[XATTR_NAME_MAX + 1];
	struct msg_file_getxattr m;
	char path[64];
	ssize_t n;
	u8 *value;
	int ret = take_path(j, file_getxattr, &m, path);

	if (!ret)
		ret = check_name(j, m.name, XATTR_READ, name);
	if (ret)
		return ret;
	value = malloc(XATTR_SIZE_MAX);
	if (!value)
		return -ENOMEM;
	n = getxattr(path, name, value, XATTR_SIZE_MAX);
	if (n < 0) {
		ret = -errno;
		free(value);
		return ret;
	}
	if (!strncmp(name, "system.posix_acl_", 17))
		tell_acl(j, value, (size_t)n);
	return job_reply_data(j, value, (size_t)n);
}

/* Drops names only root may see; gives the new length. */
static size_t hide_trusted(char *list, size_t len)
{
	size_t in = 0;
	size_t out = 0;

	while (in < len) {
		size_t one = strnlen(list + in, len - in - 1) + 1;

		if (strncmp(list + in, "trusted.", 8)) {
			memmove(list + out, list + in, one);
			out += one;
		}
		in += one;
	}
	return out;
}

int op_listxattr(struct job *j)
{
	struct msg_file_listxattr m;
	char path[64];
	char *list;
	ssize_t n;
	int ret = take_path(j, file_listxattr, &m, path);

	if (ret)
		return ret;
	list = malloc(XATTR_LIST_MAX);
	if (!list)
		return -ENOMEM;
	n = listxattr(path, list, XATTR_LIST_MAX);
	if (n < 0) {
		ret = -errno;
		free(list);
		return ret;
	}
	if (!fscred_is_root(j->cred))
		n = (ssize_t)hide_trusted(list, (size_t)n);
	return job_reply_data(j, (u8 *)list, (size_t)n);
}

int op_removexattr(struct job *j)
{
	char name[XATTR_NAME_MAX + 1];
	struct msg_file_removexattr m;
	char path[64];
	int ret = take_path(j, file_removexattr, &m, path);

	if (!ret)
		ret = check_name(j, m.name, XATTR_WRITE, name);
	if (!ret && removexattr(path, name))
		ret = -errno;
	return ret;
}
