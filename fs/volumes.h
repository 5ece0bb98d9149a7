/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The volumes of the cloud, as this machine's virgod lists them: what is seen in
 * the root of the mount. The list is asked for again when someone looks and it
 * is too old for that, and every VOLUMES_TEND_US while there are connections to
 * servers: one that is listed no more is cut. When virgod is away the last list
 * stands.
 */
#ifndef VIRGO_FS_VOLUMES_H
#define VIRGO_FS_VOLUMES_H

#include "mount.h"

enum {
	VOLUMES_FRESH_US = 1000000, /* good enough to list */
	VOLUMES_SURE_US = 50000, /* good enough to say that there is none */
	VOLUMES_TEND_US = 2000000, /* nobody looks, but servers are connected */
};

/* The first list, asked for before anything runs; a failure is logged only. From
 * then on the list is tended until volumes_free().
 */
void volumes_load(struct mount *m);
/* Calls @w->ready once the list is not older than @age_us, at once when it is
 * not; @err is 0 or why it is older.
 */
void volumes_refresh(struct mount *m, u64 age_us, struct waiter *w);
/* NULL when no volume of that name is listed. */
struct volume *volumes_find(struct mount *m, const char *name);
/* Asks virgod to "create" a volume on the best node, or to "rmdir" an empty one;
 * @done gets 0 or -errno.
 */
void volumes_change(struct mount *m, const char *action, const char *name,
		    void (*done)(void *arg, int err), void *arg);
void volumes_free(struct mount *m);

#endif
