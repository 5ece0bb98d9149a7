/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Owners between a server and this machine. Users and groups go by name: the
 * server says the name of each number it uses (FILE_NAME), and here it becomes
 * the number of the account with that name, or nobody's (names.h knows it).
 */
#ifndef VIRGO_FS_IDMAP_H
#define VIRGO_FS_IDMAP_H

#include "wire.h"

struct idmap;

struct idmap *idmap_new(void);
void idmap_free(struct idmap *m);
/* The server's @id is @local here, or nobody when @local is NULL. */
void idmap_learn(struct idmap *m, enum file_id_kind kind, u32 id,
		 const u32 *local);
/* What the server's @id is here; nobody's number when it has no account here. */
u32 idmap_local(struct idmap *m, enum file_id_kind kind, u32 id);
/* The server's number for the local @id, if it is known. */
bool idmap_remote(struct idmap *m, enum file_id_kind kind, u32 local, u32 *id);

#endif
