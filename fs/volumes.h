/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The volumes of the cloud, as this machine's virgod lists them: what is seen in
 * the root of the mount. The list is asked for again when it is older than
 * VOLUMES_FRESH_US and someone looks; when virgod is away the last one stands.
 */
#ifndef VIRGO_FS_VOLUMES_H
#define VIRGO_FS_VOLUMES_H

#include "mount.h"

enum { VOLUMES_FRESH_US = 1000000 };

struct waiter {
	struct waiter *next;
	void (*ready)(struct waiter *w, int err);
};

/* The first list, asked for before anything runs; a failure is logged only. */
void volumes_load(struct mount *m);
/* Calls @w->ready once the list is fresh, at once when it is; @err is 0 or why
 * it is not fresh.
 */
void volumes_refresh(struct mount *m, struct waiter *w);
/* NULL when no volume of that name is listed. */
struct volume *volumes_find(struct mount *m, const char *name);
/* Asks virgod to "create" a volume of this node in folder @path, or to "remove"
 * one (@path NULL); @done gets 0 or -errno.
 */
void volumes_change(struct mount *m, const char *action, const char *name,
		    const char *path, void (*done)(void *arg, int err),
		    void *arg);
void volumes_free(struct mount *m);

#endif
