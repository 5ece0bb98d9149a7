/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Local owners to the server's numbers, which may have to be asked for first.
 */
#ifndef VIRGO_FS_OWNER_H
#define VIRGO_FS_OWNER_H

#include "server.h"

/*
 * Finds the server's number of local @id and calls @done, at once when it is
 * known. @err is -EINVAL when the server has no account of that name.
 */
void owner_find(struct volume *v, enum file_id_kind kind, u32 id,
		void (*done)(void *arg, int err, u32 number), void *arg);

#endif
