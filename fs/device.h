/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/fuse: mounting, reading requests and giving them to libfuse, and the few
 * things this libfuse does not do itself.
 */
#ifndef VIRGO_FS_DEVICE_H
#define VIRGO_FS_DEVICE_H

#include "mount.h"

/* Mounts @m on m->point with mount(2) flags @flags and starts to read requests
 * in the loop. 0, or a negative errno with @f.
 */
int device_open(struct mount *m, unsigned long flags, struct failure *f);
/* Unmounts, if it is still mounted; requests are read no more. */
void device_detach(struct mount *m);
/* Ends the session, after which no reply can be given. */
void device_close(struct mount *m);

#endif
