/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of users and groups of this machine, remembered for a while: a name
 * service may take long, and a listing asks for the same few names again and
 * again. Any thread that acts as virgod itself; all but idnames_peek() may block,
 * for as long as nameservice.h says.
 */
#ifndef VIRGO_DAEMON_IDNAMES_H
#define VIRGO_DAEMON_IDNAMES_H

#include "nameservice.h"

/* Fills @out, IDNAME_MAX bytes, with the name of @id, or "#<number>" when it has
 * none here. False when that is not known in time: then @out is what was last
 * known, or "#<number>".
 */
bool idnames_name(enum file_id_kind kind, u32 id, char *out);
/* The same from memory alone: false when not asked for before, or, with @fresh,
 * not within the last minute.
 */
bool idnames_peek(enum file_id_kind kind, u32 id, bool fresh, char *out);
/* The number of @name; "#<number>" counts only when that number has no name
 * here. 0, -ENOENT, or -ETIMEDOUT when that is not known in time.
 */
int idnames_id(enum file_id_kind kind, const char *name, u32 *id);

#endif
