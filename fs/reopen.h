/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaching a volume, and bringing its open files back after a restart. */
#ifndef VIRGO_FS_REOPEN_H
#define VIRGO_FS_REOPEN_H

struct server;
struct volume;

/* Attaches @v over the open connection of @s; then its queue is sent. */
void reopen_attach(struct server *s, struct volume *v);

#endif
