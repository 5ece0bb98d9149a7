// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ids in ACL attributes: a 4-byte version (2), then entries of tag, permissions
 * (16 bits each) and id (32 bits), all little-endian; linux/posix_acl_xattr.h.
 */
#include "acl.h"

enum { HEAD = 4, VERSION = 2, TAG_USER = 0x02, TAG_GROUP = 0x08 };

bool acl_is_name(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

bool acl_next(const u8 *value, size_t len, size_t *at, enum file_id_kind *kind,
	      u32 *id)
{
	if (len < HEAD || get_u32(value) != VERSION)
		return false;
	if (*at < HEAD)
		*at = HEAD;
	for (; *at + ACL_ENTRY <= len; *at += ACL_ENTRY) {
		u16 tag = get_u16(value + *at);

		if (tag != TAG_USER && tag != TAG_GROUP)
			continue;
		*kind = tag == TAG_USER ? FILE_ID_USER : FILE_ID_GROUP;
		*id = get_u32(value + *at + 4);
		return true;
	}
	return false;
}

void acl_put(u8 *value, size_t at, u32 id)
{
	put_u32(value + at + 4, id);
}
