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

/* Handle and name to the path and name the system calls take. */
static int locate(struct job *j, u32 who, struct span handle, char path[64])
{
	struct descriptor *d;
	int ret = job_at(j, who, handle, &d);

	if (!ret)
		snprintf(path, 64, "/proc/self/fd/%d", d->fd);
	return ret;
}

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
	int ret = job_decode(j, file_setxattr, &m);

	if (!ret)
		ret = locate(j, m.who, m.handle, path);
	if (!ret)
		ret = check_name(j, m.name, XATTR_WRITE, name);
	if (!ret)
		ret = job_may_write(j);
	if (!ret && m.value.len > XATTR_SIZE_MAX)
		ret = -E2BIG;
	if (!ret && setxattr(path, name, m.value.data, m.value.len,
			     (int)(m.flags & (XATTR_CREATE | XATTR_REPLACE))))
		ret = -errno;
	return ret;
}

int op_getxattr(struct job *j)
{
	char name[XATTR_NAME_MAX + 1];
	struct msg_file_getxattr m;
	char path[64];
	ssize_t n;
	u8 *value;
	int ret = job_decode(j, file_getxattr, &m);

	if (!ret)
		ret = locate(j, m.who, m.handle, path);
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
	int ret = job_decode(j, file_listxattr, &m);

	if (!ret)
		ret = locate(j, m.who, m.handle, path);
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
	int ret = job_decode(j, file_removexattr, &m);

	if (!ret)
		ret = locate(j, m.who, m.handle, path);
	if (!ret)
		ret = check_name(j, m.name, XATTR_WRITE, name);
	if (!ret)
		ret = job_may_write(j);
	if (!ret && removexattr(path, name))
		ret = -errno;
	return ret;
}
