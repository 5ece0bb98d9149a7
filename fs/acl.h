/* SPDX-License-Identifier: GPL-2.0-or-later */
/* POSIX ACLs as extended attributes, whose entries name users and groups. */
#ifndef VIRGO_FS_ACL_H
#define VIRGO_FS_ACL_H

#include "wire.h"

/* True for the two attributes that hold an ACL. */
bool acl_is_name(const char *name);
/*
 * The entry of @value at or after @*at that carries an id: sets @*at to it,
 * @kind and @id, and gives true; false when there is no further one. A value of
 * another form has none.
 */
bool acl_next(const u8 *value, size_t len, size_t *at, enum file_id_kind *kind,
	      u32 *id);
void acl_put(u8 *value, size_t at, u32 id);
enum { ACL_ENTRY = 8 };

#endif
